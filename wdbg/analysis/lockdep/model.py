"""What the engine remembers: lock classes, acquisitions, held locks, usage bits."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from wdbg.trace.events import LockKind


class Source(enum.Enum):
    """How far a lock's class is known."""

    KEY = "key"
    """An annotation's class key and subclass."""
    STATIC = "static"
    """A static lock is a class of its own."""
    INSTANCE = "instance"
    """One lock in memory that may have been another object's before: nothing tells."""
    INITIALISED = "initialised"
    """One lock in memory, since it was initialised."""


@dataclass(slots=True)
class LockClass:
    """A node of the dependency graph. `number` is its place in the engine's list."""

    number: int
    source: Source
    key: int
    """Address of the class key; of the lock where there is none."""
    subclass: int
    name: int
    """Pointer to the name's text, 0 if there is none."""
    kind: LockKind
    inner: int
    """Wait type (enum lockdep_wait_type) of those who hold it; 0: not checked."""
    outer: int
    """Wait type of the context it may be taken in; 0: as `inner`."""
    lock_type: int = 0
    """enum lockdep_lock_type: 1 is per CPU, 2 overrides the wait type."""
    lock: int = 0
    """Address of one of its locks."""
    initialised_at: int = 0
    """Position of the call that initialised it, 0 if not known."""
    shared_count: bool = False
    """A semaphore that several tasks have held at once: nobody waits for a single one of them."""


@dataclass(frozen=True, slots=True)
class Acquisition:
    """Where and when a lock was taken."""

    number: int
    """Of the lock's class."""
    lock: int
    read: int
    """0 exclusive, 1 shared, 2 shared and recursive."""
    tick: int
    task: int
    """Number of the table of tasks."""
    position: int
    flags: int


@dataclass(slots=True)
class Held:
    """A lock that a task holds."""

    at: Acquisition
    context: int
    """Interrupt context: 1 hard, 2 soft."""
    trylock: bool
    check: bool
    nest: int
    inner: int
    references: int = 0
    """Locks of one class under a common nest lock, counted as one; 0: a single one."""
    pinned: int = 0


class Usage(enum.IntEnum):
    """How locks of a class are used, lockdep's usage bits without those for reading, which follow
    each (+1)."""

    IN_HARDIRQ = 0
    HARDIRQS_ON = 2
    IN_SOFTIRQ = 4
    SOFTIRQS_ON = 6


DEP_SR, DEP_ER, DEP_SN, DEP_EN = 1, 2, 4, 8
"""Kinds of dependencies (Documentation/locking/lockdep-design.rst): Shared or Exclusive holder,
waits as a Recursive reader or Not."""


def dependency(holder_read: int, waiter_read: int) -> int:
    """The kind of the dependency of one acquisition on another."""
    return 1 << ((holder_read == 0) + ((waiter_read != 2) << 1))


@dataclass(frozen=True, slots=True)
class Witness:
    """A dependency as it was seen: one lock taken while another was held."""

    holder: Acquisition
    waiter: Acquisition
    gates: frozenset[tuple[int, bool]]
    """Locks held besides, taken before the holder's: (address, whether shared)."""
    kind: int
    sure: bool
    """Nothing is missing of what the task held."""


@dataclass(slots=True)
class Problem:
    """What will be a finding: names and stacks are not looked up yet."""

    kind: str
    classes: tuple[int, ...]
    """Classes that it is about, in an order that does not depend on the run."""
    at: Acquisition
    """The last thing that happened."""
    parts: tuple[Acquisition, ...] = ()
    detail: str = ""
    """What makes it differ from others of its kind and classes."""
    witnesses: tuple[Witness, ...] = ()
    usage: tuple[str, ...] = ()
    doubtful: str = ""
    count: int = field(default=1)
