"""Turns the locations of variables into registers, in place.

Nothing changes its size: a location list's 4-byte offset becomes a location expression of a
one-byte length and three bytes of `DW_OP_regx`, which takes a different form in the abbreviation
and the same room; `WASM_location ...; stack_value` has room for the same. An expression without a
wasm value in it stays: it is the address of memory, by way of the frame base, or a constant.

Units of any version but 4, and of 64-bit DWARF, stay as they are. (Version 5 refers to lists by an
index of one byte, which has no room for an expression.) So does every unit that shares its
abbreviations with one of them.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from symbols.dwarf.constants import At, Form, Tag
from symbols.dwarf.expressions import wasm_locations
from symbols.errors import SymbolsError
from symbols.lldb.numbers import MOST_PROGRAMS, operand, register
from symbols.lldb.table import LIST as LISTED
from symbols.lldb.table import Table
from symbols.shadow.abbreviations import (
    BASE_TYPE,
    BLOCK,
    CODE,
    EXPRESSION,
    LEB,
    LIST,
    SKIP,
    TEXT,
    Abbreviations,
)
from symbols.shadow.abbreviations import (
    Table as Kinds,
)
from symbols.wasm.leb import decode_u32

_VARIABLES: Final = frozenset({Tag.FORMAL_PARAMETER, Tag.VARIABLE})
_UNIT_TAGS: Final = frozenset({0x11, 0x41, 0x4A, 0x3C})
_INDICES: Final = frozenset({11, 12})
"""Steps over indices of lists and addresses; units of version 4 have none."""
_WASM_LOCATION: Final = 0xED
_REGX: Final = b"\x90"
_NOP: Final = b"\x96"
_DEEPEST: Final = 1000

# WASM_location of a global by its 4-byte index, then addr, its operand, plus.
_BASE_PLUS_ADDRESS = re.compile(rb"\xed\x03..\0\0(?=\x03.{4}\x22)", re.DOTALL)


@dataclass(slots=True)
class _Unit:
    """A unit that can be changed: where it is, and what is to be written into it."""

    first: int
    end: int
    kinds: Kinds
    abbreviations: int
    patches: list[tuple[int, bytes]] = field(default_factory=list)


def change(info: bytearray, abbrev: bytearray, number: int) -> Table:
    """Change .debug_info and .debug_abbrev of module `number`; returns what the registers are.

    Whatever is malformed stays as it is.
    """
    source, kinds = bytes(info), bytes(abbrev)
    table = Table()
    units, spoiled = _units(source, kinds)
    for unit in units:
        if unit.abbreviations not in spoiled:
            try:
                _walk(source, unit, table)
            except (SymbolsError, IndexError, ValueError, struct.error):
                spoiled.add(unit.abbreviations)
    forms: dict[int, list[int]] = {}
    for unit in units:
        if unit.abbreviations in spoiled:
            continue
        if unit.abbreviations not in forms:
            forms[unit.abbreviations] = list(_list_forms(kinds, unit.abbreviations))
        for position, new in unit.patches:
            info[position : position + len(new)] = new
    for positions in forms.values():
        for position in positions:
            abbrev[position] = Form.EXPRLOC
    if 0 < number <= MOST_PROGRAMS:
        base = b"\x92" + bytes((number, 0)) + 3 * _NOP
        info[:] = _BASE_PLUS_ADDRESS.sub(base, bytes(info))
    return table


def _units(info: bytes, abbrev: bytes) -> tuple[list[_Unit], set[int]]:
    """Units that can be changed, and the abbreviations that cannot."""
    abbreviations = Abbreviations(abbrev)
    units: list[_Unit] = []
    spoiled: set[int] = set()
    pos = 0
    while pos + 11 <= len(info):
        length, version = struct.unpack_from("<IH", info, pos)
        end = pos + 4 + length
        if length >= 0xFFFF_FFF0 or end > len(info):
            break
        try:
            (offset,) = struct.unpack_from("<I", info, pos + (8 if version >= 5 else 6))
            size = info[pos + 10]
            if version != 4 or size != 4:
                spoiled.add(offset)
            else:
                units.append(_Unit(pos + 11, end, abbreviations.table(offset), offset))
        except (SymbolsError, struct.error, IndexError):
            break
        pos = end
    return units, spoiled


def _walk(info: bytes, unit: _Unit, table: Table) -> None:
    """Note what is to be changed in a unit, and its variables."""
    kinds, end, patches = unit.kinds, unit.end, unit.patches
    pos, depth = unit.first, 0
    base = 0
    inside = -1  # depth of the function that we are in
    while pos < end:
        code = info[pos]
        if code < 0x80:
            pos += 1
        else:
            code, pos = decode_u32(info, pos, end)
        if not code:
            depth -= 1
            if depth <= inside:
                inside = -1
            if depth <= 0:
                return
            continue
        kind = kinds.get(code)
        if kind is None:
            raise SymbolsError(f"entry with unknown abbreviation {code}", pos)
        plan = kind.plan
        if isinstance(plan, int):
            pos += plan
            if kind.tag == Tag.SUBPROGRAM and inside < 0 and kind.children:
                inside = depth
                table.begin(0)
                table.add(0, 0)
        else:
            start, frame, place = 0, (0, 0), (0, 0, 0)
            for step, argument in plan:
                if step == SKIP:
                    pos += argument
                elif step in (EXPRESSION, BLOCK):
                    at = pos
                    if argument and step == BLOCK:
                        size = int.from_bytes(info[pos : pos + argument], "little")
                        pos += argument
                    else:
                        size, pos = decode_u32(info, pos, end)
                    if step == EXPRESSION and argument == At.LOCATION:
                        place = (at, pos, size)
                    elif step == EXPRESSION and argument == At.FRAME_BASE:
                        frame = (at, size)
                    pos += size
                elif step == LIST:
                    if argument == At.LOCATION and kind.tag in _VARIABLES:
                        place = (pos, 0, 4)
                    pos += 4
                elif step == CODE:
                    if argument == At.LOW_PC:
                        (start,) = struct.unpack_from("<I", info, pos)
                    pos += 4
                elif step == LEB:
                    while info[pos] >= 0x80:
                        pos += 1
                    pos += 1
                elif step == TEXT:
                    pos = info.index(b"\0", pos) + 1
                elif step in _INDICES:
                    _, pos = decode_u32(info, pos, end)
                elif step != BASE_TYPE:  # LINES, RANGES, LISTS_BASE
                    pos += 4
            if kind.tag == Tag.SUBPROGRAM and inside < 0:
                if kind.children:
                    inside = depth
                table.begin(start)
                _frame_base(info, unit, table, frame)
            elif kind.tag in _VARIABLES and place[0]:
                if inside < 0 and not place[1]:
                    table.begin(0)  # a list outside of any function: it has to be changed as well
                    table.add(0, 0)
                if inside >= 0 or not place[1]:
                    _variable(info, unit, table, place, base)
            elif kind.tag in _UNIT_TAGS and not depth:
                base = start
        if pos > end:
            raise SymbolsError("an entry reaches beyond its unit", end)
        if kind.children:
            depth += 1
            if depth > _DEEPEST:
                raise SymbolsError("entries nested too deep", pos)
        elif not depth:
            return
    del patches[:]
    raise SymbolsError("a unit without an end", end)


def _frame_base(info: bytes, unit: _Unit, table: Table, where: tuple[int, int]) -> None:
    at, size = where
    content = at + 1  # its length takes one byte if it is short
    if not at or not 3 <= size < 0x80 or info[content] != _WASM_LOCATION:
        table.add(0, 0)
        return
    slot = table.add(at, 0)
    unit.patches.append((content, _regx(slot, size)))


def _variable(
    info: bytes, unit: _Unit, table: Table, place: tuple[int, int, int], base: int
) -> None:
    at, content, size = place
    if not content:  # a list: its offset makes room for the length and three bytes
        (offset,) = struct.unpack_from("<I", info, at)
        slot = table.add(LISTED | offset, base)
        unit.patches.append((at, b"\x03" + _regx(slot, 3)))
    elif content == at + 1 and size >= 3 and _reads_wasm(info[content : content + size]):
        slot = table.add(at, 0)
        unit.patches.append((content, _regx(slot, size)))


def _reads_wasm(expression: bytes) -> bool:
    """Whether a location depends on a wasm value that is not the base of a program's data."""
    if _WASM_LOCATION not in expression or _BASE_PLUS_ADDRESS.match(expression):
        return False
    return bool(wasm_locations(expression))


def _regx(slot: int, size: int) -> bytes:
    return (_REGX + operand(register(slot))).ljust(size, _NOP)


def _list_forms(data: bytes, pos: int) -> Iterator[int]:
    """Positions of the forms of variables' locations that are lists, in the table at `pos`."""
    end = len(data)
    while True:
        code, pos = decode_u32(data, pos, end)
        if not code:
            return
        tag, pos = decode_u32(data, pos, end)
        pos += 1
        while True:
            attribute, pos = decode_u32(data, pos, end)
            at = pos
            form, pos = decode_u32(data, pos, end)
            if form == Form.IMPLICIT_CONST:
                while data[pos] >= 0x80:
                    pos += 1
                pos += 1
            if not attribute and not form:
                break
            if tag in _VARIABLES and attribute == At.LOCATION and form == Form.SEC_OFFSET:
                yield at
