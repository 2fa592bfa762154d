"""Line-number programs: headers with their file tables, and the rows that a program makes."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass

from symbols.dwarf.constants import Form
from symbols.dwarf.sections import Sections, initial_length, integer, signed, text, unsigned
from symbols.errors import SymbolsError

STATEMENT, PROLOGUE_END, END_SEQUENCE = 1, 2, 4
"""Flags of a row."""

MAX_FILES = 100_000
"""Most files, and most directories, of one program."""

_PATH, _DIRECTORY = 1, 2
_ADVANCE_ADDRESS, _ADVANCE_LINE, _SET_FILE = 2, 3, 4
_DATA_SIZES = {Form.DATA1: 1, Form.DATA2: 2, Form.DATA4: 4, Form.DATA8: 8, Form.DATA16: 16}


@dataclass(frozen=True, slots=True)
class Program:
    """A program's header."""

    offset: int
    """Of the program in .debug_line."""
    start: int
    """Of its first opcode."""
    end: int
    version: int
    minimum: int
    """Bytes per unit of address advance."""
    default_statement: bool
    line_base: int
    line_range: int
    opcode_base: int
    operands: bytes
    """Number of LEB128 operands by standard opcode, from opcode 1."""
    files: tuple[tuple[str, int], ...]
    """(name, directory index) by file number as rows use it."""
    directories: tuple[str, ...]
    """By directory index; entry 0 of versions before 5 is "": the unit's directory."""

    def path(self, number: int, unit_directory: str) -> str:
        """Full path of a file, "" if the program has none of that number."""
        if not 0 <= number < len(self.files):
            return ""
        name, directory = self.files[number]
        if name.startswith("/") or not name:
            return name
        place = self.directories[directory] if directory < len(self.directories) else ""
        if not place.startswith("/"):
            place = f"{unit_directory}/{place}" if place else unit_directory
        return f"{place.rstrip('/')}/{name}" if place else name


@dataclass(slots=True)
class Rows:
    """Rows of a program in its order, one entry per row in each column."""

    address: array[int]
    file: array[int]
    line: array[int]
    flags: bytearray


class Programs:
    """Reader of headers. Programs of honest files do not overlap, hostile ones must not cost
    quadratic time."""

    def __init__(self, sections: Sections) -> None:
        self._sections = sections
        self._budget = 2 * len(sections.line) + 4096

    def read(self, offset: int) -> Program:
        """The header at `offset` of .debug_line."""
        program = _read(self._sections, offset)
        self._budget -= program.end - offset
        if self._budget < 0:
            raise SymbolsError("line programs overlap", offset)
        return program


def _read(sections: Sections, offset: int) -> Program:
    data = sections.line
    if not 0 <= offset < len(data):
        raise SymbolsError("line program outside of .debug_line", offset)
    pos, end, width = initial_length(data, offset)
    version = integer(data, pos, 2)
    if not 2 <= version <= 5:
        raise SymbolsError(f"unsupported line table version {version}", offset)
    pos += 2
    if version >= 5:
        pos += 2  # address size, segment selector size
    size = integer(data, pos, width)
    pos += width
    start = pos + size
    if start > end:
        raise SymbolsError("line program header reaches beyond the program", offset)
    minimum = integer(data, pos, 1)
    pos += 2 if version >= 4 else 1
    default, base, line_range, opcode_base = data[pos], data[pos + 1], data[pos + 2], data[pos + 3]
    if not line_range or not opcode_base:
        raise SymbolsError("line program with a zero in its header", offset)
    pos += 4
    operands = data[pos : pos + opcode_base - 1]
    pos += opcode_base - 1
    tables = _new_tables if version >= 5 else _old_tables
    directories, files = tables(sections, pos, start, width)
    return Program(
        offset,
        start,
        end,
        version,
        minimum,
        bool(default),
        base - 256 if base >= 128 else base,
        line_range,
        opcode_base,
        operands,
        files,
        directories,
    )


_Tables = tuple[tuple[str, ...], tuple[tuple[str, int], ...]]


def _old_tables(sections: Sections, pos: int, end: int, width: int) -> _Tables:
    data = sections.line
    directories = [""]
    files: list[tuple[str, int]] = [("", 0)]
    while data[pos]:
        directories.append(text(data, pos))
        pos = data.index(b"\0", pos) + 1
        if pos > end or len(directories) > MAX_FILES:
            raise SymbolsError("directory table of a line program has no end", pos)
    pos += 1
    while data[pos]:
        name = text(data, pos)
        pos = data.index(b"\0", pos) + 1
        directory, pos = unsigned(data, pos)
        _, pos = unsigned(data, pos)
        _, pos = unsigned(data, pos)
        files.append((name, directory))
        if pos > end or len(files) > MAX_FILES:
            raise SymbolsError("file table of a line program has no end", pos)
    return tuple(directories), tuple(files)


