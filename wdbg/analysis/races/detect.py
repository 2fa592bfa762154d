"""Predicted races: goes over a trace, follows the order, and asks the shadow of each access."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wdbg.analysis.races.atomics import Atomics
from wdbg.analysis.races.grace import RCU_SOFTIRQ, GracePeriods
from wdbg.analysis.races.interrupts import Interrupts
from wdbg.analysis.races.locks import Locks, kind_of
from wdbg.analysis.races.order import Order
from wdbg.analysis.races.sequences import Sequences
from wdbg.analysis.races.shadow import Access, Shadow
from wdbg.analysis.races.sites import Sites
from wdbg.analysis.races.stream import (
    I64,
    Accesses,
    Layout,
    Mask,
    Stream,
    Usage,
    batches,
    spread,
    usage,
)
from wdbg.analysis.races.tasks import Tasks
from wdbg.trace.batch import Batch
from wdbg.trace.events import MEM_OP_SHIFT, Kind, LockFlag, LockKind, MemFlag, MemOp, Table
from wdbg.trace.reader import Trace

MAX_PAIRS = 10_000
"""Different pairs of sites that are kept."""

_LOCK, _SWITCH, _FORK, _SOFTIRQ, _WAKE, _ACCESS = range(6)
_WRITE, _READ, _MARKED = int(MemFlag.WRITE), int(MemFlag.READ), int(MemFlag.MARKED)
_FENCE = int(MemOp.FENCE)
"""As plain numbers, which are faster."""

_Row = tuple[int, ...]
"""Number of the event in its batch, tick, CPU, task, context, position, address, size, flags,
value, control."""


@dataclass(slots=True)
class Race:
    """Two sites that race: the first pair of accesses, and how often there were others."""

    first: Access
    second: Access | None
    """None: not known."""
    count: int = 1
    old: bytes = b""
    new: bytes = b""
    """The first access's bytes before and after, where that is known; no new ones: unchanged."""

    @property
    def accesses(self) -> tuple[Access, ...]:
        """Those that are known."""
        return (self.first,) if self.second is None else (self.first, self.second)


