"""The line table with GDB's addresses, and with rows as GDB wants them at functions' starts.

GDB takes a function for one without lines, and steps over calls of it, unless a row lies exactly
at its low_pc. There the locals are declared; compilers put the first row on the first instruction.
That row is moved: to GDB both are the function's entry.

Where the first row is the first statement already (it has the flag prologue_end, which GDB 13
does not read), `break FUNCTION` would go to the second statement, because GDB takes the first row
for that of a prologue. Two rows at the same address tell it that there is none, so another one is
put before; it is no statement, so that no breakpoint is ever put on its line.
"""

from __future__ import annotations

import bisect
import struct

from symbols.errors import SymbolsError
from symbols.shadow.info import TOMBSTONE, Info
from symbols.wasm.leb import decode_u32, encode_signed, encode_unsigned
from symbols.wasm.module import Module
from symbols.wasm.readers import read_locals

_TABLE = struct.Struct("<IH")
_U32 = struct.Struct("<I")
_COPY, _ADVANCE_PC, _ADVANCE_LINE, _NEGATE, _CONST_ADD_PC = 1, 2, 3, 6, 8
_FIXED_ADVANCE, _PROLOGUE_END = 9, 10
_END_SEQUENCE, _SET_ADDRESS = 1, 2


class Entries:
    """First bytes of functions, found by their first instruction."""

    def __init__(self, module: Module) -> None:
        self._module = module
        base = module.code_base
        self._starts = [start - base for _, start, _ in module.bodies]

    def before(self, offset: int) -> int | None:
        """Bytes between a function's start and `offset`, if what is there is its declaration of
        locals or its first instruction; else None."""
        number = bisect.bisect_right(self._starts, offset) - 1
        if number < 0:
            return None
        if self._starts[number] == offset:
            return 0
        _, start, end = self._module.bodies[number]
        base = self._module.code_base
        if offset >= end - base:
            return None
        try:
            _, first = read_locals(self._module.data, start, end)
        except SymbolsError:
            return None
        return offset - self._starts[number] if offset + base <= first else None


def rewrite_line(data: bytes, info: Info, entries: Entries, base: int, code_size: int) -> bytes:
    """.debug_line; uses in `info` are mapped."""
    out = bytearray()
    moved: dict[int, int] = {}
    pos = 0
    try:
        while pos < len(data):
            moved[pos] = len(out)
            pos = _table(data, pos, out, entries, base, code_size)
    except (IndexError, struct.error):
        raise SymbolsError("truncated .debug_line") from None
    for fixup in info.lines:
        if fixup.offset not in moved:
            raise SymbolsError("reference to no line table", fixup.position)
        _U32.pack_into(info.data, fixup.position, moved[fixup.offset])
    return bytes(out)


def _table(
    data: bytes, start: int, out: bytearray, entries: Entries, base: int, code_size: int
) -> int:
    """Copy the table at `start` with its addresses changed; returns where it ends."""
    length, version = _TABLE.unpack_from(data, start)
    end: int = start + 4 + length
    if length >= TOMBSTONE or end > len(data):
        raise SymbolsError("a line table reaches beyond .debug_line", start)
    if not 2 <= version <= 5:
        raise SymbolsError(f"unsupported version {version} of a line table", start)
    pos = start + 6 + (2 if version >= 5 else 0)
    pos += 4 + _U32.unpack_from(data, pos)[0]
    header = start + 10 + (2 if version >= 5 else 0) + (2 if version >= 4 else 1)
    default, line_base, line_range, opcode_base = struct.unpack_from("<BbBB", data, header)
    lengths = data[header + 4 : header + 3 + opcode_base]
    if pos > end or not line_range or opcode_base <= _PROLOGUE_END:
        raise SymbolsError("malformed header of a line table", start)
    begin = len(out)
    copied = start
    entry: int | None = None
    """Bytes by which the next row, a function's first one, comes too early."""
    line, statement, prologue_end = 1, bool(default), False
    while pos < end:
        at, code = pos, data[pos]
        pos += 1
        if code >= opcode_base or code == _COPY:
            if entry is None:
                continue
            special = code - opcode_base if code != _COPY else 0
            advance = special // line_range
            out += data[copied:at]
            copied = at
            if advance and entry:
                out += bytes((_ADVANCE_PC,)) + encode_unsigned(entry)
            elif statement and prologue_end and not advance:
                row = line + (line_base + special % line_range if code != _COPY else 0)
                out += _no_prologue(line, row)
            if entry and not advance:
                out += data[at:pos] + bytes((_ADVANCE_PC,)) + encode_unsigned(entry)
                copied = pos
            entry = None
        elif not code:
            size, pos = decode_u32(data, pos, end)
            kind = data[pos] if size else 0
            if kind == _SET_ADDRESS:
                if size != 5:
                    raise SymbolsError("malformed address in a line table", at)
                address = _U32.unpack_from(data, pos + 1)[0]
                entry = None
                if address >= TOMBSTONE:
                    address = 0
                elif address <= code_size:
                    entry = entries.before(address)
                    address += base - (entry or 0)
                out += data[copied : pos + 1] + _U32.pack(address)
                copied = pos + 5
            elif kind == _END_SEQUENCE:
                if entry:
                    out += data[copied:at] + bytes((_ADVANCE_PC,)) + encode_unsigned(entry)
                    copied = at
                entry = None
                line, statement, prologue_end = 1, bool(default), False
            pos += size
        else:
            if entry is not None:
                if code == _ADVANCE_LINE:
                    line += _signed(data, pos, end)
                elif code == _NEGATE:
                    statement = not statement
                elif code == _PROLOGUE_END:
                    prologue_end = True
                elif code in (_ADVANCE_PC, _CONST_ADD_PC, _FIXED_ADVANCE):
                    if entry:
                        out += data[copied:at] + bytes((_ADVANCE_PC,)) + encode_unsigned(entry)
                        copied = at
                    entry = None
            if code == _FIXED_ADVANCE:
                pos += 2
                continue
            for _ in range(lengths[code - 1]):
                while data[pos] >= 0x80:
                    pos += 1
                pos += 1
    if pos > end:
        raise SymbolsError("a line table's program reaches beyond it", start)
    out += data[copied:end]
    _U32.pack_into(out, begin, len(out) - begin - 4)
    return end


def _no_prologue(line: int, row: int) -> bytes:
    """Operations for a row that is no statement before the one of line `row`; `line` is that of
    the state machine, before and after."""
    other = row - 1 if row > 1 else row + 1
    return (
        bytes((_NEGATE, _ADVANCE_LINE)) + encode_signed(other - line)
        + bytes((_COPY, _NEGATE, _ADVANCE_LINE)) + encode_signed(line - other)
        + bytes((_PROLOGUE_END,))
    )  # fmt: skip


def _signed(data: bytes, pos: int, end: int) -> int:
    value = shift = 0
    while pos < end:
        byte = data[pos]
        pos += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80 or shift > 63:
            return value - (1 << shift) if byte & 0x40 else value
    return value
