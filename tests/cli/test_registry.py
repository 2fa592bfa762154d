"""The registry of guests: names, locks, requests, and whatever lies in its directory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from wdbg.cli import ps
from wdbg.cli.registry import Registration, ask, list_guests, registry_directory
from wdbg.errors import BadInput


@pytest.fixture(name="runtime", autouse=True)
def runtime_fixture(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path / "wdbg" / "run"


@pytest.fixture(name="guest_of_ours")
def registration_fixture(tmp_path):
    made = Registration(tmp_path / "vmlinux.wasm", 4, "echo")
    before = signal.signal(signal.SIGUSR1, made.on_signal)
    yield made
    signal.signal(signal.SIGUSR1, before)
    made.close()


def test_guests_have_names_of_their_own(tmp_path, guest_of_ours):
    second = Registration(tmp_path / "other.wasm", 1, "")
    assert [entry.name for entry in list_guests()] == ["vm1", "vm2"]
    assert list_guests()[0].pid == os.getpid()
    assert list_guests()[0].command == "echo"
    second.close()
    assert [entry.name for entry in list_guests()] == ["vm1"]


def test_a_name_is_free_again_when_its_guest_was_killed(runtime):
    code = (
        "import os, signal; from pathlib import Path; from wdbg.cli.registry import Registration;"
        "r = Registration(Path('k'), 1, ''); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    assert (runtime / "vm1.json").exists()
    assert list_guests() == []
    assert not (runtime / "vm1.json").exists()


def test_the_directory_is_the_users_alone(runtime, tmp_path):
    Registration(tmp_path / "k", 1, "").close()
    assert runtime.stat().st_mode & 0o777 == 0o700
    runtime.chmod(0o777)
    with pytest.raises(OSError, match="others"):
        Registration(tmp_path / "k", 1, "")


def test_without_a_runtime_directory_it_is_in_the_cache(monkeypatch, cache_home):
    for value in ("", "relative"):
        monkeypatch.setenv("XDG_RUNTIME_DIR", value)
        assert registry_directory() == cache_home / "wdbg" / "run"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"name": 1}', b"\xff" * 100_000])
def test_what_else_lies_there_does_no_harm(runtime, guest_of_ours, content):
    (runtime / "vm7.json").write_bytes(content)
    (runtime / "vm8.json").mkdir()
    (runtime / "vm9.request").write_bytes(content)
    assert [entry.name for entry in list_guests()] == ["vm1"]


def test_requests_are_taken_once(runtime, guest_of_ours):
    assert guest_of_ours.take_request() is None
    answers = ask("vm1", "0", None)
    text = {"gdb": "0", "lldb": None, "answer": "/nowhere"}
    (runtime / "vm1.request").write_text(json.dumps(text))
    os.kill(os.getpid(), signal.SIGUSR1)
    request = guest_of_ours.take_request()
    assert (request.gdb, request.lldb) == ("0", None)
    request.answer.send(line="lost")
    request.answer.close()
    assert guest_of_ours.take_request() is None
    assert not (runtime / "vm1.request").exists()
    answers.close()


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"gdb": 5, "lldb": 5, "answer": "x"}'])
def test_bad_requests_are_dropped(runtime, guest_of_ours, content):
    (runtime / "vm1.request").write_bytes(content)
    guest_of_ours.on_signal(signal.SIGUSR1, None)
    assert guest_of_ours.take_request() is None


def test_a_guest_that_does_not_answer(guest_of_ours, monkeypatch):
    monkeypatch.setattr("wdbg.cli.registry._ANSWER_SECONDS", 0.05)
    with pytest.raises(BadInput, match="does not answer"):
        list(ask("vm1", "0", None))


def test_a_guest_that_is_not_there():
    with pytest.raises(BadInput, match="no guest vm3"):
        list(ask("vm3", "0", None))


def test_ps_prints_a_line_each(guest_of_ours, capsys):
    import argparse

    assert ps.run(argparse.Namespace(json=False)) == 0
    assert "vm1" in capsys.readouterr().out
    assert ps.run(argparse.Namespace(json=True)) == 0
    assert json.loads(capsys.readouterr().out)[0]["name"] == "vm1"
