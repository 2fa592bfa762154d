"""Single DIEs of .debug_info: units, attributes, sizes of types, names.

The slow but general way, for the few DIEs whose attributes matter beyond rewriting them.
"""

from __future__ import annotations

import bisect
from collections.abc import Mapping
from dataclasses import dataclass, field

from symbols.dwarf.constants import UNIT_REFERENCES, At, Form, Tag
from symbols.errors import SymbolsError
from symbols.shadow.abbreviations import (
    Abbreviation,
    Table,
    Value,
    read_attributes,
)
from symbols.wasm.leb import decode_u32

_SAME_SIZE = frozenset(
    {Tag.TYPEDEF, Tag.CONST_TYPE, Tag.VOLATILE_TYPE, Tag.RESTRICT_TYPE, Tag.ATOMIC_TYPE}
)
_ADDRESSES = frozenset({Tag.POINTER_TYPE, Tag.REFERENCE_TYPE, Tag.RVALUE_REFERENCE_TYPE})
_SIGNED, _UNSIGNED = 0x05, 0x07
_DEEPEST = 64
"""Types of types of types: more are a loop."""
_MOST_DIMENSIONS = 16

Attributes = dict[int, tuple[int, Value]]


@dataclass(slots=True)
class Unit:
    """A unit of .debug_info; offsets are into the section."""

    offset: int
    first: int
    """Its first DIE."""
    end: int
    version: int
    table: Table
    root: Attributes
    addr_base: int = 8
    str_offsets_base: int = 8
    lists_base: int | None = None
    based: bool = True
    """Its own DIE has a low_pc, from which its range lists count."""
    base_types: list[int] = field(default_factory=list)
    """Their offsets in .debug_info."""
    integers: dict[tuple[int, bool], int] | None = None


