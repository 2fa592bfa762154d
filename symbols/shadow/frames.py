"""Frame records: what GDB finds in memory where it looks for a thread's stack.

A wasm frame has no bytes in memory that GDB could unwind, so the stub serves made-up ones, and
the shadow ELF's call-frame information and rewritten locations refer to them. Record of a frame,
by addresses relative to its ebp (the canonical frame address is ebp + 128, its upper end):

    +80        48 bytes of nothing: with the links they fill a line of GDB's cache of the stack,
               so that unwinding a frame takes one read
    +76        pc of the caller: where it goes on (HOST_RETURN: none)
    +72        ebp of the caller (0: none)
    +68        function index
    +64        nothing
    +56 - 8 i  wasm local i, 8 bytes, little-endian; i32 zero-extended, floats by their bits
    esp + 8 j  slot j of the operand stack, 0 at the bottom
    esp - 64 + 4 (k - 1)  __memory_base of the process, if the frame is of program k's code

Location expressions are rewritten in place, so an operand must be as short as a wasm location's:
windows ebp, esi = ebp - 128, edi = ebp - 256 and ebx = ebp - 384 bring each of the first 64
locals within one byte's reach, and esp does so for the first 8 operands.

A program's static data is somewhere else in every process that runs it, so its locations count
from the memory base in the record: right in each process' frames, and an error in frames of the
kernel and of other programs, which have a slot of their own.

All records have the same size and lie one below the other by depth (calls between a frame and the
outermost one), so a frame's address is the same as long as it lives, and inner frames have lower
addresses: GDB takes both for granted.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from symbols.shadow.addresses import FRAME_AREA, MOST_PROGRAMS, frame_area, frame_slot

RECORD_SIZE: Final = 2048
CFA_FROM_EBP: Final = 128
CACHE_LINE: Final = 64
"""Bytes of a line of GDB's cache of the stack; what fills one must be known as a whole."""
WINDOW: Final = 128
"""Bytes between the bases of two neighbouring windows on the locals."""
MOST_LOCALS: Final = 200
"""Locals with a higher index are not in a record; DWARF that asks for one is dropped."""
MOST_OPERANDS: Final = 38

MEMORY_BASES: Final = 64
"""Bytes below esp for the memory bases, a slot of 4 bytes for each program."""

_TOP: Final = 256
"""Bytes above the outermost record, for reads beyond a frame's end."""
MOST_DEPTH: Final = (FRAME_AREA - _TOP) // RECORD_SIZE
"""Records that an area holds."""

_LINKS = struct.Struct("<4xIII")
_LINKS_AT = RECORD_SIZE - CACHE_LINE
_EBP_AT = RECORD_SIZE - CFA_FROM_EBP
_LOCAL0_AT = _EBP_AT + 56
_ESP_AT = MEMORY_BASES
_STACK_POINTER_AT = _ESP_AT + 8 * MOST_OPERANDS
STACK_POINTER_FROM_EBP: Final = _STACK_POINTER_AT - _EBP_AT
"""Where, from ebp, a record has __stack_pointer as DWARF of its frame sees it."""

assert _LOCAL0_AT - 8 * (MOST_LOCALS - 1) >= _STACK_POINTER_AT + 8
assert MEMORY_BASES == 4 * MOST_PROGRAMS
assert RECORD_SIZE % CACHE_LINE == _TOP % CACHE_LINE == 0
assert _LINKS_AT == _EBP_AT + 64

CALLER_PC: Final = CACHE_LINE - 12
CALLER_EBP: Final = CACHE_LINE - 8
"""How far below the canonical frame address the caller's pc and ebp lie."""


@dataclass(frozen=True, slots=True)
class Registers:
    """i386 registers of a frame but its pc."""

    ebp: int
    esp: int
    esi: int
    edi: int
    ebx: int


@dataclass(frozen=True, slots=True)
class Record:
    """Contents of a frame record, and which of its bytes nobody knows."""

    data: bytes
    """RECORD_SIZE bytes, zero where unknown."""
    unknown: tuple[range, ...]
    """Ranges of offsets in `data`, ascending: a read that starts there must fail, and one that
    reaches there ends before."""

    def read(self, offset: int, length: int) -> bytes:
        """The known bytes from `offset` on, `length` at most; b"" if there is none."""
        end = min(offset + length, RECORD_SIZE)
        for hole in self.unknown:
            if hole.stop > offset:
                end = min(end, hole.start)
                break
        return self.data[offset : max(end, offset)]


class Slot(enum.Enum):
    """What a byte of a record belongs to."""

    LOCAL = "local"
    OPERAND = "operand"
    STACK_POINTER = "stack pointer"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Position:
    """What lies at an address of a frame area."""

    thread_slot: int
    depth: int
    """Of the frame, counted from the area's outermost record."""
    offset: int
    """In the record."""
    slot: Slot
    index: int
    """Of the local or operand; 0 for the others."""
    byte: int
    """Number of the byte in its slot, 0 to 7."""


