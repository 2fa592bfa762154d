"""What a task has taken in the piece of work that it is at: since it began a system call or a work
item, or slept for something other than a lock."""

from __future__ import annotations

import numpy as np

from wdbg.analysis.lockdep.classes import SLEEP, Classes, sleeps
from wdbg.analysis.lockdep.engine import Step
from wdbg.analysis.lockdep.model import Acquisition
from wdbg.trace.batch import Batch
from wdbg.trace.events import (
    LOCK_KIND_BITS,
    LOCK_KIND_SHIFT,
    LOCK_SUBCLASS_BITS,
    LOCK_SUBCLASS_SHIFT,
    Kind,
    LockFlag,
    LockKind,
    Table,
)

_NEAR = 200
"""Events among which the one is looked for in which a lock was asked for."""
_MOST = 32
"""Locks that are looked at of a piece of work, the last ones."""
_SUBCLASSES = (1 << LOCK_SUBCLASS_BITS) - 1
_SLEEPING = tuple(kind for kind in LockKind if sleeps(kind) and kind is not LockKind.COMPLETION)


def taken_before(batch: Batch, classes: Classes, step: Step) -> list[Acquisition]:
    """Sleeping locks that the step's task has taken before it in that piece of work, as far as it
    is in the batch."""
    columns = batch.tables.get(Table.LOCK)
    if columns is None:
        return []
    task, end = step[1], step[10]
    begin = _beginning(batch, task, end)
    places = batch.places(Table.LOCK)
    flags = columns["flags"].astype(np.uint32, copy=False)
    kind = batch.kind[places]
    primitive = flags >> np.uint32(LOCK_KIND_SHIFT) & np.uint32((1 << LOCK_KIND_BITS) - 1)
    plain = (kind == Kind.LOCK_ACQUIRED) & np.isin(primitive, _SLEEPING)
    annotated = (kind == Kind.LOCK_ACQUIRE) & (primitive == 0)
    annotated &= (columns["wait"].astype(np.uint32, copy=False) >> np.uint32(8) & 0xFF) >= SLEEP
    rows = np.flatnonzero(
        (places >= begin) & (places < end) & (batch.task()[places] == task)
        & (plain | annotated) & (flags & np.uint32(LockFlag.READ) == 0)
    )  # fmt: skip
    found = {}
    for row in rows[-_MOST:].tolist():
        lock, tick = int(columns["lock"][row]), int(batch.tick[places[row]])
        if annotated[row]:
            key, wait, name = (int(columns[each][row]) for each in ("lock_class", "wait", "name"))
            subclass = int(flags[row]) >> LOCK_SUBCLASS_SHIFT & _SUBCLASSES
            number = classes.annotated(lock, key, subclass, name, wait).number
            site = int(columns["position"][row])
            found[lock] = Acquisition(number, lock, 0, tick, task, site, int(flags[row]))
            continue
        # Its call site is that of the event in which it was asked for, mostly the one before.
        asked = row - 1
        while asked > max(0, row - _NEAR) and not (
            kind[asked] == Kind.LOCK_ACQUIRE and columns["lock"][asked] == lock
        ):
            asked -= 1
        site = int(columns["position"][max(asked, 0)])
        number = classes.plain(lock, LockKind(int(primitive[row]))).number
        found[lock] = Acquisition(number, lock, 0, tick, task, site, int(flags[row]))
    return list(found.values())


def _beginning(batch: Batch, task: int, end: int) -> int:
    """The event with which the task's piece of work begins."""
    begin = 0
    for table in (Table.SYSCALL_ENTER, Table.SYSCALL_EXIT, Table.WORK, Table.SWITCH):
        if table not in batch.tables:
            continue
        places = batch.places(table)
        if table is Table.SWITCH:
            columns = batch.tables[table]
            mine = (columns["prev"] == task) & (columns["prev_state"] != 0)
        else:
            mine = batch.task()[places] == task
        hits = places[mine & (places < end)]
        if len(hits):
            begin = max(begin, int(hits[-1]))
    return begin
