"""The last events of each CPU in a trace."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from wdbg.trace.lines import Lines
from wdbg.trace.names import Names
from wdbg.trace.reader import Trace

_MOST_CHUNKS = 64
"""From the end of a trace."""


def last_events(path: Path, most: int) -> dict[str, list[str]]:
    """By CPU: up to `most` lines, the oldest first."""
    found: dict[int, list[str]] = {}
    with Trace(path) as trace:
        names = Names(trace.tables)
        for entry in reversed(trace.chunks[-_MOST_CHUNKS:]):
            batch = trace.batch(entry)
            if batch is None:
                continue
            cpus = batch.cpu()
            for number in sorted({int(cpu) for cpu in np.unique(cpus)}):
                held = found.setdefault(number, [])
                if len(held) < most:
                    mask = np.zeros(len(cpus), np.bool_)
                    mask[np.flatnonzero(cpus == number)[len(held) - most :]] = True
                    lines = Lines(names, trace.header.ns_per_tick)
                    text = b"".join(lines.render(batch.select(mask))).decode("utf-8", "replace")
                    held[:0] = text.splitlines()
    return {str(cpu): found[cpu][-most:] for cpu in sorted(found)}
