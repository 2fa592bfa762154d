"""`wdbg replay`: do a recorded run again, to its end or to a place in it, under any tool."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from wdbg.cli.debugflags import add_debug_arguments, wanted
from wdbg.cli.findings import suppressions_of
from wdbg.cli.guestrun import Start, run_guest
from wdbg.cli.recordings import options_of, read_recording, warn
from wdbg.cli.traceflags import add_trace_arguments, trace_wanted
from wdbg.errors import BadInput
from wdbg.runtime.console import Console, StreamConsole
from wdbg.runtime.machine import Machine
from wdbg.runtime.recording import Recording

if TYPE_CHECKING:
    from wdbg.cli.tracing import TraceRequest


VERBS = {"writer": "write", "reader": "read", "free": "free", "lock": "lock"}
"""Words of flags, and of `monitor last...`."""
_DOES = {"writer": "wrote", "reader": "read", "free": "freed", "lock": "asked for the lock at"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add = parser.add_argument
    add("recording", type=Path, metavar="RECORDING",
        help="what wdbg run --record, explore, bundle or dump has written")  # fmt: skip
    add("--kernel", type=Path, metavar="FILE", help="where the recorded run's kernel is now")
    add("--initrd", type=Path, metavar="FILE", help="where its initial RAM disk is")
    add("--to", metavar="PLACE",
        help="stop at a tick (1234567), at a virtual time (1.5s, 20ms), at the N-th time that a "
        "function is entered (do_exit#3), or at the end (end); show where the CPUs are, or wait "
        "there for a debugger")  # fmt: skip
    for verb in VERBS:
        add(f"--last-{verb}", metavar="EXPR",
            help=f"say which code {_DOES[verb]} EXPR last (see docs/time-travel.md)")  # fmt: skip
    add("--before", metavar="PLACE", help="before this place, as in --to (default: the end)")
    add("--timeout", type=float, metavar="SECONDS", help="end the replay after so much wall time")
    add("--quiet", action="store_true", help="do not show the guest's console")
    add("--print-hash", action="store_true", help="print the run hash at the end (stderr)")
    add("--stats", action="store_true", help="print ticks, switches and times at the end (stderr)")
    add_trace_arguments(parser)
    add_debug_arguments(parser)
    add("--variant", default="tick", help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Replay."""
    from wdbg.debugger.replaying import Drive

    recording = _read(args)
    if args.timeout is not None and not args.timeout > 0:
        raise BadInput(f"--timeout {args.timeout}: more than 0 seconds are needed")
    options = options_of(recording, args.kernel, args.initrd)
    warn(recording)
    suppressions = suppressions_of(args)
    trace: TraceRequest | None = None
    if trace_wanted(args):
        from wdbg.cli.tracing import TraceRequest

        trace = TraceRequest.of(args, options.kernel)
    options = replace(
        options,
        variant=_variant(args, recording, trace),
        recording=None if trace is None else trace.recording,
    )
    args.command = None
    follows = partial(_follow, recording)
    asked = [(verb, text) for verb in VERBS if (text := getattr(args, f"last_{verb}")) is not None]
    if args.before is not None and not asked:
        raise BadInput("--before goes with --last-writer and the like")
    if asked:
        from wdbg.cli.goto import show_last

        questions = [(VERBS[verb], text) for verb, text in asked]
        show_last(options, questions, args.before or "end", follows, recording)
        return 0
    if args.to is not None and not wanted(args) and trace is None:
        from wdbg.cli.goto import show_place

        machine = show_place(options, args.to, follows, _console(args), recording)
        return int(machine.stop is not None and bool(machine.traps))
    start = Start(
        options, live=follows, again=follows, drive=Drive(recording), recording=recording,
        to=args.to or "", registers=False,
    )  # fmt: skip
    sys.stdout.flush()
    return run_guest(args, start, trace, partial(_console, args), suppressions)


def _read(args: argparse.Namespace) -> Recording:
    """The recording, out of its bundle if it is in one."""
    from wdbg.explore.bundles import is_bundle, open_bundle

    if not is_bundle(args.recording):
        return read_recording(args.recording)
    opened = open_bundle(args.recording)
    args.kernel = args.kernel or opened.kernel
    args.initrd = args.initrd or opened.initrd
    return opened.recording


def _follow(recording: Recording, machine: Machine) -> None:
    from wdbg.debugger.replaying import follow

    follow(machine, recording)


def _variant(args: argparse.Namespace, recording: Recording, trace: TraceRequest | None) -> str:
    """The least variant that can do what was recorded and what is asked for."""
    from wdbg.runtime.journal import LocalWrite

    interventions = recording.journal.interventions
    variant = str(args.variant)
    if any(entry.position.place is not None for entry in interventions):
        variant = "debug"
    if any(isinstance(entry, LocalWrite) for entry in interventions):
        variant = "edit"
    if trace is not None and variant != "tick":
        raise BadInput(
            "a debugger has changed the recorded run where only a debugger can stop: it cannot be "
            "traced"
        )
    return variant


def _console(args: argparse.Namespace) -> Console:
    return StreamConsole(None if args.quiet else 1)
