"""Watchpoints as data: ranges of guest memory, counted, and which of them an access touches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from wdbg.debugger.model import WatchKind
from wdbg.instrument.layout import ACCESS_READ, ACCESS_WRITE

_BITS = {
    WatchKind.READ: ACCESS_READ,
    WatchKind.WRITE: ACCESS_WRITE,
    WatchKind.ACCESS: ACCESS_READ | ACCESS_WRITE,
}
VALUE_LIMIT = 4096
"""Bytes of a watched range whose old and new contents a stop carries."""


@dataclass(frozen=True, slots=True)
class Watchpoint:
    """One range."""

    kind: WatchKind
    address: int
    length: int

    def touched_by(self, address: int, length: int, bits: int) -> bool:
        """Whether an access of that kind reaches into the range."""
        return (
            bool(bits & _BITS[self.kind])
            and address < self.address + self.length
            and self.address < address + length
        )


@dataclass(frozen=True, slots=True)
class Touch:
    """An access that has been seen and is to be told of at the next stop point."""

    watchpoint: Watchpoint
    accessed: int
    old: bytes
    by_host: bool


class Watchpoints:
    """What front ends have asked for."""

    def __init__(self) -> None:
        self._counts: Counter[Watchpoint] = Counter()

    def add(self, watchpoint: Watchpoint) -> None:
        """Ask for one once more."""
        self._counts[watchpoint] += 1

    def remove(self, watchpoint: Watchpoint) -> bool:
        """Undo one `add`; True if that was the last of it."""
        if self._counts[watchpoint] > 1:
            self._counts[watchpoint] -= 1
            return False
        return self._counts.pop(watchpoint, 0) > 0

    def clear(self) -> None:
        """Undo all."""
        self._counts.clear()

    def first(self, address: int, length: int, bits: int) -> Watchpoint | None:
        """The first one, in the order of asking, that an access touches."""
        return next((w for w in self._counts if w.touched_by(address, length, bits)), None)

    def all(self) -> tuple[Watchpoint, ...]:
        """All, each as often as it was asked for."""
        return tuple(self._counts.elements())

    def __iter__(self) -> Iterator[Watchpoint]:
        return iter(tuple(self._counts))

    def __len__(self) -> int:
        return len(self._counts)
