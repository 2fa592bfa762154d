"""The kernel's lock functions, as an unmodified kernel names them, and what a trace tells of each.

The table says of every function which argument is the lock and what entering and leaving it mean.
What is not a function cannot be seen: docs/tracing.md lists that.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import replace

from wdbg.instrument.points import ARG, HIGH1, LOW1, LOW2, Point, Record
from wdbg.trace.events import LOCK_KIND_SHIFT, Kind, LockFlag, LockKind


class Does(enum.Enum):
    """What a call of a function does with the lock that is its first argument."""

    LOCK = "takes it, waiting if need be"
    LOCK_OR_FAIL = "the same, but returns an error if a signal or a timeout came first"
    TRY = "takes it if that needs no waiting; not 0 if it has"
    TRY_ZERO = "the same; 0 if it has"
    UNLOCK = "releases it"
    ENTER = "enters a section that nobody waits for"
    WAIT = "waits for it to be signalled; holds nothing afterwards"

    PREPARE = "begins a wait that another function ends"
    FINISH = "ends it"
    DOWNGRADE = "turns a writer into a reader"
    INIT = "initialises it; the place of the call is its class (lockclasses.py)"


_READ = LockFlag.READ
_R = LockFlag.READ | LockFlag.RECURSIVE

LOCKS: tuple[tuple[LockKind, int, Does, str], ...] = (
    (LockKind.SPINLOCK, 0, Does.LOCK,
     "_raw_spin_lock _raw_spin_lock_irq _raw_spin_lock_irqsave _raw_spin_lock_bh "
     "_raw_spin_lock_nested _raw_spin_lock_irqsave_nested _raw_spin_lock_bh_nested "
     "_raw_spin_lock_nest_lock"),
    (LockKind.SPINLOCK, 0, Does.TRY, "_raw_spin_trylock _raw_spin_trylock_bh"),
    (LockKind.SPINLOCK, 0, Does.UNLOCK,
     "_raw_spin_unlock _raw_spin_unlock_irq _raw_spin_unlock_irqrestore _raw_spin_unlock_bh"),
    (LockKind.RWLOCK, _R, Does.LOCK,
     "_raw_read_lock _raw_read_lock_irq _raw_read_lock_irqsave _raw_read_lock_bh"),
    (LockKind.RWLOCK, _R, Does.TRY, "_raw_read_trylock"),
    (LockKind.RWLOCK, _R, Does.UNLOCK,
     "_raw_read_unlock _raw_read_unlock_irq _raw_read_unlock_irqrestore _raw_read_unlock_bh"),
    (LockKind.RWLOCK, 0, Does.LOCK,
     "_raw_write_lock _raw_write_lock_nested _raw_write_lock_irq _raw_write_lock_irqsave "
     "_raw_write_lock_bh"),
    (LockKind.RWLOCK, 0, Does.TRY, "_raw_write_trylock"),
    (LockKind.RWLOCK, 0, Does.UNLOCK,
     "_raw_write_unlock _raw_write_unlock_irq _raw_write_unlock_irqrestore _raw_write_unlock_bh"),
    (LockKind.MUTEX, 0, Does.INIT, "__mutex_init"),
    (LockKind.MUTEX, 0, Does.LOCK,
     "mutex_lock mutex_lock_io mutex_lock_nested mutex_lock_io_nested _mutex_lock_nest_lock"),
    (LockKind.MUTEX, 0, Does.LOCK_OR_FAIL,
     "mutex_lock_interruptible mutex_lock_killable mutex_lock_interruptible_nested "
     "mutex_lock_killable_nested"),
    (LockKind.MUTEX, 0, Does.TRY, "mutex_trylock"),
    (LockKind.MUTEX, 0, Does.UNLOCK, "mutex_unlock"),
    (LockKind.WW_MUTEX, 0, Does.LOCK_OR_FAIL, "ww_mutex_lock ww_mutex_lock_interruptible"),
    (LockKind.WW_MUTEX, 0, Does.TRY, "ww_mutex_trylock"),
    (LockKind.WW_MUTEX, 0, Does.UNLOCK, "ww_mutex_unlock"),
    (LockKind.RT_MUTEX, 0, Does.INIT, "__rt_mutex_init"),
    (LockKind.RT_MUTEX, 0, Does.LOCK, "rt_mutex_lock rt_mutex_lock_nested"),
    (LockKind.RT_MUTEX, 0, Does.LOCK_OR_FAIL, "rt_mutex_lock_interruptible rt_mutex_lock_killable"),
    (LockKind.RT_MUTEX, 0, Does.TRY, "rt_mutex_trylock"),
    (LockKind.RT_MUTEX, 0, Does.UNLOCK, "rt_mutex_unlock"),
    (LockKind.RWSEM, 0, Does.INIT, "__init_rwsem"),
    (LockKind.RWSEM, _READ, Does.LOCK, "down_read down_read_nested"),
    (LockKind.RWSEM, _READ, Does.LOCK_OR_FAIL,
     "down_read_interruptible down_read_killable down_read_killable_nested"),
    (LockKind.RWSEM, _READ, Does.TRY, "down_read_trylock"),
    (LockKind.RWSEM, _READ, Does.UNLOCK, "up_read"),
    (LockKind.RWSEM, 0, Does.LOCK, "down_write down_write_nested _down_write_nest_lock"),
    (LockKind.RWSEM, 0, Does.LOCK_OR_FAIL, "down_write_killable down_write_killable_nested"),
    (LockKind.RWSEM, 0, Does.TRY, "down_write_trylock"),
    (LockKind.RWSEM, 0, Does.UNLOCK, "up_write"),
    (LockKind.RWSEM, 0, Does.DOWNGRADE, "downgrade_write"),
    (LockKind.PERCPU_RWSEM, 0, Does.LOCK, "percpu_down_write"),
    (LockKind.PERCPU_RWSEM, 0, Does.UNLOCK, "percpu_up_write"),
    (LockKind.SEMAPHORE, 0, Does.LOCK, "down"),
    (LockKind.SEMAPHORE, 0, Does.LOCK_OR_FAIL, "down_interruptible down_killable down_timeout"),
    (LockKind.SEMAPHORE, 0, Does.TRY_ZERO, "down_trylock"),
    (LockKind.SEMAPHORE, 0, Does.UNLOCK, "up"),
    (LockKind.COMPLETION, 0, Does.WAIT,
     "wait_for_completion wait_for_completion_io wait_for_completion_timeout "
     "wait_for_completion_io_timeout wait_for_completion_interruptible "
     "wait_for_completion_interruptible_timeout wait_for_completion_killable "
     "wait_for_completion_killable_timeout wait_for_completion_state"),
    (LockKind.COMPLETION, 0, Does.UNLOCK, "complete complete_all complete_on_current_cpu"),
    (LockKind.WAIT_QUEUE, 0, Does.PREPARE,
     "prepare_to_wait prepare_to_wait_exclusive prepare_to_wait_event"),
    (LockKind.WAIT_QUEUE, 0, Does.FINISH, "finish_wait"),
    (LockKind.WAIT_QUEUE, 0, Does.UNLOCK,
     "__wake_up __wake_up_on_current_cpu __wake_up_locked __wake_up_locked_key "
     "__wake_up_sync_key __wake_up_locked_sync_key __wake_up_sync __wake_up_bit"),
    (LockKind.FUTEX, 0, Does.WAIT, "futex_wait"),
    (LockKind.FUTEX, 0, Does.UNLOCK, "futex_wake"),
    (LockKind.FUTEX, 0, Does.LOCK_OR_FAIL, "futex_lock_pi"),
    (LockKind.FUTEX, 0, Does.UNLOCK, "futex_unlock_pi"),
    (LockKind.PAGE_LOCK, 0, Does.LOCK, "__folio_lock"),
    (LockKind.PAGE_LOCK, 0, Does.LOCK_OR_FAIL, "__folio_lock_killable"),
    (LockKind.PAGE_LOCK, 0, Does.UNLOCK, "folio_unlock"),
    (LockKind.RCU, _R, Does.ENTER, "__rcu_read_lock"),
    (LockKind.RCU, _R, Does.UNLOCK, "__rcu_read_unlock"),
    (LockKind.RCU, _R, Does.ENTER, "__srcu_read_lock"),
    (LockKind.RCU, _R, Does.UNLOCK, "__srcu_read_unlock"),
)  # fmt: skip
"""(primitive, flags, what it does, functions). ``spinlock_t`` and ``raw_spinlock_t`` have the same
functions and cannot be told apart. ``__rcu_read_lock`` has no argument: its lock is 0."""

_FREQUENT = (LockKind.SPINLOCK, LockKind.RWLOCK, LockKind.RCU)
"""Their releases have no call site, and the state of interrupts is recorded only when a lock has
been acquired (of RCU not at all): what these do to interrupts they do before they wait."""

_WITH_SLOW_PATHS = (
    LockKind.SPINLOCK, LockKind.RWLOCK, LockKind.MUTEX, LockKind.WW_MUTEX, LockKind.RT_MUTEX,
    LockKind.RWSEM, LockKind.SEMAPHORE,
)  # fmt: skip
"""Their functions call one of CONTENDED whenever they have to wait. Where one does not, taking the
lock is a single record."""

CONTENDED = (
    "wasm_cpu_relax", "cpu_relax", "queued_spin_lock_slowpath", "queued_read_lock_slowpath",
    "queued_write_lock_slowpath", "__mutex_lock_slowpath", "__mutex_lock_interruptible_slowpath",
    "__mutex_lock_killable_slowpath", "__ww_mutex_lock_slowpath",
    "__ww_mutex_lock_interruptible_slowpath", "rt_mutex_slowlock", "rwsem_down_read_slowpath",
    "rwsem_down_write_slowpath", "percpu_rwsem_wait", "__down", "__down_interruptible",
    "__down_killable", "__down_timeout",
)  # fmt: skip
"""A lock function that calls one of these has found the lock taken."""


WAITS = (
    LockKind.SEMAPHORE, LockKind.COMPLETION, LockKind.WAIT_QUEUE, LockKind.FUTEX,
)  # fmt: skip
"""What lockdep's annotations do not tell of."""


