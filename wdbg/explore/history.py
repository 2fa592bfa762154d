"""What a schedule did, and the same as a script that can lose lines.

A position in ticks of all CPUs means something else as soon as an earlier decision is left out.
While a schedule is being made smaller a decision is therefore named by how far the CPU has come
that is to be interrupted: ticks that it has run itself since the workload's start.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from wdbg.runtime.cpu import Cpu
from wdbg.runtime.scheduler import (
    FORCED,
    LONGEST_QUANTUM,
    Decision,
    Point,
    RoundRobin,
    Scheduler,
    Turn,
)

NOBODY = -1
"""Number of the CPU that ran before the first decision."""


class Step(NamedTuple):
    """When CPU `before` has run `own` ticks and has come to `access` (see `Point`), `cpu` goes on.
    """

    before: int
    own: int
    access: int
    cpu: int


class Log:
    """A scheduler that notes what another one answers."""

    def __init__(self, inner: Scheduler) -> None:
        self._pick = inner.pick
        self.rows = array("q")
        """Tick, access, chosen CPU, bits of the CPUs that were ready; four numbers a decision."""

    def pick(self, ready: list[Cpu], point: Point) -> Turn:
        """See Scheduler."""
        turn = self._pick(ready, point)
        mask = 0
        for cpu in ready:
            mask |= 1 << cpu.number
        self.rows.extend((point.tick, point.access, turn.cpu.number, mask))
        return turn


def busy_stretches(rows: Sequence[int], end: int) -> tuple[tuple[int, int], ...]:
    """(tick, ticks) of the stretches in which several CPUs were ready; `end` is the last tick."""
    ticks = [*rows[::4], end]
    return tuple(
        (tick, ticks[i + 1] - tick)
        for i, (tick, mask) in enumerate(zip(rows[::4], rows[3::4], strict=True))
        if mask & (mask - 1) and ticks[i + 1] > tick
    )


def steps_of(rows: Sequence[int]) -> list[Step]:
    """The decisions that differ from what `RoundRobin` would have chosen at the same scheduling
    point; the cuts among them all."""
    own: dict[int, int] = {}
    steps = []
    before, since = NOBODY, rows[0] if rows else 0
    for tick, access, cpu, mask in zip(*(rows[i::4] for i in range(4)), strict=True):
        own[before] = own.get(before, 0) + tick - since
        later = mask >> (before + 1) << (before + 1)
        first = later or mask
        expected = (first & -first).bit_length() - 1
        if access != FORCED or cpu != expected:
            steps.append(Step(before, own[before], access, cpu))
        before, since = cpu, tick
    return steps


class Replayed:
    """`RoundRobin` with some steps; those whose moment does not come are left out."""

    def __init__(self, steps: Iterable[Step]) -> None:
        self._left: dict[int, deque[Step]] = {}
        for step in steps:
            self._left.setdefault(step.before, deque()).append(step)
        self._own: dict[int, int] = {}
        self._base = RoundRobin(LONGEST_QUANTUM)
        self._last, self._since = NOBODY, -1
        self._cut = False
        self.decisions: list[Decision] = []
        """What was decided otherwise than the base would have, in ticks of all CPUs."""

    def pick(self, ready: list[Cpu], point: Point) -> Turn:
        """See Scheduler."""
        last, own = self._last, self._own
        if self._since >= 0:
            own[last] = own.get(last, 0) + point.tick - self._since
        here = own.get(last, 0)
        left = self._left.get(last, ())
        while left and _has_passed(left[0], here, point.access):
            left.popleft()
        turn = self._base.pick(ready, point)
        chosen = None
        if left and (left[0].own, left[0].access) == (here, point.access):
            wanted = left.popleft().cpu
            chosen = next((cpu for cpu in ready if cpu.number == wanted), None)
            if chosen is not None:
                self._base.last = wanted
                turn = Turn(chosen, LONGEST_QUANTUM)
                self._cut = True
        number = turn.cpu.number
        # The first place is where the script takes over; a cut is one whoever goes on.
        if self._since < 0 or (self._cut and (chosen is not None or point.access != FORCED)):
            self.decisions.append(Decision(point.tick, point.access, number))
        self._cut = False
        self._last, self._since = number, point.tick
        cut = next((step for step in self._left.get(number, ()) if step.access != FORCED), None)
        ticks = cut.own - own.get(number, 0) if cut is not None else 0
        if cut is not None and 0 < ticks <= turn.longest:
            self._cut = True
            planned = point.tick + ticks
            if ticks <= turn.ticks:
                return Turn(turn.cpu, ticks, cut.access, ticks, planned)
            return turn._replace(access=cut.access, longest=ticks, planned=planned)
        return turn


def _has_passed(step: Step, own: int, access: int) -> bool:
    if step.own != own:
        return step.own < own
    return step.access != FORCED and (access == FORCED or step.access < access)
