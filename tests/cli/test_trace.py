"""`wdbg trace` and `wdbg report` as a user runs them."""

import json
import os
import pty
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.trace.synthetic import Synthetic, write_trace
from wdbg.trace.reader import Trace

DEADLINE = 60


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trace") / "t.wdt"
    write_trace(path, Synthetic(seed=6).run(6000), chunks=8)
    return path


def wdbg(*arguments: object, status: int = 0) -> str:
    command = [sys.executable, "-m", "wdbg", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if status == 0 else done.stderr


def shown(*arguments: object) -> list[str]:
    return [line for line in wdbg("trace", "show", *arguments).splitlines() if line[:1] != "#"]


def plain(line: str) -> str:
    """Without indentation, and without the duration of a call whose entry was not read."""
    return " ".join(line.partition("/*")[0].split())


def test_info(trace: Path) -> None:
    text = wdbg("trace", "info", trace)
    assert "vmlinux.wasm" in text
    assert "complete    yes" in text
    facts = json.loads(wdbg("trace", "info", trace, "--json"))
    assert facts["lost"] == 0
    assert facts["events"] == sum(facts["counts"].values())
    assert facts["seed"] == 7


def test_show_filters(trace: Path) -> None:
    facts = json.loads(wdbg("trace", "info", trace, "--json"))
    everything = shown(trace)
    assert len(everything) == facts["events"]
    sched = shown(trace, "--events", "sched")
    assert len(sched) == sum(n for k, n in facts["counts"].items() if k.startswith("sched_"))
    assert all(": sched_" in line for line in sched)
    assert all("[001]" in line for line in shown(trace, "--cpu", "1"))
    assert len(shown(trace, "--cpu", 0)) + len(shown(trace, "--cpu", 1)) == len(everything)
    assert all(line.lstrip().startswith("init-1 ") for line in shown(trace, "--task", "init"))
    assert shown(trace, "--task", "1") == shown(trace, "--task", "init")
    some = shown(trace, "--function", "vfs_*")
    assert some
    assert all("vfs_" in line for line in some)
    files = shown(trace, "--function", "sched/*.c")
    assert files == shown(trace, "--function", "kernel/sched/core.c")
    assert files
    deep = shown(trace, "--events", "call", "--depth", 0)
    assert 0 < len(deep) < facts["counts"]["call_enter"]
    slow = shown(trace, "--duration", "100us", "--function", "*")
    assert 0 < len(slow) < facts["counts"]["call_enter"]
    middle = (facts["first_tick"] + facts["last_tick"]) // 2
    before, after = (
        shown(trace, "--range", f"..{middle}"),
        shown(trace, "--range", f"{middle + 1}.."),
    )
    # A call's depth counts from where the reading began.
    assert [plain(line) for line in before + after] == [plain(line) for line in everything]
    assert shown(trace, "--range", "0ns..1s") == everything
    assert shown(trace, "--limit", 7) == everything[:7]


def test_show_stops_well_in_a_pipe(trace: Path) -> None:
    command = f"'{sys.executable}' -m wdbg trace show '{trace}' | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "# tracer: nop\n"


def test_show_has_colours_on_a_terminal_only(trace: Path) -> None:
    assert "\x1b[" not in wdbg("trace", "show", trace, "--limit", 3)
    assert "\x1b[" in wdbg("trace", "show", trace, "--limit", 3, "--colour", "always")
    ours, its = pty.openpty()
    command = [sys.executable, "-m", "wdbg", "trace", "show", str(trace), "--limit", "3"]
    environment = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
    with subprocess.Popen(command, stdout=its, stderr=its, env=environment) as process:
        os.close(its)
        text = b""
        try:
            while data := os.read(ours, 4096):
                text += data
        except OSError:
            pass  # the other end was closed
        assert process.wait(DEADLINE) == 0
    os.close(ours)
    assert b"\x1b[" in text


def test_cut(trace: Path, tmp_path: Path) -> None:
    with Trace(trace) as whole:
        first, last = whole.chunks[2].first_tick, whole.chunks[4].last_tick
    part = tmp_path / "part.wdt"
    text = wdbg("trace", "cut", trace, "--range", f"{first}..{last}", "-o", part)
    lines = shown(trace, "--range", f"{first}..{last}", "--events", "sched,lock,irq")
    assert shown(part, "--events", "sched,lock,irq") == lines
    with Trace(part) as found:
        assert text == f"{part}: {found.events} events\n"
        assert found.facts["cut"]
    assert "no events" in wdbg("trace", "cut", trace, "--range", "1..2", "-o", part, status=2)
    assert "itself" in wdbg("trace", "cut", trace, "--range", "1..", "-o", trace, status=2)


def test_export_beside_the_trace(trace: Path) -> None:
    text = wdbg("trace", "export", trace, "--format", "trace.dat")
    assert text.startswith(f"{trace.with_suffix('.dat')}: ")
    assert trace.with_suffix(".dat").read_bytes()[:10] == b"\x17\x08\x44tracing"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("show", "/no/such/file"), "No such file"),
        (("show", __file__), "no wdbg trace"),
        (("info", "/"), "not a file"),
        (("show", "TRACE", "--events", "nonsense"), "no event is called nonsense"),
        (("show", "TRACE", "--function", "nonsense"), "no function"),
        (("show", "TRACE", "--range", "x"), "no range"),
        (("show", "TRACE", "--range", "1q..2q"), "no time"),
        (("show", "TRACE", "--duration", "soon"), "no time"),
        (("export", "TRACE", "--format", "ctf", "-o", "/no/such/place"), "/no/such/place"),
    ],
)
def test_bad_input(trace: Path, arguments: tuple[str, ...], words: str) -> None:
    assert words in wdbg("trace", *(trace if a == "TRACE" else a for a in arguments), status=2)


