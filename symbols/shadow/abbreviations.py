"""Abbreviation tables, compiled to plans that walk over a DIE quickly.

A DIE of a kernel is visited once, and there are more than a million: per abbreviation it is worked
out beforehand how many bytes can be skipped and where something has to be looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from symbols.dwarf.constants import At, Form, Tag
from symbols.errors import SymbolsError
from symbols.wasm.leb import decode_u32

_ENTRY_PC, _CALL_RETURN_PC, _CALL_PC = 0x52, 0x7D, 0x81
CODE_ATTRIBUTES: Final = frozenset({At.LOW_PC, At.HIGH_PC, _ENTRY_PC, _CALL_RETURN_PC, _CALL_PC})
"""Their addresses are code offsets."""
LIST_ATTRIBUTES: Final = frozenset({0x02, 0x19, 0x2A, 0x38, 0x40, 0x46, 0x48, 0x4A, 0x4D})
"""A section offset in one of these is that of a location list."""

FIXED: Final = {
    0x01: 4, 0x05: 2, 0x06: 4, 0x07: 8, 0x0B: 1, 0x0C: 1, 0x0E: 4, 0x10: 4, 0x11: 1, 0x12: 2,
    0x13: 4, 0x14: 8, 0x17: 4, 0x19: 0, 0x1C: 4, 0x1D: 4, 0x1E: 16, 0x1F: 4, 0x20: 8, 0x21: 0,
    0x24: 8, 0x25: 1, 0x26: 2, 0x27: 3, 0x28: 4, 0x29: 1, 0x2A: 2, 0x2B: 3, 0x2C: 4,
}  # fmt: skip
"""Bytes of the forms of constant size, with 32-bit DWARF and 4-byte addresses."""
LEB_FORMS: Final = frozenset({0x0D, 0x0F, 0x15, 0x1A, 0x1B, 0x22, 0x23})
BLOCK_FORMS: Final = {0x03: 2, 0x04: 4, 0x0A: 1}
"""Bytes of the length of blocks."""
# Steps of a plan: (kind, argument).
SKIP: Final = 0
"""Argument bytes of no interest."""
EXPRESSION: Final = 1
"""A location expression of attribute `argument`."""
LEB: Final = 2
LIST: Final = 3
"""Offset of a location list."""
CODE: Final = 4
"""Address of code."""
TEXT: Final = 5
"""Characters up to a zero."""
BLOCK: Final = 6
"""A block whose length takes `argument` bytes, 0: LEB128."""
LINES: Final = 7
"""Offset of a line table."""
RANGES: Final = 8
"""Offset of a range list."""
LISTS_BASE: Final = 9
"""Base of the unit's location lists."""
BASE_TYPE: Final = 10
"""Nothing to read: the DIE is a base type."""
LIST_INDEX: Final = 11
"""Index of a location list in the unit's table of them."""
CODE_INDEX: Final = 12
"""Index of an address of code."""

Plan = int | tuple[tuple[int, int], ...]
"""Steps; a number if all there is to do is to skip that many bytes."""

MOST_BYTES: Final = 1 << 26
"""Bytes of abbreviations read for one module, tables that overlap counted twice."""


@dataclass(frozen=True, slots=True)
class Abbreviation:
    """One kind of DIE."""

    tag: int
    children: bool
    attributes: tuple[tuple[int, int, int], ...]
    """(attribute, form, implicit constant)."""
    plan: Plan
    variable: bool
    """A variable that has a name, or can inherit one."""


Table = dict[int, Abbreviation]


