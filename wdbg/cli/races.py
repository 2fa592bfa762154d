"""`wdbg report races FILE`: what the analysis needs, found; its result, printed."""

from __future__ import annotations

import argparse
import hashlib
import io
from pathlib import Path

from symbols.dwarf.index import Index
from symbols.errors import SymbolsError
from wdbg.analysis.findings import Finding
from wdbg.analysis.races.detect import Detector
from wdbg.analysis.races.filters import KINDS, Filters
from wdbg.analysis.races.objects import Objects
from wdbg.analysis.races.report import Names, findings
from wdbg.analysis.races.sites import Sites
from wdbg.analysis.races.stacks import stacks_of
from wdbg.analysis.races.stream import Layout
from wdbg.analysis.races.view import columns, steps
from wdbg.cli.findings import add_suppression_flags, print_findings, suppressions_of
from wdbg.cli.trace import warn
from wdbg.errors import BadInput
from wdbg.linux.tracefields import task_fields
from wdbg.runtime.guest import guest_root
from wdbg.runtime.symbolindex import open_index
from wdbg.trace.reader import Trace

NEEDED = ("mem", "lock", "sched", "irq")
"""Events that order is known from."""


def add_race_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of the report."""
    add = parser.add_argument
    add("--kernel", type=Path, metavar="FILE",
        help="the kernel that was traced (default: the built guest that it was)")  # fmt: skip
    add("--limit", type=int, default=50, metavar="N", help="findings (default 50)")
    add("--view", metavar="IDENTITY",
        help="show this finding's accesses in columns, a task each")  # fmt: skip
    add("--lines", type=int, default=40, metavar="N", help="of --view: the last N (default 40)")
    add("--svg", type=Path, metavar="FILE", help="write the view as a picture, too")
    add_filter_flags(parser)
    add("--json", action="store_true", help="machine-readable output")
    add_suppression_flags(parser)


def add_filter_flags(parser: argparse.ArgumentParser) -> None:
    """Declare KCSAN's filters."""
    add = parser.add_argument
    add("--ignore", metavar="LIST",
        help=f"leave out, as KCSAN can: {','.join(KINDS)} (docs/races.md)")  # fmt: skip
    add("--skip", action="append", metavar="GLOB",
        help="leave out races with an access in these functions")  # fmt: skip


def report_races(args: argparse.Namespace) -> int:
    """Print the races of a trace; 1 if there are any."""
    suppressions = suppressions_of(args)
    filters = Filters.parse(args.ignore, args.skip)
    with Trace(args.file) as trace:
        recorded = trace.header.events.split(",")
        missing = [group for group in NEEDED if group not in recorded]
        if missing:
            raise BadInput(
                f"{args.file}: {', '.join(missing)} events are not in the trace",
                f"record with --events {','.join(NEEDED)},call",
            )
        index = open_index(args.kernel or _kernel_of(trace))
        if args.kernel is not None and _digest(args.kernel) != trace.header.kernel_hash:
            raise BadInput(f"{args.kernel}: not the kernel that {args.file} is a trace of")
        detector = Detector(Sites(index))
        layout = layout_of(index)
        races = detector.run(trace, layout)
        accesses = [access for race in races for access in race.accesses]
        stacks = stacks_of(trace, accesses) if "call" in recorded else {}
        functions = {row.number: row.name for row in trace.tables.functions}
        names = Names(
            detector.sites,
            Objects(index, trace.tables.tasks, detector.per_cpu),
            trace.tables,
            {
                seq: tuple(functions.get(number, f"function-{number}") for number in stack)
                for seq, stack in stacks.items()
            },
            trace.header.seed,
        )
        found = findings((r for r in races if filters.keep(r, detector.sites)), names)
        warn(trace)
        if args.view is not None:
            return _view(args, trace, layout, names, found)
    shown = [finding for finding in found if not suppressions.match(finding)][: args.limit]
    found = [finding for finding in found if finding in shown or suppressions.match(finding)]
    return print_findings(
        found, suppressions, as_json=args.json, generate=args.gen_suppressions, what="data races"
    )


def _view(
    args: argparse.Namespace, trace: Trace, layout: Layout, names: Names, found: list[Finding]
) -> int:
    finding = next((each for each in found if each.identity == args.view), None)
    if finding is None:
        raise BadInput(
            f"--view {args.view}: no finding has this identity", "the report tells identities"
        )
    accesses = finding.data["accesses"]
    low = min(access["address"] for access in accesses)
    high = max(access["address"] + access["size"] for access in accesses)
    racing = frozenset((access["tick"], access["position"]) for access in accesses)
    what = steps(trace, layout, names, low, high, finding.tick)
    lines = [finding.title, "", *columns(what, names, racing, args.lines)]
    print("\n".join(lines))
    if args.svg is not None:
        from rich.console import Console

        console = Console(record=True, width=max(map(len, lines)) + 1, file=io.StringIO())
        console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)
        try:
            args.svg.write_text(console.export_svg(title=finding.title), encoding="utf-8")
        except OSError as error:
            raise BadInput(f"--svg {args.svg}: {error.strerror}") from None
    return 1


def layout_of(index: Index) -> Layout:
    """What the analysis must know of a kernel's data; BadInput if it is not there."""
    fields = task_fields(index)
    stack = _offset(index, "task_struct", "stack")
    if fields.preempt_count < 0 or stack < 0:
        raise BadInput(f"{index.path}: no debug information on struct task_struct")
    first = index.variable("init_stack")
    offsets = index.variable("__per_cpu_offset")
    queues = index.variable("runqueues")
    return Layout(
        fields.preempt_count,
        fields.irqs_off,
        stack,
        first.type.size if first is not None else Layout().stack_size,
        first.address if first is not None else 0,
        offsets.address if offsets is not None else 0,
        queues.address + _offset(index, "rq", "__lock") if queues is not None else 0,
        _offset(index, "task_struct", "pi_lock"),
    )


def _offset(index: Index, struct: str, member: str) -> int:
    """A member's offset, -1 if there is none."""
    try:
        found = index.struct(struct)
        return -1 if found is None else found.member(member).offset
    except SymbolsError:
        return -1


def _kernel_of(trace: Trace) -> Path:
    """The built guest with the trace's kernel."""
    current = sorted((guest_root() / "current").glob("*/vmlinux.wasm"))
    for path in (*current, *sorted(guest_root().glob("*/vmlinux.wasm"))):
        if _digest(path) == trace.header.kernel_hash:
            return path
    raise BadInput(
        f"{trace.path}: its kernel is none of the built guests", "tell which it was: --kernel FILE"
    )


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None
