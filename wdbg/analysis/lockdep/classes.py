"""Which class a lock belongs to.

Annotated locks: the key and the subclass, as lockdep does; a static lock without a key is a class
of its own; copies of a per-CPU lock, which have no key either, have their name in common.

Without annotations two locks are never put together: nothing tells which nestings of locks of one
kind are meant to be (parent and child, lower address first ...), so only what happens to one and
the same lock is accused. A lock that is initialised again begins a new life.
"""

from __future__ import annotations

from wdbg.analysis.lockdep.model import LockClass, Source
from wdbg.trace.events import LockKind

SPIN, SLEEP = 2, 3
"""Wait types of locks without annotation: enum lockdep_wait_type without PROVE_RAW_LOCK_NESTING."""
FREE = 1
_SLEEPING = frozenset(
    {
        LockKind.MUTEX, LockKind.RT_MUTEX, LockKind.RWSEM, LockKind.PERCPU_RWSEM,
        LockKind.SEMAPHORE, LockKind.WW_MUTEX, LockKind.COMPLETION, LockKind.PAGE_LOCK,
    }
)  # fmt: skip


def sleeps(kind: LockKind) -> bool:
    """Whether tasks that wait for such a lock sleep."""
    return kind in _SLEEPING


class Classes:
    """All classes, by number."""

    def __init__(self, static_end: int) -> None:
        """`static_end`: static data is below; 0 if that is not known."""
        self.all: list[LockClass] = []
        self._static_end = static_end
        self._by_key: dict[tuple[int, int, int], int] = {}
        self._by_lock: dict[tuple[int, int], int] = {}
        self._born: dict[int, int] = {}
        """Lock to the position that it was last initialised at."""
        self.longest_wait = 0
        """The largest inner wait type: that of sleeping locks."""

    def annotated(self, lock: int, key: int, subclass: int, name: int, wait: int) -> LockClass:
        """The class of an annotated lock; `wait` as in the event."""
        if key:
            found = self._by_key.get((key, 0, subclass))
        else:
            static = not self._static_end or lock < self._static_end
            what = (0, lock if static else name, subclass)
            found = self._by_key.get(what)
        if found is not None:
            return self.all[found]
        outer, inner, kind = wait & 0xFF, wait >> 8 & 0xFF, wait >> 16 & 0x7F
        self.longest_wait = max(self.longest_wait, inner)
        what = (key, 0, subclass) if key else what
        number = self._by_key[what] = len(self.all)
        made = LockClass(
            number, Source.KEY if key else Source.STATIC, key or lock, subclass, name,
            LockKind.UNKNOWN, inner, outer, kind, lock,
        )  # fmt: skip
        self.all.append(made)
        return made

    def forget_keys(self, start: int, size: int) -> None:
        """Classes with keys in a range are gone; the memory may become another key."""
        gone = [what for what in self._by_key if start <= what[0] < start + size]
        for what in gone:
            del self._by_key[what]

    def plain(self, lock: int, kind: LockKind) -> LockClass:
        """The class of a lock without annotation."""
        found = self._by_lock.get((lock, kind))
        if found is not None:
            return self.all[found]
        number = self._by_lock[lock, kind] = len(self.all)
        born = self._born.get(lock, 0)
        if self._static_end and lock < self._static_end:
            source = Source.STATIC
        else:
            source = Source.INITIALISED if born else Source.INSTANCE
        inner = SLEEP if kind in _SLEEPING else SPIN
        if kind is LockKind.RCU and lock:  # SRCU
            inner = 0
        outer = FREE if kind is LockKind.RCU else inner
        self.longest_wait = max(self.longest_wait, inner)
        made = LockClass(number, source, lock, 0, 0, kind, inner, outer, 0, lock, born)
        self.all.append(made)
        return made

    def initialised(self, lock: int, kind: LockKind, position: int) -> None:
        """A lock without annotation begins a new life."""
        self._born[lock] = position
        self._by_lock.pop((lock, kind), None)

    def sleeping(self) -> int:
        """The wait type of locks that sleep: 3 or 4, as the kernel is configured."""
        return max(SLEEP, self.longest_wait)
