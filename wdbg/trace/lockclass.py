"""The class of each lock: told once where the lock is initialised, wanted at every event."""

from __future__ import annotations

import numpy as np

from wdbg.trace.batch import Rows
from wdbg.trace.events import Kind


class LockClasses:
    """Goes over the LOCK events of a trace in order, a chunk at a time."""

    def __init__(self) -> None:
        self._known: dict[int, int] = {}
        """Lock to its class."""

    def fill(self, rows: Rows) -> None:
        """Give events without a class the one last told of their lock; a LOCK_INIT without one
        ends that."""
        told = (rows["lock_class"] != 0) | (rows["kind"] == Kind.LOCK_INIT)
        if not len(rows) or not (self._known or told.any()):
            return
        order = np.argsort(rows["lock"], kind="stable")
        lock, found = rows["lock"][order], rows["lock_class"][order]
        here = np.arange(len(rows))
        first = np.ones(len(rows), bool)
        first[1:] = lock[1:] != lock[:-1]
        group = np.maximum.accumulate(np.where(first, here, 0))
        latest = np.maximum.accumulate(np.where(told[order], here, -1))
        different = lock[first].tolist()
        earlier = np.array([self._known.get(one, 0) for one in different], np.uint32)
        before = np.repeat(earlier, np.diff(np.append(np.flatnonzero(first), len(rows))))
        filled = np.where(latest >= group, found[np.maximum(latest, 0)], before)
        rows["lock_class"][order] = filled
        last = np.append(np.flatnonzero(first)[1:] - 1, len(rows) - 1)
        self._known.update(
            (one, number)
            for one, number in zip(different, filled[last].tolist(), strict=True)
            if number or one in self._known
        )
