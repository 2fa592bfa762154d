"""Schedules by number: a strategy, a number and what is known of the workload give a scheduler.

Each is a pure function of these three, so that a schedule is found again by its number.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from wdbg.runtime.cpu import Cpu
from wdbg.runtime.scheduler import (
    LONGEST_QUANTUM,
    Pct,
    Point,
    RoundRobin,
    Scheduler,
    SeededRandom,
    Turn,
)

STRATEGIES = ("random", "pct", "preempt")

_GOLDEN = 0.6180339887498949
"""Multiples of it modulo 1 fill the unit interval evenly (Weyl)."""
_LEAST_QUANTUM_BITS, _QUANTUM_BITS = 3.0, 11.0
"""Mean quanta of random schedules are 2^3 to 2^14 ticks."""


@dataclass(frozen=True, slots=True)
class Workload:
    """What the schedules are about; ticks count from the boot."""

    start: int
    """Tick at which the schedules part."""
    length: int
    """Ticks that the workload takes in the schedule without preemptions."""
    busy: tuple[tuple[int, int], ...] = field(default=())
    """(tick, ticks) of the stretches in which more than one CPU was ready in that schedule."""
    accesses: int = 0
    """Quanta can end before one of so many accesses after a tick; 0: at ticks only."""
    depth: int = 3
    """Of "pct"."""
    bound: int = 2
    """Preemptions, of "preempt"."""


def make_schedule(strategy: str, number: int, work: Workload) -> Scheduler:
    """The schedule of a number; number 0 is the one without preemptions."""
    if number == 0:
        return RoundRobin(LONGEST_QUANTUM)
    if strategy == "pct":
        return Pct(number, work.depth, work.start, work.length, work.accesses)
    if strategy == "preempt":
        return Preemptions(number, work)
    draw = random.Random(number).random
    quantum = int(2 ** (_LEAST_QUANTUM_BITS + _QUANTUM_BITS * draw()))
    return SeededRandom(number, quantum, work.accesses)


class Preemptions:
    """The schedule without preemptions, but for a few: at places where several CPUs had something
    to do another one gets the turn. The first place goes evenly over all there are."""

    def __init__(self, number: int, work: Workload) -> None:
        draw = self._draw = random.Random(number).random
        self._base = RoundRobin(LONGEST_QUANTUM)
        count = work.bound
        shares = [number * _GOLDEN % 1.0] + [draw() for _ in range(count - 1)]
        self._places = sorted(
            ((_place(work, share), int(draw() * (work.accesses + 1))) for share in shares),
            reverse=True,
        )

    def pick(self, ready: list[Cpu], point: Point) -> Turn:
        """The CPU that has its turn, unless a place has come."""
        places = self._places
        last = self._base.last
        turn = self._base.pick(ready, point)
        come = False
        while places and places[-1][0] <= point.tick:
            places.pop()
            come = True
        if come:
            others = [cpu for cpu in ready if cpu.number != last]
            if others:
                chosen = others[int(self._draw() * len(others))]
                self._base.last = chosen.number
                turn = Turn(chosen, LONGEST_QUANTUM)
        if places and places[-1][0] - point.tick <= turn.ticks:
            tick, access = places[-1]
            ticks = tick - point.tick
            return Turn(turn.cpu, ticks, access, ticks, tick)
        return turn


def _place(work: Workload, share: float) -> int:
    """The tick at a share of all busy ticks."""
    busy = work.busy or ((work.start, max(1, work.length)),)
    left = int(share * sum(ticks for _, ticks in busy))
    for tick, ticks in busy:
        if left < ticks:
            return tick + 1 + left
        left -= ticks
    return work.start + 1
