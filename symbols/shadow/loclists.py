"""Location lists: written anew, since expressions change their length, and each offset that refers
to them is mapped."""

from __future__ import annotations

import struct
from collections.abc import Callable

from symbols.errors import SymbolsError
from symbols.shadow.expressions import Context, Rewriter
from symbols.shadow.info import TOMBSTONE, IndexedList, Info, ListUse
from symbols.shadow.ranges import BASE_SELECTION, mover
from symbols.wasm.leb import decode_u32, encode_unsigned

_PAIR = struct.Struct("<II")
_U32 = struct.Struct("<I")

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
                    out += _PAIR.pack(BASE_SELECTION, base)
            low, high = _PAIR.unpack_from(data, pos)
            pos += 8
            if low == BASE_SELECTION:
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
                at = _list(data, at, end, body, rewriter, context, mover(base, code_size))
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
