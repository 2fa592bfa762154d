"""One pass over .debug_info that rewrites it in place: addresses of code, location expressions.

Its size and all offsets into it stay the same, so that no reference has to be changed.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from symbols.dwarf.constants import At
from symbols.errors import SymbolsError
from symbols.shadow.abbreviations import (
    BASE_TYPE,
    BLOCK,
    CODE,
    CODE_INDEX,
    EXPRESSION,
    FIXED,
    LEB,
    LINES,
    LIST,
    LIST_INDEX,
    LISTS_BASE,
    RANGES,
    SKIP,
    TEXT,
    Abbreviation,
    Abbreviations,
    find_attribute,
    read_attributes,
)
from symbols.shadow.dies import Attributes, Dies, Unit
from symbols.shadow.expressions import Context, Rewriter
from symbols.shadow.operations import OP_ADDR, OP_ADDRX, fill
from symbols.wasm.leb import decode_u32

TOMBSTONE: Final = 0xFFFF_FFF0
"""From here on addresses stand for code and data that the linker has left out."""

_OP_FBREG = 0x91
_WITH_ID = frozenset({4, 5})
_TYPE_UNITS = frozenset({2, 6})
_U32 = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Fixup:
    """A 4-byte offset into another section, in .debug_info at `position`."""

    position: int
    offset: int
    unit: Unit


@dataclass(frozen=True, slots=True)
class ListUse(Fixup):
    """The offset of a location list."""

    die: int
    """Where its DIE's attributes start."""
    abbreviation: Abbreviation


