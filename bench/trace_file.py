"""`python -m bench.trace_file STEP SOURCE TARGET [EVENTS]`: million events a second of CPU time.

STEP: `write` makes TARGET of SOURCE's events, again and again until there are EVENTS of them;
`read` makes structured arrays of all events of SOURCE; another one is a format to export SOURCE in.
"""

import resource
import shutil
import sys
import time
from pathlib import Path

import numpy as np

from wdbg.trace.chunk import Compressor
from wdbg.trace.export import export
from wdbg.trace.reader import Trace
from wdbg.trace.writer import TraceFile, TraceWriter

EVENTS = 5_000_000


def write(source: Path, target: Path, wanted: int) -> int:
    """Events written, at least as many as wanted."""
    with Trace(source) as trace:
        compressor = Compressor()
        writer = TraceWriter(TraceFile(target, trace.header, compressor), trace.header, compressor)
        tables = trace.tables
        for rows in (tables.functions, tables.tasks, tables.classes, tables.strings):
            writer.rows(rows)
        batches = list(trace.batches())
        later = np.uint64(trace.chunks[-1].last_tick)
        events = 0
        while events < wanted:
            for batch in batches:
                writer.events(batch)
                batch.tick = batch.tick + later
                events += len(batch)
        writer.close(trace.facts)
    return events


def read(source: Path) -> int:
    """Events read into structured arrays."""
    events = 0
    with Trace(source) as trace:
        for batch in trace.batches():
            events += sum(
                len(batch.rows(table, trace.header.ns_per_tick)) for table in batch.tables
            )
    return events


def main() -> int:
    """Do the step; prints the rate and the largest resident size in MiB."""
    step, source, target = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    start = time.process_time()
    if step == "write":
        wanted = int(sys.argv[4]) if len(sys.argv) > 4 else EVENTS
        events = write(source, target, wanted)
    elif step == "read":
        events = read(source)
    else:
        with Trace(source) as trace:
            events = sum(export(trace, step, target).values())
    rate = events / (time.process_time() - start) / 1e6
    if step not in ("write", "read"):
        if target.is_dir():
            shutil.rmtree(target)
        else:
            target.unlink()
    print(rate, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return 0


if __name__ == "__main__":
    sys.exit(main())
