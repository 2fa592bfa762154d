"""The line table with GDB's addresses, and with a row at each function's first byte.

GDB takes a function for one without lines, and steps over calls of it, unless a row lies exactly
at its low_pc. There the locals are declared; compilers put the first row on the first instruction.
That row is moved: to GDB both are the function's entry.
"""

from __future__ import annotations

import bisect
import struct

from symbols.errors import SymbolsError
from symbols.shadow.info import TOMBSTONE, Info
from symbols.wasm.leb import decode_u32, encode_unsigned
from symbols.wasm.module import Module
from symbols.wasm.readers import read_locals

_TABLE = struct.Struct("<IH")
_U32 = struct.Struct("<I")
_COPY, _ADVANCE_PC, _CONST_ADD_PC, _FIXED_ADVANCE = 1, 2, 8, 9
_SET_ADDRESS = 2
_END_SEQUENCE = 1


class Entries:
    """First bytes of functions, found by their first instruction."""

    def __init__(self, module: Module) -> None:
        self._module = module
        base = module.code_base
        self._starts = [start - base for _, start, _ in module.bodies]

    def before(self, offset: int) -> int:
        """Bytes between a function's start and `offset`, if the instruction there is its first."""
        number = bisect.bisect_right(self._starts, offset) - 1
        if number < 0 or self._starts[number] == offset:
            return 0
        _, start, end = self._module.bodies[number]
        base = self._module.code_base
        if offset >= end - base:
            return 0
        try:
            _, first = read_locals(self._module.data, start, end)
        except SymbolsError:
            return 0
        return offset - self._starts[number] if offset + base <= first else 0


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
    line_range, opcode_base = struct.unpack_from("<BB", data, header + 2)
    lengths = data[header + 4 : header + 3 + opcode_base]
    if pos > end or not line_range or not opcode_base:
        raise SymbolsError("malformed header of a line table", start)
    begin = len(out)
    copied = start
    owed = 0  # bytes by which the next row comes too early
    while pos < end:
        at, code = pos, data[pos]
        pos += 1
        if code >= opcode_base or code == _COPY:
            if owed:
                if code == _COPY or (code - opcode_base) // line_range == 0:
                    out += data[copied:pos] + bytes((_ADVANCE_PC,)) + encode_unsigned(owed)
                    copied = pos
                else:
                    out += data[copied:at] + bytes((_ADVANCE_PC,)) + encode_unsigned(owed)
                    copied = at
                owed = 0
        elif not code:
            size, pos = decode_u32(data, pos, end)
            if size and data[pos] == _SET_ADDRESS:
                if size != 5:
                    raise SymbolsError("malformed address in a line table", at)
                address = _U32.unpack_from(data, pos + 1)[0]
                owed = 0
                if address >= TOMBSTONE:
                    address = 0
                elif address <= code_size:
                    owed = entries.before(address)
                    address += base - owed
                out += data[copied : pos + 1] + _U32.pack(address)
                copied = pos + 5
            elif owed and size and data[pos] == _END_SEQUENCE:
                out += data[copied:at] + bytes((_ADVANCE_PC,)) + encode_unsigned(owed)
                copied, owed = at, 0
            pos += size
        elif code == _FIXED_ADVANCE:
            if owed:
                out += data[copied:at] + bytes((_ADVANCE_PC,)) + encode_unsigned(owed)
                copied, owed = at, 0
            pos += 2
        else:
            if owed and code in (_ADVANCE_PC, _CONST_ADD_PC):
                out += data[copied:at] + bytes((_ADVANCE_PC,)) + encode_unsigned(owed)
                copied, owed = at, 0
            for _ in range(lengths[code - 1]):
                while data[pos] >= 0x80:
                    pos += 1
                pos += 1
    if pos > end:
        raise SymbolsError("a line table's program reaches beyond it", start)
    out += data[copied:end]
    _U32.pack_into(out, begin, len(out) - begin - 4)
    return end
