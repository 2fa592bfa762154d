"""Same kernel, initrd, command line, seed and input: the same run, to the last byte of memory."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


pytestmark = pytest.mark.guest

WORK = "spawnstorm 20; pingpong 50; futexes 50; fschurn 20; sigstorm 20"
RUNS = int(os.environ.get("WDBG_DETERMINISM_RUNS", "5"))
"""`make nightly` asks for 100."""


@pytest.mark.parametrize("flags", [["--cpus", 4], ["--cpus", 2, "--seed", 11]])
def test_every_run_is_the_same(run, flags):
    hashes = {run("--print-hash", *flags, "--exec", WORK).hash for _ in range(RUNS)}
    assert len(hashes) == 1


def test_a_loaded_machine_changes_nothing(run):
    calm = run("--print-hash", "--exec", WORK).hash
    spin = [sys.executable, "-c", "while True: pass"]
    load = [subprocess.Popen(spin) for _ in range(2 * (os.cpu_count() or 1))]
    try:
        assert run("--print-hash", "--exec", WORK).hash == calm
    finally:
        for process in load:
            process.kill()
            process.wait()


def test_seeds_and_schedules_differ(run):
    flags = ([], ["--seed", 1], ["--seed", 2], ["--schedule", "random", "--seed", 0])
    hashes = [run("--print-hash", *each, "--exec", WORK).hash for each in flags]
    assert len(set(hashes)) == len(hashes)


def test_piped_input_is_the_same_however_it_comes(guest):
    """A slow writer and a fast one: input is taken at idle points, which no clock decides."""
    command = [sys.executable, "-m", "wdbg", "run", "--append", "quiet", "--print-hash"]
    keys = b"echo one\nuname\n"
    fast = subprocess.run(command, input=keys, capture_output=True, timeout=120)
    slow = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
    )
    slow.stdin.write(keys)
    for line in slow.stdout:
        if line.strip() == b"Linux":
            break
    _, messages = slow.communicate(timeout=120)
    assert slow.returncode == fast.returncode == 0
    assert messages == fast.stderr


def test_console_speed_has_no_influence(run):
    """Output to a full pipe blocks the host, not the guest's clock."""
    first = run("--print-hash", "--exec", "dmesg; seq 2000")
    assert first.hash == run("--print-hash", "--exec", "dmesg; seq 2000").hash
    assert "\n2000\n" in first.console
