"""`wdbg report sched|calls|locks|races FILE`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict

from wdbg.analysis.calls import FunctionTimes, call_tree, collapsed, function_times
from wdbg.analysis.checks import CHECKS, checked_header, run_checks
from wdbg.analysis.lockdep.check import LockCheck
from wdbg.analysis.lockdep.selftest import Case, table
from wdbg.analysis.lockstat import POINTS, LockStat, lock_stats
from wdbg.analysis.sched import Stretch, TaskTimes, stretches, task_times
from wdbg.cli.crash import add_crash_parser
from wdbg.cli.findings import add_suppression_flags, print_findings, suppressions_of
from wdbg.cli.races import add_race_arguments, report_races
from wdbg.cli.trace import file_verb, warn
from wdbg.errors import BadInput
from wdbg.trace.names import Names
from wdbg.trace.reader import Trace

STATES = "SDTtXZPI"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the reports and their flags."""
    verbs = parser.add_subparsers(dest="report", metavar="REPORT", required=True)
    sched = file_verb(verbs, "sched", "run time and scheduling latency of each task", _sched)
    sched.add_argument("--timehist", action="store_true", help="each stretch on a CPU")
    calls = file_verb(verbs, "calls", "calls and time of each function", _calls)
    calls.add_argument("--view", choices=("flat", "graph", "collapsed"), default="flat",
                       help="graph: with callers and callees; collapsed: flame graph")  # fmt: skip
    calls.add_argument("--sort", choices=("own", "total", "calls", "longest"), default="own")
    calls.add_argument("--elapsed", action="store_true",
                       help="with the time that tasks were switched out")  # fmt: skip
    calls.add_argument("--limit", type=int, default=50, metavar="N", help="functions (default 50)")
    locks = file_verb(verbs, "locks", "locking that could deadlock, with stacks", _locks)
    locks.add_argument("--stat", action="store_true", help="the columns of /proc/lock_stat")
    locks.add_argument("--limit", type=int, default=50, metavar="N", help="classes (default 50)")
    locks.add_argument("--selftest", action="store_true",
                       help="verdicts on the cases of lib/locking-selftest.c")  # fmt: skip
    add_suppression_flags(locks)
    races = file_verb(verbs, "races", "accesses that nothing orders", report_races)
    add_race_arguments(races)
    add_crash_parser(verbs)
    for parser in (sched, calls, locks):
        parser.add_argument("--json", action="store_true", help="machine-readable output")


def run(args: argparse.Namespace) -> int:
    """Do what was asked for."""
    act: Callable[[argparse.Namespace], int] = args.act
    return act(args)


def _put(lines: Iterable[str]) -> None:
    for line in lines:
        print(line)


def _sched(args: argparse.Namespace) -> int:
    with Trace(args.file) as trace:
        names = Names(trace.tables)
        if args.timehist:
            found = stretches(trace, names)
            if args.json:
                print(json.dumps([asdict(run) for run in found], indent=2))
            else:
                _put(_timehist(found))
        else:
            tasks = task_times(trace, names)
            if args.json:
                print(json.dumps([asdict(task) for task in tasks], indent=2))
            else:
                _put(_latency(tasks))
        warn(trace)
    return 0


def _latency(tasks: list[TaskTimes]) -> Iterable[str]:
    yield (
        f"{'Task':<24} | {'Runtime ms':>12} | {'Count':>7} | {'Avg delay ms':>12} | "
        f"{'Max delay ms':>12} | {'Max delay start':>18} | {'Max delay end':>18}"
    )
    yield "-" * 124
    for task in (task for task in tasks if not task.idle):
        yield (
            f"{task.comm + ':' + str(task.pid):<24} | {task.runtime / 1e6:>12.6f} | "
            f"{task.switches:>7} | avg:{task.average_delay / 1e6:>8.6f} | "
            f"max:{task.max_delay / 1e6:>8.6f} | {task.max_delay_start / 1e9:>16.9f} s | "
            f"{task.max_delay_end / 1e9:>16.9f} s"
        )
    yield "-" * 124
    busy = [task for task in tasks if not task.idle]
    total = sum(task.runtime for task in busy)
    yield f"{'TOTAL':<24} | {total / 1e6:>12.6f} | {sum(task.switches for task in busy):>7} |"
    idle = sum(task.runtime for task in tasks if task.idle)
    yield f"{'idle':<24} | {idle / 1e6:>12.6f} | {sum(t.switches for t in tasks if t.idle):>7} |"


def _timehist(found: Iterable[Stretch]) -> Iterable[str]:
    yield (
        f"{'time':>16} {'cpu':>5}  {'task name [pid]':<26} {'wait time':>10} {'sch delay':>10} "
        f"{'run time':>10}  state"
    )
    yield f"{'(s)':>16} {'':>5}  {'':<26} {'(ms)':>10} {'(ms)':>10} {'(ms)':>10}"
    for run in found:
        bits = "".join(letter for bit, letter in enumerate(STATES) if run.state >> bit & 1)
        yield (
            f"{run.end / 1e9:>16.9f} [{run.cpu:03d}]  {f'{run.comm}[{run.pid}]':<26} "
            f"{run.asleep / 1e6:>10.6f} {max(0, run.delay) / 1e6:>10.6f} "
            f"{(run.end - run.start) / 1e6:>10.6f}  {bits or 'R'}"
        )