def lock_points(kinds: tuple[LockKind, ...] = tuple(LockKind)) -> tuple[Point, ...]:
    """The points of all lock functions, or of those of some kinds."""
    return tuple(
        point
        for kind, flags, does, names in LOCKS
        if kind in kinds
        for name in names.split()
        for point in _points(name, kind, flags, does)
    )


def sleeping_functions() -> tuple[str, ...]:
    """Those that may sleep until they have a lock, or until somebody completes something."""
    kinds = (
        LockKind.MUTEX, LockKind.WW_MUTEX, LockKind.RT_MUTEX, LockKind.RWSEM,
        LockKind.PERCPU_RWSEM, LockKind.SEMAPHORE, LockKind.COMPLETION,
    )  # fmt: skip
    waiting = (Does.LOCK, Does.LOCK_OR_FAIL, Does.WAIT)
    return tuple(
        name
        for kind, _, does, names in LOCKS
        if kind in kinds and does in waiting
        for name in names.split()
    )


def _points(name: str, kind: LockKind, flags: int, does: Does) -> Iterator[Point]:
    constant = flags | kind << LOCK_KIND_SHIFT
    lock = () if name == "__rcu_read_lock" or name == "__rcu_read_unlock" else ((HIGH1, "param0"),)

    def record(event: Kind, *sources: str, when: str = "", more: int = 0) -> Record:
        fields = tuple((LOW1, s) if s == "site" else (ARG, s) for s in sources)
        return Record(event, constant | more, lock + fields, when)

    begins = record(Kind.LOCK_ACQUIRE, "site", *(() if kind in _FREQUENT else ("state",)))
    has = record(Kind.LOCK_ACQUIRED, "state")
    releases = record(Kind.LOCK_RELEASE, *(() if kind in _FREQUENT else ("site",)))
    contended = tuple((slow, record(Kind.LOCK_CONTENDED)) for slow in CONTENDED)
    taken = record(Kind.LOCK_TAKEN, "site", "state") if kind in _WITH_SLOW_PATHS else None
    if does is Does.LOCK:
        yield Point(name, (begins,), (has,), contended, fast=() if taken is None else (taken,))
    elif does is Does.LOCK_OR_FAIL:
        ends = (
            record(Kind.LOCK_ACQUIRED, "state", when="result == 0"),
            record(Kind.LOCK_RELEASE, when="result != 0"),
        )
        fast = () if taken is None else (
            replace(taken, when="result == 0"),
            replace(begins, when="result != 0"),
            ends[1],
        )  # fmt: skip
        yield Point(name, (begins,), ends, contended, fast=fast)
    elif does in (Does.TRY, Does.TRY_ZERO):
        source = "success" if does is Does.TRY else "failure"
        yield Point(name, exit=(record(Kind.LOCK_TRY, "state", source, more=LockFlag.TRY),))
    elif does is Does.UNLOCK:
        yield Point(name, entry=(releases,))
    elif does is Does.ENTER:
        yield Point(name, entry=(record(Kind.LOCK_ACQUIRED, "site"),))
    elif does is Does.WAIT:
        yield Point(name, entry=(begins,), exit=(has,))
    elif does is Does.PREPARE:
        yield Point(name, entry=(begins,))
    elif does is Does.FINISH:
        yield Point(name, entry=(has,))
    elif does is Does.DOWNGRADE:
        reader = record(Kind.LOCK_ACQUIRED, "state", more=LockFlag.READ)
        yield Point(name, entry=(releases,), exit=(reader,))
    else:
        fields = (*lock, (LOW1, "site"), (LOW2, "site"))
        yield Point(name, entry=(Record(Kind.LOCK_INIT, constant, fields),))