class Detector:
    """The second pass."""

    def __init__(self, sites: Sites) -> None:
        self.sites = sites
        self.order = order = Order()
        self.races: dict[tuple[int, int], Race] = {}
        self.accesses = 0
        """Accesses in the trace."""
        self.examined = 0
        """Those that were looked at one by one."""
        self.per_cpu: dict[int, int] = {}
        """See `Stream.per_cpu`."""
        self._sequences = Sequences(sites)
        self._locks = Locks(order)
        self._atomics = Atomics(order)
        self._interrupts = Interrupts(order)
        self._tasks = Tasks(order)
        self._grace = GracePeriods(order)
        self._shadow = Shadow(order)
        self._base = 0
        self._cpus: set[int] = set()

    def run(self, trace: Trace, layout: Layout) -> list[Race]:
        """All races of a trace, in the order of their second accesses."""
        used = usage(trace, layout)
        stream = Stream(trace, layout)
        self._locks = Locks(self.order, stream.schedulers_lock)
        for batch in batches(trace):
            self._batch(batch, stream, used)
            self._base += len(batch)
        self.per_cpu = stream.per_cpu
        return sorted(self.races.values(), key=lambda race: race.accesses[-1].seq)

    def _batch(self, batch: Batch, stream: Stream, used: Usage) -> None:
        new = sorted(set(np.unique(batch.runs["cpu"]).tolist()) - self._cpus)
        started = sorted((int(np.flatnonzero(batch.cpu() == cpu)[0]), cpu) for cpu in new)
        for seq, what, row in _merged(batch, stream, used, self):
            while started and seq >= started[0][0]:
                at, cpu = started.pop(0)
                if self._cpus:
                    self._tasks.cpu_started(int(batch.task()[at]))
                self._cpus.add(cpu)
            if what == _ACCESS:
                self._access(*row)
            elif what == _LOCK:
                self._lock(*row)
            elif what == _SWITCH:
                self._tasks.switch(*row)
            elif what == _FORK:
                task, cpu, child = row
                self._tasks.fork(self._interrupts.context(task, cpu), child)
            elif what == _WAKE:
                task, cpu, target = row
                self._tasks.wake(self._interrupts.context(task, cpu), target)
            else:
                self._grace.callbacks(self._place(*row))

    def _place(self, task: int, cpu: int) -> int:
        return self.order.place(self._interrupts.context(task, cpu))

    def _lock(self, task: int, cpu: int, kind: int, lock: int, flags: int, cls: int) -> None:
        place = self._place(task, cpu)
        if kind == Kind.LOCK_RELEASE:
            if kind_of(flags) == LockKind.RCU:
                self._grace.read_ended(place)
            self._locks.released(place, lock, flags)
        elif kind == Kind.LOCK_ACQUIRED or flags & LockFlag.SUCCESS:
            self._locks.acquired(place, lock, flags, cls)

    def _access(self, row: _Row, words: Sequence[tuple[int, int]]) -> None:
        cpu, task, context, position, address, flags = (
            row[2],
            row[3],
            row[4],
            row[5],
            row[6],
            row[8],
        )
        control = row[10]
        if control:
            if control == 1:
                self._interrupts.count(task, cpu, row[9])
            else:
                self._interrupts.irqs(task, cpu, row[9])
            return
        self.examined += 1
        place = self.order.place(context)
        marked = flags & _MARKED != 0
        atomic = self._sequences.atomic(place, position) or marked
        if words and not self.sites.meant_to_race(position):
            write = flags & _WRITE != 0
            known = (row, self._base, self._locks.held.get(place, ()), self._interrupts.state(task))
            for word, mask in words:
                for before in self._shadow.access(word, mask, place, write, atomic, known):
                    self._found(before, known)
        if marked:
            self._marked(place, address, position, flags)

    def _marked(self, place: int, address: int, position: int, flags: int) -> None:
        if flags >> MEM_OP_SHIFT == _FENCE:
            self._atomics.fence(place, self.sites.fence(position))
            return
        reads, writes = flags & _READ != 0, flags & _WRITE != 0
        order = self.sites.order(position, reads=reads, writes=writes)
        if reads and writes:
            self._atomics.update(place, address, order)
        elif writes:
            self._atomics.store(place, address, order)
        else:
            self._atomics.load(place, address, order)

    def _found(self, before: Any, now: Any) -> None:
        if self._locks.exclude(before[2], now[2]):
            return
        key = (before[0][5], now[0][5])
        race = self.races.get(key) or self.races.get((key[1], key[0]))
        if race is not None:
            race.count += 1
        elif len(self.races) < MAX_PAIRS:
            self.races[key] = Race(_access_of(before), _access_of(now))


def _access_of(known: Any) -> Access:
    row, base, held, (count, off) = known
    seq, tick, cpu, task, context, position, address, size, flags, value, _ = row
    return Access(
        base + seq, tick, cpu, task, context, position, address, size, flags, value, held,
        bool(off), count,
    )  # fmt: skip


