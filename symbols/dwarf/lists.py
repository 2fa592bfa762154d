"""Range lists and location lists of DWARF 4 and 5.

Lists belong to a unit, since they count from its base address; each is read once. Ranges are
clipped to nothing when they lie outside of the code, which is where tombstones point.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct

from symbols.dwarf.sections import Sections, integer, unsigned
from symbols.dwarf.units import Unit, indexed_address
from symbols.errors import SymbolsError

Range = tuple[int, int]
Ranges = tuple[Range, ...]
"""Half-open address ranges in the order of the list."""

_PAIRS = {4: Struct("<II"), 8: Struct("<QQ")}
MAX_LIST = 1_000_000
"""Most entries of one list."""


class Lists:
    """Reader of both kinds. Lists of honest files do not overlap, so that what all of them take
    is bounded by their sections' sizes; hostile ones end in SymbolsError."""

    def __init__(self, sections: Sections) -> None:
        self._sections = sections
        self._limit = sections.code_size
        self._budget = 4096 + 2 * (
            len(sections.loc)
            + len(sections.loclists)
            + len(sections.ranges)
            + len(sections.rnglists)
        )
        self._ranges: dict[tuple[int, int], Ranges] = {}

    def ranges(self, unit: Unit, value: int, indexed: bool) -> Ranges:
        """DW_AT_ranges: `value` is an offset into the section, or an index if `indexed`."""
        if indexed:
            value = self._indexed(unit, self._sections.rnglists, unit.rnglists_base, value)
        known = self._ranges.get((unit.offset, value))
        if known is None:
            entries = self._new_ranges if unit.encoding.version >= 5 else self._old_ranges
            known = tuple(self._bounded(entries(unit, value)))
            self._ranges[unit.offset, value] = known
        return known

    def locations(self, unit: Unit, value: int, indexed: bool) -> Iterator[tuple[int, int, bytes]]:
        """A location list: (start, end, expression). A default location has the start 0 and the
        end of the code."""
        if indexed:
            value = self._indexed(unit, self._sections.loclists, unit.loclists_base, value)
        if unit.encoding.version >= 5:
            return self._new_locations(unit, value)
        return self._old_locations(unit, value)

    def _bounded(self, entries: Iterator[Range]) -> Iterator[Range]:
        count = 0
        for start, end in entries:
            if 0 < start < end <= self._limit:
                yield start, end
                count += 1
                if count > MAX_LIST:
                    raise SymbolsError(f"range list with more than {MAX_LIST} entries")

    def _spend(self, size: int) -> None:
        self._budget -= size
        if self._budget < 0:
            raise SymbolsError("range or location lists overlap")

    def _indexed(self, unit: Unit, data: bytes, base: int, index: int) -> int:
        width = unit.encoding.offset_size
        return base + integer(data, base + index * width, width)

    # ---- version 4

    def _old_pairs(
        self, unit: Unit, data: bytes, pos: int, expressions: bool
    ) -> Iterator[tuple[int, int, bytes]]:
        size = unit.encoding.address_size
        select = (1 << (8 * size)) - 1
        pair = _PAIRS[size].unpack_from
        base = unit.base
        expression = b""
        while True:
            start, end = pair(data, pos)
            first = pos
            pos += 2 * size
            if start == select:
                base = end
            elif not start and not end:
                return
            else:
                if expressions:
                    length = integer(data, pos, 2)
                    pos += 2 + length
                    if pos > len(data):
                        raise SymbolsError("truncated location list", first)
                    expression = data[pos - length : pos]
                yield start + base, end + base, expression
            self._spend(pos - first)

    def _old_ranges(self, unit: Unit, pos: int) -> Iterator[Range]:
        for start, end, _ in self._old_pairs(unit, self._sections.ranges, pos, False):
            yield start, end

    def _old_locations(self, unit: Unit, pos: int) -> Iterator[tuple[int, int, bytes]]:
        limit = self._limit
        for start, end, expression in self._old_pairs(unit, self._sections.loc, pos, True):
            if 0 < start < end <= limit:
                yield start, end, expression

    # ---- version 5

    def _new_ranges(self, unit: Unit, pos: int) -> Iterator[Range]:
        data, size = self._sections.rnglists, unit.encoding.address_size
        base = unit.base
        while True:
            first = pos
            kind = integer(data, pos, 1)
            pos += 1
            if kind == 0:
                return
            if kind == 1:
                index, pos = unsigned(data, pos)
                base = indexed_address(self._sections, unit, index)
            elif kind == 5:
                base, pos = integer(data, pos, size), pos + size
            elif kind == 2:
                one, pos = unsigned(data, pos)
                two, pos = unsigned(data, pos)
                yield (
                    indexed_address(self._sections, unit, one),
                    indexed_address(self._sections, unit, two),
                )
            elif kind == 3:
                one, pos = unsigned(data, pos)
                two, pos = unsigned(data, pos)
                start = indexed_address(self._sections, unit, one)
                yield start, start + two
            elif kind == 4:
                one, pos = unsigned(data, pos)
                two, pos = unsigned(data, pos)
                yield base + one, base + two
            elif kind == 6:
                yield integer(data, pos, size), integer(data, pos + size, size)
                pos += 2 * size
            elif kind == 7:
                start = integer(data, pos, size)
                two, pos = unsigned(data, pos + size)
                yield start, start + two
            else:
                raise SymbolsError(f"unknown range list entry {kind}", first)
            self._spend(pos - first)

    def _new_locations(self, unit: Unit, pos: int) -> Iterator[tuple[int, int, bytes]]:
        sections, data, size = self._sections, self._sections.loclists, unit.encoding.address_size
        limit, base = self._limit, unit.base
        while True:
            first = pos
            kind = integer(data, pos, 1)
            pos += 1
            start = end = 0
            if kind == 0:
                return
            if kind == 1:
                one, pos = unsigned(data, pos)
                base = indexed_address(sections, unit, one)
            elif kind == 6:
                base, pos = integer(data, pos, size), pos + size
            elif kind == 9:  # view pair: says nothing about addresses
                _, pos = unsigned(data, pos)
                _, pos = unsigned(data, pos)
            elif kind == 2:
                one, pos = unsigned(data, pos)
                two, pos = unsigned(data, pos)
                start = indexed_address(sections, unit, one)
                end = indexed_address(sections, unit, two)
            elif kind == 3:
                one, pos = unsigned(data, pos)
                two, pos = unsigned(data, pos)
                start = indexed_address(sections, unit, one)
                end = start + two
            elif kind == 4:
                one, pos = unsigned(data, pos)
                two, pos = unsigned(data, pos)
                start, end = base + one, base + two
            elif kind == 5:
                start, end = 0, limit
            elif kind == 7:
                start, end = integer(data, pos, size), integer(data, pos + size, size)
                pos += 2 * size
            elif kind == 8:
                start = integer(data, pos, size)
                two, pos = unsigned(data, pos + size)
                end = start + two
            else:
                raise SymbolsError(f"unknown location list entry {kind}", first)
            if kind in (2, 3, 4, 5, 7, 8):
                length, pos = unsigned(data, pos)
                if length > len(data) - pos:
                    raise SymbolsError("truncated location list", first)
                pos += length
                if start < end <= limit and (start or kind == 5):
                    yield start, end, data[pos - length : pos]
            self._spend(pos - first)
