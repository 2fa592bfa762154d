"""Happens-before as vector clocks, one a context: a task, or softirqs or interrupts of a CPU.

A context's clock counts its releases. What it did before a release with clock c is known to
whoever has at least c in its place for this context (Flanagan and Freund, "FastTrack", 2009).
"""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import numpy.typing as npt

Clock = npt.NDArray[np.int32]

SOFTIRQ, HARDIRQ = 1 << 24, 1 << 25
"""Bits of a context that is no task; the CPU's number is or-ed to them. Tasks are numbers of the
trace's table of tasks."""


class Order:
    """The clocks of all contexts, and those that locks, atomics and the like carry."""

    def __init__(self, contexts: int = 64) -> None:
        """`contexts`: how many there may be; more are found room for."""
        self._room = max(contexts, 1)
        self._dense: dict[int, int] = {}
        self.contexts: list[int] = []
        """Context by its place in clocks."""
        self.clocks: list[Clock] = []
        self._carried: dict[Hashable, tuple[Clock, int, int]] = {}
        """What whoever acquires this will know; of one release alone also whose and when."""

    def place(self, context: int) -> int:
        """The context's place in clocks, given at first use."""
        place = self._dense.get(context)
        if place is None:
            place = self._dense[context] = len(self.contexts)
            self.contexts.append(context)
            if place >= self._room:
                self._grow()
            clock = np.zeros(self._room, np.int32)
            clock[place] = 1
            self.clocks.append(clock)
        return place

    def _grow(self) -> None:
        more = np.zeros(self._room, np.int32)
        self._room *= 2
        self.clocks = [np.concatenate((clock, more)) for clock in self.clocks]
        self._carried = {
            key: (np.concatenate((clock, more)), place, at)
            for key, (clock, place, at) in self._carried.items()
        }

    def knows(self, place: int, other: int, at: int) -> bool:
        """Whether what `other` did when its clock stood at `at` comes before what `place` does."""
        return bool(self.clocks[place][other] >= at)

    def release(self, place: int, key: Hashable, *, add: bool = False) -> None:
        """Whoever acquires `key` from here on comes after all that `place` has done. `add`: and
        after what was released before."""
        clock = self.clocks[place]
        at = int(clock[place])
        carried = self._carried.get(key) if add else None
        if carried is None or carried[1] == place:
            self._carried[key] = (clock.copy(), place, at)
        else:
            self._carried[key] = (np.maximum(carried[0], clock), -1, 0)
        clock[place] = at + 1

    def acquire(self, place: int, key: Hashable) -> None:
        """Come after what was released to `key`."""
        carried = self._carried.get(key)
        if carried is not None:
            self.join(place, carried)

    def join(self, place: int, carried: tuple[Clock, int, int]) -> None:
        """Come after what this clock has seen."""
        clock, other, at = carried
        mine = self.clocks[place]
        if other < 0 or mine[other] < at:
            np.maximum(mine, clock, out=mine)

    def carried(self, key: Hashable) -> tuple[Clock, int, int] | None:
        """What `key` carries."""
        return self._carried.get(key)

    def carry(self, key: Hashable, clock: Clock | None) -> None:
        """Have `key` carry this clock, or nothing."""
        if clock is None:
            self._carried.pop(key, None)
        else:
            self._carried[key] = (clock.copy(), -1, 0)

    def follow(self, place: int, before: int) -> None:
        """`place` comes after all that `before` has done so far."""
        theirs = self.clocks[before]
        mine = self.clocks[place]
        np.maximum(mine, theirs, out=mine)
        theirs[before] += 1
