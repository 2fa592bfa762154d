"""`wdbg trace info|show|export|cut|open FILE`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from wdbg.cli.quantities import moment_range, nanoseconds, show_size, show_time
from wdbg.errors import BadInput
from wdbg.trace.cut import cut
from wdbg.trace.export import FORMATS, export
from wdbg.trace.filters import Filter, Selection, kinds_named
from wdbg.trace.lines import HEADER, Lines
from wdbg.trace.names import Names
from wdbg.trace.reader import Trace


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs below `trace` and their flags."""
    verbs = parser.add_subparsers(dest="trace_verb", metavar="VERB", required=True)
    info = file_verb(
        verbs, "info", "what a trace is: its run, its events, whether it is whole", _info
    )
    info.add_argument("--json", action="store_true", help="machine-readable output")
    show = file_verb(verbs, "show", "print events as text", _show)
    _add_filters(show)
    out = file_verb(verbs, "export", "write it in another tool's format", _export)
    formats = "; ".join(f"{name}: {text}" for name, text in FORMATS.items())
    out.add_argument("--format", choices=FORMATS, required=True, help=formats)
    out.add_argument("-o", "--output", type=Path, metavar="PATH", help="default: beside FILE")
    part = file_verb(verbs, "cut", "write a part of it as a trace", _cut)
    part.add_argument("--range", required=True, metavar="FROM..TO", help="ticks, or 1ms..2ms")
    part.add_argument("-o", "--output", type=Path, required=True, metavar="PATH")
    opened = file_verb(verbs, "open", "show it in Perfetto, served from this machine", _open)
    opened.add_argument("--port", type=int, default=9001, metavar="N",
                        help="default 9001, which Perfetto's page may read from")  # fmt: skip
    opened.add_argument("--no-browser", action="store_true", help="print the address only")


