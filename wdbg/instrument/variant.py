"""What a rewritten module contains beyond the mailbox."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Variant:
    """A set of instrumentation passes.

    All variants with ``ticks`` count the same ticks, whatever else they contain: a recording made
    with one replays with any other.
    """

    name: str
    ticks: bool

    @property
    def key(self) -> str:
        """Identifies the variant in cache keys: all fields, not only the name."""
        return f"{self.name}:ticks={int(self.ticks)}"


PLAIN = Variant("plain", ticks=False)
"""Mailbox only. The clock stands still and nothing is preempted: a baseline for benchmarks."""
TICK = Variant("tick", ticks=True)
"""Ticks at function entries and loop headers: the normal variant."""
