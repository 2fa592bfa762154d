"""`wdbg run --record`, `wdbg replay`: the same run again, or a word on where it parts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from tests.guest.conftest import wdbg
from wdbg.runtime.recording import read, write

pytestmark = pytest.mark.guest

WORK = "spawnstorm 5; pingpong 20; sleep 1"
SMALL = 1000
"""Bytes of a recording without input at most."""


@pytest.fixture(scope="module")
def recorded(guest, tmp_path_factory):
    """A recording and its run."""
    path = tmp_path_factory.mktemp("recordings") / "boot.wdbgrec"
    flags = ["--cpus", 4, "--seed", 5, "--record", path, "--print-hash"]
    run = wdbg("run", "--append", "quiet", *flags, "--exec", WORK)
    assert run.status == 0, run.messages
    return path, run


def test_a_boot_without_input_takes_some_hundred_bytes(guest, tmp_path):
    path = tmp_path / "r"
    run = wdbg("run", "--append", "quiet", "--record", path, "--exec", "true")
    assert run.status == 0, run.messages
    assert path.stat().st_size < SMALL


@pytest.mark.parametrize("variant", [["--variant", "debug"], ["--variant", "watch"], ["--trace"]])
def test_other_variants_do_the_same(recorded, tmp_path, variant):
    path, run = recorded
    flags = [*variant, tmp_path / "t.wdt"] if variant == ["--trace"] else variant
    again = wdbg("replay", path, "--print-hash", *flags)
    assert (again.status, again.hash) == (0, run.hash), again.messages
    assert again.console == run.console


def test_typed_input_is_replayed(guest, tmp_path):
    path = tmp_path / "r"
    script = b"echo $((6 * 7))\nsleep 1\ncat /proc/uptime\n"
    run = wdbg("run", "--append", "quiet", "--record", path, "--print-hash", stdin=script)
    again = wdbg("replay", path, "--print-hash")
    assert (again.status, again.hash, again.console) == (0, run.hash, run.console)


def test_a_run_that_was_killed_is_replayed_as_far_as_it_is_known(guest, tmp_path):
    path = tmp_path / "r"
    command = [sys.executable, "-m", "wdbg", "run", "--append", "quiet", "--record", str(path)]
    command += ["--exec", "echo begin; while true; do true; done"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert b"begin" in process.stdout.readline()
        size = path.stat().st_size
        while path.stat().st_size == size:  # written a few times a second
            assert process.poll() is None
        os.kill(process.pid, signal.SIGKILL)
        process.stdout.read()
    again = wdbg("replay", path)
    assert again.status == 0, again.messages
    assert "was killed here" in again.messages
    assert "begin" in again.console


def test_a_run_that_was_ended_by_a_timeout_ends_at_the_same_place(guest, tmp_path):
    path = tmp_path / "r"
    flags = ["--append", "quiet", "--record", path, "--timeout", 2, "--print-hash"]
    run = wdbg("run", *flags, "--exec", "while true; do true; done")
    again = wdbg("replay", path, "--print-hash")
    assert run.status == again.status == 1
    assert run.hash == again.hash


def test_another_run_is_noticed_at_the_switch(recorded, tmp_path):
    path, _ = recorded
    whole = read(path)
    checks = bytearray(whole.checks)
    checks[100] ^= 0x40
    write(tmp_path / "r", replace(whole, checks=bytes(checks)))
    again = wdbg("replay", tmp_path / "r")
    assert again.status == 3
    assert "differs from its recording at context switch 100: here tick " in again.messages
    assert "after switch 64 at tick" in again.messages
    write(tmp_path / "s", replace(whole, seed=6))
    assert wdbg("replay", tmp_path / "s").status == 3


def test_another_kernel_is_named(recorded, tmp_path):
    path, _ = recorded
    whole = read(path)
    write(tmp_path / "r", replace(whole, kernel="ab" * 32, engine="wasmtime-1.0"))
    again = wdbg("replay", tmp_path / "r")
    assert again.status == 2
    assert "abababababababab" in again.messages
    write(tmp_path / "s", replace(whole, engine="wasmtime-1.0"))
    again = wdbg("replay", tmp_path / "s")
    assert again.status == 0
    assert "recorded with wasmtime-1.0" in again.messages


@pytest.mark.parametrize(
    ("place", "shows"),
    [("200_000", "tick 200000,"), ("do_exit#2", "in do_exit"), ("500ms", "tick"), ("end", "tick")],
)
def test_going_to_a_place(recorded, place, shows):
    again = wdbg("replay", recorded[0], "--quiet", "--to", place)
    assert again.status == 0, again.messages
    assert shows in again.console
    assert "CPU 0 " in again.console


@pytest.mark.parametrize("place", ["7h", "nosuchfunction", "do_exit#99999", "do_exit#0", "9999s"])
def test_places_that_are_none(recorded, place):
    again = wdbg("replay", recorded[0], "--quiet", "--to", place)
    assert again.status == 2, again.messages
    assert "Traceback" not in again.messages
