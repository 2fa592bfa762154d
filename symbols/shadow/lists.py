"""Location and range lists.

Location lists are written anew, since expressions change their length, and each offset that
refers to them is mapped. Range lists stay as they are but for their addresses.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from symbols.errors import SymbolsError
from symbols.shadow.expressions import Context, Rewriter
from symbols.shadow.info import TOMBSTONE, IndexedList, Info, ListUse
from symbols.wasm.leb import decode_u32, encode_unsigned

_PAIR = struct.Struct("<II")
_U32 = struct.Struct("<I")
_BASE_SELECTION = 0xFFFF_FFFF

_END, _BASE_ADDRESSX, _DEFAULT, _BASE_ADDRESS = 0, 1, 5, 6
_START_END, _START_LENGTH = 7, 8
"""Kinds of entries (DWARF 5, 7.7.3); the others, 2 to 4, have two numbers."""


def rewrite_loc(data: bytes, info: Info, rewriter: Rewriter, base: int, code_size: int) -> bytes:
    """.debug_loc (DWARF 4 and before): lists one after the other. Uses in `info` are mapped."""
    uses = {use.offset: use for use in info.lists if use.unit.version < 5}
    out = bytearray()
    moved: dict[int, int] = {}
    pos, size = 0, len(data)
    use: ListUse | None = None
    fresh = True
    try:
        while pos < size:
            if fresh:
                use, fresh = uses.get(pos), False
                moved[pos] = len(out)
                if use is not None and not use.unit.based:
                    out += _PAIR.pack(_BASE_SELECTION, base)
            low, high = _PAIR.unpack_from(data, pos)
            pos += 8
            if low == _BASE_SELECTION:
                out += _PAIR.pack(low, base + high if high <= code_size else 0)
            elif not low and not high:
                out += bytes(8)
                fresh = True
            else:
                length = data[pos] | data[pos + 1] << 8
                pos += 2
                expression = data[pos : pos + length]
                pos += length
                if pos > size:
                    raise SymbolsError("truncated location list")
                if use is None or low >= TOMBSTONE:
                    continue
                context = info.context(use.unit, use.die, use.abbreviation)
                expression = rewriter.rewrite(expression, context)
                if expression:
                    out += struct.pack("<IIH", low, high, len(expression)) + expression
    except (IndexError, struct.error):
        raise SymbolsError("truncated location list") from None
    moved[-1] = len(out)
    out += bytes(8)
    for use in info.lists:
        if use.unit.version < 5:
            _U32.pack_into(info.data, use.position, moved.get(use.offset, moved[-1]))
    return bytes(out)


def rewrite_loclists(
    data: bytes, info: Info, rewriter: Rewriter, base: int, code_size: int
) -> bytes:
    """.debug_loclists (DWARF 5): parts with a table of offsets each. Uses in `info` are mapped."""
    uses = _uses(data, info)
    out = bytearray()
    moved: dict[int, int] = {}
    pos = 0
    try:
        while pos < len(data):
            length, version, size, _, count = struct.unpack_from("<IHBBI", data, pos)
            end = pos + 4 + length
            if version != 5 or size != 4 or end > len(data) or 4 * count > length:
                raise SymbolsError("malformed .debug_loclists")
            first = pos + 12
            moved[first] = len(out) + 12
            offsets = struct.unpack_from(f"<{count}I", data, first)
            at = first + 4 * count
            body = bytearray()
            inside: dict[int, int] = {}
            start = len(out) + 12 + 4 * count
            while at < end:
                inside[at - first] = len(body)
                moved[at] = start + len(body)
                use = uses.get(at)
                context = info.context(use.unit, use.die, use.abbreviation) if use else None
                at = _list(data, at, end, body, rewriter, context, _mover(base, code_size))
            inside[-1] = len(body)
            body.append(_END)
            table = [4 * count + inside.get(o, inside[-1]) for o in offsets]
            out += struct.pack("<IHBBI", 8 + 4 * count + len(body), 5, 4, 0, count)
            out += struct.pack(f"<{count}I", *table) + body
            pos = end
    except (IndexError, struct.error):
        raise SymbolsError("truncated .debug_loclists") from None
    for use in info.lists:
        if use.unit.version >= 5:
            if use.offset not in moved:
                raise SymbolsError("reference to no location list", use.position)
            _U32.pack_into(info.data, use.position, moved[use.offset])
    for fixup in info.lists_bases:
        if fixup.offset in moved:
            _U32.pack_into(info.data, fixup.position, moved[fixup.offset])
    return bytes(out)


def _uses(data: bytes, info: Info) -> dict[int, ListUse | IndexedList]:
    """What lists are used for, by their offset."""
    uses: dict[int, ListUse | IndexedList] = {}
    for use in info.indexed_lists:
        if use.unit.lists_base is not None:
            where = use.unit.lists_base + 4 * use.index
            offset = int.from_bytes(data[where : where + 4], "little")
            uses[use.unit.lists_base + offset] = use
    uses |= {use.offset: use for use in info.lists if use.unit.version >= 5}
    return uses


def _mover(base: int, code_size: int) -> Callable[[bytes, int], bytes]:
    def move(data: bytes, pos: int) -> bytes:
        address = _U32.unpack_from(data, pos)[0]
        if address >= TOMBSTONE:
            return bytes(4)
        return _U32.pack(base + address if address <= code_size else address)

    return move


def _list(
    data: bytes, pos: int, end: int, out: bytearray, rewriter: Rewriter,
    context: Context | None, move: Callable[[bytes, int], bytes],
) -> int:  # fmt: skip
    """Copy one list of version 5; returns where it ends."""
    while True:
        start, kind = pos, data[pos]
        pos += 1
        if kind == _END:
            out.append(kind)
            return pos
        head = bytes((kind,))
        if kind == _BASE_ADDRESSX:
            _, pos = decode_u32(data, pos, end)
            out += data[start:pos]
            continue
        if kind == _BASE_ADDRESS:
            out += head + move(data, pos)
            pos += 4
            continue
        if kind == _START_END:
            head += move(data, pos) + move(data, pos + 4)
            pos += 8
        elif kind == _START_LENGTH:
            _, pos = decode_u32(data, pos + 4, end)
            head += move(data, start + 1) + data[start + 5 : pos]
        elif kind in (2, 3, 4):
            _, pos = decode_u32(data, pos, end)
            _, pos = decode_u32(data, pos, end)
            head = data[start:pos]
        elif kind != _DEFAULT:
            raise SymbolsError(f"unknown kind {kind} of location list entry")
        length, pos = decode_u32(data, pos, end)
        expression = data[pos : pos + length]
        pos += length
        if pos > end:
            raise SymbolsError("truncated location list")
        if context is not None:
            expression = rewriter.rewrite(expression, context)
            if expression:
                out += head + encode_unsigned(len(expression)) + expression


def rewrite_ranges(data: bytes, info: Info, base: int, code_size: int) -> bytes:
    """.debug_ranges (DWARF 4 and before). Pairs count from the unit's low_pc; lists of units that
    have none are copied with their base before them."""
    out = bytearray(data[: len(data) & ~7])
    for pos in range(0, len(out), 8):
        low, high = _PAIR.unpack_from(data, pos)
        if low == _BASE_SELECTION:
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
            out += _PAIR.pack(_BASE_SELECTION, base) + out[fixup.offset : end] + bytes(8)
        _U32.pack_into(info.data, fixup.position, copies[fixup.offset])
    return bytes(out)


def rewrite_rnglists(data: bytes, base: int, code_size: int) -> bytes:
    """.debug_rnglists (DWARF 5)."""
    out = bytearray(data)
    move = _mover(base, code_size)
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
    move = _mover(base, code_size)
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
