"""Order by marked accesses, as the kernel's memory model has it.

A store with release order publishes what came before it to whoever reads it with acquire order,
or through an address dependency. Relaxed accesses order nothing by themselves, but fences before
a store and after a load do. A read-modify-write continues what it read.
"""

from __future__ import annotations

import enum

from wdbg.analysis.races.order import Clock, Order


class MemoryOrder(enum.IntFlag):
    """What an atomic instruction orders."""

    RELAXED = 0
    ACQUIRE = 1
    RELEASE = 2
    FULL = 3


class Fence(enum.Enum):
    """Kinds of barriers."""

    FULL = "smp_mb"
    READS = "smp_rmb"
    WRITES = "smp_wmb"


class Atomics:
    """Feeds marked accesses and fences to the order."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._seen: dict[int, Clock] = {}
        """What relaxed loads of a context have read: a fence makes it known to it."""
        self._before_fence: dict[int, Clock] = {}
        """What a context's relaxed stores publish: all before its last fence."""

    def load(self, place: int, address: int, order: MemoryOrder) -> None:
        """A marked load."""
        carried = self._order.carried(address)
        if carried is None:
            return
        if order & MemoryOrder.ACQUIRE:
            self._order.join(place, carried)
        else:
            seen = self._seen.get(place)
            self._seen[place] = carried[0].copy() if seen is None else _most(seen, carried[0])

    def store(self, place: int, address: int, order: MemoryOrder) -> None:
        """A marked store."""
        if order & MemoryOrder.RELEASE:
            self._order.release(place, address)
        else:
            self._order.carry(address, self._before_fence.get(place))

    def update(self, place: int, address: int, order: MemoryOrder) -> None:
        """A read-modify-write operation."""
        self.load(place, address, order)
        if order & MemoryOrder.RELEASE:
            self._order.release(place, address, add=True)
            return
        before = self._before_fence.get(place)
        if before is not None:
            carried = self._order.carried(address)
            self._order.carry(address, before if carried is None else _most(before, carried[0]))

    def fence(self, place: int, kind: Fence) -> None:
        """A barrier."""
        order = self._order
        if kind is not Fence.WRITES:
            seen = self._seen.pop(place, None)
            if seen is not None:
                order.join(place, (seen, -1, 0))
        if kind is not Fence.READS:
            clock = order.clocks[place]
            self._before_fence[place] = clock.copy()
            clock[place] += 1


def _most(one: Clock, other: Clock) -> Clock:
    """Both; clocks get longer when there are more contexts."""
    import numpy as np

    if len(one) < len(other):
        one, other = other, one
    found = one.copy()
    np.maximum(found[: len(other)], other, out=found[: len(other)])
    return found
