"""Each kind of trap in kernel code: an oops with the guest's own backtrace, exit status 1."""

from __future__ import annotations

import re

import pytest

pytestmark = pytest.mark.guest

TRIGGER = "/sys/module/traptest/parameters/trap"


@pytest.mark.parametrize(
    ("kind", "function", "reason"),
    [
        ("oob", "trap_oob", "out of bounds"),
        ("unreachable", "trap_unreachable", "unreachable"),
        ("divide", "trap_divide", "divide by zero"),
        ("call", "trap_call", "uninitialized element"),
        ("stack", "recurse", "stack"),
        ("atomic", "trap_atomic", "unaligned"),
    ],
)
def test_a_trap_is_an_oops(run, kind, function, reason):
    done = run("--exec", f"echo {kind} > {TRIGGER}; echo survived")
    assert done.status == 1
    assert "survived" not in done.console
    assert "Traceback" not in done.messages
    told = re.search(r"^wdbg: trap in the kernel: (.*)\n    (\w+)\+0x", done.messages, re.M)
    assert told, done.messages
    assert reason in told[1]
    assert told[2] == function
    assert "Oops: " in done.console
    assert re.search(rf"Call Trace:\n.* {function}\+0x", done.console)
    assert "wdbg: panic: Fatal exception" in done.messages


def test_bug_and_panic_reach_the_host_with_message_and_backtrace(run):
    bug = run("--exec", f"echo bug > {TRIGGER}")
    assert "kernel BUG at" in bug.console
    assert re.search(r"^wdbg: panic: .*kernel BUG at \S+:\d+", bug.messages, re.M)
    panic = run("--exec", f"echo panic > {TRIGGER}")
    assert re.search(r"^wdbg: panic: traptest\n(    .*\n)?    panic\+0x", panic.messages, re.M)
    assert (bug.status, panic.status) == (1, 1)


def test_a_warning_goes_on(run):
    done = run("--exec", f"echo warn > {TRIGGER}; dmesg; echo survived")
    assert "WARNING: CPU:" in done.console
    assert re.search(r"Call Trace:\n(.*\n)*?.* trap_warn\+0x", done.console)
    assert "survived" in done.console
    assert done.status == 0


def test_backtraces_do_not_depend_on_the_stack_they_are_taken_from(run):
    """The text of a call trace holds original offsets: it is the same for other seeds."""
    traces = set()
    for seed in (1, 2):
        done = run("--seed", seed, "--exec", f"echo warn > {TRIGGER}; dmesg")
        found = re.search(r"trap_warn\+0x\S+", done.console)
        traces.add(found[0])
    assert len(traces) == 1
