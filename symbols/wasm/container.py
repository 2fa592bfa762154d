"""The outermost layer of a module: preamble and sections (core specification 5.5)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from construct import Bytes, ConstructError, Int16ul, Struct

from symbols.errors import SymbolsError
from symbols.wasm.leb import decode_u32, encode_unsigned

MAX_ENTRIES = 1_000_000
"""Most types, functions, imports, exports ... of a module; engines have the same bound."""
MAX_SECTIONS = 10_000

MAGIC = b"\0asm"
PREAMBLE = Struct("magic" / Bytes(4), "version" / Int16ul, "layer" / Int16ul)
MODULE_PREAMBLE = b"\0asm\x01\0\0\0"


class SectionId(IntEnum):
    """Section ids. The canonical order differs from the numbers, see ``ORDER``."""

    CUSTOM = 0
    TYPE = 1
    IMPORT = 2
    FUNCTION = 3
    TABLE = 4
    MEMORY = 5
    GLOBAL = 6
    EXPORT = 7
    START = 8
    ELEMENT = 9
    CODE = 10
    DATA = 11
    DATA_COUNT = 12
    TAG = 13


ORDER = (
    SectionId.TYPE,
    SectionId.IMPORT,
    SectionId.FUNCTION,
    SectionId.TABLE,
    SectionId.MEMORY,
    SectionId.TAG,
    SectionId.GLOBAL,
    SectionId.EXPORT,
    SectionId.START,
    SectionId.ELEMENT,
    SectionId.DATA_COUNT,
    SectionId.CODE,
    SectionId.DATA,
)
_RANK = {section: rank for rank, section in enumerate(ORDER)}


@dataclass(frozen=True, slots=True)
class Section:
    """One section: contents are ``data[start:end]``, for custom sections without the name."""

    id: SectionId
    name: str
    start: int
    end: int
    header: int
    """File offset of the section's id byte."""


def check_preamble(data: bytes) -> None:
    """Raise SymbolsError unless ``data`` starts like a core WebAssembly module, version 1."""
    if not data:
        raise SymbolsError("the file is empty")
    if data[:4] != MAGIC[: len(data[:4])]:
        raise SymbolsError("not a WebAssembly module: it does not start with \\0asm", 0)
    try:
        preamble = PREAMBLE.parse(data[:8])
    except ConstructError:
        raise SymbolsError("truncated module: no version after \\0asm", len(data)) from None
    if preamble.layer == 1:
        raise SymbolsError("a WebAssembly component, not a core module: unpack the module first", 4)
    if preamble.version != 1 or preamble.layer:
        version = preamble.version | preamble.layer << 16
        raise SymbolsError(f"unsupported WebAssembly version {version:#x}", 4)


def read_sections(data: bytes) -> list[Section]:
    """All sections in file order; known sections at most once and in canonical order."""
    check_preamble(data)
    sections: list[Section] = []
    rank = -1
    pos, total = 8, len(data)
    while pos < total:
        header = pos
        if len(sections) >= MAX_SECTIONS:
            raise SymbolsError(f"more than {MAX_SECTIONS} sections", header)
        number = data[pos]
        try:
            section = SectionId(number)
        except ValueError:
            raise SymbolsError(f"unknown section id {number}", header) from None
        size, pos = decode_u32(data, pos + 1, total)
        if size > total - pos:
            raise SymbolsError(
                f"truncated module: section {section.name.lower()} claims {size} bytes, "
                f"{total - pos} are left",
                header,
            )
        end = pos + size
        name = ""
        if section is SectionId.CUSTOM:
            name, pos = read_name(data, pos, end)
        else:
            if _RANK[section] <= rank:
                raise SymbolsError(
                    f"section {section.name.lower()} out of order or repeated", header
                )
            rank = _RANK[section]
        sections.append(Section(section, name, pos, end, header))
        pos = end
    return sections


def read_name(data: bytes, pos: int, end: int) -> tuple[str, int]:
    """A length-prefixed UTF-8 name; returns (name, next offset)."""
    size, start = decode_u32(data, pos, end)
    if size > end - start:
        raise SymbolsError(f"name claims {size} bytes, {end - start} are left", pos)
    try:
        return data[start : start + size].decode(), start + size
    except UnicodeDecodeError:
        raise SymbolsError("name is not UTF-8", start) from None


def read_count(
    data: bytes, pos: int, end: int, what: str, smallest: int = 1, most: int = MAX_ENTRIES
) -> tuple[int, int]:
    """The entry count of a vector whose entries take at least ``smallest`` bytes each."""
    count, after = decode_u32(data, pos, end)
    if count > most:
        raise SymbolsError(f"{what}: {count} entries claimed, {most} are the limit", pos)
    if count * smallest > end - after:
        raise SymbolsError(f"{what}: {count} entries claimed, {end - after} bytes are left", pos)
    return count, after


def write_name(name: str) -> bytes:
    """Length-prefixed UTF-8."""
    raw = name.encode()
    return encode_unsigned(len(raw)) + raw


def write_section(section: SectionId, contents: bytes) -> bytes:
    """One known section with its header."""
    return bytes((section,)) + encode_unsigned(len(contents)) + contents


def write_custom(name: str, contents: bytes) -> bytes:
    """One custom section with its header and name."""
    return write_section(SectionId.CUSTOM, write_name(name) + contents)


def write_vector(entries: list[bytes]) -> bytes:
    """A vector: the count, then the encoded entries."""
    return encode_unsigned(len(entries)) + b"".join(entries)


def write_module(sections: Iterable[tuple[SectionId, str, bytes]]) -> bytes:
    """A module from (id, name, contents) of its sections; the name counts for custom ones."""
    parts = [
        write_custom(name, contents)
        if section is SectionId.CUSTOM
        else write_section(section, contents)
        for section, name, contents in sections
    ]
    return MODULE_PREAMBLE + b"".join(parts)
