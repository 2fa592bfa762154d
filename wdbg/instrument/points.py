"""What a trace records, as data: which functions, which records, where the fields come from.

The rewriter knows nothing of locks or interrupts. It is given *points*: a function's name and
what to record when it is entered, left, calls a function by name or calls one through a pointer.
A record's layout is that of ``wdbg.trace.ring``.
"""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from typing import Any

ARG, LOW1, HIGH1, LOW2, HIGH2, LOW3, HIGH3, LOW4, HIGH4 = range(9)
"""Slots of a record: the head's 23 bits, then the halves of the further units; the low ones have
31 bits."""

CALLS = ("none", "default", "all")
"""Which functions' calls are recorded: none, those that contain a call or a loop, every one."""


@dataclass(frozen=True, slots=True)
class Record:
    """A record to be written.

    ``fields`` are pairs of a slot and a source, and are or-ed with ``constant`` in slot ARG:

    ``paramN``  parameter N, an i32 (of an i64 the low half)
    ``paramN+K`` the u32 at guest address parameter N plus K bytes; 0 if N is 0
    ``paramN<<K`` parameter N shifted; ``paramN?K`` bit K if parameter N is not 0
    ``wasN+K``  the u32 at parameter N plus K bytes when the function was entered
    ``operandN`` of an indirect call: its operand N; ``target``: the table index that it calls
    ``current`` the running task, ``current+K`` the u32 at K bytes from it
    ``site``    original code offset of the call that led here, 0 if that was an indirect one
    ``result``  the function's (or indirect call's) result; ``success`` 8 if it is not 0;
                ``failure`` 8 if it is 0 (functions that return 0 when they have succeeded)
    ``state``   the bits IRQS_OFF to STATE_KNOWN of a lock's flags
    """

    kind: int
    constant: int = 0
    fields: tuple[tuple[int, str], ...] = ()
    when: str = ""
    """"" always; else comparisons of sources and numbers, all of which must hold: "A == B",
    "A != B", "A <u B" (unsigned), "A & B" (common bits) or "A !& B" (none), joined by commas."""


@dataclass(frozen=True, slots=True)
class Point:
    """Records of one function. A kernel that has no such function is none the worse for it."""

    function: str
    entry: tuple[Record, ...] = ()
    exit: tuple[Record, ...] = ()
    calls: tuple[tuple[str, Record], ...] = ()
    """(name of a function, record): before the first call of it in each run of this function."""
    before: tuple[Record, ...] = ()
    after: tuple[Record, ...] = ()
    """Around indirect calls of signature ``signature``, like "i32 i32 -> i32", in this one."""
    signature: str = ""
    fast: tuple[Record, ...] = ()
    """Stand for both ``entry`` and ``exit`` in runs in which none of ``calls`` has happened, if the
    function can call one of these at all: the entry's records are then made at the first one."""

    def plus(self, other: Point) -> Point:
        """Both points of one function; one of them at most has a signature."""
        return Point(
            self.function,
            self.entry + other.entry,
            self.exit + other.exit,
            self.calls + other.calls,
            self.before + other.before,
            self.after + other.after,
            self.signature or other.signature,
            self.fast + other.fast,
        )


@dataclass(frozen=True, slots=True)
class State:
    """Where a kernel keeps what interrupts do: byte offsets of two u32 in the running task (the
    preemption count; not 0 = interrupts are off)."""

    preempt_count: int
    irqs_off: int
    softirq: int = -1
    """Not 0 = serves a softirq, where the kernel counts that for lockdep; -1: the preemption
    count tells."""
    threaded: tuple[int, ...] = ()
    """One of them not 0 = the interrupt that is served would be a thread's under PREEMPT_RT."""


@dataclass(frozen=True, slots=True)
class Recording:
    """All that a rewritten kernel records."""

    calls: str = "none"
    """One of ``CALLS``."""
    select: tuple[str, ...] = ()
    """Globs of function names whose calls are recorded; those with a leading ``!`` leave out.
    Empty: all. Functions that match are taken however small."""
    points: tuple[Point, ...] = ()
    """Points of the same function add up."""
    current: str = ""
    """Name of the global with the address of the running task."""
    state: State | None = None
    accesses: tuple[str, ...] = ()
    """Globs of the functions whose memory accesses are recorded."""
    ranges: tuple[tuple[int, int], ...] = ()
    """Guest address ranges [start, end) outside of which accesses are not recorded; empty: all."""
    own_stack: int = 0
    """Not 0: accesses of the running task's kernel stack are not recorded; kernel stacks have so
    many bytes, a power of 2, and are aligned to that."""

    def merged_points(self) -> dict[str, Point]:
        """The points by function, those of one function together."""
        merged: dict[str, Point] = {}
        for point in self.points:
            old = merged.get(point.function)
            merged[point.function] = point if old is None else old.plus(point)
        return merged

    def wants(self, name: str) -> bool | None:
        """Whether calls of the function are selected by name; None: no glob says so or not so."""
        wanted = None
        if any(not glob.startswith("!") for glob in self.select):
            wanted = False
        for glob in self.select:
            if fnmatch.fnmatchcase(name, glob.removeprefix("!")):
                wanted = not glob.startswith("!")
        return wanted

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> Recording:
        """From what ``dataclasses.asdict`` made and JSON turned into lists."""
        state = fields["state"]
        return cls(
            calls=fields["calls"],
            select=tuple(fields["select"]),
            points=tuple(_point(p) for p in fields["points"]),
            current=fields["current"],
            state=None if state is None else _state(state),
            accesses=tuple(fields["accesses"]),
            ranges=tuple((a, b) for a, b in fields["ranges"]),
            own_stack=fields["own_stack"],
        )


def _state(fields: dict[str, Any]) -> State:
    return State(**{**fields, "threaded": tuple(fields.get("threaded", ()))})


def _point(fields: dict[str, Any]) -> Point:
    records = {
        key: tuple(map(_record, fields[key]))
        for key in ("entry", "exit", "before", "after", "fast")
    }
    calls = tuple((name, _record(record)) for name, record in fields["calls"])
    return Point(fields["function"], calls=calls, signature=fields["signature"], **records)


def _record(fields: dict[str, Any]) -> Record:
    pairs = tuple((slot, source) for slot, source in fields["fields"])
    return Record(fields["kind"], fields["constant"], pairs, fields["when"])
