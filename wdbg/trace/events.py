"""What a trace can hold: event kinds, and the fields of each.

Every event has a tick, a virtual time, a CPU and a task; what else it has is the schema of its
*table*: kinds with the same fields share one. Numbers of kinds, tables and fields are part of the
file format (docs/trace-format.md): they never change their meaning, new ones are added at the end
of their list.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Kind(enum.IntEnum):
    """What happened. Below 64: a chunk tells by a 64-bit mask which kinds are in it."""

    CONTEXT = 1
    """In rings only, see `ring`: from here on another CPU, task or quantum."""
    LOST = 2
    """Events that the recorder could not keep were here."""
    SWITCHED = 3
    """In rings only, see `ring`: from here on another task."""

    CALL_ENTER = 4
    CALL_EXIT = 5

    LOCK_ACQUIRE = 8
    """Starts to take it: what follows, to LOCK_ACQUIRED, is waiting."""
    LOCK_CONTENDED = 9
    """Found it held by another one."""
    LOCK_ACQUIRED = 10
    """Has it."""
    LOCK_RELEASE = 11
    LOCK_TRY = 12
    """Tried to take it without waiting; `LockFlag.SUCCESS`: and has it."""
    LOCK_INIT = 13
    """Initialised: belongs to the class from here on."""
    LOCK_NOTE = 14
    """Something else that annotations tell of a lock, or of all: `LockNote`."""
    LOCK_TAKEN = 15
    """In rings only: LOCK_ACQUIRE and LOCK_ACQUIRED at once, nothing was in the way."""

    SCHED_SWITCH = 16
    SCHED_WAKING = 17
    """Woken, by the event's task."""
    SCHED_WAKEUP = 18
    """Put on the run queue of a CPU."""
    SCHED_WAKEUP_NEW = 19
    """A new task's first time on a run queue."""
    SCHED_FORK = 20
    """`target` is the child."""
    SCHED_EXEC = 21
    """`value` is the string number of the file's name."""
    SCHED_EXIT = 22
    """`value` is the exit code as in struct task_struct."""
    SCHED_MIGRATE = 23
    SCHED_PRIO = 24
    IDLE_ENTER = 25
    IDLE_EXIT = 26
    SCHED_RENAME = 27
    """`value` is the string number of the new comm."""

    IRQ_ENTER = 32
    IRQ_EXIT = 33
    SOFTIRQ_ENTER = 34
    SOFTIRQ_EXIT = 35
    SOFTIRQ_RAISE = 36
    TIMER_ENTER = 37
    TIMER_EXIT = 38
    HRTIMER_ENTER = 39
    HRTIMER_EXIT = 40
    WORK_ENTER = 41
    WORK_EXIT = 42
    IRQS_OFF = 43
    IRQS_ON = 44
    PREEMPT_OFF = 45
    PREEMPT_ON = 46

    MEM = 48
    """A load, store or atomic operation."""
    MEM_BULK = 49
    """memory.fill or a side of memory.copy: `size` bytes."""

    CONSOLE = 56
    """A piece of console output."""
    PANIC = 57
    SYSCALL_ENTER = 58
    SYSCALL_EXIT = 59
    MARK = 60
    """Written by a guest program or by kernel code, see docs/tracing.md."""


class LockFlag(enum.IntFlag):
    """Bits of the field `flags` of lock events."""

    READ = 1 << 0
    """Shared; else exclusive."""
    RECURSIVE = 1 << 1
    """A read lock that may be taken again while a writer waits (lockdep's read == 2)."""
    TRY = 1 << 2
    """Taken without waiting. Of LOCK_TRY, and of annotations that tell it so."""
    SUCCESS = 1 << 3
    """Of LOCK_TRY: the lock is held now."""
    NESTED = 1 << 4
    """Nested inside a lock that serialises these (lockdep's nest_lock)."""
    IRQS_OFF = 1 << 5
    """Hardware interrupts are off on this CPU at this moment."""
    BH_OFF = 1 << 6
    """Softirqs are off."""
    IN_HARDIRQ = 1 << 7
    IN_SOFTIRQ = 1 << 8
    PREEMPT_OFF = 1 << 9
    STATE_KNOWN = 1 << 10
    """The five bits before this one were read; else they are 0 and mean nothing."""
    THREADED = 1 << 20
    """The interrupt that is served would be a thread's work under PREEMPT_RT."""
    CHECKED = 1 << 21
    """Of annotations: dependencies of this lock are to be checked."""


