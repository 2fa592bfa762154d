"""Sections of sequence counts: readers repeat what a writer has disturbed.

As KCSAN does, what a reader reads up to its look at the count, at most READER accesses, and what a
writer writes counts as marked: functions that are called in the section, too.
"""

from __future__ import annotations

from typing import Protocol

READER = 1000
"""KCSAN_SEQLOCK_REGION_MAX (include/linux/seqlock.h)."""


class Places(Protocol):
    """What is asked of `Sites`."""

    def in_sequence(self, position: int) -> bool:
        """The access is in a section of its own function."""

    def sequence(self, position: int) -> tuple[int, bool]:
        """The access begins or ends one."""


class Sequences:
    """Follows the sections of each context."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._left: dict[int, int] = {}
        """Accesses that a reader has left."""
        self._writers: set[int] = set()

    def atomic(self, place: int, position: int) -> bool:
        """Whether the next access of the context counts as marked."""
        side, begins = self._places.sequence(position)
        if side == 0:
            self._left[place] = READER if begins else 0
            return True
        if side == 1:
            if begins:
                self._writers.add(place)
            else:
                self._writers.discard(place)
            return True
        left = self._left.get(place, 0)
        if left:
            self._left[place] = left - 1
            return True
        return place in self._writers or self._places.in_sequence(position)
