"""Who runs next and for how long: the only source of interleaving.

A scheduler is asked at scheduling points only (end of a quantum, a CPU going idle or waking up),
and must be a pure function of its seed and of what it was asked before: that makes a run
repeatable (docs/determinism.md).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from wdbg.runtime.cpu import Cpu

DEFAULT_QUANTUM = 20_000
"""Ticks that a CPU runs while others are ready too (80 virtual microseconds)."""

LONGEST_QUANTUM = 2 * DEFAULT_QUANTUM
"""Longest quantum that the schedulers here hand out while others are ready too."""

LONE_QUANTUM = 1 << 24
"""Longest quantum of a lone CPU: bounds how long a request to stop waits."""

DEFAULT_DEPTH = 3
"""Of `Pct`: finds what takes two changes of priority."""

FORCED = -1
"""Instead of the number of an access: a scheduling point that the guest's own doing made."""


_NEVER = 1 << 62
"""A tick that does not come."""


class Point(NamedTuple):
    """Where a scheduler is asked."""

    tick: int
    """Ticks executed by all CPUs together."""
    access: int
    """The quantum has ended before this access since the tick, 0 at the tick itself; `FORCED` if
    no quantum has ended: a CPU went idle, woke one, yielded."""
    yielded: bool
    """The CPU that ran last spins for something that only others can do."""


class Turn(NamedTuple):
    """What a scheduler answers."""

    cpu: Cpu
    ticks: int
    """The quantum, at least 1."""
    access: int = 0
    """Let the quantum end before the access of this number after its last tick, not at the tick;
    at the next tick if that comes before. Only in variants with cuts."""
    longest: int = LONE_QUANTUM
    """What the quantum may become where nobody else is ready."""
    planned: int = 0
    """`access` counts only if the quantum's last tick is this one: a timer can expire before. 0:
    whatever it is."""


class Decision(NamedTuple):
    """At the first scheduling point of this position `cpu` goes on; see `Point`."""

    tick: int
    access: int
    cpu: int


class Scheduler(Protocol):
    """Chooses among the ready virtual CPUs."""

    def pick(self, ready: list[Cpu], point: Point) -> Turn:
        """The CPU to run and its quantum; `ready` is in CPU order, not empty."""
        ...


class RoundRobin:
    """Each ready CPU in turn, all with the same quantum."""

    def __init__(self, quantum: int = DEFAULT_QUANTUM) -> None:
        self._quantum = quantum
        self.last = -1
        """Number of the CPU that has its turn."""

    def pick(self, ready: list[Cpu], point: Point) -> Turn:
        """The next CPU number after the one that ran last."""
        last = self.last
        chosen = next((c for c in ready if c.number > last), ready[0])
        self.last = chosen.number
        return Turn(chosen, self._quantum)


class SeededRandom:
    """Any ready CPU; quanta from 1 to twice the mean, short ones more often (square law).

    Only `random.Random.random` is used: its sequence for a seed is the same in every Python.
    """

    def __init__(self, seed: int, quantum: int = DEFAULT_QUANTUM, accesses: int = 0) -> None:
        """`accesses` above 0: quanta end before one of so many accesses after their last tick."""
        self._draw = random.Random(seed).random
        self._span = 2 * quantum
        self._accesses = accesses

    def pick(self, ready: list[Cpu], point: Point) -> Turn:
        """A random CPU with a random quantum."""
        draw = self._draw
        chosen = ready[int(draw() * len(ready))] if len(ready) > 1 else ready[0]
        ticks = 1 + int(draw() ** 2 * self._span)
        if self._accesses:
            return Turn(chosen, ticks, int(draw() * (self._accesses + 1)))
        return Turn(chosen, ticks)


