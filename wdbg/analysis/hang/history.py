"""What a trace adds to a guest that stands still: who took what it holds, where and when, and
which signals were given before somebody waited for them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from wdbg.linux.blocked import On
from wdbg.trace.batch import Batch, Rows
from wdbg.trace.events import (
    LOCK_KIND_BITS,
    LOCK_KIND_SHIFT,
    Kind,
    LockFlag,
    LockKind,
    Table,
)
from wdbg.trace.lockclass import LockClasses
from wdbg.trace.locks import LockMatcher
from wdbg.trace.reader import Trace

MOST_SIGNALS = 4
"""The last signals of an object that are kept."""

_SIGNALLED = (LockKind.COMPLETION, LockKind.WAIT_QUEUE, LockKind.FUTEX)
"""Primitives that nobody holds."""
_KINDS = {
    LockKind.SPINLOCK: On.SPINLOCK,
    LockKind.RAW_SPINLOCK: On.SPINLOCK,
    LockKind.RWLOCK: On.RWLOCK,
    LockKind.MUTEX: On.MUTEX,
    LockKind.WW_MUTEX: On.MUTEX,
    LockKind.RT_MUTEX: On.RT_MUTEX,
    LockKind.RWSEM: On.RWSEM,
    LockKind.PERCPU_RWSEM: On.RWSEM,
    LockKind.SEMAPHORE: On.SEMAPHORE,
    LockKind.COMPLETION: On.COMPLETION,
    LockKind.WAIT_QUEUE: On.WAIT_QUEUE,
    LockKind.FUTEX: On.FUTEX,
}


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that a task did to a lock."""

    on: On
    lock: int
    task: int
    """Address of its task_struct; 0: not known."""
    tick: int
    time: int
    """Virtual ns."""
    position: int
    """Code offset of the call; 0: not known."""
    read: bool = False
    lock_class: str = ""
    """Name of its class; "": not known."""


@dataclass(slots=True)
class History:
    """The end of a trace."""

    holds: list[Moment] = field(default_factory=list)
    """What is held at the end, in the order in which it was taken."""
    waits: dict[int, Moment] = field(default_factory=dict)
    """By task: what it began to wait for and has not got."""
    signals: dict[int, list[Moment]] = field(default_factory=dict)
    """By object: the last completions and wake-ups, the oldest first."""
    missed: dict[int, Moment] = field(default_factory=dict)
    """By task: the last time that somebody woke it, if it was awake then (`task` is who did).
    Only in traces that record all attempts to wake a task."""
    gone: dict[int, str] = field(default_factory=dict)
    """Name of each task that has exited, by the address that it had."""
    last_tick: int = 0
    complete: bool = True
    """Nothing is missing between its beginning and its end."""

    def held_by(self, task: int) -> list[Moment]:
        """What a task holds."""
        return [moment for moment in self.holds if moment.task == task]

    def holders_of(self, lock: int) -> list[Moment]:
        """Who holds a lock."""
        return [moment for moment in self.holds if moment.lock == lock]


def read_history(trace: Trace) -> History:
    """Go over a trace."""
    matcher, classes = LockMatcher(), LockClasses()
    per_tick = trace.header.ns_per_tick
    history = History(complete=not trace.lost and not trace.damage)
    found = _Found()
    for batch in trace.batches((Table.LOCK, Table.LOST, Table.WAKE, Table.TASK)):
        if len(batch):
            history.last_tick = max(history.last_tick, int(batch.tick[-1]))
        if Table.LOST in batch.tables:
            matcher.forget()
            history.complete = False
        if Table.LOCK in batch.tables:
            rows = batch.rows(Table.LOCK, per_tick)
            classes.fill(rows)
            matcher.feed(rows)
            found.add_signals(rows)
        if Table.WAKE in batch.tables:
            found.add_wakings(batch, per_tick)
        if Table.TASK in batch.tables:
            found.add_exits(batch, per_tick)
    addresses = {life.number: life.address for life in trace.tables.tasks}
    names = {row.number: row.name for row in trace.tables.classes}
    comms = {life.number: life.comm for life in trace.tables.tasks}
    _open_ends(history, matcher.open_rows(), addresses, names)
    for lock, moments in found.signals.items():
        history.signals[lock] = [_moment(row, addresses, names) for row in moments]
    for number, (tick, time, by, position) in found.woken.items():
        target = addresses.get(number, 0)
        waker = addresses.get(by, 0)
        moment = Moment(On.EVENT, 0, waker, tick, time, position)
        if tick > found.started.get(number, -1):
            history.missed[target] = moment
    history.gone = {addresses.get(n, 0): comms.get(n, "") for n in found.exited}
    return history