LOCK_KIND_SHIFT = 11
"""The five bits from here are a `LockKind`."""
LOCK_KIND_BITS = 5
LOCK_SUBCLASS_SHIFT = 16
"""The four bits from here are lockdep's subclass."""
LOCK_SUBCLASS_BITS = 4


class LockKind(enum.IntEnum):
    """Which primitive a lock is."""

    UNKNOWN = 0
    SPINLOCK = 1
    RAW_SPINLOCK = 2
    RWLOCK = 3
    MUTEX = 4
    RT_MUTEX = 5
    RWSEM = 6
    PERCPU_RWSEM = 7
    SEMAPHORE = 8
    COMPLETION = 9
    SEQLOCK = 10
    """The writer's side."""
    BIT_SPINLOCK = 11
    LOCAL_LOCK = 12
    RCU = 13
    """Read sections: the address tells the flavour's map or is 0."""
    PAGE_LOCK = 14
    """lock_page and the like; the address is that of the folio."""
    WAIT_QUEUE = 15
    FUTEX = 16
    WW_MUTEX = 17


class LockNote(enum.IntEnum):
    """What a LOCK_NOTE says: the lowest five bits of its `flags`. Of lockdep's functions."""

    SET_CLASS = 1
    """The held lock is of class `value` (and subclass) from here on."""
    DOWNGRADE = 2
    """The held lock is shared from here on."""
    SYNC = 3
    """Waits for a lock's sections without taking it; `value` is the class."""
    FREED = 4
    """`value` bytes from `lock` on are freed, or initialised."""
    NONE_HELD = 5
    """The task may hold no lock now: it ends, or goes back to its program."""
    HARDIRQS_ON = 6
    """Interrupts are about to be enabled."""
    SOFTIRQS_ON = 7
    RESET = 8
    """All locks and dependencies are to be forgotten (self tests)."""
    RESET_LOCK = 9
    FREE_KEYS = 10
    """Classes with keys in `value` bytes from `lock` on do not exist any more."""
    SELFTEST = 11
    """Locking's self test begins (`value` is its task) or ends (0)."""
    TEST = 12
    """A case of the self test: `lock` is its function, `value` 1 if it should find no fault."""
    MISUSE = 13
    """The kernel's own checks of locks' use have found something wrong, at `position`."""
    RCU = 14
    """Suspicious use of RCU: `name` points to a text, `lock` to the file's name, `value` is the
    line."""
    PIN = 15
    UNPIN = 16
    SLEEPS = 17
    """A function that may sleep is called where that is not allowed (see the flags)."""


LOCK_NOTE_MASK = 0x1F


class MemFlag(enum.IntFlag):
    """Bits of the field `flags` of memory accesses."""

    WRITE = 1 << 0
    """Writes (an atomic read-modify-write has both)."""
    READ = 1 << 1
    MARKED = 1 << 2
    """An atomic instruction (DESIGN D7)."""
    RMW = 1 << 3
    """An atomic read-modify-write, its operation in the bits from MEM_OP_SHIFT."""
    VALUE_KNOWN = 1 << 4
    """`value` was recorded."""


MEM_OP_SHIFT = 5
"""The four bits from here are a `MemOp`."""
MEM_OP_BITS = 4


class MemOp(enum.IntEnum):
    """What an atomic instruction does."""

    NONE = 0
    ADD = 1
    SUB = 2
    AND = 3
    OR = 4
    XOR = 5
    XCHG = 6
    CMPXCHG = 7
    WAIT = 8
    NOTIFY = 9
    FENCE = 10


class Meaning(enum.Enum):
    """How a field's number is to be read."""

    NUMBER = "number"
    HEX = "hex"
    """Bits or an address without a table."""
    FUNCTION = "function"
    """Number in the table of functions."""
    POINTER = "pointer"
    """A C function pointer: index into the wasm table; 0 = none."""
    TASK = "task"
    """Number in the table of tasks. In rings: the guest address of the task_struct."""
    CPU = "cpu"
    LOCK = "lock"
    """Guest address of a lock."""
    CLASS = "class"
    """Number in the table of lock classes; 0 = not known."""
    ADDRESS = "address"
    """Guest address."""
    POSITION = "position"
    """Original code offset (what DWARF calls an address); bits 26 to 30 are the module: 0 is the
    kernel, user programs count from 1. 0 = not known."""
    STRING = "string"
    """Number in the table of strings."""
    SIZE = "size"
    """Bytes."""


