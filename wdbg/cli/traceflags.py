"""`wdbg run --trace`: the flags. What they ask for is imported only if they do: reading DWARF takes
several times as long to import as a guest takes to boot."""

from __future__ import annotations

import argparse
from pathlib import Path

from wdbg.analysis.checks import CHECKS
from wdbg.cli.findings import add_suppression_flags

EVENTS = ("call", "lock", "annotations", "waits", "sched", "irq", "syscall", "mem")
DEFAULT_EVENTS = "call,lock,sched,irq,syscall"
FLAGS = ("events", "calls", "functions", "ring", "accesses")
"""Those that go with --trace only."""


def add_trace_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add = parser.add_argument
    add("--trace", type=Path, metavar="FILE", help="record a trace (see wdbg trace)")
    add("--events", metavar="LIST",
        help=f"what to record, of {','.join(EVENTS)} (default {DEFAULT_EVENTS})")  # fmt: skip
    add("--calls", choices=("default", "all"),
        help="functions whose calls are recorded (default: those that call or loop)")  # fmt: skip
    add("--functions", action="append", metavar="GLOB",
        help="record calls (and accesses) of these functions only: a glob of names, or of source "
        "files if it has a slash (kernel/sched/*); with ! in front: but not these")  # fmt: skip
    add("--accesses", action="append", metavar="WHERE",
        help="record accesses (--events mem) of this memory only: a variable's name, "
        "START:END as addresses, or !stack: not of the running task's kernel stack")  # fmt: skip
    add("--ring", metavar="SIZE",
        help="flight recorder: keep the last SIZE bytes (64M), write them at the end")  # fmt: skip
    add("--check", metavar="LIST",
        help=f"look for problems while the guest runs: {','.join(CHECKS)}; exit status 1 if there "
        "are any")  # fmt: skip
    add("--race-every", type=int, metavar="N",
        help="--check races: plain accesses between two samples, in the mean")  # fmt: skip
    add("--race-window", type=int, metavar="TICKS",
        help="--check races: how long a sampled access is held, in the mean")  # fmt: skip
    add("--race-ignore", metavar="LIST",
        help="--check races: leave out what KCSAN can: atomics, plain-writes, unchanged, "
        "one-bit")  # fmt: skip
    add("--race-skip", action="append", metavar="GLOB",
        help="--check races: leave out races with an access in these functions")  # fmt: skip
    add_suppression_flags(parser)


def trace_wanted(args: argparse.Namespace) -> bool:
    """Whether any of the flags was given, or a check that reads what a trace holds."""
    return any(getattr(args, flag) is not None for flag in ("trace", "check", *FLAGS))
