"""What `wdbg explore` shows and writes."""

from __future__ import annotations

import argparse
import shlex
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from wdbg.cli.recordings import describe
from wdbg.errors import WdbgError
from wdbg.runtime.boot import BootOptions, boot
from wdbg.runtime.console import StreamConsole
from wdbg.runtime.machine import Machine
from wdbg.runtime.scheduler import FORCED

if TYPE_CHECKING:
    from wdbg.explore.minimise import Minimal
    from wdbg.explore.search import Progress
    from wdbg.explore.start import Start
    from wdbg.explore.trial import Limits

SUFFIX = ".wdr"


class Display:
    """A progress bar on stderr, if that is a terminal."""

    def __init__(self, total: int | None) -> None:
        """`total` None: how much there is to do is not known."""
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        # No thread of its own: the process that shows it forks.
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[state]}"),
            TimeRemainingColumn(), console=console, transient=True, auto_refresh=False,
            disable=not console.is_terminal,
        )  # fmt: skip
        what = "minimising" if total is None else "exploring"
        self._task = self._bar.add_task(what, total=total, state="")

    def __enter__(self) -> Display:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def show(self, progress: Progress) -> None:
        """How far the search has come."""
        rate = progress.done / progress.seconds if progress.seconds else 0.0
        self._update(
            progress.done,
            f"{progress.done} schedules, {progress.distinct} distinct, "
            f"{progress.findings} found, {rate:.0f}/s",
        )

    def searching(self, progress: Progress) -> None:
        """How far the search for one with few preemptions has come."""
        self._update(None, f"{progress.done} schedules with few preemptions")

    def minimising(self, trials: int, steps: int) -> None:
        """How far making a schedule smaller has come."""
        self._update(None, f"{steps} decisions left, {trials} runs")

    def _update(self, done: int | None, state: str) -> None:
        self._bar.update(self._task, completed=done, state=state)
        self._bar.refresh()

    def note(self, text: str) -> None:
        """A line that stays."""
        print(f"wdbg: {text}", file=sys.stderr, flush=True)


def write_finding(
    args: argparse.Namespace,
    options: BootOptions,
    start: Start,
    limits: Limits,
    minimal: Minimal,
    number: int,
    count: int,
) -> None:
    """Do the minimised run again from the boot, recorded, and say what it is and how to see it."""
    outcome = minimal.outcome
    path = args.output / f"{outcome.kind}-{outcome.identity}{SUFFIX}"
    cuts = any(decision.access > 0 for decision in minimal.decisions)
    scripted = replace(
        options, schedule="scripted", decisions=minimal.decisions, cuts=cuts
    )
    explain = args.explain and outcome.kind == "hang"
    digest, report = record(scripted, path, limits, explain=explain)
    if digest != outcome.digest:
        path.unlink(missing_ok=True)
        raise WdbgError("the finding's run is not the same when it is booted anew")
    print(f"{outcome.kind}: {outcome.title}")
    print(f"    identity {outcome.identity}, at tick {outcome.ticks}; ", end="")
    print(f"schedule {number}, {count} schedule{'' if count == 1 else 's'} of this search show it")
    print(
        f"    {len(minimal.steps)} of {minimal.before} decisions are needed "
        f"({minimal.preemptions} preemption{'' if minimal.preemptions == 1 else 's'}), "
        f"found in {minimal.trials} runs"
    )
    for decision in minimal.decisions:
        print(f"    {describe_decision(decision)}")
    if report:
        text = path.with_suffix(".txt")
        text.write_text(report, encoding="utf-8")
        print(f"    {report.splitlines()[0]}")
        print(f"    who waits for whom: {text}")
    print(f"    again: wdbg replay {shlex.quote(str(path))}", flush=True)


def describe_decision(decision: tuple[int, int, int]) -> str:
    """In words."""
    tick, access, cpu = decision
    where = f"at tick {tick}"
    if access == FORCED:
        where += ", where the CPU stops by itself"
    elif access:
        where += f", before the {access}. memory access after it"
    return f"{where}: CPU {cpu}"


def record(
    options: BootOptions, path: Path, limits: Limits, *, explain: bool = False
) -> tuple[str, str]:
    """Boot, run to where the finding shows, write the recording; returns the run hash, and why the
    guest hangs if `explain` asks for that."""
    from wdbg.explore.trial import play_on
    from wdbg.runtime.recorder import Recorder

    machine = boot(options, StreamConsole(None))
    recorder = Recorder(path, describe(options))
    recorder.attach(machine)
    machine.run(until=options.decisions[0].tick)
    stop, _ = play_on(machine, limits)
    digest = machine.digest()
    recorder.finish(stop)
    report = ""
    if explain:
        from wdbg.cli.hangs import why

        report = why(machine, options, stop, None, _say).text.rstrip() + "\n"
    machine.close()
    return digest, report


def _say(text: str) -> None:
    print(f"wdbg: {text}", file=sys.stderr, flush=True)


def compare_recordings(first: Path, second: Path) -> int:
    """Show where two recorded runs part; 1 if they do."""
    from wdbg.cli.recordings import options_of
    from wdbg.debugger.replaying import Drive, follow
    from wdbg.explore.bundles import is_bundle, open_bundle
    from wdbg.explore.compare import part
    from wdbg.runtime.recording import Recording, read

    def load(path: Path) -> tuple[Recording, BootOptions]:
        if is_bundle(path):
            opened = open_bundle(path)
            return opened.recording, options_of(opened.recording, opened.kernel, opened.initrd)
        recording = read(path)
        return recording, options_of(recording, None, None)

    loaded = [load(path) for path in (first, second)]

    def fresh(number: int) -> Machine:
        recording, options = loaded[number]
        machine = boot(options, StreamConsole(None))
        follow(machine, recording)
        return machine

    parting = part(
        (partial(fresh, 0), partial(fresh, 1)), (Drive(loaded[0][0]), Drive(loaded[1][0]))
    )
    if parting is None:
        print("the two runs are the same")
        return 0
    print(f"the same for {parting.turns} turns, the last of them at tick {parting.tick}; then")
    for path, side in zip((first, second), parting.sides, strict=True):
        if side.cpu < 0:
            print(f"\n{path}: ends at tick {side.tick}")
        else:
            print(f"\n{path}: at tick {side.tick} CPU {side.cpu} goes on with task {side.task}")
            for frame in side.stack:
                print(f"    {frame}")
        if side.stack_before:
            print(f"  {side.before}, which had run until then, stands at")
            for frame in side.stack_before:
                print(f"    {frame}")
    return 1
