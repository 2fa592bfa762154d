"""Reports of crashes of the example guest, and of damaged and hostile dumps."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace

import pytest

from wdbg.analysis.crash.page import html_page
from wdbg.analysis.crash.report import crash_report
from wdbg.analysis.crash.show import text_report
from wdbg.cli.dumping import take
from wdbg.cli.main import main
from wdbg.dump.file import read_dump, write_dump
from wdbg.dump.state import StopState
from wdbg.errors import WdbgError
from wdbg.runtime.boot import BootOptions, boot
from wdbg.runtime.console import StreamConsole

SYSRQ = "WDBG_EXEC=echo%20c%20>%20/proc/sysrq-trigger"


@pytest.fixture(scope="session", name="crashed")
def crashed_fixture(guest, tmp_path_factory):
    """A dump of a guest that has panicked, made in the variant without stop points."""
    options = BootOptions(guest.kernel, guest.initrd, SYSRQ)
    machine = boot(options, StreamConsole(None))
    assert machine.run().kind.value == "panic"
    path = tmp_path_factory.mktemp("crash") / "panic.dump"
    write_dump(path, take(machine))
    machine.close()
    return path


@pytest.fixture(scope="session", name="report")
def report_fixture(crashed):
    return crash_report(read_dump(crashed), crashed)


def test_what_and_where(report):
    assert report["what"]["kind"] == "sysrq"
    assert report["task"]["name"].startswith("sh[")
    assert report["where"]["function"] == "sysrq_handle_crash"
    assert report["where"]["file"] == "drivers/tty/sysrq.c"
    assert report["calls"][:3] == ["sysrq_handle_crash", "__handle_sysrq", "write_sysrq_trigger"]


def test_the_backtrace_has_values(report):
    lines = [call["text"] for call in report["backtrace"]]
    handle = next(call for call in report["backtrace"] if call["function"] == "__handle_sysrq")
    assert "key=99 'c'" in handle["text"]
    assert any(re.search(r"op_p = 0x\w+ <sysrq_crash_op>", text) for text in handle["locals"])
    assert any(re.search(r"vfs_write\(file=0x\w+ <filp 0x\w+>, .*count=2", text) for text in lines)
    assert any(text.startswith("#8  flush()") and "user/libc" in text for text in lines)


def test_the_log_is_read_from_memory(report):
    assert any("sysrq triggered crash" in line for line in report["dmesg"])
    assert {"sh", "kthreadd", "swapper/0"} <= {row["name"] for row in report["tasks"]}
    assert all(row["intact"] for row in report["stacks"])
    assert report["problems"] == []
    assert report["notes"] == []


def test_the_text_has_every_part(report):
    text = text_report(report)
    for title in ("Where:", "Backtrace:", "CPUs:", "Tasks:", "Stack use:", "Kernel log", "again:"):
        assert title in text


def test_two_runs_crash_alike(crashed, capsys):
    assert main(["report", "crash", str(crashed), str(crashed)]) == 0
    assert "the same crash" in capsys.readouterr().out


def test_another_crash_is_another(crashed, snapshot_dump, capsys):
    assert main(["report", "crash", "--json", str(crashed), str(snapshot_dump)]) == 1
    assert json.loads(capsys.readouterr().out)["same"] is False


@pytest.fixture(name="snapshot_dump")
def snapshot_dump_fixture(crashed, tmp_path):
    """The same dump with another reason."""
    path = tmp_path / "other.dump"
    found = read_dump(crashed)
    write_dump(path, replace(found, stop=StopState("hang", "nothing can happen")))
    return path


def test_without_a_kernel_there_are_names(crashed, monkeypatch):
    monkeypatch.setattr("wdbg.dump.file._is", lambda path, module: False)
    report = crash_report(read_dump(crashed), crashed)
    assert report["calls"][0] == "sysrq_handle_crash"
    assert {"swapper/0", "init"} <= {row["name"] for row in report["tasks"]}
    assert any("--kernel" in note for note in report["notes"])
    text_report(report)


def test_guest_names_are_escaped_everywhere(crashed):
    found = read_dump(crashed)
    evil = "<script>alert(1)</script>\x1b]0;x\x07\u202e"
    tasks = {
        address: replace(
            task,
            name=evil,
            frames=tuple(replace(frame, function=evil) for frame in task.frames),
        )
        for address, task in found.tasks.items()
    }
    bad = replace(
        found, tasks=tasks, index=None, stop=StopState("panic", evil), console=evil.encode()
    )
    report = crash_report(bad, crashed)
    page = html_page(report)
    assert "<script" not in page
    for text in (page, text_report(report)):
        assert not set("\x1b\x07\u202e") & set(text)


def test_damaged_dumps_are_reported_or_refused(crashed, tmp_path):
    data = crashed.read_bytes()
    random_ = random.Random(7)
    path = tmp_path / "damaged.dump"
    outcomes = set()
    for number in range(24):
        changed = bytearray(data)
        for _ in range(4 if number % 2 else 1):
            at = random_.randrange(len(data))
            changed[at] = random_.randrange(256)
        if number % 6 == 5:
            del changed[random_.randrange(len(data)) :]
        path.write_bytes(changed)
        try:
            text_report(crash_report(read_dump(path), path))
            outcomes.add("report")
        except WdbgError:
            outcomes.add("refused")
    assert outcomes == {"report", "refused"}


def test_the_command_line(crashed, tmp_path, capsys):
    page = tmp_path / "crash.html"
    assert main(["report", "crash", str(crashed), "--html", str(page)]) == 1
    assert page.read_text().startswith("<!doctype html>")
    assert main(["report", "crash", str(crashed), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["what"]["kind"] == "sysrq"
    assert main(["report", "crash", str(page)]) == 2
    assert main(["report", "crash", str(tmp_path / "none")]) == 2
    assert "Traceback" not in capsys.readouterr().err