class Dies:
    """DIEs by their offset."""

    def __init__(self, sections: Mapping[str, bytes], units: list[Unit]) -> None:
        """`sections` are the DWARF sections by name; `units` may grow later."""
        self._info = sections.get(".debug_info", b"")
        self._sections = sections
        self._units = units
        self._sizes: dict[int, int | None] = {}

    def unit_at(self, offset: int) -> Unit:
        """The unit that a DIE belongs to."""
        number = bisect.bisect_right(self._units, offset, key=lambda unit: unit.offset) - 1
        if number < 0 or not self._units[number].first <= offset < self._units[number].end:
            raise SymbolsError("reference to no DIE", offset)
        return self._units[number]

    def read(self, unit: Unit, offset: int) -> tuple[Abbreviation, Attributes, int]:
        """Abbreviation, attributes and end of the DIE."""
        code, pos = decode_u32(self._info, offset, unit.end)
        abbreviation = unit.table.get(code)
        if abbreviation is None:
            raise SymbolsError("reference to no DIE", offset)
        return abbreviation, *read_attributes(self._info, pos, abbreviation)

    def referred(self, unit: Unit, attributes: Attributes, attribute: int) -> int | None:
        """Offset of the DIE that an attribute refers to."""
        form, value = attributes.get(attribute, (0, 0))
        if not isinstance(value, int):
            return None
        if form in UNIT_REFERENCES:
            return unit.offset + value
        return value if form == Form.REF_ADDR else None

    def variable_size(self, unit: Unit, attributes: Attributes) -> int | None:
        """Bytes of the variable, None if that cannot be told."""
        try:
            for _ in range(4):
                offset = self.referred(unit, attributes, At.TYPE)
                if offset is not None:
                    return self.type_size(offset)
                unit, attributes = self._origin(unit, attributes)
        except (SymbolsError, LookupError):
            pass
        return None

    def variable_name(self, unit: Unit, attributes: Attributes) -> bytes | None:
        """Its name."""
        try:
            for _ in range(4):
                name = self._text(unit, attributes)
                if name is not None:
                    return name
                unit, attributes = self._origin(unit, attributes)
        except (SymbolsError, LookupError):
            pass
        return None

    def _origin(self, unit: Unit, attributes: Attributes) -> tuple[Unit, Attributes]:
        for attribute in (At.SPECIFICATION, At.ABSTRACT_ORIGIN):
            offset = self.referred(unit, attributes, attribute)
            if offset is not None:
                other = self.unit_at(offset)
                return other, self.read(other, offset)[1]
        raise LookupError

    def _text(self, unit: Unit, attributes: Attributes) -> bytes | None:
        form, value = attributes.get(At.NAME, (0, b""))
        if isinstance(value, bytes):
            return value if form == Form.STRING else None
        if form == Form.STRP:
            return self._string(".debug_str", value)
        if form == Form.LINE_STRP:
            return self._string(".debug_line_str", value)
        where = unit.str_offsets_base + 4 * value
        offsets = self._sections.get(".debug_str_offsets", b"")
        return self._string(".debug_str", int.from_bytes(offsets[where : where + 4], "little"))

    def _string(self, section: str, offset: int) -> bytes | None:
        data = self._sections.get(section, b"")
        end = data.find(b"\0", offset)
        return data[offset:end] if end >= 0 else None

    def type_size(self, offset: int, depth: int = 0) -> int | None:
        """Bytes of the type at an offset; None if it has no size or is malformed."""
        if offset not in self._sizes:
            self._sizes[offset] = None  # what refers to itself has no size
            size = self._size(offset, depth) if depth < _DEEPEST else None
            self._sizes[offset] = size if size is None or 0 <= size < 1 << 32 else None
        return self._sizes[offset]

    def _size(self, offset: int, depth: int) -> int | None:
        unit = self.unit_at(offset)
        abbreviation, attributes, end = self.read(unit, offset)
        size = attributes.get(At.BYTE_SIZE, (0, None))[1]
        if isinstance(size, int):
            return size
        if abbreviation.tag in _ADDRESSES:
            return 4
        if abbreviation.tag in _SAME_SIZE:
            target = self.referred(unit, attributes, At.TYPE)
            return self.type_size(target, depth + 1) if target is not None else None
        if abbreviation.tag == Tag.ARRAY_TYPE:
            target = self.referred(unit, attributes, At.TYPE)
            element = self.type_size(target, depth + 1) if target is not None else None
            if element is not None and abbreviation.children:
                return element * self._elements(unit, end)
        return None

    def _elements(self, unit: Unit, pos: int) -> int:
        """Number of elements of an array whose children are at `pos`, 0 if it is not known."""
        total = 1
        for _ in range(_MOST_DIMENSIONS):
            code, pos = decode_u32(self._info, pos, unit.end)
            child = unit.table.get(code)
            if child is None or child.tag != Tag.SUBRANGE_TYPE:
                break
            attributes, pos = read_attributes(self._info, pos, child)
            count = attributes.get(At.COUNT, (0, None))[1]
            bound = attributes.get(At.UPPER_BOUND, (0, None))[1]
            if isinstance(count, int):
                total *= count
            else:
                total *= bound + 1 if isinstance(bound, int) else 0
        return total

    def base_type_size(self, unit: Unit, offset: int) -> int | None:
        """Bytes of the base type at an offset of the unit."""
        try:
            abbreviation, attributes, _ = self.read(unit, unit.offset + offset)
        except SymbolsError:
            return None
        size = attributes.get(At.BYTE_SIZE, (0, None))[1]
        return size if abbreviation.tag == Tag.BASE_TYPE and isinstance(size, int) else None

    def base_type(self, unit: Unit, size: int, signed: bool) -> int | None:
        """Offset in the unit of an integer type; to be asked when all of the unit was visited."""
        if unit.integers is None:
            unit.integers = {}
            for offset in unit.base_types:
                _, attributes, _ = self.read(unit, offset)
                encoding = attributes.get(At.ENCODING, (0, 0))[1]
                width = attributes.get(At.BYTE_SIZE, (0, 0))[1]
                if encoding in (_SIGNED, _UNSIGNED) and isinstance(width, int):
                    unit.integers[width, encoding == _SIGNED] = offset - unit.offset
        return unit.integers.get((size, signed))

    def indexed_address(self, unit: Unit, index: int) -> int | None:
        """Entry of the unit's part of .debug_addr."""
        data = self._sections.get(".debug_addr", b"")
        where = unit.addr_base + 4 * index
        return int.from_bytes(data[where : where + 4], "little") if where + 4 <= len(data) else None
