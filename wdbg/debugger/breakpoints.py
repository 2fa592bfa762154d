"""Breakpoints as data: places that were asked for, counted, by the stop point that stands for
each. Nothing here touches the guest.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Callable, Iterator

from wdbg.debugger.model import Place

Stop = tuple[int, int]
"""(module, number of a stop point)."""


class Breakpoints:
    """What front ends have asked for. A place without a stop point waits for its module."""

    def __init__(self) -> None:
        self._counts: Counter[Place] = Counter()
        self._stops: dict[Place, Stop] = {}
        self._segments: dict[Stop, list[int]] = {}

    def add(self, place: Place, stop: int | None) -> None:
        """Ask for a place once more; `stop` is the number of its stop point if that is known."""
        self._counts[place] += 1
        if stop is not None:
            self.resolve(place, stop)

    def resolve(self, place: Place, stop: int) -> None:
        """The stop point of a place has become known."""
        if place not in self._stops:
            self._stops[place] = (place.module, stop)
            insort(self._segments.setdefault((place.module, stop), []), place.offset)

    def remove(self, place: Place) -> Stop | None:
        """Undo one `add`. The stop point if nobody asks for any place of it any more."""
        if self._counts[place] > 1:
            self._counts[place] -= 1
            return None
        del self._counts[place]
        stop = self._stops.pop(place, None)
        if stop is None:
            return None
        segment = self._segments[stop]
        segment.remove(place.offset)
        if segment:
            return None
        del self._segments[stop]
        return stop

    def clear(self) -> None:
        """Undo all."""
        self._counts.clear()
        self._stops.clear()
        self._segments.clear()

    def first(self, module: int, stop: int) -> Place | None:
        """The first place asked for in a stop point's segment: where an arriving task stops."""
        segment = self._segments.get((module, stop))
        return Place(module, segment[0]) if segment else None

    def last(self, module: int, stop: int) -> Place | None:
        """The last one: where a task stops that comes from the other side."""
        segment = self._segments.get((module, stop))
        return Place(module, segment[-1]) if segment else None

    def before(self, place: Place, stop: int) -> Place | None:
        """The next place asked for before `place` in the segment of `stop`."""
        segment = self._segments.get((place.module, stop), ())
        at = bisect_left(segment, place.offset)
        return Place(place.module, segment[at - 1]) if at > 0 else None

    def all(self) -> tuple[Place, ...]:
        """All places, each as often as it was asked for."""
        return tuple(self._counts.elements())

    def next(self, place: Place, stop: int) -> Place | None:
        """The next place asked for behind `place` in the segment of `stop`."""
        segment = self._segments.get((place.module, stop), ())
        at = bisect_right(segment, place.offset)
        return Place(place.module, segment[at]) if at < len(segment) else None

    def stops(self) -> Iterator[Stop]:
        """All stop points that are to be armed."""
        return iter(tuple(self._segments))

    def pending(self, module: int) -> list[Place]:
        """Places of a module that have no stop point yet."""
        return [p for p in self._counts if p.module == module and p not in self._stops]

    def forget_stops(self, locate: Callable[[Place], int | None]) -> None:
        """Numbers of stop points are another machine's now: find them again."""
        self._stops.clear()
        self._segments.clear()
        for place in self._counts:
            stop = locate(place)
            if stop is not None:
                self.resolve(place, stop)

    def __contains__(self, place: Place) -> bool:
        return self._counts[place] > 0

    def __len__(self) -> int:
        return len(self._counts)
