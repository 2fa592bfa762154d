"""`wdbg run`: boot a kernel, on the terminal or for one scripted command."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from wdbg.cli.debugflags import add_debug_arguments
from wdbg.cli.dumpflags import add_dump_arguments, dump_wanted
from wdbg.cli.findings import suppressions_of
from wdbg.cli.guestflags import add_guest_arguments
from wdbg.cli.guestrun import Start, run_guest
from wdbg.cli.hangs import add_hang_arguments, patience_of
from wdbg.cli.traceflags import add_trace_arguments, trace_wanted
from wdbg.errors import BadInput
from wdbg.runtime.boot import VARIANTS, BootOptions
from wdbg.runtime.console import Console, StreamConsole, TerminalConsole
from wdbg.runtime.guest import default_guest
from wdbg.runtime.machine import Machine
from wdbg.runtime.scheduler import DEFAULT_DEPTH

if TYPE_CHECKING:
    from wdbg.cli.tracing import TraceRequest

MAX_CPUS = 64
MIN_MEMORY, MAX_MEMORY = 24, 4095
"""MiB; a wasm32 memory ends at 4 GiB."""
SCRIPT_LIMIT = 16 << 20
"""Bytes of standard input that are typed to the guest, where that is no terminal."""

_UNSAFE = re.compile(rb"[^A-Za-z0-9_./,:;=+-]")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add = parser.add_argument
    add_guest_arguments(parser)
    add("--seed", type=int, metavar="N", help="seed of the random schedule")
    add("--schedule", choices=("rr", "random", "pct"),
        help="who runs next (default: random with --seed, else round robin)")  # fmt: skip
    add("--depth", type=int, default=DEFAULT_DEPTH, metavar="N",
        help=f"of pct: priorities change N-1 times (default {DEFAULT_DEPTH})")  # fmt: skip
    add("--exec", dest="command", metavar="COMMAND",
        help="run this shell command in the guest, then power off")  # fmt: skip
    add("--from-zygote", nargs="?", metavar="NAME",
        help="start from a guest that wdbg zygote keeps; goes with --exec, --timeout, --pace, "
        "--print-hash and --stats only")  # fmt: skip
    add("--timeout", type=float, metavar="SECONDS", help="end the run after so much wall time")
    add("--pace", choices=("virtual", "real"),
        help="idle in no time, or as the clock goes (default: real on a terminal)")  # fmt: skip
    add("--record", type=Path, metavar="FILE", help="record the run, for wdbg replay")
    add("--print-hash", action="store_true", help="print the run hash at the end (stderr)")
    add("--stats", action="store_true", help="print ticks, switches and times at the end (stderr)")
    add_trace_arguments(parser)
    add_dump_arguments(parser)
    add_hang_arguments(parser)
    add_debug_arguments(parser)
    add("--variant", choices=tuple(VARIANTS), default="tick", help=argparse.SUPPRESS)
    add("--freeze-clock", action="store_true", help=argparse.SUPPRESS)


def percent_encode(command: str) -> str:
    """Protect what the kernel's command line parser would split or drop (spaces, quotes ...)."""
    return _UNSAFE.sub(lambda m: b"%%%02X" % m[0][0], command.encode()).decode()


def run(args: argparse.Namespace) -> int:
    """Boot and run to the end."""
    if not 1 <= args.cpus <= MAX_CPUS:
        raise BadInput(f"--cpus {args.cpus}: 1 to {MAX_CPUS} virtual CPUs are possible")
    if not MIN_MEMORY <= args.memory <= MAX_MEMORY:
        raise BadInput(f"--memory {args.memory}: {MIN_MEMORY} to {MAX_MEMORY} MiB are possible")
    if args.seed is not None and not 0 <= args.seed < 1 << 64:
        raise BadInput(f"--seed {args.seed}: 0 to 2^64-1 are possible")
    if not 1 <= args.depth <= 100:
        raise BadInput(f"--depth {args.depth}: 1 to 100 are possible")
    if args.timeout is not None and not args.timeout > 0:
        raise BadInput(f"--timeout {args.timeout}: more than 0 seconds are needed")
    kernel, initrd = args.kernel, args.initrd
    if kernel is None:
        guest = default_guest(args.config)
        kernel, initrd = guest.kernel, initrd or guest.initrd
    elif args.config:
        raise BadInput("--config chooses an example guest: it cannot go with KERNEL")
    append = args.append
    if args.command is not None:
        append = f"{append} WDBG_EXEC={percent_encode(args.command)}".strip()
    trace: TraceRequest | None = None
    suppressions = suppressions_of(args)
    if trace_wanted(args):
        from wdbg.cli.tracing import TraceRequest

        trace = TraceRequest.of(args, kernel)
    options = BootOptions(
        kernel=kernel,
        initrd=initrd,
        command_line=append,
        cpus=args.cpus,
        memory=args.memory << 20,
        seed=args.seed,
        schedule=args.schedule or ("rr" if args.seed is None else "random"),
        depth=args.depth,
        variant=args.variant,
        frozen_clock=args.freeze_clock,
        recording=None if trace is None else trace.recording,
    )
    dump = dump_wanted(args)
    if dump is not None:
        options = dump.prepare(options)
    sys.stdout.flush()
    start = Start(options, _recording(args, options), patience=patience_of(args))
    if args.check is not None and "races" in args.check.split(","):
        from wdbg.cli.racechecks import watching_races

        start = watching_races(args, start)
    return run_guest(args, start, trace, partial(open_console, args), suppressions, dump)


def _recording(args: argparse.Namespace, options: BootOptions) -> Callable[[Machine], None]:
    """What makes a fresh machine write the recording that the flags ask for."""
    if args.record is None:
        return lambda machine: None
    from wdbg.cli.recordings import describe
    from wdbg.runtime.recorder import Recorder

    if options.variant == "plain":
        raise BadInput("--record needs ticks")
    recorder = Recorder(args.record, describe(options))
    return recorder.attach


def open_console(args: argparse.Namespace) -> Console:
    if args.command is not None:
        return StreamConsole(1)
    if os.isatty(0) and os.isatty(1):
        return TerminalConsole(0, 1, real=args.pace != "virtual")
    return StreamConsole(1, _read_script())


def _read_script() -> bytes:
    """Standard input to its end: what will be typed."""
    script = sys.stdin.buffer.read(SCRIPT_LIMIT + 1)
    if len(script) > SCRIPT_LIMIT:
        raise BadInput(f"standard input: a script of more than {SCRIPT_LIMIT} bytes")
    return script