@dataclass(frozen=True, slots=True)
class IndexedList:
    """The use of a location list by its number in the unit's table."""

    index: int
    unit: Unit
    die: int
    abbreviation: Abbreviation


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable at a fixed address of guest memory."""

    unit: Unit
    die: int
    abbreviation: Abbreviation
    address: int


class Info:
    """The rewritten section (`data`), and what other sections need to know about it."""

    def __init__(
        self, sections: Mapping[str, bytes], rewriter: Rewriter, base: int, code_size: int
    ) -> None:
        """`base` is added to code addresses below `code_size`. SymbolsError for malformed DWARF."""
        self._source = sections.get(".debug_info", b"")
        self._rewriter = rewriter
        self._base, self._code_size = base, code_size
        self.data = bytearray(self._source)
        self.units: list[Unit] = []
        self.dies = Dies(sections, self.units)
        self.lists: list[ListUse] = []
        self.indexed_lists: list[IndexedList] = []
        self.lists_bases: list[Fixup] = []
        self.ranges: list[Fixup] = []
        """Range lists of units without a low_pc."""
        self.lines: list[Fixup] = []
        self.variables: list[Variable] = []
        self.data_entries: dict[int, set[int]] = {}
        """By base of a part of .debug_addr: its entries that are no code."""
        self._pending: list[tuple[int, int, int, int, int, Abbreviation]] = []
        abbreviations = Abbreviations(sections.get(".debug_abbrev", b""))
        pos = 0
        try:
            while pos < len(self._source):
                unit = self._header(pos, abbreviations)
                self.units.append(unit)
                self._walk(unit)
                for item in self._pending:
                    self._expression(unit, *item)
                self._pending.clear()
                pos = unit.end
        except (IndexError, struct.error, ValueError) as error:
            if isinstance(error, SymbolsError):
                raise
            raise SymbolsError("truncated .debug_info", pos) from None

    def _header(self, offset: int, abbreviations: Abbreviations) -> Unit:
        info = self._source
        length, version = struct.unpack_from("<IH", info, offset)
        if length >= TOMBSTONE:
            raise SymbolsError("64-bit DWARF is not supported", offset)
        end = offset + 4 + length
        if end > len(info):
            raise SymbolsError("a unit reaches beyond .debug_info", offset)
        if not 4 <= version <= 5:  # before, expressions are in blocks like any other bytes
            raise SymbolsError(f"unsupported DWARF version {version}", offset)
        if version >= 5:
            kind, size, table = struct.unpack_from("<BBI", info, offset + 6)
            first = offset + 12 + (8 if kind in _WITH_ID else 12 if kind in _TYPE_UNITS else 0)
        else:
            table, size = struct.unpack_from("<IB", info, offset + 6)
            first = offset + 11
        if size != 4:
            raise SymbolsError(f"unsupported address size {size}", offset)
        unit = Unit(offset, first, end, version, abbreviations.table(table), {})
        if first >= end:
            return unit
        code, pos = decode_u32(info, first, end)
        abbreviation = unit.table.get(code)
        if abbreviation is not None:
            unit.root, _ = read_attributes(info, pos, abbreviation)
            unit.addr_base = _number(unit.root, At.ADDR_BASE, 8)
            unit.str_offsets_base = _number(unit.root, At.STR_OFFSETS_BASE, 8)
            unit.lists_base = _number(unit.root, At.LOCLISTS_BASE, 0) or None
            unit.based = At.LOW_PC in unit.root
        return unit

    def _walk(self, unit: Unit) -> None:
        """Visit all DIEs of a unit. The hot loop of the whole package: a kernel has 10^6 DIEs."""
        info, out = self._source, self.data
        table, end, pos = unit.table, unit.end, unit.first
        base, code_size, pending = self._base, self._code_size, self._pending
        while pos < end:
            code = info[pos]
            pos += 1
            if not code:
                continue
            if code >= 0x80:
                code, pos = decode_u32(info, pos - 1, end)
            abbreviation = table.get(code)
            if abbreviation is None:
                raise SymbolsError(f"DIE with unknown abbreviation {code}", pos)
            plan = abbreviation.plan
            if isinstance(plan, int):
                pos += plan
                continue
            die = pos
            for kind, argument in plan:
                if kind == SKIP:
                    pos += argument
                elif kind == EXPRESSION:
                    length, start = info[pos], pos
                    pos += 1
                    if length >= 0x80:
                        length, pos = decode_u32(info, start, end)
                    op = info[pos] if length else 0
                    if op == OP_ADDR and length == 5:
                        address = _U32.unpack_from(info, pos + 1)[0]
                        if address >= TOMBSTONE:
                            out[pos + 1 : pos + 5] = b"\0\0\0\0"
                        elif argument == At.LOCATION and abbreviation.variable:
                            self.variables.append(Variable(unit, die, abbreviation, address))
                    elif op and (op != _OP_FBREG or length > 6):
                        pending.append((start, pos, length, argument, die, abbreviation))
                    pos += length
                elif kind == LEB:
                    while info[pos] >= 0x80:
                        pos += 1
                    pos += 1
                elif kind == LIST:
                    offset = _U32.unpack_from(info, pos)[0]
                    self.lists.append(ListUse(pos, offset, unit, die, abbreviation))
                    pos += 4
                elif kind == CODE:
                    address = _U32.unpack_from(info, pos)[0]
                    if address >= TOMBSTONE:
                        _U32.pack_into(out, pos, 0)
                        self._empty(die, abbreviation)
                    elif address <= code_size:
                        _U32.pack_into(out, pos, base + address)
                    pos += 4
                elif kind == CODE_INDEX:
                    index, pos = decode_u32(info, pos, end)
                    if (self.dies.indexed_address(unit, index) or 0) >= TOMBSTONE:
                        self._empty(die, abbreviation)
                elif kind == TEXT:
                    pos = info.index(0, pos) + 1
                elif kind == LIST_INDEX:
                    index, pos = decode_u32(info, pos, end)
                    self.indexed_lists.append(IndexedList(index, unit, die, abbreviation))
                elif kind == BASE_TYPE:
                    # this is the only step before which nothing was skipped
                    unit.base_types.append(die - (1 if code < 0x80 else 2 if code < 0x4000 else 3))
                elif kind == BLOCK:
                    if argument:
                        pos += argument + int.from_bytes(info[pos : pos + argument], "little")
                    else:
                        length, pos = decode_u32(info, pos, end)
                        pos += length
                else:
                    self._offset(kind, pos, unit)
                    pos += 4
        if pos > end:
            raise SymbolsError("a DIE reaches beyond its unit", end)

    def _empty(self, die: int, abbreviation: Abbreviation) -> None:
        """Let code that the linker left out have no bytes: what is at 0 would overlap."""
        found = find_attribute(self._source, die, abbreviation, At.HIGH_PC)
        if found is not None and found[1] in FIXED:
            size = FIXED[found[1]]
            self.data[found[0] : found[0] + size] = bytes(size)

    def _offset(self, kind: int, pos: int, unit: Unit) -> None:
        fixup = Fixup(pos, _U32.unpack_from(self._source, pos)[0], unit)
        if kind == LINES:
            self.lines.append(fixup)
        elif kind == LISTS_BASE:
            self.lists_bases.append(fixup)
        elif kind == RANGES and not unit.based and unit.version < 5:
            self.ranges.append(fixup)

    def _expression(
        self, unit: Unit, start: int, pos: int, length: int, attribute: int, die: int,
        abbreviation: Abbreviation,
    ) -> None:  # fmt: skip
        expression = self._source[pos : pos + length]
        if len(expression) < length:
            raise SymbolsError("truncated location expression", pos)
        if expression[0] == OP_ADDRX:
            index, end = decode_u32(expression, 1, length)
            self.data_entries.setdefault(unit.addr_base, set()).add(index)
            if attribute == At.LOCATION and end == length and abbreviation.variable:
                address = self.dies.indexed_address(unit, index)
                if address is not None and address < TOMBSTONE:
                    self.variables.append(Variable(unit, die, abbreviation, address))
            if end == length:
                return
        context = self.context(unit, die, abbreviation)
        result = self._rewriter.rewrite(expression, context, attribute == At.FRAME_BASE)
        if result != expression:
            room = pos + length - start
            filled = fill(result, room, context.size)
            if filled is None:
                filled = fill(b"", room, context.size)
            assert filled is not None
            self.data[start : pos + length] = filled

    def context(self, unit: Unit, die: int, abbreviation: Abbreviation) -> Context:
        """What expressions of a DIE may ask for."""
        return Context(
            partial(self._size, unit, die, abbreviation),
            partial(self.dies.base_type, unit),
            partial(self.dies.base_type_size, unit),
            partial(self._data_address, unit),
        )

    def _size(self, unit: Unit, die: int, abbreviation: Abbreviation) -> int | None:
        return self.dies.variable_size(unit, read_attributes(self._source, die, abbreviation)[0])

    def _data_address(self, unit: Unit, index: int) -> int | None:
        self.data_entries.setdefault(unit.addr_base, set()).add(index)
        return self.dies.indexed_address(unit, index)

    def attributes(self, variable: Variable) -> Attributes:
        """All attributes of a variable's DIE."""
        return read_attributes(self._source, variable.die, variable.abbreviation)[0]


def _number(attributes: Attributes, attribute: int, default: int) -> int:
    value = attributes.get(attribute, (0, default))[1]
    return value if isinstance(value, int) else default
