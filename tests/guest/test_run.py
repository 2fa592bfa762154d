"""`wdbg run` on the real guest: shell, ends, signals, input, traps."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys

import pytest

pytestmark = pytest.mark.guest


def test_the_shell_answers(run):
    done = run("--exec", "uname -a; ps; cat /proc/cpuinfo", "--cpus", 3)
    assert done.status == 0
    assert re.search(r"^Linux \S+ 6\.\d+\.\d+", done.console, re.M)
    assert re.search(r"^ +1 +0 . .* init$", done.console, re.M)
    assert len(re.findall(r"^processor\s*: \d+$", done.console, re.M)) == 3


def test_the_commands_exit_status_is_told(run):
    assert run("--exec", "true").status == 0
    done = run("--exec", "exit 7")
    assert done.status == 1
    assert "status 7" in done.messages


@pytest.mark.parametrize(
    "command",
    ['echo "a  b"', "echo 'c%d'", 'echo a=b; echo "it\'s" | cat', "echo \\\\ é ! '#'"],
)
def test_commands_arrive_as_they_were_typed(run, command):
    expected = subprocess.run(["sh", "-c", command], capture_output=True, text=True).stdout
    assert run("--exec", command).console.startswith(expected)


def test_the_guests_own_selftest_passes(run):
    done = run("--exec", "selftest")
    failed = re.findall(r"^not ok .*", done.console, re.M)
    assert not failed
    assert done.status == 0, done.messages
    assert re.search(r"^# (\d+) of \1 passed", done.console, re.M)


@pytest.mark.parametrize("cpus", [1, 2, 8])
@pytest.mark.parametrize("seed", [None, 5])
def test_boots_with_any_number_of_cpus(run, cpus, seed):
    flags = [] if seed is None else ["--seed", seed]
    done = run("--cpus", cpus, *flags, "--exec", "nproc")
    assert done.status == 0, done.messages
    assert re.search(rf"^{cpus}$", done.console, re.M)


def test_standard_input_is_typed_and_its_end_is_control_d(run):
    done = run(stdin=b"echo one-$((1+1))\nls /nonexistent\n")
    assert done.status == 0, done.messages
    assert "/nonexistent" in done.console


def test_panic_ends_with_its_message_and_backtrace(run):
    done = run("--exec", "echo c > /proc/sysrq-trigger")
    assert done.status == 1
    assert "wdbg: panic: sysrq triggered crash" in done.messages
    assert re.search(r"^    panic\+0x", done.messages, re.M)
    assert re.search(r"^    sysrq_handle_crash\+0x", done.messages, re.M)
    assert "Kernel panic - not syncing: sysrq triggered crash" in done.console


def test_a_guest_without_init_panics(run, guest_kernel):
    done = run(guest_kernel)
    assert done.status == 1
    assert "panic: " in done.messages


def test_timeout(run):
    done = run("--exec", "wild spin", "--timeout", "1")
    assert done.status == 1
    assert "wdbg: timeout: not done after 1 s" in done.messages
    assert re.search(r"CPU \d (running|idle)", done.messages)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_cleanly(guest, number):
    child = subprocess.Popen(
        [sys.executable, "-m", "wdbg", "run", "--exec", "echo ready; wild spin"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        for line in child.stdout:
            if line.strip() == b"ready":
                break
        child.send_signal(number)
        _, messages = child.communicate(timeout=60)
    finally:
        child.kill()
    assert child.returncode == 128 + number
    assert b"Traceback" not in messages


def test_the_guest_process_has_one_thread(guest):
    """Forked copies lose all threads but one, so there must be no other (DESIGN D3)."""
    child = subprocess.Popen(
        [sys.executable, "-m", "wdbg", "run", "--exec", "echo ready; wild spin"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert any(line.strip() == b"ready" for line in child.stdout)
        assert len(os.listdir(f"/proc/{child.pid}/task")) == 1
    finally:
        child.kill()
        child.communicate()


def test_memory_limit(run):
    small = run("--exec", "free", "--memory", 32)
    large = run("--exec", "free", "--memory", 256)
    total = [int(re.search(r"memory\s+(\d+)", done.console)[1]) for done in (small, large)]
    assert 20_000 < total[0] < 32 * 1024
    assert 240_000 < total[1] < 256 * 1024


@pytest.mark.parametrize(
    ("act", "signal_name"),
    [
        ("read", "SEGV"), ("write", "SEGV"), ("unreachable", "ILL"), ("divide", "FPE"),
        ("convert", "FPE"), ("null_call", "SEGV"), ("far_call", "SEGV"), ("bad_call", "SEGV"),
        ("recursion", "SEGV"), ("unaligned", "BUS"),
    ],
)  # fmt: skip
def test_a_wild_act_kills_the_program_and_nothing_else(run, act, signal_name):
    number = getattr(signal, f"SIG{signal_name}")
    done = run("--exec", f"wild {act}; echo status $?; echo alive")
    assert f"\nstatus {128 + number}\nalive\n" in done.console
    assert done.status == 0


def test_doctor_on_the_guest(guest_kernel):
    done = subprocess.run(
        [sys.executable, "-m", "wdbg", "doctor", str(guest_kernel), "--json"],
        capture_output=True, text=True, timeout=120, env=dict(os.environ),
    )  # fmt: skip
    facts = json.loads(done.stdout)
    assert done.returncode == 0, done.stdout
    assert facts["port"] == "linux-wasm"
    assert facts["version"].startswith("6.")
    assert facts["runnable"]
    assert facts["dwarf_version"] in (4, 5)
    assert facts["dwarf_size"] > 10_000_000
    assert not facts["overlapping"]
    assert facts["atomic_accesses"] > 3000
