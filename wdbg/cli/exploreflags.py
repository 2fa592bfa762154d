"""Flags of `wdbg explore`, and what they ask for."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from wdbg.cli.guestflags import add_guest_arguments
from wdbg.cli.run import MAX_CPUS, MAX_MEMORY, MIN_MEMORY, percent_encode
from wdbg.errors import BadInput
from wdbg.runtime.boot import BootOptions
from wdbg.runtime.guest import default_guest

if TYPE_CHECKING:
    from wdbg.explore.start import Start
    from wdbg.explore.trial import Limits

STRATEGIES = ("random", "pct", "preempt")
KINDS = ("deadlock", "panic", "hang", "assert", "exit", "text")
MOST_SCHEDULES = 10**9
_NEVER = 1 << 62


def add_search_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    add = parser.add_argument
    add_guest_arguments(parser)
    add("--exec", dest="command", metavar="COMMAND",
        help="the workload: this shell command")  # fmt: skip
    add("--from", dest="start", metavar="PLACE",
        help="where the workload begins: console:TEXT, exec:N (the N-th program) or tick:N "
        "(default: the shell of --exec, or the start of bugs.case=NAME)")  # fmt: skip
    add("--over", metavar="TEXT",
        help="a console line with this ends a schedule (default: the end of the run, or of "
        "bugs.case=NAME)")  # fmt: skip
    add("--schedules", type=int, default=2000, metavar="N",
        help="try so many at most (default 2000)")  # fmt: skip
    add("--jobs", type=int, default=len(os.sched_getaffinity(0)), metavar="N",
        help="processes at work (default: one a CPU)")  # fmt: skip
    add("--dask", metavar="ADDRESS",
        help="have the workers of a Dask cluster search; kernel and initrd are at the same "
        "places there")  # fmt: skip
    add("--strategy", choices=STRATEGIES, default="random",
        help="random; pct: random priorities and DEPTH-1 changes; preempt: up to BOUND "
        "preemptions (default random)")  # fmt: skip
    add("--depth", type=int, default=3, metavar="N", help="of pct (default 3)")
    add("--bound", type=int, default=2, metavar="N", help="of preempt (default 2)")
    add("--cuts", action="store_true",
        help="switch between any two memory accesses, not only at function entries and "
        "loops: data races need that")  # fmt: skip
    add("--accesses", type=int, default=12, metavar="N",
        help="with --cuts: up to so many accesses after a tick (default 12)")  # fmt: skip
    add("--until", action="append", choices=KINDS, metavar="KIND",
        help=f"what counts as a finding: {', '.join(KINDS)} (default: each)")  # fmt: skip
    add("--text", action="append", default=[], metavar="REGEX",
        help="a console line that matches is a finding")  # fmt: skip
    add("--limit", type=float, metavar="SECONDS",
        help="virtual time after which a schedule counts as hung (default: by what the "
        "workload takes)")  # fmt: skip
    add("--effort", type=int, default=300, metavar="N",
        help="look for a finding in so many schedules with 1, 2 and 3 preemptions to make it "
        "smaller (default 300, 0: not at all)")  # fmt: skip
    add("--explain", action="store_true",
        help="of a hang, write who waits for whom beside its recording")  # fmt: skip
    add("--keep-going", action="store_true", help="look for different findings, not one")
    add("-o", "--output", type=Path, default=Path(), metavar="DIRECTORY",
        help="where recordings are written (default: here)")  # fmt: skip
    add("--compare", nargs=2, type=Path, metavar=("A", "B"),
        help="show where two recorded runs part, and explore nothing")  # fmt: skip


def boot_options(args: argparse.Namespace) -> BootOptions:
    """What to boot. BadInput for flags that make no sense."""
    _between("--cpus", args.cpus, 1, MAX_CPUS)
    _between("--memory", args.memory, MIN_MEMORY, MAX_MEMORY)
    _between("--schedules", args.schedules, 1, MOST_SCHEDULES)
    _between("--jobs", args.jobs, 1, 1024)
    _between("--effort", args.effort, 0, MOST_SCHEDULES)
    _between("--depth", args.depth, 1, 100)
    _between("--bound", args.bound, 1, 100)
    _between("--accesses", args.accesses, 1, 1000)
    try:
        args.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"--output {args.output}: {error.strerror}") from None
    kernel, initrd = args.kernel, args.initrd
    if kernel is None:
        guest = default_guest(args.config)
        kernel, initrd = guest.kernel, initrd or guest.initrd
    elif args.config:
        raise BadInput("--config chooses an example guest: it cannot go with KERNEL")
    append = args.append
    if args.command is not None:
        append = f"{append} WDBG_EXEC={percent_encode(args.command)}".strip()
    return BootOptions(
        kernel=kernel, initrd=initrd, command_line=append, cpus=args.cpus,
        memory=args.memory << 20, cuts=args.cuts,
    )  # fmt: skip


def start_and_limits(args: argparse.Namespace) -> tuple[Start, Limits]:
    """Where the workload begins, and when it ends. BadInput for what makes no sense."""
    from wdbg.explore.outcome import ASSERTION
    from wdbg.explore.start import default_start, parse_start
    from wdbg.explore.trial import Limits

    if args.start is not None:
        start, over = parse_start(args.start), ""
    else:
        start, over = default_start(args.append, args.command)
    if args.limit is not None and not args.limit > 0:
        raise BadInput(f"--limit {args.limit}: more than 0 seconds are needed")
    patterns = [("text", text) for text in args.text]
    for _, text in patterns:
        try:
            re.compile(text)
        except re.error as error:
            raise BadInput(f"--text {text}: {error}") from None
    if args.until is None or "assert" in args.until:
        patterns.append(("assert", ASSERTION))
    nanoseconds = _NEVER if args.limit is None else int(args.limit * 1e9)
    over = over if args.over is None else args.over
    return start, Limits(_NEVER, nanoseconds, _NEVER, over, tuple(patterns))


def _between(flag: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise BadInput(f"{flag} {value}: {low} to {high} are possible")
