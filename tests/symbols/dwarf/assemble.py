"""DWARF 4 written by hand: what no compiler writes."""

from __future__ import annotations

import struct

from symbols.wasm.container import SectionId, write_module
from symbols.wasm.leb import encode_unsigned

COMPILE_UNIT = b"\x11\x01" + b"\0\0"
"""Declaration of an entry without attributes that has children."""


def module(sections: dict[str, bytes], functions: int = 2, size: int = 20) -> bytes:
    """A module whose functions take `size` bytes each, with these `.debug_*` sections."""
    body = encode_unsigned(size - 1) + b"\0" + b"\x01" * (size - 3) + b"\x0b"
    parts = [
        (SectionId.TYPE, "", b"\x01\x60\0\0"),
        (SectionId.FUNCTION, "", encode_unsigned(functions) + bytes(functions)),
        (SectionId.CODE, "", encode_unsigned(functions) + body * functions),
    ]
    parts += [(SectionId.CUSTOM, f".debug_{name}", data) for name, data in sections.items()]
    return write_module(parts)


def abbreviations(*declarations: bytes) -> bytes:
    """A table that numbers its declarations from 1."""
    return b"".join(encode_unsigned(n) + d for n, d in enumerate(declarations, 1)) + b"\0"


def declare(tag: int, children: bool, *attributes: tuple[int, int]) -> bytes:
    """A declaration: attributes are (attribute, form)."""
    pairs = b"".join(encode_unsigned(a) + encode_unsigned(f) for a, f in attributes)
    return encode_unsigned(tag) + bytes((children,)) + pairs + b"\0\0"


def unit(entries: bytes, abbreviation_offset: int = 0, version: int = 4) -> bytes:
    """A unit of .debug_info; its first entry is at offset 11."""
    rest = struct.pack("<HIB", version, abbreviation_offset, 4) + entries
    return struct.pack("<I", len(rest)) + rest
