"""Units of .debug_info: their headers, what their first entry says, and the walk over a unit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from symbols.dwarf.abbrev import Abbreviations, Encoding, Plan, Table, Value
from symbols.dwarf.constants import ADDRESS_FORMS, STRING_INDEX_FORMS, UNIT_TAGS, At, Form
from symbols.dwarf.notes import Notes
from symbols.dwarf.sections import Sections, initial_length, integer, text, unsigned
from symbols.errors import SymbolsError

UNIT_ATTRIBUTES = frozenset(
    {
        At.NAME,
        At.COMP_DIR,
        At.STMT_LIST,
        At.LOW_PC,
        At.STR_OFFSETS_BASE,
        At.ADDR_BASE,
        At.RNGLISTS_BASE,
        At.LOCLISTS_BASE,
    }
)
"""What a scan must want of units for `Unit` to be complete."""
UNIT_WANTED = dict.fromkeys(UNIT_TAGS, UNIT_ATTRIBUTES)

MAX_UNITS = 1_000_000
MAX_DEPTH = 1_000
"""Bounds on units of a module and on the nesting of entries; kernels have 10^3 and 10^1."""

_TYPE_UNITS = (2, 6)
_WITH_ID = (4, 5)


@dataclass(slots=True)
class Unit:
    """One unit. Offsets are into .debug_info."""

    offset: int
    first: int
    """Its first entry."""
    end: int
    encoding: Encoding
    table: Table
    name: str = ""
    directory: str = ""
    """DW_AT_comp_dir."""
    statements: int = -1
    """Offset of its line program in .debug_line, -1 if it has none."""
    base: int = 0
    """DW_AT_low_pc: what its range and location lists count from."""
    str_offsets_base: int = 8
    addr_base: int = 8
    rnglists_base: int = 12
    loclists_base: int = 12


@dataclass(frozen=True, slots=True)
class Header:
    """A unit's header, before its abbreviations are known."""

    offset: int
    first: int
    end: int
    encoding: Encoding
    abbreviations: int
    kind: int
    """DW_UT_*; 1 (compile) before version 5."""


def read_headers(info: bytes, notes: Notes, start: int = 0) -> Iterator[Header]:
    """Headers in file order from the one at `start`. A unit with a damaged header is left out with
    a note, a damaged length ends the section, since nothing says where the next unit starts."""
    pos, count = start, 0
    while pos < len(info):
        offset = pos
        count += 1
        if count > MAX_UNITS:
            notes.add(f"more than {MAX_UNITS} units: the others left out")
            return
        try:
            pos, end, width = initial_length(info, pos)
        except SymbolsError as error:
            notes.left_out(f"units from {offset:#x} on", error)
            return
        try:
            yield _header(info, offset, pos, end, width)
        except SymbolsError as error:
            notes.left_out(f"unit at {offset:#x}", error)
        pos = end


def _header(info: bytes, offset: int, pos: int, end: int, width: int) -> Header:
    version = integer(info, pos, 2)
    pos += 2
    if not 2 <= version <= 5:
        raise SymbolsError(f"unsupported DWARF version {version}", offset)
    kind = 1
    if version >= 5:
        kind, size = integer(info, pos, 1), integer(info, pos + 1, 1)
        abbreviations = integer(info, pos + 2, width)
        pos += 2 + width
        if kind in _WITH_ID:
            pos += 8
        elif kind in _TYPE_UNITS:
            pos += 8 + width
    else:
        abbreviations = integer(info, pos, width)
        size = integer(info, pos + width, 1)
        pos += width + 1
    if size not in (4, 8):
        raise SymbolsError(f"unsupported address size {size}", offset)
    if pos > end:
        raise SymbolsError("truncated unit header", offset)
    return Header(offset, pos, end, Encoding(version, size, width), abbreviations, kind)


