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


def test_a_script_on_standard_input_is_repeatable(run):
    script = b"echo one\nuname\nsleep 1\npingpong 5\n"
    first = run("--print-hash", stdin=script)
    assert first.status == 0
    assert first.hash == run("--print-hash", stdin=script).hash
    assert first.hash != run("--print-hash", stdin=script + b"true\n").hash


def test_console_speed_has_no_influence(run):
    """Output to a full pipe blocks the host, not the guest's clock."""
    first = run("--print-hash", "--exec", "dmesg; seq 2000")
    assert first.hash == run("--print-hash", "--exec", "dmesg; seq 2000").hash
    assert "\n2000\n" in first.console
