"""The check `locks`: feeds lock events to the engine, and makes findings of what comes out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from wdbg.analysis.findings import Finding
from wdbg.analysis.lockdep.engine import Engine, Step
from wdbg.analysis.lockdep.judge import judge
from wdbg.analysis.lockdep.model import Problem
from wdbg.analysis.lockdep.naming import Naming
from wdbg.analysis.lockdep.novelty import Novelty
from wdbg.analysis.lockdep.report import Reporter
from wdbg.analysis.lockdep.selftest import Case
from wdbg.analysis.lockdep.steps import TABLES, Steps, steps_of, tuples
from wdbg.analysis.lockdep.work import taken_before
from wdbg.trace.batch import Batch
from wdbg.trace.events import LOCK_NOTE_MASK, Kind, LockNote, Table
from wdbg.trace.feed import TraceHeader
from wdbg.trace.tables import Tables

EARLY = 1 << 18
"""Ticks within which a trace's first event must lie, if the trace begins where the guest does."""
_TESTS = (LockNote.SELFTEST, LockNote.TEST, LockNote.FREE_KEYS, LockNote.RESET)
_OWN_ENGINE = "check_noncircular"
"""A function of lockdep's own engine, whose objections are not ours."""


class LockCheck:
    """A `Check`."""

    tables: tuple[Table, ...] = TABLES

    def __init__(self, header: TraceHeader) -> None:
        self._annotated = "annotations" in header.events.split(",")
        self._module = Path(header.module) if header.module else None
        self._symbols = header.symbols
        self._begun = False
        self._over = False
        self._engine = self._new(whole=True)
        self._novelty = Novelty(annotated=self._annotated)
        self.fed = 0
        """Events that the engine has looked at, the self test's not among them."""
        self._case: tuple[int, bool] | None = None
        self.cases: list[Case] = []
        """Cases of the self test that have been run."""

    def _new(self, *, whole: bool) -> Engine:
        names = ("static_end", "__lockdep_no_validate__", "__lockdep_no_track__")
        return Engine(*(self._symbols.get(name, 0) for name in names), whole=whole)

    # ---- events --------------------------------------------------------------------------------

    def batch(self, batch: Batch) -> None:
        """The next events."""
        if self._over or not len(batch):
            return
        if not self._begun:
            self._begun = True
            if int(batch.tick[0]) > EARLY:
                self._engine = self._new(whole=False)
        if batch.lost or Table.LOST in batch.tables:
            self.lose()  # before or after the others of the batch: they may be in between
        self._events(batch)
        if batch.lost or Table.LOST in batch.tables:
            self.lose()

    def _events(self, batch: Batch) -> None:
        if (batch.kind == Kind.PANIC).any():
            self._over = True  # locks are broken up then
            steps = steps_of(batch, annotated=self._annotated)
            self._feed(steps[: np.flatnonzero(steps["kind"] == Kind.PANIC)[0]])
        elif self._engine.selftest or _has_tests(batch):
            self._feed(steps_of(batch, annotated=self._annotated))
            self._novelty.after(self._engine, np.ones(len(batch), bool), batch)
        else:
            chosen = self._novelty.choose(batch, sure=not self._engine.lost)
            steps = steps_of(batch, annotated=self._annotated, chosen=chosen)
            self._engine.earlier = partial(taken_before, batch, self._engine.classes)
            self._engine.feed(tuples(steps))
            self.fed += len(steps)
            self._novelty.after(self._engine, chosen, batch)

    def lose(self) -> None:
        """A part of the trace is missing here."""
        self._engine.lose()
        self._novelty.forget()

    def _feed(self, steps: Steps) -> None:
        notes = steps["flags"] & LOCK_NOTE_MASK
        special = (steps["kind"] == Kind.LOCK_NOTE) & np.isin(notes, _TESTS)
        first = 0
        for place in np.flatnonzero(special).tolist():
            self._engine.feed(tuples(steps[first:place]))
            self._test(next(tuples(steps[place : place + 1])))
            first = place + 1
        self._engine.feed(tuples(steps[first:]))

    def _test(self, step: Step) -> None:
        """Something of the self test."""
        what = step[5] & LOCK_NOTE_MASK
        if self._case is not None and what in (LockNote.FREE_KEYS, LockNote.RESET):
            function, expected = self._case
            self._case = None
            self._engine.end()
            problems = tuple(judge(self._engine, tasks=False))
            self.cases.append(Case(function, expected, problems))
        if what == LockNote.TEST:
            self._fresh()
            self._case = step[3], step[4] != 0
        elif what == LockNote.RESET or (what == LockNote.SELFTEST and not step[4]):
            self._fresh()
            if what == LockNote.SELFTEST:
                self._engine.selftest = False
        else:
            self._engine.feed([step])

    def _fresh(self) -> None:
        selftest, longest = self._engine.selftest, self._engine.classes.longest_wait
        self._engine = self._new(whole=not self._engine.lost)
        self._engine.selftest = selftest
        self._engine.classes.longest_wait = longest

    # ---- the end -------------------------------------------------------------------------------

    def findings(self, tables: Tables, facts: dict[str, Any]) -> list[Finding]:
        """What was found."""
        self._engine.end()
        naming = Naming(tables, self._module)
        reporter = Reporter(self._engine, naming)
        own = naming.has_function(_OWN_ENGINE)
        found: dict[str, Finding] = {}
        for problem in judge(self._engine):
            if _counts(problem, naming.pid, own=own):
                finding = reporter.finding(problem)
                known = found.get(finding.identity)
                if known is None or (known.doubtful and not finding.doubtful):
                    found[finding.identity] = finding
        return list(found.values())


def _has_tests(batch: Batch) -> bool:
    columns = batch.tables.get(Table.LOCK_NOTE)
    if columns is None:
        return False
    return bool(np.isin(columns["flags"] & LOCK_NOTE_MASK, _TESTS).any())


def _counts(problem: Problem, pid: Callable[[int, int], int], *, own: bool) -> bool:
    if problem.kind in ("lock-misuse", "suspicious-rcu"):
        return not own  # the guest's own lockdep objects to what it has found
    if problem.kind == "sleep-in-atomic" and not problem.classes[0] >= 0:
        # Idle tasks, and the one that boots before there is a scheduler, never really sleep.
        return pid(problem.at.task, problem.at.tick) != 0
    return True
