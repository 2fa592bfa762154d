"""Lock statistics as /proc/lock_stat has them (Documentation/locking/lockstat.rst).

Locks are put together by class, and by address where no class is known. As in the kernel, readers
and writers of a lock that has both are told apart, a wait counts only if the lock was contended,
and a bounce is an acquisition or contention on another CPU than that of the acquisition before.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from wdbg.trace.batch import Rows
from wdbg.trace.events import (
    LOCK_KIND_BITS,
    LOCK_KIND_SHIFT,
    Kind,
    LockFlag,
    LockKind,
    Table,
)
from wdbg.trace.lockclass import LockClasses
from wdbg.trace.locks import LockMatcher, LockTimes
from wdbg.trace.names import Names
from wdbg.trace.reader import Trace

_SHARED = frozenset({LockKind.RWLOCK, LockKind.RWSEM, LockKind.PERCPU_RWSEM})
POINTS = 4
"""Contention points that are shown of a class, as many as the kernel keeps."""


@dataclass(slots=True)
class Times:
    """Smallest, largest, sum and number of times in virtual ns."""

    least: int = 0
    most: int = 0
    total: int = 0
    count: int = 0

    def add(self, least: int, most: int, total: int, count: int) -> None:
        """More of them."""
        self.least = min(self.least, least) if self.count else least
        self.most = max(self.most, most)
        self.total += total
        self.count += count

    @property
    def average(self) -> float:
        """Mean."""
        return self.total / self.count if self.count else 0.0


@dataclass(slots=True)
class LockStat:
    """A line of /proc/lock_stat."""

    name: str
    con_bounces: int = 0
    contentions: int = 0
    wait: Times = field(default_factory=Times)
    acq_bounces: int = 0
    acquisitions: int = 0
    hold: Times = field(default_factory=Times)
    points: dict[int, int] = field(default_factory=dict)
    """Position of contended acquisitions to how many."""


class _Collector:
    def __init__(self, names: Names) -> None:
        self._names = names
        self.stats: dict[int, LockStat] = {}
        self._cpus: dict[int, int] = {}
        """Lock to the CPU of its last acquisition."""

    def feed(self, rows: Rows, times: LockTimes) -> None:
        group = _groups(rows)
        self._declare(rows, group)
        bounced = self._bounces(rows, times)
        contended = rows["kind"] == Kind.LOCK_CONTENDED
        for name, mask in (
            ("acquisitions", times.taken),
            ("acq_bounces", times.taken & bounced),
            ("contentions", contended),
            ("con_bounces", contended & bounced),
        ):
            for key, count in _counted(group[mask]):
                stat = self.stats[key]
                setattr(stat, name, getattr(stat, name) + count)
        waited = times.contended
        _sum(self.stats, "wait", group[waited], (rows["time"] - times.asked)[waited])
        held = times.known
        _sum(self.stats, "hold", group[held], (rows["time"] - times.held_since)[held])
        places = times.caller[contended]
        for key, position in zip(group[contended].tolist(), places.tolist(), strict=True):
            points = self.stats[key].points
            points[position] = points.get(position, 0) + 1

    def _declare(self, rows: Rows, group: npt.NDArray[np.uint64]) -> None:
        different, first = np.unique(group, return_index=True)
        chosen = rows[first]
        names = self._names.lock_names(chosen["lock"], chosen["lock_class"])
        for key, row, name in zip(different.tolist(), chosen, names, strict=True):
            if key not in self.stats:
                kind = _kind(int(row["flags"]))
                if kind is LockKind.RCU and not int(row["lock"]):
                    name = "rcu_read_lock"
                elif name.startswith("0x") and kind is not LockKind.UNKNOWN:
                    name = f"{kind.name.lower()} {name}"
                if kind in _SHARED:
                    name += "-R" if int(row["flags"]) & LockFlag.READ else "-W"
                self.stats[key] = LockStat(name)

    def _bounces(self, rows: Rows, times: LockTimes) -> npt.NDArray[np.bool_]:
        """Events on another CPU than that of the acquisition before."""
        order = np.argsort(rows["lock"], kind="stable")
        lock, cpu = rows["lock"][order], rows["cpu"][order].astype(np.int64)
        taken = times.taken[order]
        here = np.arange(len(rows))
        first = np.ones(len(rows), bool)
        first[1:] = lock[1:] != lock[:-1]
        group = np.maximum.accumulate(np.where(first, here, 0))
        latest = np.maximum.accumulate(np.where(taken, here, -1))
        before = np.concatenate(([-1], latest[:-1]))
        inside = before >= group
        different, which = np.unique(lock, return_inverse=True)
        earlier = np.array([self._cpus.get(one, -1) for one in different.tolist()], np.int64)
        previous = np.where(inside, cpu[np.maximum(before, 0)], earlier[which])
        bounced = np.zeros(len(rows), bool)
        bounced[order] = (previous >= 0) & (previous != cpu)
        self._cpus.update(zip(lock[taken].tolist(), cpu[taken].tolist(), strict=True))
        return bounced


def lock_stats(trace: Trace, names: Names) -> list[LockStat]:
    """The lines, most contentions first, then most acquisitions."""
    matcher, collector, classes = LockMatcher(), _Collector(names), LockClasses()
    for batch in trace.batches((Table.LOCK, Table.LOST)):
        if Table.LOST in batch.tables:
            matcher.forget()
        if Table.LOCK in batch.tables:
            rows = batch.rows(Table.LOCK, trace.header.ns_per_tick)
            classes.fill(rows)
            collector.feed(rows, matcher.feed(rows))
    found = [stat for stat in collector.stats.values() if stat.acquisitions or stat.contentions]
    return sorted(found, key=lambda stat: (-stat.contentions, -stat.acquisitions))


def _groups(rows: Rows) -> npt.NDArray[np.uint64]:
    """A number for what each event is counted under: class or address, and sharing."""
    flags = rows["flags"]
    kinds = flags >> np.uint32(LOCK_KIND_SHIFT) & np.uint32((1 << LOCK_KIND_BITS) - 1)
    shared = np.isin(kinds, list(_SHARED)) & (flags & LockFlag.READ != 0)
    known = rows["lock_class"] != 0
    what = np.where(known, rows["lock_class"], rows["lock"]).astype(np.uint64)
    found: npt.NDArray[np.uint64] = (
        what | known.astype(np.uint64) << np.uint64(32) | shared.astype(np.uint64) << np.uint64(33)
    )
    # Read sections of RCU have no lock: tell them from other events of address 0.
    found |= (kinds == LockKind.RCU).astype(np.uint64) << np.uint64(34)
    return found


def _kind(flags: int) -> LockKind:
    try:
        return LockKind(flags >> LOCK_KIND_SHIFT & (1 << LOCK_KIND_BITS) - 1)
    except ValueError:
        return LockKind.UNKNOWN


def _counted(group: npt.NDArray[np.uint64]) -> list[tuple[int, int]]:
    keys, counts = np.unique(group, return_counts=True)
    return list(zip(keys.tolist(), counts.tolist(), strict=True))


def _sum(
    stats: dict[int, LockStat],
    name: str,
    group: npt.NDArray[np.uint64],
    took: npt.NDArray[np.uint64],
) -> None:
    if not len(group):
        return
    order = np.argsort(group, kind="stable")
    keys, starts, counts = np.unique(group[order], return_index=True, return_counts=True)
    times = took[order].astype(np.int64)
    for key, least, most, total, count in zip(
        keys.tolist(),
        np.minimum.reduceat(times, starts).tolist(),
        np.maximum.reduceat(times, starts).tolist(),
        np.add.reduceat(times, starts).tolist(),
        counts.tolist(),
        strict=True,
    ):
        getattr(stats[key], name).add(least, most, total, count)
