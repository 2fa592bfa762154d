"""The last events of each CPU in a trace."""

from __future__ import annotations

from collections import defaultdict, deque
from pathlib import Path

import numpy as np

from wdbg.trace.lines import Lines
from wdbg.trace.names import Names
from wdbg.trace.reader import Trace

_MOST_CHUNKS = 64
"""From the end of a trace."""


def last_events(path: Path, most: int) -> dict[str, list[str]]:
    """By CPU: up to `most` lines, the oldest first."""
    found: dict[int, deque[str]] = defaultdict(lambda: deque(maxlen=most))
    with Trace(path) as trace:
        lines = Lines(Names(trace.tables), trace.header.ns_per_tick)
        for entry in trace.chunks[-_MOST_CHUNKS:]:
            batch = trace.batch(entry)
            if batch is None:
                continue
            cpus = np.asarray(batch.cpu)
            for number in sorted({int(cpu) for cpu in np.unique(cpus)}):
                part = batch.select(cpus == number)
                for block in lines.render(part):
                    found[number].extend(block.decode("utf-8", "replace").splitlines())
    return {str(cpu): list(found[cpu]) for cpu in sorted(found)}
