"""Leaves out what the engine has seen before, without a Python loop over events.

Between two moments at which a task holds nothing lies a *section*: what it took and gave back,
and what else happened to it. What the engine learns from a section depends on classes, flags and
order alone. So sections are hashed, all of a batch at once, and only new ones are fed, each for
the first two tasks that run it. A section that is cut by the end of a batch is always fed, so what
a task holds according to the engine is right whenever a batch begins.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from wdbg.analysis.lockdep.engine import Engine
from wdbg.analysis.lockdep.steps import HALF_SEEN
from wdbg.trace.batch import Batch
from wdbg.trace.events import (
    LOCK_KIND_BITS,
    LOCK_KIND_SHIFT,
    LOCK_NOTE_MASK,
    LOCK_SUBCLASS_BITS,
    LOCK_SUBCLASS_SHIFT,
    Kind,
    LockFlag,
    LockKind,
    LockNote,
    Table,
)

U64 = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]

_PRIMITIVE = np.uint32(((1 << LOCK_KIND_BITS) - 1) << LOCK_KIND_SHIFT)
_SUBCLASS = ((1 << LOCK_SUBCLASS_BITS) - 1) << LOCK_SUBCLASS_SHIFT
_STATE = (
    LockFlag.IRQS_OFF | LockFlag.BH_OFF | LockFlag.IN_HARDIRQ | LockFlag.IN_SOFTIRQ
    | LockFlag.STATE_KNOWN | LockFlag.THREADED
)  # fmt: skip
_HOW = np.uint32(
    LockFlag.READ | LockFlag.RECURSIVE | LockFlag.TRY | LockFlag.NESTED | LockFlag.CHECKED
    | _STATE | _SUBCLASS
)  # fmt: skip
_C = [np.uint64(c) for c in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)]
_POWER = np.uint64(0xD6E8FEB86659FD93)
_POWERS = np.cumprod(np.full(1 << 12, _POWER, np.uint64))
_WAITS = (LockKind.SEMAPHORE, LockKind.COMPLETION, LockKind.WAIT_QUEUE)
_ALWAYS = (
    LockNote.MISUSE, LockNote.RCU, LockNote.SLEEPS, LockNote.SET_CLASS, LockNote.DOWNGRADE,
    LockNote.FREE_KEYS,
)  # fmt: skip
"""Notes that are fed wherever they are."""
_INSIDE = (LockNote.HARDIRQS_ON, LockNote.SOFTIRQS_ON, LockNote.PIN, LockNote.UNPIN)
"""Notes that say something only of a task that holds a lock."""


def _mix(value: U64) -> U64:
    """A number of which every bit depends on every bit."""
    value = (value ^ value >> np.uint64(30)) * _C[1]
    value = (value ^ value >> np.uint64(27)) * _C[2]
    found: U64 = value ^ value >> np.uint64(31)
    return found


class Novelty:
    """Chooses the events of batches that an engine has to see."""

    def __init__(self, *, annotated: bool) -> None:
        self._annotated = annotated
        self._known = Known()
        self._open: dict[int, int] = {}
        """Group (task * 4 + interrupt context) to the locks it held when the last batch ended."""
        self._owners: dict[int, int] = {}
        """Spinning lock without annotation to the task that holds it."""
        self._asked: set[int] = set()
        """Task << 32 | lock without annotation that it waits for."""

    def forget(self) -> None:
        """Events were lost: nobody holds anything that is known."""
        self._open.clear()
        self._owners.clear()
        self._asked.clear()

    def choose(self, batch: Batch, *, sure: bool) -> Mask:
        """Which events of the batch are to be fed. `sure`: all tasks are known to the last lock, so
        that nothing can be learnt of their beginnings and ends."""
        events = _Events(len(batch))
        self._locks(batch, events)
        _notes(batch, events, sure)
        _tasks(batch, events, sure)
        return self._sections(events)

    def after(self, engine: Engine, fed: Mask, batch: Batch) -> None:
        """The chosen events have been fed."""
        tasks = np.unique(batch.task()[fed]).tolist()
        self._asked.clear()
        for number in {*tasks, *(group >> 2 for group in self._open)}:
            task = engine.task(number)
            waits = engine.asked(number)
            self._asked.update(number << 32 | lock for lock in waits)
            counts = [len(waits), 0, 0, 0]
            for each in task.held:
                counts[each.context if self._annotated else 0] += max(1, each.references)
            for context, count in enumerate(counts):
                group = number << 2 | context
                if count:
                    self._open[group] = count
                else:
                    self._open.pop(group, None)

    # ---- events --------------------------------------------------------------------------------

    def _locks(self, batch: Batch, events: _Events) -> None:
        columns = batch.tables.get(Table.LOCK)
        if columns is None:
            return
        places = batch.places(Table.LOCK)
        kind = batch.kind[places]
        flags = columns["flags"].astype(np.uint32, copy=False)
        lock = columns["lock"].astype(np.uint64)
        plain = flags & _PRIMITIVE != 0
        primitive = (flags & _PRIMITIVE) >> np.uint32(LOCK_KIND_SHIFT)
        keep = (kind != Kind.LOCK_CONTENDED) & ~np.isin(primitive, HALF_SEEN)
        if self._annotated:
            keep &= ~plain | np.isin(primitive, _WAITS)
            # An acquisition's end, and what is initialised, tell nothing new of annotated locks.
            keep &= plain | ((kind != Kind.LOCK_ACQUIRED) & (kind != Kind.LOCK_INIT))
        else:
            keep &= plain
        if not keep.all():
            places, kind, flags, lock = places[keep], kind[keep], flags[keep], lock[keep]
            plain = plain[keep]
            key = columns["lock_class"][keep].astype(np.uint64)
        else:
            key = columns["lock_class"].astype(np.uint64)
        task = batch.task()[places]
        taken = (kind == Kind.LOCK_TRY) & (flags & np.uint32(LockFlag.SUCCESS) != 0)
        weight = (taken | (kind == Kind.LOCK_ACQUIRE)).astype(np.int64)
        weight[plain & (kind == Kind.LOCK_ACQUIRED)] = 1
        released = kind == Kind.LOCK_RELEASE
        weight[released] = -1
        if plain.any():
            task = self._plain(kind, flags, lock, task, weight, plain)
        identity = np.where(plain | (key == 0), lock, key)
        how = flags & np.where(plain, ~np.uint32(0), _HOW)
        how[released & ~plain] = 0
        code = _mix(identity * _C[0] + how.astype(np.uint64) * _C[1] + kind.astype(np.uint64))
        # Interrupts have sections of their own, where the events tell that they are interrupts'.
        context = flags >> np.uint32(7) & np.uint32(3)
        context[plain | (flags & np.uint32(LockFlag.STATE_KNOWN) == 0)] = 0
        events.put(places, task << np.uint32(2) | context, code, weight)
        events.sums[places] = _mix(lock) * weight.view(np.uint64)
        events.must[places[flags & np.uint32(LockFlag.NESTED) != 0]] = True
        if plain.any():
            events.must[places[plain & (kind == Kind.LOCK_INIT)]] = True
        freed = batch.tables.get(Table.LOCK_NOTE)
        if freed is not None:
            _freed(batch, freed, np.unique(lock[weight > 0]), events)

    def _plain(
        self,
        kind: npt.NDArray[np.uint8],
        flags: npt.NDArray[np.uint32],
        lock: U64,
        task: npt.NDArray[np.uint32],
        weight: npt.NDArray[np.int64],
        plain: Mask,
    ) -> npt.NDArray[np.uint32]:
        """Weights of locks without annotation, and the tasks that they count for: a spinning lock
        may be released by another task than took it (the run queue's is handed over)."""
        primitive = (flags & _PRIMITIVE) >> np.uint32(LOCK_KIND_SHIFT)
        signalled = np.isin(primitive, (LockKind.COMPLETION, LockKind.WAIT_QUEUE, LockKind.FUTEX))
        weight[signalled] = 0
        task = task.copy()
        spin = np.flatnonzero(
            plain & (weight != 0) & (kind != Kind.LOCK_ACQUIRE)
            & (flags & np.uint32(LockFlag.READ) == 0)
            & np.isin(primitive, (LockKind.SPINLOCK, LockKind.RWLOCK))
        )  # fmt: skip
        order = spin[np.argsort(lock[spin], kind="stable")]
        same = np.zeros(len(order), bool)
        same[1:] = lock[order][1:] == lock[order][:-1]
        up = weight[order] > 0
        follows = np.flatnonzero(same & ~up)
        follows = follows[up[follows - 1]]
        task[order[follows]] = task[order[follows - 1]]
        for at in np.flatnonzero(~same & ~up).tolist():
            owner = self._owners.get(int(lock[order[at]]))
            if owner is not None:
                task[order[at]] = owner
        last = np.append(~same[1:], True) if len(order) else np.zeros(0, bool)
        for at in np.flatnonzero(last).tolist():
            address = int(lock[order[at]])
            if up[at]:
                self._owners[address] = int(task[order[at]])
            else:
                self._owners.pop(address, None)
        # A section lasts from where the first lock is asked for: what comes before it has it counts
        # no more then, and giving up releases what was asked for.
        rows = np.flatnonzero(plain & np.isin(kind, (
            Kind.LOCK_ACQUIRE, Kind.LOCK_ACQUIRED, Kind.LOCK_RELEASE, Kind.LOCK_TRY)))  # fmt: skip
        who = task[rows].astype(np.uint64) << np.uint64(32) | lock[rows]
        order = np.argsort(who, kind="stable")
        who, kinds = who[order], kind[rows][order]
        got = kinds == Kind.LOCK_ACQUIRED
        asked = np.zeros(len(order), bool)
        asked[1:] = (who[1:] == who[:-1]) & (kinds[:-1] == Kind.LOCK_ACQUIRE)
        first = np.ones(len(order), bool)
        first[1:] = who[1:] != who[:-1]
        for at in np.flatnonzero(first & got).tolist():
            asked[at] = int(who[at]) in self._asked
        weight[rows[order[got & asked]]] = 0
        weight[signalled] = 0
        return task

    # ---- sections ------------------------------------------------------------------------------

    def _sections(self, events: _Events) -> Mask:
        fed = np.zeros(events.size, bool)
        used = np.flatnonzero(events.used)
        if not len(used):
            return fed
        group = events.group[used]
        order = np.argsort(_narrow(group), kind="stable")
        used, group = used[order], group[order]
        first = np.ones(len(used), bool)
        first[1:] = group[1:] != group[:-1]
        starts = np.flatnonzero(first)
        which = np.cumsum(first) - 1
        groups = group[starts].tolist()
        base = np.array([self._open.get(each, 0) for each in groups], np.int64)
        weight = events.weight[used]
        total = np.cumsum(weight)
        depth = total - (total - weight)[starts][which] + base[which]
        before = depth - weight
        broken = np.zeros(len(groups), bool)
        broken[which[depth < 0]] = True
        begins = first.copy()
        begins[1:] |= depth[:-1] == 0
        at = np.flatnonzero(begins)
        section = np.cumsum(begins) - 1
        ends = np.append(at[1:], len(used)) - 1
        length = ends - at + 1
        # Of a task that holds nothing, many notes say nothing.
        empty = (length == 1) & (before[at] == 0) & (depth[ends] == 0) & events.inside[used][at]
        whole = (before[at] == 0) & (depth[ends] == 0) & (length < len(_POWERS))
        place = np.minimum(np.arange(len(used)) - at[section], len(_POWERS) - 1)
        digest = np.add.reduceat(events.code[used] * _POWERS[place], at)
        whole &= np.add.reduceat(events.sums[used], at) == 0
        whole &= ~np.logical_or.reduceat(events.must[used], at)
        whole &= ~broken[which[at]]
        task = (group[at] >> np.uint32(2)).astype(np.int64)
        new = np.ones(len(at), bool)
        new[whole] = self._known.add(digest[whole], task[whole])
        new &= ~empty
        fed[used[new[section]]] = True
        return fed


class Known:
    """Digests of sections, each with the task that ran it first; or -1 once two have."""

    def __init__(self) -> None:
        self._digests = np.zeros(0, np.uint64)
        self._tasks = np.zeros(0, np.int64)

    def __len__(self) -> int:
        return len(self._digests)

    def add(self, digests: U64, tasks: npt.NDArray[np.int64]) -> Mask:
        """Note sections; returns which of them are to be looked at."""
        at = np.searchsorted(self._digests, digests)
        at_most = np.minimum(at, max(len(self._digests) - 1, 0))
        if len(self._digests):
            found = self._digests[at_most] == digests
            other = found & (self._tasks[at_most] >= 0) & (self._tasks[at_most] != tasks)
        else:
            found = other = np.zeros(len(digests), bool)
        # By another task than the first one: the first such in this batch, that is enough.
        second, where = np.unique(at_most[other], return_index=True)
        look = np.zeros(len(digests), bool)
        look[np.flatnonzero(other)[where]] = True
        self._tasks[second] = -1
        fresh = np.flatnonzero(~found)
        if not len(fresh):
            return look
        both = _mix(digests[fresh] + tasks[fresh].astype(np.uint64) * _C[0])
        _, once = np.unique(both, return_index=True)  # the first of each digest and task
        look[fresh[once]] = True
        values, place, count = np.unique(
            digests[fresh[once]], return_index=True, return_counts=True
        )
        first = np.where(count > 1, -1, tasks[fresh[once]][place])
        spots = np.searchsorted(self._digests, values)
        self._digests = np.insert(self._digests, spots, values)
        self._tasks = np.insert(self._tasks, spots, first)
        return look


class _Events:
    """What is known of the events of a batch, by their number in it."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.used = np.zeros(size, bool)
        self.group = np.zeros(size, np.uint32)
        self.code = np.zeros(size, np.uint64)
        self.weight = np.zeros(size, np.int64)
        self.sums = np.zeros(size, np.uint64)
        """Of a section that gives back the very locks that it took they add up to 0."""
        self.must = np.zeros(size, bool)
        """Its section is fed, known or not."""
        self.inside = np.zeros(size, bool)
        """Says nothing of a task that holds nothing."""

    def put(self, places: npt.NDArray[Any], group: npt.NDArray[np.uint32], code: U64,
            weight: npt.NDArray[np.int64] | None = None) -> None:  # fmt: skip
        self.used[places] = True
        self.group[places] = group
        self.code[places] = code
        if weight is not None:
            self.weight[places] = weight


def _narrow(group: npt.NDArray[np.uint32]) -> npt.NDArray[Any]:
    """The same order in fewer bits: numpy sorts 16-bit numbers much faster."""
    return group.astype(np.uint16) if len(group) and int(group.max()) < 1 << 16 else group


def _notes(batch: Batch, events: _Events, sure: bool) -> None:
    columns = batch.tables.get(Table.LOCK_NOTE)
    if columns is None:
        return
    places = batch.places(Table.LOCK_NOTE)
    flags = columns["flags"].astype(np.uint32, copy=False)
    what = flags & np.uint32(LOCK_NOTE_MASK)
    wanted = np.isin(what, (*_ALWAYS, *_INSIDE, LockNote.NONE_HELD))
    places, flags, what = places[wanted], flags[wanted], what[wanted]
    context = flags >> np.uint32(7) & np.uint32(3)
    context[flags & np.uint32(LockFlag.STATE_KNOWN) == 0] = 0
    code = _mix((flags & np.uint32(LOCK_NOTE_MASK | _STATE)).astype(np.uint64) * _C[2])
    events.put(places, batch.task()[places] << np.uint32(2) | context, code)
    events.must[places[np.isin(what, _ALWAYS)]] = True
    inside = np.isin(what, _INSIDE)
    if sure:
        inside |= what == LockNote.NONE_HELD
    else:
        events.must[places[what == LockNote.NONE_HELD]] = True
    events.inside[places[inside]] = True


def _freed(batch: Batch, columns: dict[str, Any], taken: U64, events: _Events) -> None:
    """Memory that is freed counts only if a lock in it is taken in the same batch, or is held."""
    flags = columns["flags"]
    freed = np.flatnonzero((flags & LOCK_NOTE_MASK) == LockNote.FREED)
    if not len(freed):
        return
    start = columns["lock"][freed].astype(np.uint64)
    end = start + columns["value"][freed].astype(np.uint64)
    hit = np.searchsorted(taken, start) < np.searchsorted(taken, end)
    places = batch.places(Table.LOCK_NOTE)[freed[hit]]
    if len(places):
        context = flags[freed[hit]].astype(np.uint32) >> np.uint32(7) & np.uint32(3)
        events.put(places, batch.task()[places] << np.uint32(2) | context, np.ones(1, np.uint64))
        events.must[places] = True


def _tasks(batch: Batch, events: _Events, sure: bool) -> None:
    """Switches, ends and beginnings of tasks."""
    columns = batch.tables.get(Table.SWITCH)
    if columns is not None:
        slept = np.flatnonzero(columns["prev_state"])
        places = batch.places(Table.SWITCH)[slept]
        group = columns["prev"][slept].astype(np.uint32) << np.uint32(2)
        events.put(places, group, np.full(1, _C[0]))
        events.inside[places] = True
    for table, wanted in ((Table.TASK, Kind.SCHED_EXIT), (Table.SYSCALL_EXIT, Kind.SYSCALL_EXIT)):
        if table in batch.tables:
            places = batch.places(table)
            places = places[batch.kind[places] == wanted]
            events.put(places, batch.task()[places] << np.uint32(2), np.full(1, _C[1]))
            events.inside[places] = True
            if not sure:
                events.must[places] = True
    if not sure and Table.TASK in batch.tables:
        places = batch.places(Table.TASK)
        places = places[batch.kind[places] == Kind.SCHED_FORK]
        events.put(places, batch.task()[places] << np.uint32(2), np.full(1, _C[2]))
        events.must[places] = True