POSITION_MODULE_SHIFT = 26
"""A position is a module number shifted by this, or'ed with a code offset below 64 MiB."""


class Slot(enum.IntEnum):
    """Where a field is in a ring record, see `ring`: the head's 23 bits, or a half of the n-th
    following unit: its low word has 31 usable bits, its high word 32."""

    ARG = 0
    LOW1 = 1
    HIGH1 = 2
    LOW2 = 3
    HIGH2 = 4
    LOW3 = 5
    HIGH3 = 6
    LOW4 = 7
    HIGH4 = 8


@dataclass(frozen=True, slots=True)
class Field:
    """A field. `signed`: C type s32, else u32. Its number is its place in the table's list."""

    name: str
    meaning: Meaning
    slot: Slot
    signed: bool = False


class Table(enum.IntEnum):
    """Kinds with the same fields."""

    LOST = 1
    CALL = 2
    LOCK = 3
    SWITCH = 4
    WAKE = 5
    TASK = 6
    MIGRATE = 7
    PRIO = 8
    IDLE = 9
    IRQ = 10
    WORK = 11
    STATE = 12
    MEM = 13
    TEXT = 14
    SYSCALL_ENTER = 15
    SYSCALL_EXIT = 16
    LOCK_NOTE = 17


_F, _M, _S = Field, Meaning, Slot

FIELDS: dict[Table, tuple[Field, ...]] = {
    Table.LOST: (_F("count", _M.NUMBER, _S.HIGH1),),
    Table.CALL: (_F("function", _M.FUNCTION, _S.ARG),),
    Table.LOCK: (
        _F("lock", _M.LOCK, _S.HIGH1),
        _F("lock_class", _M.CLASS, _S.LOW2),
        _F("flags", _M.HEX, _S.ARG),
        _F("position", _M.POSITION, _S.LOW1),
        _F("nest", _M.LOCK, _S.HIGH2),
        _F("wait", _M.HEX, _S.LOW3),
        _F("name", _M.HEX, _S.HIGH3),
    ),
    Table.SWITCH: (
        _F("prev", _M.TASK, _S.HIGH1),
        _F("next", _M.TASK, _S.HIGH2),
        _F("prev_state", _M.HEX, _S.ARG),
        _F("prev_prio", _M.NUMBER, _S.LOW1),
        _F("next_prio", _M.NUMBER, _S.LOW2),
    ),
    Table.WAKE: (
        _F("target", _M.TASK, _S.HIGH1),
        _F("target_cpu", _M.CPU, _S.ARG),
        _F("prio", _M.NUMBER, _S.LOW2),
        _F("position", _M.POSITION, _S.LOW1),
    ),
    Table.TASK: (
        _F("target", _M.TASK, _S.HIGH1),
        _F("value", _M.NUMBER, _S.HIGH2),
    ),
    Table.MIGRATE: (
        _F("target", _M.TASK, _S.HIGH1),
        _F("from_cpu", _M.CPU, _S.LOW2),
        _F("to_cpu", _M.CPU, _S.HIGH2),
    ),
    Table.PRIO: (
        _F("target", _M.TASK, _S.HIGH1),
        _F("old", _M.NUMBER, _S.LOW2),
        _F("new", _M.NUMBER, _S.HIGH2),
    ),
    Table.IDLE: (_F("state", _M.NUMBER, _S.ARG),),
    Table.IRQ: (
        _F("number", _M.NUMBER, _S.ARG),
        _F("result", _M.NUMBER, _S.HIGH1),
    ),
    Table.WORK: (
        _F("object", _M.ADDRESS, _S.HIGH1),
        _F("function", _M.POINTER, _S.LOW1),
    ),
    Table.STATE: (_F("position", _M.POSITION, _S.LOW1),),
    Table.MEM: (
        _F("address", _M.ADDRESS, _S.HIGH1),
        _F("size", _M.SIZE, _S.LOW2),
        _F("flags", _M.HEX, _S.ARG),
        _F("position", _M.POSITION, _S.LOW1),
        _F("value", _M.HEX, _S.HIGH2),
    ),
    Table.TEXT: (
        _F("text", _M.STRING, _S.HIGH1),
        _F("value", _M.NUMBER, _S.HIGH2, signed=True),
    ),
    Table.SYSCALL_ENTER: (
        _F("number", _M.NUMBER, _S.ARG),
        _F("arg0", _M.HEX, _S.HIGH1),
        _F("arg1", _M.HEX, _S.HIGH2),
        _F("arg2", _M.HEX, _S.HIGH3),
        _F("arg3", _M.HEX, _S.HIGH4),
    ),
    Table.SYSCALL_EXIT: (
        _F("number", _M.NUMBER, _S.ARG),
        _F("result", _M.NUMBER, _S.HIGH1, signed=True),
    ),
    Table.LOCK_NOTE: (
        _F("lock", _M.LOCK, _S.HIGH1),
        _F("flags", _M.HEX, _S.ARG),
        _F("position", _M.POSITION, _S.LOW1),
        _F("value", _M.HEX, _S.HIGH2),
        _F("wait", _M.HEX, _S.LOW3),
        _F("name", _M.HEX, _S.HIGH3),
    ),
}
"""Fields of each table, in the order of their numbers."""