def read_unit(sections: Sections, header: Header, abbreviations: Abbreviations) -> Unit:
    """A unit with what its first entry says; the scan's wanted set includes UNIT_WANTED."""
    encoding = header.encoding
    table = abbreviations.table(header.abbreviations, encoding)
    unit = Unit(header.offset, header.first, header.end, encoding, table)
    wide = encoding.offset_size == 8
    unit.str_offsets_base = unit.addr_base = 16 if wide else 8
    unit.rnglists_base = unit.loclists_base = 20 if wide else 12
    if header.first >= header.end:
        return unit
    code, pos = unsigned(sections.info, header.first)
    plan = table.plans.get(code)
    if plan is None or plan.tag not in UNIT_TAGS:
        return unit
    values, _ = plan.read(sections.info, pos)

    def number(attribute: int, default: int) -> int:
        value = plan.get(values, attribute)
        return value if isinstance(value, int) else default

    unit.str_offsets_base = number(At.STR_OFFSETS_BASE, unit.str_offsets_base)
    unit.addr_base = number(At.ADDR_BASE, unit.addr_base)
    unit.rnglists_base = number(At.RNGLISTS_BASE, unit.rnglists_base)
    unit.loclists_base = number(At.LOCLISTS_BASE, unit.loclists_base)
    unit.statements = number(At.STMT_LIST, -1)
    unit.base = address(sections, unit, plan, values, At.LOW_PC) or 0
    unit.name = string(sections, unit, plan, values, At.NAME) or ""
    unit.directory = string(sections, unit, plan, values, At.COMP_DIR) or ""
    return unit


def walk(
    info: bytes, unit: Unit, first: int | None = None
) -> Iterator[tuple[int, int, int, Plan, tuple[Value, ...]]]:
    """All wanted entries of a unit in order: (offset, depth, closed, plan, values). The unit's own
    entry has depth 0. `closed`: the entries around the last wanted one that are this deep or
    deeper have ended, and unwanted ones may be around this one instead. With `first`: the entry
    there, at depth 0, and those inside it."""
    plans, skips = unit.table.plans, unit.table.skips
    pos, end = unit.first if first is None else first, unit.end
    depth, closed = 0, MAX_DEPTH + 1
    while pos < end:
        code = info[pos]
        step = skips[code]
        if step:
            pos += step
            continue
        start = pos
        pos += 1
        if not code:
            depth -= 1
            if depth < closed:
                closed = depth
                if depth <= 0:
                    return
            continue
        if code >= 0x80:
            code, pos = unsigned(info, start)
        plan = plans.get(code)
        if plan is None:
            raise SymbolsError(f"entry with unknown abbreviation {code}", start)
        if plan.wanted:
            values, pos = plan.read(info, pos)
            if pos > end:
                break
            yield start, depth, min(closed, depth), plan, values
            closed = depth + 1
        elif plan.size >= 0:
            pos += plan.size
        else:
            _, pos = plan.read(info, pos)
        if plan.children:
            depth += 1
            if depth > MAX_DEPTH:
                raise SymbolsError(f"entries nested deeper than {MAX_DEPTH}", start)
        elif not depth:
            return
    if pos > end:
        raise SymbolsError("an entry reaches beyond its unit", end)


def indexed_address(sections: Sections, unit: Unit, index: int) -> int:
    """Entry `index` of the unit's part of .debug_addr."""
    size = unit.encoding.address_size
    return integer(sections.addr, unit.addr_base + index * size, size)


def address(
    sections: Sections, unit: Unit, plan: Plan, values: tuple[Value, ...], attribute: int
) -> int | None:
    """An attribute of class address, None if the entry has none of that class."""
    value = plan.get(values, attribute)
    if not isinstance(value, int):
        return None
    form = plan.forms[attribute]
    if form == Form.ADDR:
        return value
    if form in ADDRESS_FORMS:
        return indexed_address(sections, unit, value)
    return None


def string(
    sections: Sections, unit: Unit, plan: Plan, values: tuple[Value, ...], attribute: int
) -> str | None:
    """An attribute of class string, None if the entry has none."""
    value = plan.get(values, attribute)
    if value is None or isinstance(value, str):
        return value
    form = plan.forms[attribute]
    if not isinstance(value, int):
        return None
    if form == Form.STRP:
        return text(sections.str, value)
    if form == Form.LINE_STRP:
        return text(sections.line_str, value)
    if form in STRING_INDEX_FORMS:
        width = unit.encoding.offset_size
        where = integer(sections.str_offsets, unit.str_offsets_base + value * width, width)
        return text(sections.str, where)
    return None