def _new_tables(sections: Sections, pos: int, end: int, width: int) -> _Tables:
    found: list[list[tuple[str, int]]] = []
    data = sections.line
    for _ in range(2):
        formats: list[tuple[int, int]] = []
        count = data[pos]
        pos += 1
        for _ in range(count):
            content, pos = unsigned(data, pos)
            form, pos = unsigned(data, pos)
            formats.append((content, form))
        count, pos = unsigned(data, pos)
        if count > MAX_FILES or (count and not formats):
            raise SymbolsError(f"line program with {count} files", pos)
        entries: list[tuple[str, int]] = []
        for _ in range(count):
            name, directory = "", 0
            for content, form in formats:
                value, pos = _entry(sections, form, pos, width)
                if content == _PATH and isinstance(value, str):
                    name = value
                elif content == _DIRECTORY and isinstance(value, int):
                    directory = value
            if pos > end:
                raise SymbolsError("file table of a line program has no end", pos)
            entries.append((name, directory))
        found.append(entries)
    return tuple(name for name, _ in found[0]), tuple(found[1])


def _entry(sections: Sections, form: int, pos: int, width: int) -> tuple[str | int, int]:
    data = sections.line
    if form == Form.LINE_STRP:
        return text(sections.line_str, integer(data, pos, width)), pos + width
    if form == Form.STRP:
        return text(sections.str, integer(data, pos, width)), pos + width
    if form == Form.STRING:
        return text(data, pos), data.index(b"\0", pos) + 1
    if form == Form.UDATA:
        return unsigned(data, pos)
    if form in _DATA_SIZES:
        return integer(data, pos, _DATA_SIZES[form]), pos + _DATA_SIZES[form]
    if form == Form.BLOCK:
        size, pos = unsigned(data, pos)
        return 0, pos + size
    raise SymbolsError(f"unsupported form {form:#x} in a file table", pos)


def sequences(rows: Rows) -> Iterator[tuple[int, int]]:
    """[first, end) of the rows of each sequence; its last row is the END_SEQUENCE, whose address
    is the end of the sequence's code."""
    first = 0
    for number, flags in enumerate(rows.flags):
        if flags & END_SEQUENCE:
            yield first, number + 1
            first = number + 1
    if first < len(rows.flags):
        yield first, len(rows.flags)


def run(data: bytes, program: Program, limit: int) -> Rows:
    """All rows of a program whose addresses are in (0, limit], in its order; sequences that
    start elsewhere (tombstones) are left out."""
    addresses, files, lines, flags = array("I"), array("I"), array("I"), bytearray()
    base, line_range = program.line_base, program.line_range
    opcode_base, minimum = program.opcode_base, program.minimum
    # Of each special opcode: what it adds to the line and to the address.
    special = [
        (base + number % line_range, number // line_range * minimum)
        for number in range(256 - opcode_base)
    ]
    constant = (255 - opcode_base) // line_range * minimum
    initial = STATEMENT if program.default_statement else 0
    pos, end = program.start, program.end
    address, file, line, flag = 0, 1, 1, initial
    while pos < end:
        opcode = data[pos]
        pos += 1
        if opcode >= opcode_base:
            more, further = special[opcode - opcode_base]
            line += more
            address += further
        elif opcode == _ADVANCE_LINE:
            more = data[pos]
            if more < 0x80:
                line += more - 128 if more & 0x40 else more
                pos += 1
            else:
                more, pos = signed(data, pos)
                line += more
            continue
        elif opcode == 5:  # set_column
            while data[pos] >= 0x80:
                pos += 1
            pos += 1
            continue
        elif opcode == 1:  # copy
            pass
        elif opcode == 6:  # negate_stmt
            flag ^= STATEMENT
            continue
        elif opcode == 10:  # set_prologue_end
            flag |= PROLOGUE_END
            continue
        elif opcode == 8:  # const_add_pc
            address += constant
            continue
        elif opcode == _ADVANCE_ADDRESS:
            more, pos = unsigned(data, pos)
            address += more * minimum
            continue
        elif opcode == _SET_FILE:
            file, pos = unsigned(data, pos)
            continue
        elif opcode == 9:  # fixed_advance_pc
            address += integer(data, pos, 2)
            pos += 2
            continue
        elif opcode == 0:
            size, pos = unsigned(data, pos)
            after = pos + size
            if not size or after > end:
                raise SymbolsError("truncated line program", pos)
            kind = data[pos]
            if kind == 2:
                address = integer(data, pos + 1, size - 1) if size <= 9 else 0
            elif kind == 1:
                if flags and not flags[-1] & END_SEQUENCE:
                    addresses.append(address if 0 < address <= limit else addresses[-1])
                    files.append(0)
                    lines.append(0)
                    flags.append(END_SEQUENCE)
                address, file, line, flag = 0, 1, 1, initial
            pos = after
            continue
        else:
            for _ in range(program.operands[opcode - 1]):
                _, pos = unsigned(data, pos)
            continue
        if 0 < address < limit:
            addresses.append(address)
            files.append(file if file < MAX_FILES else 0)
            lines.append(line if 0 <= line < 0x80000000 else 0)
            flags.append(flag)
        flag &= STATEMENT
    return Rows(addresses, files, lines, flags)
