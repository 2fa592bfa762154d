"""A part of a trace as a trace of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from wdbg.errors import BadInput
from wdbg.trace.chunk import Compressor
from wdbg.trace.reader import Trace
from wdbg.trace.writer import TraceFile, TraceWriter

NEVER = 2**63


def cut(
    trace: Trace,
    target: Path,
    ticks: tuple[int, int] = (0, NEVER),
    times: tuple[int, int] = (0, NEVER),
) -> int:
    """Write the events from the first to the last tick and virtual time (ns), both inclusive, with
    all tables; returns how many. Raises BadInput if there are none."""
    if target.exists() and target.samefile(trace.path):
        raise BadInput(f"{target}: is the trace itself")
    ns_per_tick = trace.header.ns_per_tick
    chosen = [
        entry
        for entry in trace.chunks
        if entry.first_tick <= ticks[1] and entry.last_tick >= ticks[0]
        and entry.first_time <= times[1] and entry.last_time >= times[0]
    ]  # fmt: skip
    if not chosen:
        raise BadInput("no events in that range", f"wdbg trace info {trace.path} tells its range")
    compressor = Compressor()
    writer = TraceWriter(TraceFile(target, trace.header, compressor), trace.header, compressor)
    tables = trace.tables
    for rows in (tables.functions, tables.tasks, tables.classes, tables.strings):
        writer.rows(rows)
    kept = 0
    for entry in chosen:
        batch = trace.batch(entry)
        if batch is None:
            continue
        tick, time = batch.tick, batch.time(ns_per_tick)
        wanted = (tick >= ticks[0]) & (tick <= ticks[1])
        wanted &= (time >= times[0]) & (time <= times[1])
        part = batch if wanted.all() else batch.select(np.asarray(wanted))
        kept += len(part)
        writer.events(part)
    writer.close({**trace.facts, "cut": True})
    return kept