def pack_record(
    *,
    caller_pc: int,
    caller_ebp: int,
    stack_pointer: int | None,
    function: int,
    local_values: Sequence[int | None],
    operands: Sequence[int | None] = (),
    memory_base: tuple[int, int] | None = None,
) -> Record:
    """A frame's record. None is a value that nobody knows, as are locals beyond the sequence's
    end; values are taken modulo 2**64 (2**32 for the links). What is beyond MOST_LOCALS and
    MOST_OPERANDS is left out. `memory_base` is (module number, its __memory_base) for code of a
    program."""
    data = bytearray(RECORD_SIZE)
    known = bytearray(RECORD_SIZE)
    mask = 0xFFFF_FFFF
    _LINKS.pack_into(
        data, _LINKS_AT, function & mask, caller_ebp & mask, caller_pc & mask,
    )  # fmt: skip
    known[_LINKS_AT:] = b"\1" * CACHE_LINE
    if stack_pointer is not None:
        at = _STACK_POINTER_AT
        data[at : at + 4] = (stack_pointer & mask).to_bytes(4, "little")
        known[at : at + 4] = b"\1" * 4
    if memory_base is not None and 1 <= memory_base[0] <= MOST_PROGRAMS:
        at = 4 * (memory_base[0] - 1)
        data[at : at + 4] = (memory_base[1] & mask).to_bytes(4, "little")
        known[at : at + 4] = b"\1" * 4
    for first, step, values in (
        (_LOCAL0_AT, -8, local_values[:MOST_LOCALS]),
        (_ESP_AT, 8, operands[:MOST_OPERANDS]),
    ):
        for number, value in enumerate(values):
            if value is not None:
                at = first + step * number
                data[at : at + 8] = (value & 0xFFFF_FFFF_FFFF_FFFF).to_bytes(8, "little")
                known[at : at + 8] = b"\1" * 8
    return Record(bytes(data), _holes(known))


def _holes(known: bytearray) -> tuple[range, ...]:
    holes = []
    start = known.find(0)
    while start >= 0:
        end = known.find(1, start)
        end = len(known) if end < 0 else end
        holes.append(range(start, end))
        start = known.find(0, end)
    return tuple(holes)


def outermost_depth(innermost: int) -> int:
    """Depth of the outermost frame that is shown, given the innermost one's: 0 unless the stack
    is deeper than an area. It moves in steps, so that frames rarely change their addresses."""
    step = MOST_DEPTH // 2
    excess = innermost - (MOST_DEPTH - 1)
    return -(-excess // step) * step if excess > 0 else 0


def frame_cfa(thread_slot: int, depth: int) -> int:
    """Canonical frame address = end of the record; `depth` counts from the outermost frame that
    is shown. ValueError if there is no room for it."""
    if not 0 <= depth < MOST_DEPTH:
        raise ValueError(f"depth {depth}: an area holds {MOST_DEPTH} records")
    return frame_area(thread_slot)[1] - _TOP - depth * RECORD_SIZE


def record_start(thread_slot: int, depth: int) -> int:
    """Address of a record's first byte."""
    return frame_cfa(thread_slot, depth) - RECORD_SIZE


def frame_registers(cfa: int) -> Registers:
    """What a frame's registers hold."""
    ebp = cfa - CFA_FROM_EBP
    esp = cfa - RECORD_SIZE + _ESP_AT
    return Registers(ebp, esp, ebp - WINDOW, ebp - 2 * WINDOW, ebp - 3 * WINDOW)


def position(address: int) -> Position | None:
    """What lies at an address; None outside of all records."""
    thread_slot = frame_slot(address)
    if thread_slot is None:
        return None
    top = frame_area(thread_slot)[1] - _TOP
    depth = (top - 1 - address) // RECORD_SIZE
    if not 0 <= depth < MOST_DEPTH:
        return None
    offset = address - (top - (depth + 1) * RECORD_SIZE)
    slot, index, byte = _slot(offset)
    return Position(thread_slot, depth, offset, slot, index, byte)


def _slot(offset: int) -> tuple[Slot, int, int]:
    if _ESP_AT <= offset < _ESP_AT + 8 * MOST_OPERANDS:
        return Slot.OPERAND, (offset - _ESP_AT) // 8, (offset - _ESP_AT) % 8
    above = _LOCAL0_AT + 8 - 1 - offset
    if 0 <= above < 8 * MOST_LOCALS:
        return Slot.LOCAL, above // 8, 7 - above % 8
    if _STACK_POINTER_AT <= offset < _STACK_POINTER_AT + 4:
        return Slot.STACK_POINTER, 0, offset - _STACK_POINTER_AT
    return Slot.OTHER, 0, 0
