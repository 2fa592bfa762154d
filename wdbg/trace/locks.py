"""Lock events that belong together: how long each acquisition waited, how long each hold lasted.

An exclusive lock may be released by another task than the one that took it (the run queue's lock is
handed over in every context switch), so its release belongs to the last acquisition by anyone. A
shared lock's release belongs to the last acquisition by the same task.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wdbg.trace.batch import U64, Places, Rows
from wdbg.trace.events import Kind, LockFlag

MAX_OPEN = 1 << 16
"""Events remembered from one chunk to the next: what is held or waited for."""


@dataclass(frozen=True, slots=True)
class LockTimes:
    """What is known of the events of one array, an entry for each. Times are in virtual ns."""

    taken: npt.NDArray[np.bool_]
    """The task has the lock from here on: LOCK_ACQUIRED, and a LOCK_TRY with success."""
    contended: npt.NDArray[np.bool_]
    """LOCK_ACQUIRED after LOCK_CONTENDED."""
    asked: U64
    """Of acquisitions: when it was asked for; else the event's own time."""
    caller: npt.NDArray[np.uint32]
    """Position that the lock is asked for at: for what follows LOCK_ACQUIRE, that event's."""
    held_since: U64
    """Of releases: when the lock was taken; else the event's own time."""
    holder: npt.NDArray[np.uint32]
    """Of releases: the task that took the lock; else the event's own task."""
    known: npt.NDArray[np.bool_]
    """Of releases: the acquisition was seen."""


class LockMatcher:
    """Goes over the LOCK events of a trace in order, a chunk at a time."""

    def __init__(self) -> None:
        self._open: Rows | None = None

    def forget(self) -> None:
        """Events were lost."""
        self._open = None

    def open_rows(self) -> Rows | None:
        """Events so far that nothing has ended: what is held, and what is waited for. Their
        positions are those that the locks were asked for at."""
        return self._open

    def feed(self, rows: Rows) -> LockTimes:
        """`rows`: of Table.LOCK, in order."""
        before = 0
        if self._open is not None and len(self._open):
            before = len(self._open)
            rows = np.concatenate((self._open, rows))
        kind = rows["kind"]
        tried = (kind == Kind.LOCK_TRY) & (rows["flags"] & LockFlag.SUCCESS != 0)
        taken = (kind == Kind.LOCK_ACQUIRED) | tried
        released = kind == Kind.LOCK_RELEASE
        key = rows["task"].astype(np.uint64) << np.uint64(32) | rows["lock"]
        order = np.argsort(key, kind="stable")
        key = key[order]
        first = np.ones(len(rows), bool)
        first[1:] = key[1:] != key[:-1]
        group = np.maximum.accumulate(np.where(first, np.arange(len(rows)), 0))
        asked, caller, contended, waiting = _waits(rows, order, group, taken | released)
        held_since, holder, known, holding = _holds(rows, taken, released)
        keep = np.flatnonzero(waiting | holding)[-MAX_OPEN:]
        self._open = rows[keep].copy()
        self._open["position"] = caller[keep]
        return LockTimes(
            taken[before:],
            contended[before:],
            asked[before:],
            caller[before:],
            held_since[before:],
            holder[before:],
            known[before:],
        )


def _waits(
    rows: Rows, order: Places, group: Places, ends: npt.NDArray[np.bool_]
) -> tuple[U64, npt.NDArray[np.uint32], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """When and where each acquisition was asked for, whether contended; which events still wait."""
    kind, time = rows["kind"][order], rows["time"][order]
    here = np.arange(len(rows))
    ended = ends[order]
    # The last event before this one that ended a wait; what stands behind it belongs to this one.
    past = np.concatenate(([-1], np.maximum.accumulate(np.where(ended, here, -1))[:-1]))
    floor = np.maximum(past + 1, group)
    asked_at = np.maximum.accumulate(np.where(kind == Kind.LOCK_ACQUIRE, here, -1))
    contended_at = np.maximum.accumulate(np.where(kind == Kind.LOCK_CONTENDED, here, -1))
    is_acquired = kind == Kind.LOCK_ACQUIRED
    contended = is_acquired & (contended_at >= floor)
    start = np.where(asked_at >= floor, asked_at, np.where(contended, contended_at, here))
    asked = np.empty(len(rows), np.uint64)
    asked[order] = np.where(is_acquired, time[np.minimum(start, here)], time)
    found = np.zeros(len(rows), bool)
    found[order] = contended
    caller = rows["position"].copy()
    follows = (asked_at >= floor) & (is_acquired | (kind == Kind.LOCK_CONTENDED))
    caller[order[follows]] = rows["position"][order][asked_at[follows]]
    last_end = np.maximum.accumulate(np.where(ended, here, -1))
    last_of_group = np.append(group[1:] != group[:-1], True)
    lengths = np.diff(np.concatenate(([-1], np.flatnonzero(last_of_group))))
    end_of_group = np.repeat(last_end[last_of_group], lengths)
    begins = (kind == Kind.LOCK_ACQUIRE) | (kind == Kind.LOCK_CONTENDED)
    waiting = np.zeros(len(rows), bool)
    waiting[order] = begins & (here > end_of_group)
    return asked, caller, found, waiting


def _holds(
    rows: Rows, taken: npt.NDArray[np.bool_], released: npt.NDArray[np.bool_]
) -> tuple[U64, npt.NDArray[np.uint32], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """When and by whom what each release ends was taken, whether that is known; which events
    still hold."""
    owner = np.where(rows["flags"] & LockFlag.READ, rows["task"], 0).astype(np.uint64)
    key = owner << np.uint64(32) | rows["lock"]
    order = np.argsort(key, kind="stable")
    key = key[order]
    first = np.ones(len(rows), bool)
    first[1:] = key[1:] != key[:-1]
    step = taken[order].astype(np.int64) - released[order]
    group = np.cumsum(first) - 1
    total = np.cumsum(step)
    base = (total - step)[first]
    depth = total - base[group] - (step > 0)
    moving = np.flatnonzero(step)
    inner = moving[np.lexsort((moving, depth[moving], group[moving]))]
    up = step[inner] > 0
    same = np.zeros(len(inner), bool)
    same[1:] = (
        ~up[1:]
        & up[:-1]
        & (group[inner][1:] == group[inner][:-1])
        & (depth[inner][1:] == depth[inner][:-1])
    )
    behind = np.flatnonzero(same)
    places, starts = order[inner[behind]], order[inner[behind - 1]]
    held_since = rows["time"].copy()
    held_since[places] = rows["time"][starts]
    holder = rows["task"].copy()
    holder[places] = rows["task"][starts]
    known = np.zeros(len(rows), bool)
    known[places] = True
    holding = taken.copy()
    holding[starts] = False
    return held_since, holder, known, holding