def test_a_damaged_trace_is_told(trace: Path, tmp_path: Path) -> None:
    with Trace(trace) as whole:
        offset = whole.chunks[3].offset + 100
    data = bytearray(trace.read_bytes())
    data[offset] ^= 1
    damaged = tmp_path / "damaged.wdt"
    damaged.write_bytes(data)
    command = [sys.executable, "-m", "wdbg", "trace", "show", str(damaged)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert done.returncode == 0
    assert "damaged at offset" in done.stderr
    damaged.write_bytes(trace.read_bytes()[:offset])
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert "did not finish" in done.stderr


def test_open_serves_perfetto(trace: Path) -> None:
    command = [sys.executable, "-m", "wdbg", "trace", "open", str(trace), "--port", "0"]
    with subprocess.Popen([*command, "--no-browser"], stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            address = line.split(" shown at ")[1].split()[0]
            with urllib.request.urlopen(address, timeout=DEADLINE) as answer:
                assert b"Perfetto UI" in answer.read()
            with urllib.request.urlopen(address + "vizviewer_info", timeout=DEADLINE) as answer:
                assert answer.read() == b"{}"
            with urllib.request.urlopen(address + "localtrace", timeout=DEADLINE) as answer:
                assert answer.read(1) == b"\x0a"
        finally:
            process.terminate()


@pytest.mark.parametrize(
    "report",
    [
        ("sched",), ("sched", "--timehist"), ("calls",), ("calls", "--view", "graph"),
        ("calls", "--view", "collapsed"), ("locks", "--stat"),
    ],
)  # fmt: skip
def test_reports(trace: Path, report: tuple[str, ...]) -> None:
    text = wdbg("report", report[0], trace, *report[1:])
    assert len(text.splitlines()) > 5
    assert json.loads(wdbg("report", report[0], trace, *report[1:], "--json"))


def test_report_columns(trace: Path) -> None:
    assert "Max delay" in wdbg("report", "sched", trace)
    assert "con-bounces" in wdbg("report", "locks", "--stat", trace)
    assert "no locking problems" in wdbg("report", "locks", trace)
    lines = wdbg("report", "calls", "--view", "collapsed", trace).splitlines()
    assert all(line.rpartition(" ")[2].isdecimal() for line in lines)
