"""Writer of 32-bit little-endian ELF executables."""

from __future__ import annotations

import enum
import struct
from collections.abc import Sequence
from dataclasses import dataclass

_HEADER = struct.Struct("<16sHHIIIIIHHHHHH")
_SECTION = struct.Struct("<IIIIIIIIII")
_SEGMENT = struct.Struct("<IIIIIIII")
_SYMBOL = struct.Struct("<IIIBBH")
_IDENT = b"\x7fELF\x01\x01\x01" + bytes(9)
_EXECUTABLE, _386 = 2, 3
_LOAD = 1


class SectionType(enum.IntEnum):
    """sh_type."""

    PROGBITS = 1
    SYMTAB = 2
    STRTAB = 3
    NOTE = 7
    NOBITS = 8


class Flag(enum.IntFlag):
    """sh_flags."""

    NONE = 0
    WRITE = 1
    ALLOC = 2
    EXECUTE = 4
    MERGE = 0x10
    STRINGS = 0x20


@dataclass(frozen=True, slots=True)
class Section:
    """A section; one without contents (NOBITS) has a size of its own."""

    name: str
    type: SectionType
    flags: Flag = Flag.NONE
    data: bytes = b""
    address: int = 0
    size: int = 0
    link: int = 0
    info: int = 0
    entry_size: int = 0
    alignment: int = 1


class SymbolType(enum.IntEnum):
    """The lower half of st_info."""

    OBJECT = 1
    FUNCTION = 2


@dataclass(frozen=True, slots=True)
class Symbol:
    """A symbol; `section` is the index in the sections given to `write_elf`, plus 1."""

    name: bytes
    address: int
    size: int
    type: SymbolType
    section: int
    local: bool = False


def write_elf(sections: Sequence[Section], symbols: Sequence[Symbol], entry: int) -> bytes:
    """An executable with these sections and symbols; a segment for each allocated section."""
    symbols = sorted(symbols, key=lambda symbol: not symbol.local)
    table, strings = _symbol_table(symbols)
    local = sum(symbol.local for symbol in symbols)
    every = [
        Section("", SectionType(SectionType.PROGBITS)),
        *sections,
        Section(
            ".symtab", SectionType.SYMTAB, data=table, link=len(sections) + 2, info=local + 1,
            entry_size=_SYMBOL.size, alignment=4,
        ),
        Section(".strtab", SectionType.STRTAB, data=strings),
    ]  # fmt: skip
    names = bytearray()
    positions = []
    for section in [*every, Section(".shstrtab", SectionType.STRTAB)]:
        positions.append(len(names))
        names += section.name.encode() + b"\0"
    every.append(Section(".shstrtab", SectionType.STRTAB, data=bytes(names)))
    loaded = [s for s in every if s.flags & Flag.ALLOC]
    out = bytearray(_HEADER.size + _SEGMENT.size * len(loaded))
    headers = bytearray(_SECTION.size)
    for section, position in zip(every[1:], positions[1:], strict=True):
        out += bytes(-len(out) % section.alignment)
        size = section.size or len(section.data)
        headers += _SECTION.pack(
            position, section.type, section.flags, section.address, len(out), size, section.link,
            section.info, section.alignment, section.entry_size,
        )  # fmt: skip
        out += section.data
    out += bytes(-len(out) % 4)
    for number, section in enumerate(loaded):
        executable = bool(section.flags & Flag.EXECUTE)
        _SEGMENT.pack_into(
            out, _HEADER.size + number * _SEGMENT.size, _LOAD, 0, section.address,
            section.address, 0, section.size, 5 if executable else 6, 1,
        )  # fmt: skip
    _HEADER.pack_into(
        out, 0, _IDENT, _EXECUTABLE, _386, 1, entry, _HEADER.size, len(out), 0, _HEADER.size,
        _SEGMENT.size, len(loaded), _SECTION.size, len(every), len(every) - 1,
    )  # fmt: skip
    return bytes(out + headers)


def _symbol_table(symbols: Sequence[Symbol]) -> tuple[bytes, bytes]:
    table = bytearray(_SYMBOL.size)
    strings = bytearray(b"\0")
    places: dict[bytes, int] = {}
    for symbol in symbols:
        place = places.get(symbol.name)
        if place is None:
            place = places[symbol.name] = len(strings)
            strings += symbol.name + b"\0"
        info = (0 if symbol.local else 0x10) | symbol.type
        table += _SYMBOL.pack(place, symbol.address, symbol.size, info, 0, symbol.section)
    return bytes(table), bytes(strings)


def build_id_note(identity: bytes) -> bytes:
    """Contents of .note.gnu.build-id."""
    return (
        struct.pack("<III", 4, len(identity), 3) + b"GNU\0" + identity + bytes(-len(identity) % 4)
    )