def _calls(args: argparse.Namespace) -> int:
    with Trace(args.file) as trace:
        tree = call_tree(trace, args.elapsed)
        named = {item.number: item.name for item in trace.tables.functions}
        if args.view == "collapsed":
            lines = list(collapsed(tree, named))
            if args.json:
                print(json.dumps(lines, indent=2))
            else:
                _put(lines)
        else:
            functions = function_times(tree)
            functions.sort(key=lambda item: -getattr(item, args.sort))
            chosen = functions[: args.limit]
            if args.json:
                print(json.dumps([_call_fields(item, named) for item in chosen], indent=2))
            elif args.view == "flat":
                _put(_flat(chosen, functions, named))
            else:
                _put(_graph(chosen, named))
        warn(trace)
    return 0


def _name(function: int, named: dict[int, str]) -> str:
    return "(none)" if function < 0 else named.get(function, f"function-{function}")


def _call_fields(item: FunctionTimes, named: dict[int, str]) -> dict[str, object]:
    fields = asdict(item)
    fields["name"] = _name(item.function, named)
    for side in ("callers", "callees"):
        fields[side] = [
            {"name": _name(number, named), "calls": calls, "time": time}
            for number, (calls, time) in getattr(item, side).items()
        ]
    return fields


def _flat(
    chosen: list[FunctionTimes], functions: list[FunctionTimes], named: dict[int, str]
) -> Iterable[str]:
    whole = sum(item.own for item in functions) or 1
    yield f"{'own %':>6} {'own us':>13} {'total us':>13} {'longest us':>13} {'calls':>10}  function"
    for item in chosen:
        yield (
            f"{100 * item.own / whole:>6.2f} {item.own / 1e3:>13.3f} {item.total / 1e3:>13.3f} "
            f"{item.longest / 1e3:>13.3f} {item.calls:>10}  {_name(item.function, named)}"
        )
    if len(chosen) < len(functions):
        yield f"({len(functions) - len(chosen)} more functions; --limit N)"


def _graph(chosen: list[FunctionTimes], named: dict[int, str]) -> Iterable[str]:
    for item in chosen:
        for number, (calls, time) in _by_time(item.callers):
            yield f"{time / 1e3:>13.3f} {calls:>10}      {_name(number, named)}"
        yield f"{item.total / 1e3:>13.3f} {item.calls:>10}  {_name(item.function, named)}"
        for number, (calls, time) in _by_time(item.callees):
            yield f"{time / 1e3:>13.3f} {calls:>10}          {_name(number, named)}"
        yield "-" * 60


def _by_time(sums: dict[int, tuple[int, int]]) -> list[tuple[int, tuple[int, int]]]:
    return sorted(sums.items(), key=lambda item: -item[1][1])


def _locks(args: argparse.Namespace) -> int:
    if not args.stat:
        return _deadlocks(args)
    with Trace(args.file) as trace:
        names = Names(trace.tables)
        stats = lock_stats(trace, names)[: args.limit]
        if args.json:
            print(json.dumps([asdict(stat) for stat in stats], indent=2))
        else:
            _put(_lock_stat(stats, names))
        warn(trace)
    return 0


def _deadlocks(args: argparse.Namespace) -> int:
    from wdbg.cli.stacks import fill_stacks, unpacked

    suppressions = suppressions_of(args)
    spec = CHECKS["locks"]
    with Trace(args.file) as trace:
        recorded = trace.header.events.split(",")
        if "annotations" not in recorded and "lock" not in recorded:
            raise BadInput(
                f"{args.file}: no lock events are in the trace",
                "record with --events lock,sched,irq,syscall, or annotations,waits,sched",
            )
        check = LockCheck(checked_header(trace))
        findings = run_checks(trace, [check])
        if args.selftest:
            return _selftest(trace, check.cases)
        if findings and not args.gen_suppressions:
            findings = fill_stacks(findings, unpacked(trace.facts.get("recording")))
        warn(trace)
    return print_findings(
        findings, suppressions, as_json=args.json, generate=args.gen_suppressions, what=spec.what
    )


def _selftest(trace: Trace, cases: list[Case]) -> int:
    if not cases:
        raise BadInput(
            f"{trace.path}: no case of the locking API's self test is in the trace",
            "wdbg run --config torture --check locks --trace FILE",
        )
    _put(table(cases, trace.tables))
    warn(trace)
    return int(not all(case.right for case in cases))


def _lock_stat(stats: list[LockStat], names: Names) -> Iterable[str]:
    import numpy as np

    columns = (
        "con-bounces", "contentions", "waittime-min", "waittime-max", "waittime-total",
        "waittime-avg", "acq-bounces", "acquisitions", "holdtime-min", "holdtime-max",
        "holdtime-total", "holdtime-avg",
    )  # fmt: skip
    yield "lock_stat version 0.4 (times in virtual microseconds)"
    rule = "-" * (41 + sum(len(column) + 3 for column in columns))
    yield rule
    yield f"{'class name':>40} " + "".join(f"{column:>{len(column) + 3}}" for column in columns)
    yield rule
    for stat in stats:
        values = [
            str(stat.con_bounces), str(stat.contentions), *_times(stat.wait),
            str(stat.acq_bounces), str(stat.acquisitions), *_times(stat.hold),
        ]  # fmt: skip
        yield f"{stat.name:>39}: " + "".join(
            f"{value:>{len(column) + 3}}" for column, value in zip(columns, values, strict=True)
        )
        points = sorted(stat.points.items(), key=lambda point: -point[1])[:POINTS]
        for position, count in points:
            row = int(names.position_rows(np.array([position], np.uint32))[0])
            place = names.function_names[row].decode("utf-8", "replace")
            offset = position - int(names.starts[row])
            shown = f"[<{position:08x}>] {place}+{offset:#x}" if row else "(caller not recorded)"
            yield f"{'':>40} {count:>14}          {shown}"


def _times(times: object) -> list[str]:
    return [f"{getattr(times, name) / 1e3:.2f}" for name in ("least", "most", "total", "average")]
