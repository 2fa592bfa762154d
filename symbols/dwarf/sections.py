"""The DWARF sections of one module and the small readers that all parts share."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from symbols.errors import SymbolsError
from symbols.wasm import Module
from symbols.wasm.container import SectionId
from symbols.wasm.leb import decode_s64, decode_u64

DAMAGE = (SymbolsError, IndexError, struct.error, UnicodeError, OverflowError)
"""What a reader in this package raises over malformed bytes. Callers that can do without the
unit at hand catch all of them."""


@dataclass(frozen=True, slots=True)
class Sections:
    """Contents of the sections; b"" for those that the module does not have."""

    code_size: int
    """Addresses at or beyond it, and 0, are tombstones: code that the linker left out."""
    info: bytes
    abbrev: bytes
    line: bytes
    str: bytes
    line_str: bytes
    str_offsets: bytes
    addr: bytes
    loc: bytes
    loclists: bytes
    ranges: bytes
    rnglists: bytes

    @classmethod
    def of(cls, module: Module) -> Sections:
        """Those of `module`."""
        found = module.dwarf

        def contents(name: str) -> bytes:
            section = found.get(f".debug_{name}")
            return module.contents(section) if section else b""

        return cls(
            code_size(module),
            *(
                contents(name)
                for name in (
                    "info",
                    "abbrev",
                    "line",
                    "str",
                    "line_str",
                    "str_offsets",
                    "addr",
                    "loc",
                    "loclists",
                    "ranges",
                    "rnglists",
                )
            ),
        )


MAX_TEXT = 4096
"""Longest name or path that is kept whole, bytes."""


def code_size(module: Module) -> int:
    """Bytes of the code section's contents, 0 without one."""
    section = module.section(SectionId.CODE)
    return section.end - section.start if section else 0


def unsigned(data: bytes, pos: int) -> tuple[int, int]:
    """ULEB128 at `pos`: (value, next position)."""
    value = data[pos]
    if value < 0x80:
        return value, pos + 1
    return decode_u64(data, pos, len(data))


def signed(data: bytes, pos: int) -> tuple[int, int]:
    """SLEB128 at `pos`: (value, next position)."""
    return decode_s64(data, pos, len(data))


def integer(data: bytes, pos: int, size: int) -> int:
    """Little-endian unsigned integer of `size` bytes."""
    if pos < 0 or pos + size > len(data):
        raise SymbolsError("DWARF reaches beyond its section", pos)
    return int.from_bytes(data[pos : pos + size], "little")


def text(data: bytes, pos: int) -> str:
    """NUL-terminated string, at most MAX_TEXT bytes of it; bytes that are no UTF-8 are replaced."""
    if not 0 <= pos < len(data):
        raise SymbolsError("string outside of its section", pos)
    end = data.find(b"\0", pos, pos + MAX_TEXT)
    if end < 0:
        if data.find(b"\0", pos) < 0:
            raise SymbolsError("string without an end", pos)
        end = pos + MAX_TEXT
    return data[pos:end].decode(errors="replace")


def initial_length(data: bytes, pos: int) -> tuple[int, int, int]:
    """Length field of a unit or table: (position after it, end, 4 or 8 bytes per offset)."""
    length = integer(data, pos, 4)
    width = 4
    pos += 4
    if length >= 0xFFFFFFF0:
        if length != 0xFFFFFFFF:
            raise SymbolsError(f"reserved DWARF unit length {length:#x}", pos - 4)
        length = integer(data, pos, 8)
        pos, width = pos + 8, 8
    if length > len(data) - pos:
        raise SymbolsError(
            f"DWARF unit claims {length} bytes, {len(data) - pos} are left", pos - width
        )
    return pos, pos + length, width
