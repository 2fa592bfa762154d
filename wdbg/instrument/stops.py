"""Stop points of one module: where they are and what each hands over.

A stop point has a number; numbers follow the places, so that the table is searched by bisection.
Places are offsets from the start of the original code section's contents.
"""

from __future__ import annotations

import struct
import sys
from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass

from symbols.errors import SymbolsError

ENTRY = 1
"""A function's first instruction."""
ROW = 2
"""A statement begins, says the line table."""
AFTER_CALL = 4
"""The instruction after a call: where an outer frame stands."""
TICK = 8
"""A loop header: a task can stand there when its quantum ends. Its byte is not looked at unless
another kind is set too."""

LOCAL, OPERAND, RESULT = 0, 1, 2
"""What a captured value is: a local, a slot of the operand stack (0 = bottom), or the result of
the call right before."""

_HEADER = struct.Struct("<8sIII")
_MAGIC = b"wdbgstp1"


@dataclass(frozen=True, slots=True)
class Value:
    """One captured value."""

    kind: int
    """LOCAL, OPERAND or RESULT."""
    index: int
    narrow: bool
    """It takes only the low 4 bytes of its slot."""
    fresh: bool = False
    """The call right before has made it: an outer frame does not have it yet."""

    @property
    def packed(self) -> int:
        """In one number, for the table."""
        return self.index << 4 | self.fresh << 3 | self.kind << 1 | self.narrow

    @classmethod
    def unpack(cls, packed: int) -> Value:
        """Inverse of ``packed``."""
        return cls(packed >> 1 & 3, packed >> 4, bool(packed & 1), bool(packed & 8))


class StopTable:
    """Immutable once built."""

    def __init__(
        self,
        places: array[int],
        kinds: bytes,
        captures: array[int],
        pool: list[tuple[int, ...]],
    ) -> None:
        """``captures[i]`` is the index in ``pool`` of what stop point i hands over; an entry of
        the pool is a tuple of packed ``Value``s."""
        if not len(places) == len(kinds) == len(captures):
            raise ValueError("columns of different lengths")
        self.places = places
        self.kinds = kinds
        self._captures = captures
        self._pool = pool

    def __len__(self) -> int:
        return len(self.places)

    def at(self, place: int) -> int | None:
        """Number of the stop point exactly there."""
        i = bisect_left(self.places, place)
        return i if i < len(self.places) and self.places[i] == place else None

    def before(self, place: int) -> int | None:
        """Number of the last stop point at or before ``place``."""
        i = bisect_right(self.places, place)
        return i - 1 if i else None

    def between(self, start: int, end: int) -> range:
        """Numbers of the stop points in [start, end)."""
        return range(bisect_left(self.places, start), bisect_left(self.places, end))

    def captured(self, number: int) -> tuple[Value, ...]:
        """What stop point ``number`` hands over, in the order of the dump's slots."""
        entry = self._pool[self._captures[number]]
        return tuple(map(Value.unpack, entry))

    def to_bytes(self) -> bytes:
        """File form."""
        flat = array("I")
        for entry in self._pool:
            flat.append(len(entry))
            flat.extend(entry)
        head = _HEADER.pack(_MAGIC, len(self.places), len(self._pool), len(flat))
        columns = (_little(self.places), _little(self._captures), _little(flat))
        return b"".join((head, *columns, self.kinds))

    @classmethod
    def from_bytes(cls, data: bytes) -> StopTable:
        """Inverse of ``to_bytes``; SymbolsError if the bytes are damaged."""
        if len(data) < _HEADER.size:
            raise SymbolsError("truncated table of stop points", len(data))
        magic, count, entries, words = _HEADER.unpack_from(data)
        if magic != _MAGIC or len(data) != _HEADER.size + 9 * count + 4 * words:
            raise SymbolsError("damaged table of stop points", 0)
        columns = []
        pos = _HEADER.size
        for size in (count, count, words):
            column = array("I", data[pos : pos + 4 * size])
            columns.append(column if sys.byteorder == "little" else _swapped(column))
            pos += 4 * size
        places, captures, flat = columns
        pool = []
        at = 0
        for _ in range(entries):
            if at >= words or at + 1 + flat[at] > words:
                raise SymbolsError("damaged table of stop points", pos)
            pool.append(tuple(flat[at + 1 : at + 1 + flat[at]]))
            at += 1 + flat[at]
        if count and max(captures) >= entries:
            raise SymbolsError("damaged table of stop points", pos)
        return cls(places, data[pos:], captures, pool)


def _swapped(column: array[int]) -> array[int]:
    copy = array("I", column)
    copy.byteswap()
    return copy


def _little(column: array[int]) -> bytes:
    return (column if sys.byteorder == "little" else _swapped(column)).tobytes()
