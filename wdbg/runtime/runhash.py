"""The run hash: every context switch with its tick, every console byte, final memory.

Two runs with the same hash did the same thing in the same order.
"""

from __future__ import annotations

import hashlib
import zlib
from array import array
from collections.abc import Callable
from typing import Protocol

_FLUSH = 8192
"""Items buffered before they are hashed: hashing one by one would cost a microsecond each."""


_FIRST, _SECOND, _MASK = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, (1 << 64) - 1
SWITCH = 0x80 << 32
"""Bit of an event's second word: a context switch, not the start of a quantum."""


class Tap(Protocol):
    """Somebody who wants the history too."""

    def events(self, items: array[int]) -> None:
        """Events, two numbers each, that go into the hash now."""

    def data(self, tick: int, data: bytes) -> None:
        """Console bytes, after all events before them."""


def roll(value: int, tick: int, word: int) -> int:
    """The rolling hash of recordings: `value` after one more event."""
    return ((value ^ tick) * _FIRST ^ word) * _SECOND & _MASK


def check_of(value: int) -> int:
    """The byte that a recording holds of it."""
    return value >> 56


class RunHash:
    """A rolling BLAKE2b over the run's history."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=16)
        self._items: array[int] = array("Q")
        self.tap: Tap | None = None

    def event(self, tick: int, what: int, who: int) -> None:
        """A scheduling decision or switch: absolute tick, CPU number and kind, task pointer.
        Bit 7 of `what` is a switch's, the number of an access (`Point.access`) starts at bit 8."""
        items = self._items
        items.extend((tick, what << 32 | who))
        if len(items) >= _FLUSH:
            self._flush()

    def data(self, tick: int, data: bytes) -> None:
        """Bytes that left or entered the machine at `tick`."""
        if self.tap is not None:
            self._flush()
            self.tap.data(tick, data)
        self._items.append(tick)
        self._hash.update(self._items.tobytes())
        del self._items[:]
        self._hash.update(data)

    def flush(self) -> None:
        """Give the tap all that has happened."""
        self._flush()

    def _flush(self) -> None:
        if self.tap is not None and self._items:
            self.tap.events(self._items)
        self._hash.update(self._items.tobytes())
        del self._items[:]

    def digest(self, memory: memoryview | None = None) -> str:
        """32 hexadecimal digits; with `memory`, its bytes take part.  The run can go on."""
        self._flush()
        final = self._hash.copy()
        if memory is not None:
            final.update(hashlib.blake2b(memory).digest())
        return final.hexdigest()


class Followed(RunHash):
    """A hash that looks at each event: is it what was recorded?"""

    def __init__(self, checks: bytes, diverged: Callable[[int, int, int], None]) -> None:
        """`diverged` is called once, with the number of the switch that is another one, its tick
        and its word."""
        super().__init__()
        self._checks = checks
        self._diverged: Callable[[int, int, int], None] | None = diverged
        self._value = 0
        self.switches = 0

    def event(self, tick: int, what: int, who: int) -> None:
        """See RunHash."""
        super().event(tick, what, who)
        word = what << 32 | who
        self._value = roll(self._value, tick, word)
        if word & SWITCH:
            number, self.switches = self.switches, self.switches + 1
            wrong = number < len(self._checks) and self._checks[number] != check_of(self._value)
            if wrong and self._diverged is not None:
                diverged, self._diverged = self._diverged, None
                diverged(number, tick, word)

    def data(self, tick: int, data: bytes) -> None:
        """See RunHash."""
        super().data(tick, data)
        self._value = roll(self._value, tick, zlib.crc32(data))
