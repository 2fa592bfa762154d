"""Who holds a lock, as far as the lock itself says.

kernel/locking/mutex.h, rwsem.c, rtmutex_common.h; spinlocks are asm-generic's ticket locks or
queued ones: their word tells that they are held, and by nobody's name.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from wdbg.linux.blocked import On
from wdbg.linux.image import Corrupt, Image, Unknown

_MUTEX_FLAGS = 7
_RT_MUTEX_FLAGS = 1
_READER_OWNED, _RWSEM_FLAGS = 1, 3
_RWSEM_WRITER, _RWSEM_READERS_SHIFT = 1, 8
_QRW_WRITER, _QRW_READERS_SHIFT = 0xFF, 9


@dataclass(frozen=True, slots=True)
class Holding:
    """What a lock says of itself."""

    held: bool
    owner: int = 0
    """Address of the owner's task_struct; 0: the lock does not tell."""
    readers: int = 0
    """It is held shared, so many times."""
    sure: bool = True
    """False: `owner` was the last reader to come, and may have left."""
    words: str = ""
    """For people."""


def holding(image: Image, on: On, address: int, tasks: Collection[int]) -> Holding | None:
    """Who holds the lock at an address; None if memory there makes no sense as one. `tasks`: the
    addresses of all tasks."""
    if not address:
        return None
    try:
        if on is On.MUTEX:
            return _owned(image.field(address, "mutex", "owner"), _MUTEX_FLAGS, tasks)
        if on is On.RT_MUTEX:
            return _owned(image.field(address, "rt_mutex_base", "owner"), _RT_MUTEX_FLAGS, tasks)
        if on is On.RWSEM:
            return _rwsem(image, address, tasks)
        if on is On.SPINLOCK:
            return _ticket(image.number(address))
        if on is On.RWLOCK:
            return _rwlock(image.number(address))
        if on is On.SEMAPHORE:
            count = image.field(address, "semaphore", "count")
            return Holding(count == 0, words=f"count {count}")
        if on is On.COMPLETION:
            done = image.field(address, "completion", "done")
            return Holding(done == 0, words=f"done {done}")
    except (Corrupt, Unknown):
        pass
    return None


def _owned(word: int, flags: int, tasks: Collection[int]) -> Holding | None:
    owner = word & ~flags
    if owner and owner not in tasks:
        return Holding(True, 0, words="its owner is no task any more")
    return Holding(bool(owner), owner)


def _rwsem(image: Image, address: int, tasks: Collection[int]) -> Holding:
    count = image.field(address, "rw_semaphore", "count")
    word = image.field(address, "rw_semaphore", "owner")
    owner = word & ~_RWSEM_FLAGS
    owner = owner if owner in tasks else 0
    if count & _RWSEM_WRITER:
        return Holding(True, owner)
    readers = (count & 0x7FFFFFFF) >> _RWSEM_READERS_SHIFT
    if readers:
        words = f"{readers} reader{'s' if readers > 1 else ''}"
        return Holding(True, owner, readers, sure=False, words=words)
    return Holding(False)


def _ticket(word: int) -> Holding:
    """asm-generic/ticket_spinlock.h: the low half is served, the high half is the next ticket."""
    served, following = word & 0xFFFF, word >> 16
    waiting = (following - served - 1) & 0xFFFF
    if served == following:
        return Holding(False)
    return Holding(True, words=f"{waiting} wait{'s' if waiting == 1 else ''} for it")


def _rwlock(word: int) -> Holding:
    """asm-generic/qrwlock.h."""
    if word & _QRW_WRITER == _QRW_WRITER:
        return Holding(True, words="a writer")
    readers = word >> _QRW_READERS_SHIFT
    return Holding(bool(readers), readers=readers, words=f"{readers} readers")