def _merged(
    batch: Batch, stream: Stream, used: Usage, detector: Detector
) -> Iterator[tuple[int, int, tuple[Any, ...]]]:
    """What is to be looked at of a batch, in order: (number of the event, what, arguments)."""
    rows: list[tuple[int, int, tuple[Any, ...]]] = []
    task, cpu = batch.task(), batch.cpu()
    for table, what in ((Table.LOCK, _LOCK), (Table.SWITCH, _SWITCH), (Table.TASK, _FORK),
                        (Table.IRQ, _SOFTIRQ), (Table.WAKE, _WAKE)):  # fmt: skip
        places = batch.places(table)
        if not len(places):
            continue
        columns = batch.tables[table]
        kinds = batch.kind[places]
        who = zip(places.tolist(), task[places].tolist(), cpu[places].tolist(), strict=True)
        if table is Table.LOCK:
            extra = zip(
                kinds.tolist(), columns["lock"].tolist(), columns["flags"].tolist(),
                columns["lock_class"].tolist(), strict=True,
            )  # fmt: skip
            rows += [(s, what, (t, c, *e)) for (s, t, c), e in zip(who, extra, strict=True)]
        elif table is Table.SWITCH:
            pairs = zip(columns["prev"].tolist(), columns["next"].tolist(), strict=True)
            rows += [(s, what, pair) for (s, _, _), pair in zip(who, pairs, strict=True)]
        elif table is Table.WAKE:
            rows += [
                (s, what, (t, c, target))
                for (s, t, c), target, kind in zip(
                    who, columns["target"].tolist(), kinds.tolist(), strict=True
                )
                if kind == Kind.SCHED_WAKING
            ]
        elif table is Table.TASK:
            rows += [
                (s, what, (t, c, child))
                for (s, t, c), child, kind in zip(
                    who, columns["target"].tolist(), kinds.tolist(), strict=True
                )
                if kind == Kind.SCHED_FORK
            ]
        else:
            rows += [
                (s, what, (t, c))
                for (s, t, c), number, kind in zip(
                    who, columns["number"].tolist(), kinds.tolist(), strict=True
                )
                if kind == Kind.SOFTIRQ_ENTER and number == RCU_SOFTIRQ
            ]
    rows += _accesses(batch, stream, used, detector)
    rows.sort(key=lambda row: row[0])
    yield from rows


def _accesses(
    batch: Batch, stream: Stream, used: Usage, detector: Detector
) -> list[tuple[int, int, tuple[Any, ...]]]:
    found = stream.accesses(batch)
    detector.accesses += len(batch.places(Table.MEM))
    if found is None:
        return []
    which, words, masks = spread(found)
    marked = found.flags & _MARKED != 0
    # Marked accesses order something if somebody else uses the word, plainly or not.
    wanted = (found.control != 0) | (found.flags >> MEM_OP_SHIFT == _FENCE)
    wanted[which[marked[which] & used.shared(words, written=False)]] = True
    racy = used.shared(words) & (found.control[which] == 0)
    epochs = _epochs(found, batch, wanted)
    racy = np.flatnonzero(racy)
    racy = racy[_first_of_epoch(found, epochs, which[racy], words[racy], masks[racy])]
    wanted[which[racy]] = True
    touched: dict[int, list[tuple[int, int]]] = {}
    for number, word, mask in zip(
        which[racy].tolist(), words[racy].tolist(), masks[racy].tolist(), strict=True
    ):
        touched.setdefault(number, []).append((word, mask))
    kept = np.flatnonzero(wanted)
    columns = [
        column[kept].tolist()
        for column in (
            found.seq, batch.tick[found.seq].astype(np.int64), found.cpu, found.task,
            found.context, found.position, found.address, found.size, found.flags, found.value,
            found.control,
        )
    ]  # fmt: skip
    rows = zip(*columns, strict=True)
    return [
        (row[0], _ACCESS, (row, touched.get(number, ())))
        for number, row in zip(kept.tolist(), rows, strict=True)
    ]


def _epochs(found: Accesses, batch: Batch, ordering: Mask) -> I64:
    """A number for each access: equal if they are of one context with nothing in between that
    could change its clock."""
    task = batch.task()
    locks = batch.places(Table.LOCK)
    switches = batch.places(Table.SWITCH)
    seqs = np.concatenate((found.seq[ordering], locks, switches)).astype(np.int64)
    who = np.concatenate((found.task[ordering], task[locks], task[switches])).astype(np.int64)
    changes = np.sort(who << 32 | seqs)
    return np.searchsorted(changes, found.task << 32 | found.seq)


def _first_of_epoch(found: Accesses, epochs: I64, which: I64, words: I64, masks: I64) -> I64:
    """Of word accesses those that are not the same again in the same epoch."""
    kinds = found.flags[which] & (_WRITE | _MARKED)
    columns = (kinds, masks, words, found.context[which], epochs[which])
    order = np.lexsort((np.arange(len(which)), *columns))
    new = np.ones(len(order), bool)
    if len(order):
        new[1:] = False
        for column in columns:
            ordered = column[order]
            new[1:] |= ordered[1:] != ordered[:-1]
    return np.sort(order[new])
