"""The last accesses of each word of memory, and whether a new one is ordered after them.

A word has an entry for each context whose last access could still race with a later one. What is
replaced: an access that another one, ordered after it, stands for: the same bytes or more, a write
if it was one, plain if it was plain.
"""

from __future__ import annotations

from dataclasses import dataclass

from wdbg.analysis.races.locks import Held
from wdbg.analysis.races.order import Order

WORD = 8
"""Bytes."""


@dataclass(frozen=True, slots=True)
class Access:
    """An access that is part of a report."""

    seq: int
    """Number of the event in the trace."""
    tick: int
    cpu: int
    task: int
    context: int
    position: int
    address: int
    size: int
    flags: int
    """Of `MemFlag`."""
    value: int
    """What a write wrote, if VALUE_KNOWN."""
    held: Held | None
    """None: not known."""
    irqs_off: bool
    preempt_count: int
    """As far as it tells of softirqs and interrupts."""


Entry = tuple[int, int, int, bool, bool, object]
"""(mask of bytes, context's place, its clock, write, marked, what is known of the access)"""


class Shadow:
    """All words. Memory: an entry for each context of each word that several contexts use."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._words: dict[int, list[Entry]] = {}

    def access(
        self, word: int, mask: int, place: int, write: bool, marked: bool, access: object
    ) -> list[object]:
        """An access of bytes `mask` of a word; what is known of the earlier ones that it races
        with."""
        clock = self._order.clocks[place]
        mine = (mask, place, clock.item(place), write, marked, access)
        entries = self._words.get(word)
        if entries is None:
            self._words[word] = [mine]
            return []
        kept: list[Entry] = []
        races: list[object] = []
        for entry in entries:
            touched, other, at, wrote, was_marked, before = entry
            if other == place or clock.item(other) >= at:
                if touched & ~mask or (wrote and not write) or (marked and not was_marked):
                    kept.append(entry)
                continue
            kept.append(entry)
            if touched & mask and (write or wrote) and not (marked and was_marked):
                races.append(before)
        kept.append(mine)
        self._words[word] = kept
        return races

    def forget(self, word: int) -> None:
        """The word is something else from here on."""
        self._words.pop(word, None)
