"""Range lists and address tables: they stay as they are but for addresses of code."""

from __future__ import annotations

import struct
from collections.abc import Callable

from symbols.errors import SymbolsError
from symbols.shadow.info import TOMBSTONE, Info
from symbols.wasm.leb import decode_u32

_PAIR = struct.Struct("<II")
_U32 = struct.Struct("<I")
BASE_SELECTION = 0xFFFF_FFFF
"""Instead of a pair's lower address: the other one is what the following pairs count from."""


def mover(base: int, code_size: int) -> Callable[[bytes, int], bytes]:
    """A function that reads an address of code and gives it as GDB wants it."""

    def move(data: bytes, pos: int) -> bytes:
        address = _U32.unpack_from(data, pos)[0]
        if address >= TOMBSTONE:
            return bytes(4)
        return _U32.pack(base + address if address <= code_size else address)

    return move


def rewrite_ranges(data: bytes, info: Info, base: int, code_size: int) -> bytes:
    """.debug_ranges (DWARF 4 and before). Pairs count from the unit's low_pc; lists of units that
    have none are copied with their base before them."""
    out = bytearray(data[: len(data) & ~7])
    for pos in range(0, len(out), 8):
        low, high = _PAIR.unpack_from(data, pos)
        if low == BASE_SELECTION:
            _U32.pack_into(out, pos + 4, base + high if high <= code_size else 0)
        elif low >= TOMBSTONE or high >= TOMBSTONE:
            _PAIR.pack_into(out, pos, 1, 1)
    copies: dict[int, int] = {}
    limit = 2 * len(data) + 64
    for fixup in info.ranges:
        if fixup.offset not in copies:
            end = fixup.offset
            while end + 8 <= len(data) and any(out[end : end + 8]):
                end += 8
            if len(out) + end - fixup.offset > limit:
                raise SymbolsError("range lists overlap")
            copies[fixup.offset] = len(out)
            out += _PAIR.pack(BASE_SELECTION, base) + out[fixup.offset : end] + bytes(8)
        _U32.pack_into(info.data, fixup.position, copies[fixup.offset])
    return bytes(out)


def rewrite_rnglists(data: bytes, base: int, code_size: int) -> bytes:
    """.debug_rnglists (DWARF 5)."""
    out = bytearray(data)
    move = mover(base, code_size)
    pos = 0
    try:
        while pos < len(data):
            length, version, size, _, count = struct.unpack_from("<IHBBI", data, pos)
            end, pos = pos + 4 + length, pos + 12 + 4 * count
            if version != 5 or size != 4 or end > len(data) or pos > end:
                raise SymbolsError("malformed .debug_rnglists")
            while pos < end:
                kind = data[pos]
                pos += 1
                if kind == 1:
                    _, pos = decode_u32(data, pos, end)
                elif kind in (2, 3, 4):
                    _, pos = decode_u32(data, pos, end)
                    _, pos = decode_u32(data, pos, end)
                elif kind in (5, 6, 7):
                    for _ in range(2 if kind == 6 else 1):
                        out[pos : pos + 4] = move(data, pos)
                        pos += 4
                    if kind == 7:
                        _, pos = decode_u32(data, pos, end)
                elif kind:
                    raise SymbolsError(f"unknown kind {kind} of range list entry")
    except (IndexError, struct.error):
        raise SymbolsError("truncated .debug_rnglists") from None
    return bytes(out)


def rewrite_addr(data: bytes, info: Info, base: int, code_size: int) -> bytes:
    """.debug_addr (DWARF 5): all entries that no expression uses are code."""
    out = bytearray(data)
    move = mover(base, code_size)
    pos = 0
    try:
        while pos < len(data):
            length, version, size, _ = struct.unpack_from("<IHBB", data, pos)
            end, first = pos + 4 + length, pos + 8
            if version != 5 or size != 4 or end > len(data) or end < first:
                raise SymbolsError("malformed .debug_addr")
            kept = info.data_entries.get(first, set())
            for number, at in enumerate(range(first, end - 3, 4)):
                if number not in kept:
                    out[at : at + 4] = move(data, at)
                elif _U32.unpack_from(data, at)[0] >= TOMBSTONE:
                    out[at : at + 4] = bytes(4)
            pos = end
    except struct.error:
        raise SymbolsError("truncated .debug_addr") from None
    return bytes(out)
