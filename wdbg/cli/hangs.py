"""`wdbg run`: the watchdog's flag, and the report when it has ended the run.

What the report needs and the run did not keep (where locks were taken, who signalled whom, the
arguments of functions) comes from running the guest again to the same place, recorded.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from wdbg.errors import BadInput, WdbgError
from wdbg.runtime.boot import BootOptions, boot
from wdbg.runtime.console import StreamConsole
from wdbg.runtime.machine import Machine
from wdbg.runtime.stop import Stop
from wdbg.runtime.watchdog import LIMIT, Watchdog

if TYPE_CHECKING:
    from wdbg.analysis.hang import Hang
    from wdbg.analysis.hang.verdicts import Stuck
    from wdbg.analysis.hang.watch import HangWatcher

MOST_SECONDS = 1e6
EVENTS = "lock,sched"
"""What is recorded when a guest that hangs is run again."""


def add_hang_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flag."""
    parser.add_argument(
        "--watch-hang", type=float, default=LIMIT, metavar="SECONDS",
        help="end the run when a task has been stuck for so long in virtual time "
        f"(default {LIMIT:g}; 0: never)",
    )  # fmt: skip


def patience_of(args: argparse.Namespace) -> float:
    """The flag's value in virtual seconds. BadInput for a limit that is none."""
    seconds = float(args.watch_hang)
    if not 0 <= seconds <= MOST_SECONDS:
        raise BadInput(f"--watch-hang {seconds:g}: 0 to {MOST_SECONDS:g} seconds are possible")
    return seconds


def arm(machine: Machine, options: BootOptions, seconds: float) -> None:
    """Let a watchdog look after a machine. `seconds`: virtual; 0: none is wanted."""
    if seconds and not options.frozen_clock:
        machine.watchdog = Watchdog(lambda: _watcher(options, seconds), seconds)


def _watcher(options: BootOptions, seconds: float) -> HangWatcher:
    from symbols.dwarf.index import Index
    from wdbg.analysis.hang.watch import HangWatcher
    from wdbg.runtime.symbolindex import open_index

    def index() -> Index | None:
        try:
            return open_index(options.kernel)
        except WdbgError:
            return None

    return HangWatcher(index, int(seconds * 1e9))


def show_hang(
    machine: Machine, options: BootOptions, stop: Stop, trace: Path | None,
    say: Callable[[str], None],
) -> bool:  # fmt: skip
    """Tell why a machine hangs that has been ended for it, see `why`; False if nothing is known."""
    hang = why(machine, options, stop, trace, say)
    if not hang.findings:
        say(f"hang: {stop.message}")
    lines = hang.text.splitlines()
    if hang.findings:
        say(f"hang: {lines.pop(0)}")
    print("\n".join(lines), file=sys.stderr, flush=True)
    return bool(hang.findings)


def why(
    machine: Machine, options: BootOptions, stop: Stop, trace: Path | None,
    say: Callable[[str], None],
) -> Hang:  # fmt: skip
    """Why a machine hangs that has been ended for it. `trace`: a trace of the run with events of
    locks, if there is one."""
    from wdbg.analysis.hang import explain
    from wdbg.dump.snapshot import Snapshot

    limit, stuck = 0, None
    if machine.watchdog is not None and machine.watchdog.bit:
        limit = machine.watchdog.limit
        stuck = getattr(machine.watchdog.watcher, "stuck", None)
    snapshot = Snapshot.of_machine(machine)
    if trace is None and snapshot.image is not None:
        try:
            return _again(machine, options, stop, limit, stuck)
        except WdbgError as error:
            say(f"no history of the locks: {error.message}")
        except KeyboardInterrupt:
            say("no history of the locks: interrupted")
    return explain(snapshot, trace, limit=limit, stuck=stuck)


def _again(
    machine: Machine, options: BootOptions, stop: Stop, limit: int, stuck: Stuck | None
) -> Hang:
    """The same with a trace: the guest runs again, in silence."""
    from wdbg.analysis.hang import explain
    from wdbg.cli.tracing import TraceRequest
    from wdbg.debugger.rewind import apply, go_to, position
    from wdbg.dump.snapshot import Snapshot
    from wdbg.linux.lockpoints import lock_points
    from wdbg.linux.schedpoints import mark_points, sched_points
    from wdbg.runtime.progress import ProgressBar

    signal.signal(signal.SIGINT, signal.default_int_handler)
    target = position(machine)
    with tempfile.TemporaryDirectory(prefix="wdbg-hang-") as directory:
        path = Path(directory) / "locks.wdt"
        request = TraceRequest(path, options.kernel, EVENTS)
        # Without the task's state all wake-ups are recorded: also those of tasks that are awake.
        points = sched_points(replace(request.fields, state=-1))
        points = (*mark_points(), *lock_points(), *points)
        recording = replace(request.recording, points=points)
        places = any(entry.position.place for entry in machine.journal.interventions)
        variant = options.variant if places else "tick"
        again = replace(options, variant=variant, recording=recording)
        new = boot(again, StreamConsole(None))
        bar = ProgressBar("running again to see who took which lock", 1.0)
        total = max(1, target.moment.ticks)

        def show(ticks: int) -> None:
            bar.update(f"tick {ticks}", min(1.0, ticks / total), 0.0)

        try:
            request.start(new, again)
            new.replay(machine.journal)
            for entry in machine.journal.interventions:
                go_to(new, entry.position, show)
                apply(new, entry)
            go_to(new, target, show)
            request.finish(new, stop)
            return explain(Snapshot.of_machine(new), path, limit=limit, stuck=stuck)
        finally:
            bar.close()
            new.close()
