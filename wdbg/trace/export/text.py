"""Text like that of the kernel's trace file (tracefs/trace), which Perfetto imports, too."""

from __future__ import annotations

from pathlib import Path

from wdbg.trace.export import Counts, large_batches
from wdbg.trace.lines import HEADER, Lines
from wdbg.trace.names import Names
from wdbg.trace.reader import Trace


def write(trace: Trace, target: Path) -> Counts:
    """Export; returns the number of events by name."""
    lines = Lines(Names(trace.tables), trace.header.ns_per_tick)
    with open(target, "wb") as out:
        out.write(HEADER)
        for batch in large_batches(trace):
            for text in lines.render(batch):
                out.write(text)
    return lines.counts
