"""`wdbg explore`: try many schedules of a workload, keep the ones that find something."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from wdbg.cli.exploreflags import add_search_arguments, boot_options, start_and_limits
from wdbg.errors import BadInput
from wdbg.runtime.boot import BootOptions, boot
from wdbg.runtime.console import StreamConsole

MOST_PREEMPTIONS = 3
"""So many are tried again when a schedule is made smaller."""

if TYPE_CHECKING:
    from wdbg.explore.batch import Batch
    from wdbg.explore.minimise import Minimal
    from wdbg.explore.outcome import Outcome
    from wdbg.explore.schedules import Workload
    from wdbg.explore.search import Result
    from wdbg.explore.start import Start
    from wdbg.explore.trial import Limits, Trials


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add_search_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Boot, search, make small, write down."""
    if args.compare is not None:
        from wdbg.cli.exploring import compare_recordings

        return compare_recordings(*args.compare)
    options = boot_options(args)
    start, limits = start_and_limits(args)
    return _search(args, options, start, limits)


def _search(args: argparse.Namespace, options: BootOptions, start: Start, limits: Limits) -> int:
    from wdbg.cli.exploring import Display, write_finding
    from wdbg.explore.cluster import search_apart
    from wdbg.explore.outcome import KINDS
    from wdbg.explore.schedules import Workload
    from wdbg.explore.search import Search, survey
    from wdbg.explore.start import go_to_start
    from wdbg.explore.trial import Trials

    wanted = set(args.until or KINDS)
    began = time.monotonic()
    machine = boot(options, StreamConsole(None))
    stop = go_to_start(machine, start)
    if stop is not None:
        raise BadInput(
            f"the run ended ({stop.kind.value} {stop.message}) before {start} came",
            "--from PLACE says where the workload begins",
        )
    trials = Trials(machine, limits)
    work = Workload(
        machine.ticks, 1, (), args.accesses if options.cuts else 0, args.depth, args.bound
    )
    first, work = survey(trials, work, limits)
    _say(
        f"booted in {time.monotonic() - began:.2f} s; the workload begins at tick {work.start}, "
        f"takes {work.length} ticks and {first.quanta - machine.quanta} turns"
    )
    with Display(args.schedules) as display:
        if _is_finding(first, wanted):
            display.note("the schedule without preemptions shows it already")
            found = {first.identity: (0, first)}
            counts = {first.identity: 1}
            result = None
        else:
            most = 0 if args.keep_going else 1
            if args.dask is not None:
                whole = _batch(args, options, start, trials, work, wanted)
                result = search_apart(args.dask, whole, most, display.show)
            else:
                search = Search(
                    trials, args.strategy, work, jobs=args.jobs,
                    wanted=lambda outcome: _is_finding(outcome, wanted), most=most,
                )  # fmt: skip
                result = search.run(args.schedules, display.show)
            found, counts = result.found, result.counts
    if result is not None:
        _summary(result)
    findings = sorted(found.values(), key=lambda item: item[0])
    if not args.keep_going:
        findings = findings[:1]
    for number, outcome in findings:
        minimal = _minimise(args, trials, work, outcome)
        write_finding(
            args, options, start, trials.limits, minimal, number, counts[outcome.identity]
        )
    return int(bool(findings))


def _minimise(
    args: argparse.Namespace, trials: Trials, work: Workload, outcome: Outcome
) -> Minimal:
    """The schedule that was found made smaller, or one with few preemptions, whichever has less
    in it."""
    from wdbg.cli.exploring import Display
    from wdbg.explore.minimise import Minimiser
    from wdbg.explore.search import with_few_preemptions

    with Display(None) as display:
        minimal = Minimiser(trials, outcome, display.minimising).run()
        few = min(minimal.preemptions - 1, MOST_PREEMPTIONS)
        if few > 0 and args.effort:
            other = with_few_preemptions(
                trials, work, outcome,
                jobs=args.jobs, most=few, count=args.effort, show=display.searching,
            )  # fmt: skip
            if other is not outcome:
                smaller = Minimiser(trials, other, display.minimising).run()
                if smaller.size < minimal.size:
                    minimal = replace(
                        smaller, before=minimal.before, trials=minimal.trials + smaller.trials
                    )
    return minimal


def _batch(
    args: argparse.Namespace,
    options: BootOptions,
    start: Start,
    trials: Trials,
    work: Workload,
    wanted: set[str],
) -> Batch:
    """The search as what other machines are sent."""
    from wdbg.explore.batch import Batch, file_digest

    initrd = options.initrd
    return Batch(
        replace(
            options, kernel=options.kernel.resolve(),
            initrd=None if initrd is None else initrd.resolve(),
        ),
        file_digest(options.kernel), "" if initrd is None else file_digest(initrd), start,
        trials.limits, args.strategy, work, 1, args.schedules,
        (*wanted, *(("hang",) if "deadlock" in wanted else ())),
    )  # fmt: skip


def _is_finding(outcome: Outcome, wanted: set[str]) -> bool:
    return bool(outcome.kind) and (
        outcome.kind in wanted or (outcome.kind == "hang" and "deadlock" in wanted)
    )


def _summary(result: Result) -> None:
    rate = result.done / result.seconds if result.seconds else 0.0
    _say(
        f"{result.done} schedules in {result.seconds:.1f} s ({rate:.0f} a second), "
        f"{len(result.orders)} distinct, {len(result.found)} "
        f"finding{'' if len(result.found) == 1 else 's'}"
    )


def _say(text: str) -> None:
    print(f"wdbg: {text}", file=sys.stderr, flush=True)
