"""Order by locks: a critical section comes after all those before it that exclude it.

Spinlocks, rwlocks, mutexes, rwsems and semaphores alike; what completions, wait queues and work
queues order, they order by the spinlock inside. Also who holds what, for reports.
"""

from __future__ import annotations

from wdbg.analysis.races.order import Order
from wdbg.trace.events import LOCK_KIND_BITS, LOCK_KIND_SHIFT, LockFlag, LockKind

ORDERING = frozenset(
    {
        LockKind.SPINLOCK, LockKind.RAW_SPINLOCK, LockKind.RWLOCK, LockKind.MUTEX,
        LockKind.RT_MUTEX, LockKind.RWSEM, LockKind.PERCPU_RWSEM, LockKind.SEMAPHORE,
        LockKind.WW_MUTEX, LockKind.BIT_SPINLOCK, LockKind.UNKNOWN,
    }
)  # fmt: skip
"""Kinds whose acquirer comes after the last release. Read sections of RCU order nothing by
themselves (`grace`), others wait for nobody who holds them."""

Held = tuple[tuple[int, int, int, int], ...]
"""Locks that a context holds, the first taken first: (address, kind, READ or 0, class)."""


def kind_of(flags: int) -> int:
    """The `LockKind` in a lock event's flags."""
    return flags >> LOCK_KIND_SHIFT & (1 << LOCK_KIND_BITS) - 1


class Locks:
    """Feeds acquisitions and releases to the order."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self.held: dict[int, Held] = {}
        """By context's place."""

    def acquired(self, place: int, lock: int, flags: int, lock_class: int = 0) -> None:
        """The context has the lock from here on."""
        kind, read = kind_of(flags), flags & LockFlag.READ
        if kind in ORDERING or kind == LockKind.RCU:
            self.held[place] = (*self.held.get(place, ()), (lock, kind, int(read), lock_class))
        if kind in ORDERING:
            self._order.acquire(place, ("lock", lock))
            if not read:
                self._order.acquire(place, ("readers", lock))

    def released(self, place: int, lock: int, flags: int) -> None:
        """The context, or another one that took it, lets go of the lock."""
        kind, read = kind_of(flags), flags & LockFlag.READ
        if kind in ORDERING:
            if read:
                self._order.release(place, ("readers", lock), add=True)
            else:
                self._order.release(place, ("lock", lock), add=True)
        if not self._drop(place, lock):
            for other in self.held:  # a run queue's lock goes from task to task
                if self._drop(other, lock):
                    break

    def _drop(self, place: int, lock: int) -> bool:
        held = self.held.get(place, ())
        for at in range(len(held) - 1, -1, -1):
            if held[at][0] == lock:
                self.held[place] = held[:at] + held[at + 1 :]
                return True
        return False