class Abbreviations:
    """The tables of a .debug_abbrev section, read when a unit asks for them."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._tables: dict[int, Table] = {}
        self._read = 0

    def table(self, offset: int) -> Table:
        """Abbreviations by code."""
        table = self._tables.get(offset)
        if table is None:
            table, end = _read_table(self._data, offset)
            self._read += end - offset
            if self._read > MOST_BYTES:
                raise SymbolsError("the DWARF has too many abbreviations")
            self._tables[offset] = table
        return table


def _read_table(data: bytes, pos: int) -> tuple[Table, int]:
    table: Table = {}
    end = len(data)
    while True:
        code, pos = decode_u32(data, pos, end)
        if not code:
            return table, pos
        tag, pos = decode_u32(data, pos, end)
        if pos >= end:
            raise SymbolsError("truncated abbreviation table")
        children = data[pos] != 0
        pos += 1
        attributes = []
        while True:
            attribute, pos = decode_u32(data, pos, end)
            form, pos = decode_u32(data, pos, end)
            constant = 0
            if form == Form.IMPLICIT_CONST:
                start = pos
                while pos < end and data[pos] >= 0x80:
                    pos += 1
                pos += 1
                constant = _signed(data[start:pos])
            if not attribute and not form:
                break
            attributes.append((attribute, form, constant))
        plan = _plan(attributes)
        if tag == Tag.BASE_TYPE:
            plan = ((BASE_TYPE, 0), *((((SKIP, plan),)) if isinstance(plan, int) else plan))
        names = {At.NAME, At.SPECIFICATION, At.ABSTRACT_ORIGIN}
        variable = tag == Tag.VARIABLE and any(a in names for a, _, _ in attributes)
        table[code] = Abbreviation(tag, children, tuple(attributes), plan, variable)


def _unsigned(raw: bytes) -> int:
    return sum((byte & 0x7F) << 7 * i for i, byte in enumerate(raw[:10]))


def _signed(raw: bytes) -> int:
    raw = raw[:10]
    value = _unsigned(raw)
    return value - (1 << 7 * len(raw)) if raw and raw[-1] & 0x40 else value


def _plan(attributes: list[tuple[int, int, int]]) -> Plan:
    steps: list[tuple[int, int]] = []
    skipped = 0
    for attribute, form, _ in attributes:
        step = _step(attribute, form)
        if step[0] == SKIP:
            skipped += step[1]
            continue
        if skipped:
            steps.append((SKIP, skipped))
            skipped = 0
        steps.append(step)
    if not steps:
        return skipped
    if skipped:
        steps.append((SKIP, skipped))
    return tuple(steps)


def _step(attribute: int, form: int) -> tuple[int, int]:
    if form == Form.EXPRLOC:
        return EXPRESSION, attribute
    if form == Form.SEC_OFFSET:
        kinds = {At.STMT_LIST: LINES, At.RANGES: RANGES, At.LOCLISTS_BASE: LISTS_BASE}
        if attribute in kinds:
            return kinds[attribute], attribute
        if attribute in LIST_ATTRIBUTES:
            return LIST, attribute
    if form == Form.LOCLISTX and attribute in LIST_ATTRIBUTES:
        return LIST_INDEX, attribute
    if form == Form.ADDRX and attribute == At.LOW_PC:
        return CODE_INDEX, attribute
    if form == Form.ADDR and attribute in CODE_ATTRIBUTES:
        return CODE, attribute
    if form in FIXED:
        return SKIP, FIXED[form]
    if form in LEB_FORMS:
        return LEB, 0
    if form == Form.STRING:
        return TEXT, 0
    if form in BLOCK_FORMS:
        return BLOCK, BLOCK_FORMS[form]
    if form == Form.BLOCK:
        return BLOCK, 0
    raise SymbolsError(f"DWARF form {form:#x} is not supported")


Value = int | bytes


def read_attributes(
    data: bytes, pos: int, abbreviation: Abbreviation
) -> tuple[dict[int, tuple[int, Value]], int]:
    """All attributes of the DIE whose attributes start at `pos`, attribute -> (form, value), and
    where they end. The slow way, for single DIEs."""
    found: dict[int, tuple[int, Value]] = {}
    end = len(data)
    for attribute, form, constant in abbreviation.attributes:
        value: Value
        if form == Form.IMPLICIT_CONST:
            value = constant
        elif form == Form.FLAG_PRESENT:
            value = 1
        elif form in FIXED:
            size = FIXED[form]
            value = int.from_bytes(data[pos : pos + size], "little")
            pos += size
        elif form in LEB_FORMS:
            start = pos
            while pos < end and data[pos] >= 0x80:
                pos += 1
            pos += 1
            value = (_signed if form == Form.SDATA else _unsigned)(data[start:pos])
        elif form == Form.STRING:
            stop = data.find(b"\0", pos)
            if stop < 0:
                raise SymbolsError("string without an end in .debug_info")
            value, pos = data[pos:stop], stop + 1
        else:
            if form in BLOCK_FORMS:
                size = BLOCK_FORMS[form]
                length = int.from_bytes(data[pos : pos + size], "little")
                pos += size
            else:
                length, pos = decode_u32(data, pos, end)
            value = data[pos : pos + length]
            pos += length
        found[attribute] = form, value
    if pos > end:
        raise SymbolsError("truncated DIE")
    return found, pos


def find_attribute(
    data: bytes, pos: int, abbreviation: Abbreviation, attribute: int
) -> tuple[int, int] | None:
    """(position, form) of an attribute of the DIE whose attributes start at `pos`."""
    for number, (found, form, _) in enumerate(abbreviation.attributes):
        if found == attribute:
            before = replace(abbreviation, attributes=abbreviation.attributes[:number])
            return read_attributes(data, pos, before)[1], form
    return None
