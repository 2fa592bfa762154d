"""Dumps in other tools' formats, and under a debugger."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
import wasmtime

from symbols.wasm.module import Module
from wdbg.cli.main import main
from wdbg.debugger.model import Action, DebugError, Place, Resume, StopReason
from wdbg.debugger.offline import Offline
from wdbg.debugger.session import Session
from wdbg.dump.file import read_dump, write_dump
from wdbg.gdbstub.listener import Address
from wdbg.gdbstub.remote import Remote


@pytest.fixture(scope="module", name="dump")
def dump_fixture(snapshot, tmp_path_factory):
    path = tmp_path_factory.mktemp("exports") / "guest.dump"
    write_dump(path, snapshot)
    return path


def test_a_wasm_coredump_is_a_module_with_its_sections(dump, snapshot, tmp_path):
    out = tmp_path / "core.wasm"
    assert main(["dump", "export", str(dump), "--format", "wasm-coredump", "-o", str(out)]) == 0
    data = out.read_bytes()
    wasmtime.Module.validate(wasmtime.Engine(), data)
    module = Module(data)
    for name in ("core", "coremodules", "coreinstances", "corestack"):
        assert module.custom(name) is not None
    assert data.count(b"\x09corestack") == len(snapshot.tasks)
    assert sum(segment.end - segment.start for segment in module.segments) > 1 << 20
    first = module.segments[0]
    assert first.active
    assert module.memories[0].minimum * 65536 >= snapshot.memory.size()


def test_the_offline_debugger_reads(snapshot):
    guest = Offline(snapshot)
    names = {thread.tid: thread.name for thread in guest.threads()}
    assert names[2] == "kthreadd"
    frames = guest.frames(2)
    assert [frame.function for frame in frames][:3] == ["__switch_to", "__schedule", "schedule"]
    assert frames[0].depth == len(frames) - 1
    assert guest.local(2, 0, 0) == guest.thread(2).address
    assert guest.local(2, 0, 99) is None
    assert guest.local(77777, 0, 0) is None
    assert guest.operand(2, 99, 0) is None
    assert guest.global_value(2, 0, 0)
    assert guest.frames(77777) == ()
    assert len(guest.read_memory(0, 1 << 30)) == 64 << 20
    assert "kthreadd" in guest.monitor("tasks")
    assert "Linux version" in guest.monitor("dmesg")
    assert guest.stop_event().reason is StopReason.ATTACH


def test_the_offline_debugger_changes_nothing(snapshot):
    guest = Offline(snapshot)
    for act in (
        lambda: guest.write_memory(0, b"x"),
        lambda: guest.set_local(2, 0, 0, 1),
        lambda: guest.set_global(2, 0, 0, 1),
        lambda: guest.resume({}, Action(Resume.CONTINUE)),
        lambda: guest.monitor("locks"),
        lambda: guest.read_memory(1 << 40, 1),
    ):
        with pytest.raises(DebugError):
            act()
    guest.add_breakpoint(Place(0, 100))
    guest.kill()
    assert guest.pump().reason is StopReason.EXITED


def test_a_dump_is_served(dump):
    """A client reads memory at the port of `wdbg dump serve`, and ends it."""
    command = [sys.executable, "-m", "wdbg", "dump", "serve", str(dump), "--gdb", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            remote = Remote(Address.parse(line.rsplit(":", 1)[1].rstrip("'\n")))
            snapshot = read_dump(dump)
            assert remote.size() == snapshot.memory.size()
            assert remote.read(4096, 64) == snapshot.memory.read(4096, 64)
            with pytest.raises(LookupError):
                remote.read(snapshot.memory.size(), 4)
            remote.close()
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 130
        finally:
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)


@pytest.mark.parametrize(
    "words",
    [
        ["info", "/nowhere"],
        ["serve", "{dump}"],
        ["export", "{dump}", "--format", "elfcore", "-o", "/nowhere/core"],
        ["save", "vm99"],
        ["save", "-o", "/nowhere/x"],
    ],
)
def test_bad_input_is_a_line(words, dump, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert main(["dump", *(word.format(dump=dump) for word in words)]) in (2, 3)
    err = capsys.readouterr().err
    assert err.startswith("wdbg: ")
    assert "Traceback" not in err


def test_info_says_what_it_holds(dump, capsys):
    assert main(["dump", "info", str(dump)]) == 0
    out = capsys.readouterr().out
    assert "running" in out
    assert "vmlinux" in out


def test_a_debugger_can_ask_for_a_dump(booted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    session = Session(booted("debug"))
    assert "guest.dump" in session.monitor("dump guest.dump")
    assert len(read_dump(tmp_path / "guest.dump").tasks) == len(session.threads())
    session.monitor("dump guest.dump")
    (tmp_path / "other").write_text("something else")
    for name in ("", "other", "../x", "/tmp/x"):
        with pytest.raises(DebugError):
            session.monitor(f"dump {name}")
