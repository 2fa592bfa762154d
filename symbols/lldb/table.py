"""Which variable each register stands for: the table that goes with a changed module."""

from __future__ import annotations

import struct
import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from symbols.errors import SymbolsError
from symbols.lldb.numbers import FIRST_VARIABLE, VARIABLES

_MAGIC = b"wdbgvar1"
_HEADER = struct.Struct("<8sII")
LIST = 1 << 31
"""Bit of an entry: its offset is that of a location list in .debug_loc, else that of a location
expression's length in .debug_info."""


@dataclass(frozen=True, slots=True)
class Variable:
    """Where the location of one variable is written, in sections of the original module."""

    offset: int
    listed: bool
    """In .debug_loc, else in .debug_info."""
    base: int
    """What the addresses in its list count from."""
    frame_base: int | None
    """Offset of its function's frame base expression, None if there is none."""


@dataclass(slots=True)
class Table:
    """Variables of all functions of a module, in the order of the DWARF."""

    starts: array[int] = field(default_factory=lambda: array("I"))
    """Code offset of each function, 0 where it is not known."""
    firsts: array[int] = field(default_factory=lambda: array("I"))
    """Its first entry: the frame base. The next function's first is where its entries end."""
    entries: array[int] = field(default_factory=lambda: array("I"))
    """Offset, and LIST; 0: there is none."""
    bases: array[int] = field(default_factory=lambda: array("I"))
    _sorted: list[tuple[int, int]] = field(default_factory=list)

    def begin(self, start: int) -> None:
        """What is added from now on belongs to the function at `start`."""
        self.starts.append(start)
        self.firsts.append(len(self.entries))

    def add(self, entry: int, base: int) -> int:
        """Add a location; returns its place in the sequence of all."""
        self.entries.append(entry)
        self.bases.append(base)
        return len(self.entries) - 1

    def candidates(self, start: int, register: int) -> Iterator[Variable]:
        """Variables of the function at `start` that this register stands for: none, one, or in a
        very long function several."""
        order = self._order()
        at = bisect_left(order, (start, 0))
        while at < len(order) and order[at][0] == start:
            number = order[at][1]
            first = self.firsts[number]
            last = self.firsts[number + 1] if number + 1 < len(self.firsts) else len(self.entries)
            place = first + (register - FIRST_VARIABLE - first) % VARIABLES
            while place < last:
                entry = self.entries[place]
                base = self.entries[first]
                if entry:
                    yield Variable(
                        entry & ~LIST, bool(entry & LIST), self.bases[place], base or None
                    )
                place += VARIABLES
            at += 1

    def _order(self) -> list[tuple[int, int]]:
        if len(self._sorted) != len(self.starts):
            self._sorted = sorted((start, i) for i, start in enumerate(self.starts))
        return self._sorted

    def pack(self) -> bytes:
        """As a file's contents."""
        parts = [_HEADER.pack(_MAGIC, len(self.starts), len(self.entries))]
        for column in (self.starts, self.firsts, self.entries, self.bases):
            if sys.byteorder == "big":
                column = column[:]
                column.byteswap()
            parts.append(column.tobytes())
        return b"".join(parts)

    @classmethod
    def unpack(cls, data: bytes) -> Table:
        """The other way round; SymbolsError for anything that `pack` has not made."""
        if len(data) < _HEADER.size:
            raise SymbolsError("truncated table of variables")
        magic, functions, entries = _HEADER.unpack_from(data)
        if magic != _MAGIC or len(data) != _HEADER.size + 8 * (functions + entries):
            raise SymbolsError("not a table of variables")
        columns: list[array[int]] = []
        pos = _HEADER.size
        for count in (functions, functions, entries, entries):
            column: array[int] = array("I")
            column.frombytes(data[pos : pos + 4 * count])
            if sys.byteorder == "big":
                column.byteswap()
            columns.append(column)
            pos += 4 * count
        table = cls(columns[0], columns[1], columns[2], columns[3])
        firsts = table.firsts
        if any(a > b for a, b in pairwise((*firsts, entries))):
            raise SymbolsError("table of variables out of order")
        return table
