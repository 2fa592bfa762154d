"""A finding's schedule with nothing in it that the finding does not need.

Delta debugging (Zeller and Hildebrandt, TSE 2002) over the decisions that differ from what plain
round robin would have done; the judge is another run from the workload's start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

from wdbg.explore.history import NOBODY, Replayed, Step, steps_of
from wdbg.explore.outcome import Outcome
from wdbg.explore.trial import TrialError, Trials
from wdbg.runtime.scheduler import FORCED, Decision, Scripted

PAIRS_UP_TO = 24
"""Steps of which all pairs are tried."""
MOST_TRIALS = 2000
"""Runs after which the best so far is taken."""


@dataclass(frozen=True, slots=True)
class Minimal:
    """A schedule that comes to the finding."""

    steps: tuple[Step, ...]
    decisions: tuple[Decision, ...]
    """The same in ticks of all CPUs; the first one is where the script takes over."""
    outcome: Outcome
    trials: int
    """Runs that it took."""
    before: int
    """Steps of the schedule that was found."""

    @property
    def preemptions(self) -> int:
        """Decisions that interrupt a CPU in the midst of its work."""
        return sum(1 for step in self.steps if step.access != FORCED and step.before != NOBODY)

    @property
    def size(self) -> tuple[int, int]:
        """How much there is to understand: preemptions, decisions."""
        return self.preemptions, len(self.steps)


class Minimiser:
    """Makes the schedule of one finding smaller."""

    def __init__(
        self, trials: Trials, outcome: Outcome, show: Callable[[int, int], None]
    ) -> None:
        """`show`: (runs so far, steps left)."""
        self._trials = trials
        self._identity = outcome.identity
        self._outcome = outcome
        self._show = show
        self._count = 0

    def _holds(self, steps: Sequence[Step]) -> bool:
        """Whether a schedule of these steps comes to the same finding."""
        if self._count >= MOST_TRIALS:
            return False
        self._count += 1
        outcome = self._trials.run(Replayed(steps))
        self._show(self._count, len(steps))
        return outcome.identity == self._identity

    def run(self) -> Minimal:
        """TrialError if the schedule, written down, does not come to the finding."""
        found = steps_of(self._outcome.rows)
        before = len(found)
        if not self._holds(found):
            raise TrialError("the schedule that was found is not the same a second time")
        steps = self._fewest(found)
        steps = self._simpler(steps)
        return self._as_decisions(steps, before)

    def _fewest(self, steps: list[Step]) -> list[Step]:
        """ddmin: a list of which no single step can be left out."""
        if not steps or self._holds([]):
            return []
        parts = 2
        while len(steps) >= 2:
            size = -(-len(steps) // parts)
            pieces = [steps[at : at + size] for at in range(0, len(steps), size)]
            for index in range(len(pieces)):
                rest = [step for at, piece in enumerate(pieces) if at != index for step in piece]
                if parts > 2 and self._holds(pieces[index]):
                    steps, parts = pieces[index], 2
                    break
                if self._holds(rest):
                    steps, parts = rest, max(parts - 1, 2)
                    break
            else:
                if parts >= len(steps):
                    break
                parts = min(len(steps), 2 * parts)
        return self._without_pairs(steps)

    def _without_pairs(self, steps: list[Step]) -> list[Step]:
        """What can only be left out together: away from a CPU, and back to it."""
        if len(steps) > PAIRS_UP_TO:
            return steps
        again = True
        while again:
            again = False
            for first, second in combinations(range(len(steps)), 2):
                rest = [step for at, step in enumerate(steps) if at not in (first, second)]
                if self._holds(rest):
                    steps, again = rest, True
                    break
        return steps

    def _simpler(self, steps: list[Step]) -> list[Step]:
        """The same with cuts at ticks in place of accesses, where that does."""
        for at, step in enumerate(steps):
            if step.access > 0:
                simple = [*steps[:at], step._replace(access=0), *steps[at + 1 :]]
                if self._holds(simple):
                    steps = simple
        return steps

    def _as_decisions(self, steps: list[Step], before: int) -> Minimal:
        """Play the steps once more, and what they came to as a script: the same run."""
        outcome, decisions = self._trials.decisions_of(steps)
        scripted = self._trials.run(Scripted(decisions), keep=True)
        if outcome.identity != self._identity or scripted.digest != outcome.digest:
            raise TrialError("the smaller schedule is not the same a second time")
        return Minimal(tuple(steps), decisions, scripted, self._count, before)
