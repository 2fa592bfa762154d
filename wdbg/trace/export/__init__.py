"""Exporters: a trace in the formats of other tools, a batch of events at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

from wdbg.errors import BadInput
from wdbg.trace.batch import Batch, join
from wdbg.trace.reader import Trace

FORMATS = {
    "perfetto": "Perfetto's protobuf: ui.perfetto.dev, `wdbg trace open`, trace_processor",
    "trace.dat": "trace-cmd and KernelShark",
    "ctf": "CTF 1.8, a directory: babeltrace2, Trace Compass",
    "parquet": "a directory with a table an event kind: DuckDB, pandas, Polars",
    "text": "lines like those of the kernel's trace file",
}
"""What --format takes, and what it is for."""

_MODULES = {"trace.dat": "tracedat"}

BATCH_EVENTS = 1 << 17

Counts = dict[str, int]
"""Events written, by the name that the format gives them."""


def export(trace: Trace, format_name: str, target: Path) -> Counts:
    """Write `trace` to `target` in the named format."""
    if format_name not in FORMATS:
        raise BadInput(f"unknown format {format_name}", f"one of {', '.join(FORMATS)}")
    name = _MODULES.get(format_name, format_name)
    write: Callable[[Trace, Path], Counts] = import_module(f"wdbg.trace.export.{name}").write
    try:
        return write(trace, target)
    except OSError as error:
        raise BadInput(f"{error.filename or target}: {error.strerror}") from None


def large_batches(trace: Trace) -> Iterator[Batch]:
    """The trace's batches, small ones joined: each costs an exporter a constant."""
    waiting: list[Batch] = []
    events = 0
    for batch in trace.batches():
        waiting.append(batch)
        events += len(batch)
        if events >= BATCH_EVENTS:
            yield join(waiting)
            waiting, events = [], 0
    if events:
        yield join(waiting)
