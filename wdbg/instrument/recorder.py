"""Code that appends a record to the ring in the debug memory.

The ring's fill is a word at a constant address, since one fiber runs at a time. A record is an
``i64.store`` a unit and one update of that word; when the ring is nearly full the cold path parks,
and the host empties it. No host call an event.
"""

from __future__ import annotations

from dataclasses import dataclass

from symbols.wasm.types import ValueType
from wdbg.instrument import layout
from wdbg.instrument.additions import Additions
from wdbg.instrument.emit import access, i32_const, i64_const, if_, op
from wdbg.instrument.mailbox import Mailbox

UNIT = 8
ARG_SHIFT = 8
ARG_MAX = (1 << 23) - 1
CONTINUED = 1 << 31
LOW_MAX = CONTINUED - 1
"""The record layout of ``wdbg.trace.ring``, which this layer may not import; a test compares."""
CALL_ENTER, CALL_EXIT = 4, 5
MEM, MEM_BULK = 48, 49
"""Kinds of ``wdbg.trace.events``."""

Code = tuple[bytes, int]
"""Instructions, and the offset in them of a branch that is unlikely to be taken."""


@dataclass(frozen=True, slots=True)
class RingCode:
    """Makes code for a module: ``memory`` is the debug memory, ``tick`` the tick global, ``full``
    the function () -> () that parks."""

    memory: int
    tick: int
    full: int
    add: Additions

    def type(self, results: tuple[ValueType, ...]) -> int:
        """Index of the signature of a block with these results."""
        return self.add.type((), results)

    def append(
        self,
        head: int,
        scratch: int,
        arg: bytes = b"",
        units: tuple[tuple[bytes, bytes], ...] = (),
        check: bool = True,
    ) -> Code:
        """Append a record. ``head`` is its constant low word, ``arg`` code for an i32 to be or-ed
        to that; ``units`` are pairs of code for the low (31 bits, cut) and the high word, b"" = 0.
        ``scratch`` is an i32 local. Without ``check`` the ring may not be full afterwards: for
        records that cannot follow each other without end (``layout.RING_ROOM``)."""
        memory = self.memory
        out = [
            i32_const(0),
            i32_const(0),
            access("i32.load", memory, layout.RING_HEAD),
            op("local.tee", scratch),
            op("global.get", self.tick),
            op("i64.extend_i32_u"),
            i64_const(32),
            op("i64.shl"),
        ]
        if arg:
            out += [arg, i32_const(head), op("i32.or"), op("i64.extend_i32_u")]
        else:
            out.append(i64_const(head))
        out += [op("i64.or"), access("i64.store", memory, layout.RING)]
        for number, (low, high) in enumerate(units, 1):
            out.append(op("local.get", scratch))
            if low:
                out += [low, i32_const(CONTINUED), op("i32.or"), op("i64.extend_i32_u")]
            else:
                out.append(i64_const(CONTINUED))
            if high:
                out += [high, op("i64.extend_i32_u"), i64_const(32), op("i64.shl"), op("i64.or")]
            out.append(access("i64.store", memory, layout.RING + UNIT * number))
        out += [
            op("local.get", scratch),
            i32_const(UNIT * (1 + len(units))),
            op("i32.add"),
        ]
        if not check:
            out.append(access("i32.store", memory, layout.RING_HEAD))
            return b"".join(out), -1
        out += [
            op("local.tee", scratch),
            access("i32.store", memory, layout.RING_HEAD),
            op("local.get", scratch),
            i32_const(layout.RING_FULL),
            op("i32.ge_u"),
        ]
        code = b"".join(out)
        return code + if_(op("call", self.full)), len(code)


def ring_code(box: Mailbox) -> RingCode:
    """Adds the function that parks when the ring is full."""
    full = box.add.function("__wdbg_ring_full", (), (), box.leave(layout.CALL_RING))
    return RingCode(box.memory, box.tick, full, box.add)
