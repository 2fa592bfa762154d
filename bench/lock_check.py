"""`python -m bench.lock_check file TRACE` or `chains CLASSES CHAINS`: prints million lock events a
second of CPU time, the resident size in MiB, and the seconds that the verdict takes at the end."""

import resource
import sys
import time
from pathlib import Path

import numpy as np

from wdbg.analysis.checks import checked_header
from wdbg.analysis.lockdep.check import LockCheck
from wdbg.trace.batch import RUN, Batch, Columns
from wdbg.trace.events import LOCK_KIND_SHIFT, Kind, LockFlag, LockKind, Table
from wdbg.trace.feed import TraceHeader
from wdbg.trace.reader import Trace
from wdbg.trace.tables import Tables

DEPTH = 3
"""Locks of a made-up chain."""
REPEATS = 4
"""A trace is looked at so often: as if it were so long."""


def of_file(path: Path) -> tuple[int, float, float]:
    """Lock events, seconds, seconds at the end."""
    with Trace(path) as trace:
        check, events = LockCheck(checked_header(trace)), 0
        start = time.process_time()
        for _ in range(REPEATS):
            for batch in trace.batches(check.tables):
                check.batch(batch)
                if Table.LOCK in batch.tables:
                    events += len(batch.places(Table.LOCK))
        took = time.process_time() - start
        start = time.process_time()
        check.findings(trace.tables, trace.facts)
        return events, took, time.process_time() - start


def of_chains(classes: int, chains: int) -> tuple[int, float, float]:
    """The same for made-up events: chains of DEPTH locks, each in the order of their classes."""
    header = TraceHeader("", "", 0, 1, 4, "", "annotations")
    check, events, took = LockCheck(header), 0, 0.0
    random = np.random.default_rng(1)
    for first in range(0, chains, 10_000):
        count = min(10_000, chains - first)
        locks = np.sort(random.integers(0, classes, (count, DEPTH)), axis=1)
        locks[:, 1:] += np.arange(1, DEPTH) * classes  # never the same twice in a chain
        batch = _batch(locks, 1 + first // 10_000 % 2)
        start = time.process_time()
        check.batch(batch)
        took += time.process_time() - start
        events += len(batch)
    start = time.process_time()
    check.findings(Tables(), {})
    return events, took, time.process_time() - start


def _batch(locks: np.ndarray, task: int) -> Batch:
    """Each row: taken from left to right, released from right to left."""
    both = np.concatenate((locks, locks[:, ::-1]), axis=1)
    kinds = np.tile([Kind.LOCK_ACQUIRE] * DEPTH + [Kind.LOCK_RELEASE] * DEPTH, len(locks))
    address = (both.ravel() * 64 + 4096).astype(np.uint32)
    flags = np.full(len(address), LockFlag.CHECKED | LockFlag.STATE_KNOWN, np.uint32)
    flags |= np.uint32(LockKind.UNKNOWN << LOCK_KIND_SHIFT)
    none = np.zeros(len(address), np.uint32)
    runs = np.zeros(1, RUN)
    runs["task"] = task
    columns: Columns = {
        "lock": address, "lock_class": address, "flags": flags, "position": none, "nest": none,
        "wait": np.full(len(address), 0x202, np.uint32), "name": none,
    }  # fmt: skip
    return Batch(
        kinds.astype(np.uint8), np.arange(len(address), dtype=np.uint64), runs,
        {Table.LOCK: columns},
    )  # fmt: skip


def main() -> int:
    """Do the step."""
    if sys.argv[1] == "file":
        events, took, end = of_file(Path(sys.argv[2]))
    else:
        events, took, end = of_chains(int(sys.argv[2]), int(sys.argv[3]))
    print(events / took / 1e6, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, end)
    return 0


if __name__ == "__main__":
    sys.exit(main())
