"""Strings of DWARF 5, taken apart again.

wasm-ld shares the ends of strings, so that some entries of .debug_str_offsets point into the
middle of one. That works, but llvm-dwarfdump --verify takes it for damage.
"""

from __future__ import annotations

import struct

_HEADER = struct.Struct("<IHH")


def separate_strings(strings: bytes, offsets: bytes) -> tuple[bytes, bytes]:
    """(.debug_str, .debug_str_offsets) in which each entry has a string of its own, at the end of
    the section if it had none. Returned as they are: sections that are malformed, or would grow
    to more than twice their size."""
    out = bytearray(offsets)
    added = bytearray()
    places: dict[int, int] = {}
    pos = 0
    while pos < len(offsets):
        if pos + _HEADER.size > len(offsets):
            return strings, offsets
        length, version, _ = _HEADER.unpack_from(offsets, pos)
        end = pos + 4 + length
        if version != 5 or length < 4 or length % 4 or end > len(offsets):
            return strings, offsets
        for at in range(pos + _HEADER.size, end, 4):
            offset = int.from_bytes(offsets[at : at + 4], "little")
            if not 0 < offset < len(strings) or not strings[offset - 1]:
                continue
            place = places.get(offset)
            if place is None:
                stop = strings.find(b"\0", offset)
                if stop < 0 or len(added) + stop - offset > len(strings):
                    return strings, offsets
                place = places[offset] = len(strings) + len(added)
                added += strings[offset : stop + 1]
            out[at : at + 4] = place.to_bytes(4, "little")
        pos = end
    return strings + added, bytes(out)
