"""Order by locks: a critical section comes after all those before it that exclude it.

Spinlocks, rwlocks, mutexes, rwsems and semaphores alike; what completions, wait queues and work
queues order, they order by the spinlock inside. Also who holds what, for reports.

Locks of the scheduler are taken by whoever looks for work, wakes somebody or goes to sleep; if they
ordered all that was done before, next to nothing would race. They exclude, but order nothing else:
what a wake-up or a switch orders is told by `tasks`.
"""

from __future__ import annotations

from collections.abc import Callable

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

    def __init__(self, order: Order, scheduler: Callable[[int], bool] | None = None) -> None:
        """`scheduler`: whether a lock, by its address, is one of the scheduler's."""
        self._order = order
        self._is_schedulers = scheduler or (lambda _lock: False)
        self._schedulers: dict[int, bool] = {}
        self.held: dict[int, Held] = {}
        """By context's place."""

    def acquired(self, place: int, lock: int, flags: int, lock_class: int = 0) -> None:
        """The context has the lock from here on."""
        kind, read = kind_of(flags), flags & LockFlag.READ
        if kind in ORDERING or kind == LockKind.RCU:
            self.held[place] = (*self.held.get(place, ()), (lock, kind, int(read), lock_class))
        if kind in ORDERING and not self.schedulers(lock):
            self._order.acquire(place, ("lock", lock))
            if not read:
                self._order.acquire(place, ("readers", lock))

    def released(self, place: int, lock: int, flags: int) -> None:
        """The context, or another one that took it, lets go of the lock."""
        kind, read = kind_of(flags), flags & LockFlag.READ
        if kind in ORDERING and not self.schedulers(lock):
            if read:
                self._order.release(place, ("readers", lock), add=True)
            else:
                self._order.release(place, ("lock", lock), add=True)
        if not self._drop(place, lock):
            for other in self.held:  # a run queue's lock goes from task to task
                if self._drop(other, lock):
                    break

    def schedulers(self, lock: int) -> bool:
        """Whether it is one of the scheduler's locks."""
        found = self._schedulers.get(lock)
        if found is None:
            found = self._schedulers[lock] = self._is_schedulers(lock)
        return found

    def exclude(self, one: Held, other: Held) -> bool:
        """Whether a lock of the scheduler's that both hold keeps two accesses apart."""
        common = {lock[0] for lock in one} & {lock[0] for lock in other}
        return any(self.schedulers(lock) for lock in common)

    def _drop(self, place: int, lock: int) -> bool:
        held = self.held.get(place, ())
        for at in range(len(held) - 1, -1, -1):
            if held[at][0] == lock:
                self.held[place] = held[:at] + held[at + 1 :]
                return True
        return False
