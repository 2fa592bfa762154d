"""Walks the instructions of a body: opcode, immediates, exact offsets.

This is the careful decoder: complete, bounded, with an error for each malformed instruction. The
rewriter's tokenisers (wdbg.instrument.scan) are faster and ask it what is wrong when they stop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from symbols.errors import SymbolsError
from symbols.wasm.leb import decode_s32, decode_s33, decode_s64, decode_u32, decode_u64
from symbols.wasm.opcodes import OPCODES, PREFIXES, Opcode, Shape
from symbols.wasm.types import VALUE_TYPES

Immediate = int | bytes | tuple[int, ...]


class Instruction(NamedTuple):
    """One instruction at ``[start, end)``; ``operands`` are its immediates, in order.

    Integers for indices and constants, bytes for floats and vectors, a tuple for the labels of
    br_table (default last) and for the catch clauses of try_table (kind, tag or -1, label each,
    flattened). Memory arguments are (alignment exponent, memory index, offset).
    """

    opcode: Opcode
    start: int
    end: int
    operands: tuple[Immediate, ...]


_Reader = Callable[[bytes, int, int], tuple[tuple[Immediate, ...], int]]


def _nothing(data: bytes, pos: int, end: int) -> tuple[tuple[Immediate, ...], int]:
    return (), pos


def _index(data: bytes, pos: int, end: int) -> tuple[tuple[Immediate, ...], int]:
    value, pos = decode_u32(data, pos, end)
    return (value,), pos


def _index2(data: bytes, pos: int, end: int) -> tuple[tuple[Immediate, ...], int]:
    first, pos = decode_u32(data, pos, end)
    second, pos = decode_u32(data, pos, end)
    return (first, second), pos


def _block(data: bytes, pos: int, end: int) -> tuple[tuple[Immediate, ...], int]:
    value, after = decode_s33(data, pos, end)
    if value < 0 and value != -64 and (value < -64 or value & 0x7F not in VALUE_TYPES):
        raise SymbolsError("unknown block type", pos)
    return (value,), after


def _heap(data: bytes, pos: int, end: int) -> tuple[tuple[Immediate, ...], int]:
    value, pos = decode_s33(data, pos, end)
    return (value,), pos


def _i32(data: bytes, pos: int, end: int) -> tuple[tuple[Immediate, ...], int]:
    value, pos = decode_s32(data, pos, end)
    return (value,), pos


def _i64(data: bytes, pos: int, end: int) -> tuple[tuple[Immediate, ...], int]:
    value, pos = decode_s64(data, pos, end)
    return (value,), pos


def _fixed(size: int) -> _Reader:
    def read(data: bytes, pos: int, end: int) -> tuple[tuple[Immediate, ...], int]:
        if end - pos < size:
            raise SymbolsError("truncated immediate", pos)
        return (data[pos : pos + size],), pos + size

    return read


def _lane(data: bytes, pos: int, end: int) -> tuple[tuple[Immediate, ...], int]:
    if pos >= end:
        raise SymbolsError("truncated immediate", pos)
    return (data[pos],), pos + 1


def _reserved(data: bytes, pos: int, end: int) -> tuple[tuple[Immediate, ...], int]:
    if pos >= end:
        raise SymbolsError("truncated immediate", pos)
    if data[pos]:
        raise SymbolsError("nonzero reserved byte", pos)
    return (), pos + 1


def _memarg(data: bytes, pos: int, end: int) -> tuple[tuple[Immediate, ...], int]:
    align, after = decode_u32(data, pos, end)
    memory = 0
    if align & 0x40:
        memory, after = decode_u32(data, after, end)
    if align & ~0x40 > 31:
        raise SymbolsError("alignment out of range", pos)
    offset, after = decode_u64(data, after, end)
    return (align & ~0x40, memory, offset), after


def _memarg_lane(data: bytes, pos: int, end: int) -> tuple[tuple[Immediate, ...], int]:
    argument, pos = _memarg(data, pos, end)
    lane, pos = _lane(data, pos, end)
    return (*argument, *lane), pos


def _labels(data: bytes, pos: int, end: int) -> tuple[tuple[Immediate, ...], int]:
    start = pos
    count, pos = decode_u32(data, pos, end)
    if count >= end - pos:
        raise SymbolsError(f"br_table claims {count} labels", start)
    labels = []
    for _ in range(count + 1):
        label, pos = decode_u32(data, pos, end)
        labels.append(label)
    return (tuple(labels),), pos


def _select(data: bytes, pos: int, end: int) -> tuple[tuple[Immediate, ...], int]:
    count, after = decode_u32(data, pos, end)
    if count != 1:
        raise SymbolsError(f"select with {count} types", pos)
    if after >= end:
        raise SymbolsError("truncated immediate", pos)
    if data[after] not in VALUE_TYPES:
        raise SymbolsError(f"unknown value type {data[after]:#04x}", after)
    return (data[after],), after + 1


def _catches(data: bytes, pos: int, end: int) -> tuple[tuple[Immediate, ...], int]:
    block, pos = _block(data, pos, end)
    start = pos
    count, pos = decode_u32(data, pos, end)
    if count > end - pos:
        raise SymbolsError(f"try_table claims {count} catch clauses", start)
    clauses: list[int] = []
    for _ in range(count):
        if pos >= end:
            raise SymbolsError("truncated immediate", pos)
        kind = data[pos]
        tag = -1
        if kind > 3:
            raise SymbolsError(f"unknown catch clause {kind}", pos)
        pos += 1
        if kind < 2:
            tag, pos = decode_u32(data, pos, end)
        label, pos = decode_u32(data, pos, end)
        clauses += (kind, tag, label)
    return (*block, tuple(clauses)), pos


_READERS: dict[Shape, _Reader] = {
    Shape.NONE: _nothing,
    Shape.BLOCK: _block,
    Shape.LABEL: _index,
    Shape.LABELS: _labels,
    Shape.FUNCTION: _index,
    Shape.INDIRECT: _index2,
    Shape.TYPE: _index,
    Shape.LOCAL: _index,
    Shape.GLOBAL: _index,
    Shape.TABLE: _index,
    Shape.MEMORY: _index,
    Shape.TAG: _index,
    Shape.HEAP: _heap,
    Shape.SELECT: _select,
    Shape.MEMARG: _memarg,
    Shape.MEMARG_LANE: _memarg_lane,
    Shape.LANE: _lane,
    Shape.I32: _i32,
    Shape.I64: _i64,
    Shape.F32: _fixed(4),
    Shape.F64: _fixed(8),
    Shape.BYTES16: _fixed(16),
    Shape.INDEX: _index,
    Shape.INDEX2: _index2,
    Shape.RESERVED: _reserved,
    Shape.CATCHES: _catches,
}


_ENTRIES = {key: (opcode, _READERS[opcode.shape]) for key, opcode in OPCODES.items()}
_ONE_BYTE = [_ENTRIES.get((0, code)) for code in range(256)]


def decode_one(data: bytes, pos: int, end: int) -> Instruction:
    """The instruction at ``pos`` of ``data``; it must end at or before ``end``."""
    if pos >= end:
        raise SymbolsError("instruction expected", pos)
    code, after = data[pos], pos + 1
    entry = _ONE_BYTE[code]
    if entry is None:
        prefix = code
        if prefix in PREFIXES:
            code, after = decode_u32(data, after, end)
            entry = _ENTRIES.get((prefix, code))
        if entry is None:
            text = f"{prefix:02x} {code:#x}" if prefix in PREFIXES else f"{code:#04x}"
            raise SymbolsError(f"unknown opcode {text}", pos)
    opcode, read = entry
    operands, after = read(data, after, end)
    return Instruction(opcode, pos, after, operands)


def instructions(data: bytes, pos: int, end: int) -> Iterator[Instruction]:
    """All instructions of ``data[pos:end]``, in order."""
    while pos < end:
        instruction = decode_one(data, pos, end)
        pos = instruction.end
        yield instruction


def skip_expression(data: bytes, pos: int, end: int) -> int:
    """Offset after the ``end`` of the constant expression that starts at ``pos``.

    Constant expressions hold no blocks, so the first ``end`` is the last instruction.
    """
    while True:
        instruction = decode_one(data, pos, end)
        pos = instruction.end
        if instruction.opcode.code == 0x0B and not instruction.opcode.prefix:
            return pos
        if instruction.opcode.shape in (Shape.BLOCK, Shape.CATCHES):
            raise SymbolsError("block in a constant expression", instruction.start)
