"""Lockdep's annotations as trace points: what kernels with lockdep call wherever a lock is taken.

include/linux/lockdep.h: lock_acquire(map, subclass, trylock, read, check, nest_lock, ip),
lock_contended(map, ip), lock_acquired(map, ip), lock_release(map, ip). ``read`` is 0, 1 for a
shared lock, 2 for one that may be taken recursively; the first word of a map is its class's key.
A trylock is annotated only when it has succeeded.
"""

from __future__ import annotations

from wdbg.instrument.points import ARG, HIGH1, LOW1, LOW2, Point, Record
from wdbg.trace.events import LOCK_SUBCLASS_SHIFT, Kind, LockFlag

_LOCK = ((HIGH1, "param0"), (LOW1, "site"), (LOW2, "param0+0"))


def _bit(flag: LockFlag) -> int:
    return flag.bit_length() - 1


_HOW = (
    (ARG, "param3"),  # 2 is the bit RECURSIVE, 1 is READ
    (ARG, f"param3?{_bit(LockFlag.READ)}"),
    (ARG, f"param5?{_bit(LockFlag.NESTED)}"),
    (ARG, f"param1<<{LOCK_SUBCLASS_SHIFT}"),
    (ARG, "state"),
)


def annotation_points(has_acquired: bool) -> tuple[Point, ...]:
    """The points. ``has_acquired``: the kernel has lock_acquired(); else a lock is taken to be
    acquired when its annotation is done, as lockdep does."""
    tried = Record(Kind.LOCK_TRY, LockFlag.TRY | LockFlag.SUCCESS, _LOCK + _HOW, "param2 != 0")
    begins = Record(Kind.LOCK_ACQUIRE, 0, _LOCK + _HOW, "param2 == 0")
    fields = ((HIGH1, "param0"), (LOW2, "param0+0"), *_HOW)
    taken = Record(Kind.LOCK_ACQUIRED, 0, fields, "param2 == 0")
    state = (*_LOCK, (ARG, "state"))
    return (
        Point("lock_acquire", entry=(begins, tried), exit=() if has_acquired else (taken,)),
        Point("lock_contended", entry=(Record(Kind.LOCK_CONTENDED, 0, state),)),
        Point("lock_acquired", entry=(Record(Kind.LOCK_ACQUIRED, 0, state),)),
        Point("lock_release", entry=(Record(Kind.LOCK_RELEASE, 0, state),)),
    )