def _open_ends(
    history: History, rows: Rows | None, addresses: dict[int, int], names: dict[int, str]
) -> None:
    for row in rows if rows is not None else ():
        moment = _moment(row, addresses, names)
        kind = _lock_kind(int(row["flags"]))
        if kind is LockKind.RCU:
            continue
        if int(row["kind"]) in (Kind.LOCK_ACQUIRED, Kind.LOCK_TRY):
            if kind not in _SIGNALLED:
                history.holds.append(moment)
        elif int(row["kind"]) == Kind.LOCK_ACQUIRE:
            history.waits[moment.task] = moment


def _lock_kind(flags: int) -> LockKind:
    try:
        return LockKind(flags >> LOCK_KIND_SHIFT & (1 << LOCK_KIND_BITS) - 1)
    except ValueError:
        return LockKind.UNKNOWN


def _moment(row: np.void, addresses: dict[int, int], names: dict[int, str]) -> Moment:
    flags = int(row["flags"])
    return Moment(
        _KINDS.get(_lock_kind(flags), On.EVENT),
        int(row["lock"]),
        addresses.get(int(row["task"]), 0),
        int(row["tick"]),
        int(row["time"]),
        int(row["position"]),
        bool(flags & LockFlag.READ),
        names.get(int(row["lock_class"]), ""),
    )


class _Found:
    """The last signals, wakings and exits while a trace is gone over."""

    def __init__(self) -> None:
        self.signals: dict[int, list[np.void]] = {}
        self.woken: dict[int, tuple[int, int, int, int]] = {}
        self.started: dict[int, int] = {}
        """Tick at which each task was put on a run queue last."""
        self.exited: set[int] = set()

    def add_signals(self, rows: Rows) -> None:
        kinds = rows["flags"] >> np.uint32(LOCK_KIND_SHIFT) & np.uint32((1 << LOCK_KIND_BITS) - 1)
        mask = (rows["kind"] == Kind.LOCK_RELEASE) & np.isin(
            kinds, [*_SIGNALLED, LockKind.SEMAPHORE]
        )
        chosen = rows[mask]
        # Of each object the last ones of this batch are enough.
        order = np.argsort(chosen["lock"], kind="stable")
        chosen = chosen[order]
        if not len(chosen):
            return
        starts = np.flatnonzero(np.append(True, chosen["lock"][1:] != chosen["lock"][:-1]))
        for first, end in zip(starts, np.append(starts[1:], len(chosen)), strict=True):
            kept = self.signals.setdefault(int(chosen["lock"][first]), [])
            kept += [chosen[at].copy() for at in range(max(first, end - MOST_SIGNALS), end)]
            del kept[:-MOST_SIGNALS]

    def add_wakings(self, batch: Batch, per_tick: int) -> None:
        rows = batch.rows(Table.WAKE, per_tick)
        queued = rows[rows["kind"] != Kind.SCHED_WAKING]
        for at in _last_of_each(queued["target"]):
            self.started[int(queued["target"][at])] = int(queued["tick"][at])
        rows = rows[rows["kind"] == Kind.SCHED_WAKING]
        for at in _last_of_each(rows["target"]):
            row = rows[at]
            self.woken[int(row["target"])] = (
                int(row["tick"]), int(row["time"]), int(row["task"]), int(row["position"])
            )  # fmt: skip

    def add_exits(self, batch: Batch, per_tick: int) -> None:
        rows = batch.rows(Table.TASK, per_tick)
        self.exited.update(rows["task"][rows["kind"] == Kind.SCHED_EXIT].tolist())


def _last_of_each(values: np.ndarray) -> list[int]:
    """Place of the last occurrence of each value."""
    _, first = np.unique(values[::-1], return_index=True)
    return [len(values) - 1 - int(at) for at in first]