_RANGES: dict[Table, tuple[Kind, ...]] = {
    Table.LOST: (Kind.LOST,),
    Table.CALL: (Kind.CALL_ENTER, Kind.CALL_EXIT),
    Table.LOCK: (
        Kind.LOCK_ACQUIRE, Kind.LOCK_CONTENDED, Kind.LOCK_ACQUIRED, Kind.LOCK_RELEASE,
        Kind.LOCK_TRY, Kind.LOCK_INIT,
    ),
    Table.SWITCH: (Kind.SCHED_SWITCH,),
    Table.WAKE: (Kind.SCHED_WAKING, Kind.SCHED_WAKEUP, Kind.SCHED_WAKEUP_NEW),
    Table.TASK: (Kind.SCHED_FORK, Kind.SCHED_EXEC, Kind.SCHED_EXIT, Kind.SCHED_RENAME),
    Table.MIGRATE: (Kind.SCHED_MIGRATE,),
    Table.PRIO: (Kind.SCHED_PRIO,),
    Table.IDLE: (Kind.IDLE_ENTER, Kind.IDLE_EXIT),
    Table.IRQ: (
        Kind.IRQ_ENTER, Kind.IRQ_EXIT, Kind.SOFTIRQ_ENTER, Kind.SOFTIRQ_EXIT, Kind.SOFTIRQ_RAISE,
    ),
    Table.WORK: (
        Kind.TIMER_ENTER, Kind.TIMER_EXIT, Kind.HRTIMER_ENTER, Kind.HRTIMER_EXIT,
        Kind.WORK_ENTER, Kind.WORK_EXIT,
    ),
    Table.STATE: (Kind.IRQS_OFF, Kind.IRQS_ON, Kind.PREEMPT_OFF, Kind.PREEMPT_ON),
    Table.MEM: (Kind.MEM, Kind.MEM_BULK),
    Table.TEXT: (Kind.CONSOLE, Kind.PANIC, Kind.MARK),
    Table.SYSCALL_ENTER: (Kind.SYSCALL_ENTER,),
    Table.SYSCALL_EXIT: (Kind.SYSCALL_EXIT,),
    Table.LOCK_NOTE: (Kind.LOCK_NOTE,),
}  # fmt: skip

TABLE_OF: dict[Kind, Table] = {kind: table for table, kinds in _RANGES.items() for kind in kinds}
"""The table of each kind; those in rings only have none."""

KINDS_OF = _RANGES
"""The kinds of each table."""

GROUPS: dict[str, tuple[Table, ...]] = {
    "call": (Table.CALL,),
    "lock": (Table.LOCK, Table.LOCK_NOTE),
    "sched": (Table.SWITCH, Table.WAKE, Table.TASK, Table.MIGRATE, Table.PRIO, Table.IDLE),
    "irq": (Table.IRQ, Table.WORK, Table.STATE),
    "mem": (Table.MEM,),
    "syscall": (Table.SYSCALL_ENTER, Table.SYSCALL_EXIT),
    "text": (Table.TEXT, Table.LOST),
}
"""What `--events` names. Console output, panics, marks and losses are recorded always."""

NEW_TASK = frozenset({Kind.SCHED_FORK})
"""Kinds whose `target` begins a new life at its address, however well known the address is."""
