"""What the engine wants of a batch: lock events and what tells of tasks, in order, as tuples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from wdbg.analysis.lockdep.engine import Step
from wdbg.trace.batch import Batch
from wdbg.trace.events import LOCK_KIND_BITS, LOCK_KIND_SHIFT, Kind, LockKind, Table

STEP = np.dtype(
    [
        ("tick", "<i8"), ("task", "<u4"), ("kind", "<u4"), ("lock", "<u4"), ("key", "<u4"),
        ("flags", "<u4"), ("position", "<u4"), ("nest", "<u4"), ("wait", "<u4"), ("name", "<u4"),
        ("place", "<u4"),
    ]
)  # fmt: skip
"""Fields of a `Step`."""
Steps = npt.NDArray[np.void]

TABLES = (
    Table.LOCK, Table.LOCK_NOTE, Table.SWITCH, Table.TASK, Table.SYSCALL_EXIT, Table.TEXT,
)  # fmt: skip
_WAITS = (LockKind.SEMAPHORE, LockKind.COMPLETION, LockKind.WAIT_QUEUE)
HALF_SEEN = (LockKind.PAGE_LOCK, LockKind.FUTEX)
"""Locks whose releases are seen, but not all acquisitions: nothing can be said of them."""
_FIELDS = {
    Table.LOCK: {"lock": "lock", "key": "lock_class", "flags": "flags", "position": "position",
                 "nest": "nest", "wait": "wait", "name": "name"},
    Table.LOCK_NOTE: {"lock": "lock", "key": "value", "flags": "flags", "position": "position",
                      "wait": "wait", "name": "name"},
    Table.SWITCH: {"lock": "prev", "flags": "prev_state"},
    Table.TASK: {"lock": "target"},
    Table.SYSCALL_EXIT: {},
    Table.TEXT: {},
}  # fmt: skip
"""Field of a step to column of the table."""


def steps_of(
    batch: Batch, *, annotated: bool, chosen: npt.NDArray[np.bool_] | None = None
) -> Steps:
    """The steps of a batch, or of its chosen events. `annotated`: locks without annotation do not
    count then, but for those that annotations do not tell of."""
    parts = []
    for table, fields in _FIELDS.items():
        columns = batch.tables.get(table)
        if columns is None:
            continue
        places = batch.places(table)
        kind = batch.kind[places]
        keep = _wanted(table, kind, columns.get("flags"), annotated)
        if chosen is not None:
            keep = chosen[places] if keep is None else keep & chosen[places]
        if keep is not None:
            places, kind = places[keep], kind[keep]
        part = np.zeros(len(places), STEP)
        part["place"], part["kind"] = places, kind
        part["tick"], part["task"] = batch.tick[places], batch.task()[places]
        for name, column in fields.items():
            values = columns[column]
            part[name] = values if keep is None else values[keep]
        parts.append(part)
    if not parts:
        return np.zeros(0, STEP)
    if len(parts) == 1:
        return parts[0]
    steps = np.concatenate(parts)
    return steps[np.argsort(steps["place"], kind="stable")]


def _wanted(
    table: Table,
    kind: npt.NDArray[np.uint8],
    flags: npt.NDArray[np.uint32] | npt.NDArray[np.int32] | None,
    annotated: bool,
) -> npt.NDArray[np.bool_] | None:
    """Which events of a table are steps; None: all."""
    if table is Table.LOCK:
        assert flags is not None
        primitive = flags >> LOCK_KIND_SHIFT & (1 << LOCK_KIND_BITS) - 1
        keep: npt.NDArray[np.bool_] = kind != Kind.LOCK_CONTENDED
        keep &= ~np.isin(primitive, HALF_SEEN)
        if annotated:
            plain = primitive != 0
            keep &= ~plain | np.isin(primitive, _WAITS)
            keep &= plain | (kind != Kind.LOCK_ACQUIRED)
        else:
            keep &= primitive != 0
        return keep
    if table is Table.TASK:
        return np.isin(kind, (Kind.SCHED_FORK, Kind.SCHED_EXIT))
    if table is Table.TEXT:
        return np.isin(kind, (Kind.PANIC,))
    return None


def tuples(steps: Steps) -> Iterator[Step]:
    """Steps for the engine."""
    columns: Iterable[list[int]] = (steps[name].tolist() for name in STEP.names or ())
    return zip(*columns, strict=True)