def file_verb(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    text: str,
    act: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    """A verb that reads one trace file and is carried out by `act`."""
    parser = verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.set_defaults(act=act)
    return parser


def _add_filters(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--range", metavar="FROM..TO", help="ticks (1000..2000), or virtual times (1ms..2.5ms)")
    add("--task", action="append", default=[], metavar="TASK", help="pid, or glob of the name")
    add("--cpu", action="append", type=int, default=[], metavar="N")
    add("--events", metavar="LIST", help="groups (call,lock,sched,irq ...) or names (sched_*)")
    add("--function", action="append", default=[], metavar="GLOB",
        help="calls of these functions only; with a slash: of source files")  # fmt: skip
    add("--depth", type=int, metavar="N", help="no calls deeper than N")
    add("--duration", metavar="TIME", help="only calls that took as long: 20us")
    add("--limit", type=int, metavar="N", help="stop after about N lines")
    add("--colour", "--color", choices=("auto", "always", "never"), default="auto")


def run(args: argparse.Namespace) -> int:
    """Do what was asked for."""
    act: Callable[[argparse.Namespace], int] = args.act
    return act(args)


def warn(trace: Trace) -> None:
    """Tell on standard error what is missing of a trace."""
    for line in trace.damage:
        print(f"wdbg: {trace.path}: damaged at {line}", file=sys.stderr)
    if not trace.indexed:
        print(f"wdbg: {trace.path}: the recorder did not finish; all whole chunks are used",
              file=sys.stderr)  # fmt: skip
    if trace.lost:
        print(f"wdbg: {trace.path}: {trace.lost} events were lost", file=sys.stderr)


def _info(args: argparse.Namespace) -> int:
    with Trace(args.file) as trace:
        counts = {kind.name.lower(): count for kind, count in sorted(trace.counts().items())}
        header, chunks = trace.header, trace.chunks
        facts = {
            "file": str(args.file),
            "version": ".".join(map(str, trace.version)),
            "size": trace.size,
            "kernel": header.kernel,
            "kernel_hash": header.kernel_hash,
            "banner": header.banner,
            "command_line": header.command_line,
            "seed": header.seed,
            "cpus": header.cpus,
            "ns_per_tick": header.ns_per_tick,
            "events": trace.events,
            "first_tick": chunks[0].first_tick if chunks else None,
            "last_tick": chunks[-1].last_tick if chunks else None,
            "first_time": chunks[0].first_time if chunks else None,
            "last_time": chunks[-1].last_time if chunks else None,
            "chunks": len(chunks),
            "functions": len(trace.tables.functions),
            "tasks": len({task.number for task in trace.tables.tasks}),
            "lost": trace.lost,
            "complete": bool(trace.indexed and trace.facts.get("clean")),
            "damage": trace.damage,
            "counts": counts,
            "end": trace.facts,
        }
    if args.json:
        print(json.dumps(facts, indent=2))
    else:
        print(_render_info(facts, counts, trace))
    return 0


def _render_info(facts: dict[str, object], counts: dict[str, int], trace: Trace) -> str:
    chunks = trace.chunks
    lines = [f"{facts['file']}: {show_size(trace.size)}, format {facts['version']}"]
    lines.append(f"  kernel      {facts['kernel']} ({str(facts['kernel_hash'])[:16]})")
    lines.append(f"  guest       {facts['cpus']} CPUs, seed {facts['seed']}, "
                 f"command line: {facts['command_line'] or '(empty)'}")  # fmt: skip
    if chunks:
        first, last = chunks[0], chunks[-1]
        span = show_time(last.last_time - first.first_time)
        lines.append(f"  ticks       {first.first_tick} to {last.last_tick}")
        lines.append(f"  time        {show_time(first.first_time)} to "
                     f"{show_time(last.last_time)} ({span})")  # fmt: skip
    each = f", {trace.size / trace.events:.2f} bytes each" if trace.events else ""
    lines.append(f"  events      {trace.events} in {len(chunks)} chunks{each}")
    lines += [f"    {name:<20} {count:>12}" for name, count in counts.items()]
    lines.append(f"  lost        {trace.lost}")
    stop = trace.facts.get("stop")
    end = f"yes{f' (the guest stopped: {stop})' if stop else ''}"
    lines.append(f"  complete    {end if facts['complete'] else 'no: the recorder was cut off'}")
    lines += [f"  damaged     {line}" for line in trace.damage]
    size = trace.facts.get("overwritten_bytes")
    if isinstance(size, int):
        lines.append(f"  overwritten {show_size(size)} of earlier records (flight recorder)")
    return "\n".join(lines)


def _show(args: argparse.Namespace) -> int:
    colour = args.colour == "always" or (
        args.colour == "auto" and sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    )
    ticks, times = moment_range(args.range) if args.range else ((0, 2**63), (0, 2**63))
    wanted = Filter(
        ticks[0], ticks[1], times[0], times[1], tuple(args.task), tuple(args.cpu),
        kinds_named(args.events.split(",")) if args.events else None, tuple(args.function),
        args.depth, nanoseconds(args.duration) if args.duration else 0,
    )  # fmt: skip
    with Trace(args.file) as trace:
        names = Names(trace.tables)
        selection = Selection(wanted, names)
        lines = Lines(names, trace.header.ns_per_tick, colour)
        left = args.limit if args.limit is not None else -1
        # Depths and durations need the calls before, so only the end of the range is skipped.
        early = 0 if wanted.max_depth is not None or wanted.min_duration else ticks[0]
        try:
            _write(HEADER)
            for batch in trace.batches(selection.tables(), early):
                if selection.past(batch, trace.header.ns_per_tick):
                    break
                for text in lines.render(batch, selection.select):
                    if left >= 0:
                        kept = text.split(b"\n", left)[:left]
                        text = b"".join(line + b"\n" for line in kept if line)
                        left -= text.count(b"\n")
                    _write(text)
                    if left == 0:
                        break
                if left == 0:
                    break
        except BrokenPipeError:
            return 0  # the reader has seen enough
        warn(trace)
    return 0


def _write(text: bytes) -> None:
    sys.stdout.flush()
    rest = memoryview(text)
    while rest:
        rest = rest[os.write(sys.stdout.fileno(), rest) :]


SUFFIXES = {
    "perfetto": ".pftrace", "trace.dat": ".dat", "ctf": ".ctf", "parquet": ".parquet",
    "text": ".txt",
}  # fmt: skip


def _export(args: argparse.Namespace) -> int:
    target: Path = args.output or args.file.with_suffix(SUFFIXES[args.format])
    if target.exists() and target.samefile(args.file):
        raise BadInput(f"{target}: is the trace itself")
    with Trace(args.file) as trace:
        counts = export(trace, args.format, target)
        warn(trace)
    print(f"{target}: {sum(counts.values())} events")
    return 0


def _cut(args: argparse.Namespace) -> int:
    ticks, times = moment_range(args.range)
    with Trace(args.file) as trace:
        kept = cut(trace, args.output, ticks, times)
        warn(trace)
    print(f"{args.output}: {kept} events")
    return 0


def _open(args: argparse.Namespace) -> int:
    from wdbg.cli.perfetto_page import serve

    return serve(args.file, args.port, browser=not args.no_browser)
