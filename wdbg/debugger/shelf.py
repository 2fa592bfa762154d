"""The checkpoints of a run, in its order, and which of them go when there are too many."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass

from wdbg.debugger.bounds import Bound
from wdbg.runtime.checkpoint import Checkpoint

MOST_PROCESSES = 40
"""Checkpoints that are kept at a time."""
MOST_BY_HAND = 64
"""Those that a person, or a change of the guest, has asked for."""
MEMORY = 1 << 30
"""Bytes that all of them together may keep from being one with the guest's own, about."""
_PAGE = 4096


class Why(enum.Enum):
    """What a checkpoint was taken for."""

    TIME = "time"
    """It was about time: goes when there are too many."""
    HAND = "hand"
    """Somebody has asked for it."""
    CHANGE = "change"
    """A debugger has just changed something here: the run before cannot be gone on with."""


@dataclass(slots=True)
class Entry:
    """A checkpoint and where it is."""

    number: int
    checkpoint: Checkpoint
    bound: Bound
    why: Why
    pages: int = 0
    """Pages that the guest has changed between it and the next one."""

    @property
    def ticks(self) -> int:
        """Where it is."""
        return self.bound.moment.ticks


def order(bound: Bound) -> tuple[int, int, int]:
    """A key that grows as the run does."""
    moment = bound.moment
    return moment.ticks, moment.quanta, moment.skipped


class Shelf:
    """The first entry is the beginning of what can be gone back to."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._numbers = 0

    def __iter__(self) -> Iterator[Entry]:
        return iter(tuple(self._entries))

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def first(self) -> Entry | None:
        """The earliest one."""
        return self._entries[0] if self._entries else None

    def number(self, number: int) -> Entry | None:
        """The one of that number."""
        return next((entry for entry in self._entries if entry.number == number), None)

    def add(self, checkpoint: Checkpoint, bound: Bound, why: Why, present: int) -> Entry:
        """Put one where it belongs; `present`: the tick around which most are of use."""
        self._numbers += 1
        entry = Entry(self._numbers, checkpoint, bound, why)
        at = len(self._entries)
        while at and order(self._entries[at - 1].bound) > order(bound):
            at -= 1
        self._entries.insert(at, entry)
        self._thin(present, entry)
        return entry

    def before(self, bound: Bound, below: Entry | None) -> Entry | None:
        """The last one that may be before a place, and is before the entry `below`."""
        entries = self._entries
        if below is not None and below in entries:
            entries = entries[: entries.index(below)]
        return next((e for e in reversed(entries) if order(e.bound) <= order(bound)), None)

    def change_after(self, entry: Entry) -> Entry | None:
        """The next one that was taken because of a change."""
        later = self._entries[self._entries.index(entry) + 1 :] if entry in self._entries else []
        return next((other for other in later if other.why is Why.CHANGE), None)

    def cut(self, bound: Bound) -> None:
        """Drop those behind a place: that future is gone."""
        for entry in self:
            if order(entry.bound) > order(bound):
                self._drop(entry)

    def clear(self) -> None:
        """Drop all."""
        for entry in self:
            self._drop(entry)

    def _drop(self, entry: Entry) -> None:
        self._entries.remove(entry)
        entry.checkpoint.drop()

    def _thin(self, present: int, new: Entry) -> None:
        """Keep distances from the present in proportion: what is far away may be sparse."""
        while True:
            memory = sum(entry.pages for entry in self._entries) * _PAGE
            free = [
                at
                for at, entry in enumerate(self._entries)
                if at and entry.why is Why.TIME and entry is not new
            ]
            kept = [e for e in self._entries if e.why is not Why.TIME]
            if len(kept) > MOST_BY_HAND:
                # history before that one cannot be gone through any more
                for entry in self._entries[: self._entries.index(kept[0]) + 1]:
                    self._drop(entry)
                continue
            if not free or (len(self._entries) <= MOST_PROCESSES and memory <= MEMORY):
                return
            self._drop(self._entries[min(free, key=lambda at: self._gap(at, present))])

    def _gap(self, at: int, present: int) -> float:
        """What would be missing without an entry, as part of its distance from the present."""
        entries = self._entries
        after = entries[at + 1].ticks if at + 1 < len(entries) else present
        return (after - entries[at - 1].ticks) / (1 + abs(present - entries[at].ticks))
