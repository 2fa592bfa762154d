"""Lockdep's annotations as trace points: what kernels with lockdep call wherever a lock is taken.

include/linux/lockdep.h: lock_acquire(map, subclass, trylock, read, check, nest_lock, ip),
lock_contended(map, ip), lock_acquired(map, ip), lock_release(map, ip). ``read`` is 0, 1 for a
shared lock, 2 for one that may be taken recursively. struct lockdep_map begins with the class's
key, two pointers that are lockdep's own, the name, and a byte each for the outer and the inner wait
type and the type of the lock. A trylock is annotated only when it has succeeded.
"""

from __future__ import annotations

from wdbg.instrument.points import ARG, HIGH1, HIGH2, HIGH3, LOW1, LOW2, LOW3, Point, Record
from wdbg.linux.lockpoints import sleeping_functions
from wdbg.trace.events import LOCK_SUBCLASS_SHIFT, Kind, LockFlag, LockNote

_KEY, _NAME, _WAIT = "param0+0", "param0+12", "param0+16"
_MAP = ((HIGH1, "param0"), (LOW2, _KEY), (LOW3, _WAIT), (HIGH3, _NAME))


def _bit(flag: LockFlag) -> int:
    return flag.bit_length() - 1


_HOW = (
    (ARG, "param3"),  # 2 is the bit RECURSIVE, 1 is READ
    (ARG, f"param3?{_bit(LockFlag.READ)}"),
    (ARG, f"param4?{_bit(LockFlag.CHECKED)}"),
    (ARG, f"param5?{_bit(LockFlag.NESTED)}"),
    (ARG, f"param1<<{LOCK_SUBCLASS_SHIFT}"),
    (ARG, "state"),
)


def annotation_points(has_acquired: bool) -> tuple[Point, ...]:
    """The points. ``has_acquired``: the kernel has lock_acquired(); else a lock is taken to be
    acquired when its annotation is done, as lockdep does."""
    begun = (*_MAP, (LOW1, "site"), (HIGH2, "param5"), *_HOW)
    tried = Record(Kind.LOCK_TRY, LockFlag.TRY | LockFlag.SUCCESS, begun, "param2 != 0")
    begins = Record(Kind.LOCK_ACQUIRE, 0, begun, "param2 == 0")
    fields = ((HIGH1, "param0"), (LOW2, _KEY), *_HOW)
    taken = Record(Kind.LOCK_ACQUIRED, 0, fields, "param2 == 0")
    state = ((HIGH1, "param0"), (LOW1, "site"), (LOW2, _KEY), (ARG, "state"))
    return (
        Point("lock_acquire", entry=(begins, tried), exit=() if has_acquired else (taken,)),
        Point("lock_contended", entry=(Record(Kind.LOCK_CONTENDED, 0, state),)),
        Point("lock_acquired", entry=(Record(Kind.LOCK_ACQUIRED, 0, state),)),
        Point("lock_release", entry=(Record(Kind.LOCK_RELEASE, 0, state),)),
        *_note_points(),
    )


_COUNTED = LockFlag.BH_OFF | LockFlag.IN_HARDIRQ | LockFlag.IN_SOFTIRQ | LockFlag.PREEMPT_OFF
_ATOMIC = _COUNTED | LockFlag.IRQS_OFF


def _note(what: LockNote, *fields: tuple[int, str], when: str = "") -> Record:
    return Record(Kind.LOCK_NOTE, what, (*fields, (LOW1, "site"), (ARG, "state")), when)


def _note_points() -> tuple[Point, ...]:
    """What else lockdep is told (kernel/locking/lockdep.c)."""
    subclass = f"<<{LOCK_SUBCLASS_SHIFT}"
    initialised = Record(Kind.LOCK_INIT, 0, (*_MAP, (ARG, f"param3{subclass}")))
    lock, value = (HIGH1, "param0"), (HIGH2, "param1")
    changed = _note(
        LockNote.SET_CLASS, lock, (HIGH2, "param2"), (ARG, f"param3{subclass}"), (LOW3, _WAIT),
        (HIGH3, "param1"),
    )  # fmt: skip
    waited = _note(
        LockNote.SYNC, lock, (HIGH2, _KEY), (ARG, f"param1{subclass}"), (LOW3, _WAIT),
        (HIGH3, _NAME),
    )  # fmt: skip
    entries = (
        ("lock_set_class", changed),
        ("lock_sync", waited),
        ("lock_downgrade", _note(LockNote.DOWNGRADE, lock)),
        ("debug_check_no_locks_freed", _note(LockNote.FREED, lock, value)),
        ("debug_check_no_locks_held", _note(LockNote.NONE_HELD)),
        ("lockdep_sys_exit", _note(LockNote.NONE_HELD)),
        ("lockdep_hardirqs_on_prepare", _note(LockNote.HARDIRQS_ON)),
        ("lockdep_softirqs_on", _note(LockNote.SOFTIRQS_ON)),
        ("lockdep_reset", _note(LockNote.RESET)),
        ("lockdep_reset_lock", _note(LockNote.RESET_LOCK, lock)),
        ("lockdep_free_key_range", _note(LockNote.FREE_KEYS, lock, value)),
        ("lockdep_set_selftest_task", _note(LockNote.SELFTEST, (HIGH2, "param0"))),
        ("dotest", _note(LockNote.TEST, lock, value)),
        ("debug_locks_off", _note(LockNote.MISUSE)),
        ("lockdep_rcu_suspicious", _note(LockNote.RCU, lock, value, (HIGH3, "param2"))),
        ("lock_pin_lock", _note(LockNote.PIN, lock)),
        ("lock_unpin_lock", _note(LockNote.UNPIN, lock)),
    )
    return (
        Point("lockdep_init_map_type", exit=(initialised,)),
        *(Point(name, entry=(record,)) for name, record in entries),
        *(
            Point(name, entry=(_note(LockNote.SLEEPS, lock, when=f"state & {atomic}"),))
            for names, atomic in ((sleeping_functions(), _ATOMIC), (("schedule",), _COUNTED))
            for name in names
        ),
    )