class Pct:
    """Probabilistic concurrency testing (Burckhardt and others, ASPLOS 2010), with virtual CPUs as
    the threads: the ready CPU of the highest priority runs; priorities are random, and at depth-1
    random places of the run the CPU at work drops below all others.

    A bug that needs `depth` ordering constraints is found with probability of at least
    1/(n * k^(depth-1)) for n CPUs and k places. A CPU that yields, or that has run for
    `LONGEST_QUANTUM` while others were ready, waits for what they do: it drops as well, or a spin
    lock would never be had.
    """

    def __init__(
        self, seed: int, depth: int, start: int = 0, length: int = 1 << 20, accesses: int = 0
    ) -> None:
        """`start` and `length` say, in ticks, where changes are to happen; `accesses` as in
        SeededRandom."""
        draw = self._draw = random.Random(seed).random
        places = sorted(
            (start + 1 + int(draw() * length), int(draw() * (accesses + 1)))
            for _ in range(depth - 1)
        )
        self._changes = places[::-1]
        self._priorities: dict[int, float] = {}
        self._lowest = 0.0
        self._last = -1
        self._since = 0

    def _drop(self, cpu: int) -> None:
        self._lowest -= 1.0
        self._priorities[cpu] = self._lowest

    def pick(self, ready: list[Cpu], point: Point) -> Turn:
        """The ready CPU of the highest priority, up to the next change."""
        priorities = self._priorities
        for cpu in ready:
            if cpu.number not in priorities:
                priorities[cpu.number] = 1.0 + self._draw()
        changes = self._changes
        while changes and changes[-1][0] <= point.tick:
            changes.pop()
            self._drop(self._last)
        if point.yielded or point.tick - self._since >= LONGEST_QUANTUM:
            self._drop(self._last)
        chosen = max(ready, key=lambda cpu: priorities[cpu.number])
        if chosen.number != self._last:
            self._last, self._since = chosen.number, point.tick
        left = LONGEST_QUANTUM - (point.tick - self._since)
        if left <= 0:
            self._since, left = point.tick, LONGEST_QUANTUM
        if changes and changes[-1][0] - point.tick <= left:
            tick, access = changes[-1]
            return Turn(chosen, tick - point.tick, access, tick - point.tick, tick)
        return Turn(chosen, left)


class Scripted:
    """Round robin with quanta of `LONGEST_QUANTUM`, but for a list of decisions.

    A decision whose scheduling point does not come, or whose CPU is not ready there, is left out
    and counted in `missed`: in a schedule that has been recorded there is none.
    """

    def __init__(self, decisions: Sequence[Decision]) -> None:
        """Decisions in the order of the run: at most one cut a tick, before its forced points."""
        self._left = list(decisions[::-1])
        self._base = RoundRobin(LONGEST_QUANTUM)
        self.missed = 0

    @property
    def left(self) -> int:
        """Decisions that have not been reached."""
        return len(self._left)

    def pick(self, ready: list[Cpu], point: Point) -> Turn:
        """What the list says, up to its next cut."""
        left = self._left
        while left and self._has_passed(left[-1], point):
            left.pop()
            self.missed += 1
        turn = self._base.pick(ready, point)
        if left and (left[-1].tick, left[-1].access) == (point.tick, point.access):
            wanted = left.pop().cpu
            chosen = next((cpu for cpu in ready if cpu.number == wanted), None)
            if chosen is None:
                self.missed += 1
            else:
                self._base.last = wanted
                turn = Turn(chosen, LONGEST_QUANTUM)
        cut = next((entry for entry in reversed(left) if entry.access != FORCED), None)
        if cut is not None and 0 < cut.tick - point.tick <= LONE_QUANTUM:
            ticks = cut.tick - point.tick
            if ticks <= turn.ticks:
                return Turn(turn.cpu, ticks, cut.access, ticks, cut.tick)
            return turn._replace(access=cut.access, longest=ticks, planned=cut.tick)
        return turn

    @staticmethod
    def _has_passed(decision: Decision, point: Point) -> bool:
        if decision.tick != point.tick:
            return decision.tick < point.tick
        if decision.access == FORCED:
            return False
        return point.access == FORCED or decision.access < point.access


class Takeover:
    """One scheduler up to a tick, where its quantum is cut, another one from there on."""

    def __init__(
        self, first: Scheduler, second: Scheduler | None = None, tick: int = _NEVER
    ) -> None:
        self.first = first
        self.second = second
        self.tick = tick

    @property
    def set(self) -> bool:
        """The tick is known."""
        return self.tick < _NEVER

    def pick(self, ready: list[Cpu], point: Point) -> Turn:
        """As the scheduler says whose turn it is."""
        left = self.tick - point.tick
        if left <= 0 and self.second is not None:
            return self.second.pick(ready, point)
        turn = self.first.pick(ready, point)
        if 0 < left < LONE_QUANTUM:
            return turn._replace(ticks=min(turn.ticks, left), longest=left)
        return turn
