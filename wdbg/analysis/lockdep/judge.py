"""What the engine has noted, turned into problems: circles, inversions, what was wrong at once."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from wdbg.analysis.lockdep.crossrelease import signal_cycles
from wdbg.analysis.lockdep.engine import Engine
from wdbg.analysis.lockdep.model import (
    DEP_EN,
    DEP_ER,
    DEP_SN,
    Acquisition,
    Problem,
    Source,
    Usage,
)

KINDS = {
    "circular-dependency": "taken, or waited for, in an order that closes a circle",
    "recursive-locking": "a lock of a class that the task holds already",
    "inconsistent-irq-state": "taken in interrupts, and elsewhere with interrupts enabled",
    "irq-inversion": "a lock that is taken in interrupts leads to one that is held with interrupts "
    "enabled",
    "invalid-wait-context": "a lock that may sleep, where that is not possible",
    "sleep-in-atomic": "sleeps with a spinning lock, or where preemption is off",
    "sleep-in-rcu": "sleeps inside an RCU read section",
    "unbalanced-release": "released without having been taken",
    "released-by-another": "released by a task that has not taken it",
    "lock-held-at-return": "held when the task goes back to its program",
    "lock-held-at-exit": "held when the task ends",
    "held-lock-freed": "its memory is freed, or it is initialised, while it is held",
    "nest-lock-not-held": "the lock that is to serialise the nesting is not held",
    "pinned-lock-released": "released while it was pinned",
    "lock-misuse": "the kernel's own checks of lock use have failed",
    "suspicious-rcu": "RCU used in a way that its checks object to",
}
"""Kinds of findings, worst first, and what they mean."""

_RANK = {kind: rank for rank, kind in enumerate(KINDS)}
_STATES = (("hardirq", Usage.IN_HARDIRQ, Usage.HARDIRQS_ON),
           ("softirq", Usage.IN_SOFTIRQ, Usage.SOFTIRQS_ON))  # fmt: skip
REUSED = "nothing tells whether the memory was one lock all the time"


def judge(engine: Engine, *, tasks: bool = True) -> list[Problem]:
    """All problems, the worst first. `tasks`: what only one task has done is doubtful."""
    found = [*_circles(engine, tasks), *_interrupts(engine), *signal_cycles(engine)]
    found += _at_once(engine)
    for problem in found:
        if not problem.doubtful and any(
            number >= 0 and engine.classes.all[number].source is Source.INSTANCE
            for number in problem.classes
        ):
            problem.doubtful = REUSED
    return sorted(
        found,
        key=lambda each: (bool(each.doubtful), _RANK[each.kind], len(each.classes), each.at.tick),
    )


def _circles(engine: Engine, tasks: bool) -> Iterator[Problem]:
    counting = frozenset(each.number for each in engine.classes.all if each.shared_count)
    for cycle in engine.graph.cycles(counting, tasks=tasks):
        last = max((witness.waiter for witness in cycle.witnesses), key=lambda at: at.tick)
        yield Problem(
            "circular-dependency",
            tuple(witness.holder.number for witness in cycle.witnesses),
            last,
            witnesses=cycle.witnesses,
            doubtful=cycle.doubt,
        )


def _interrupts(engine: Engine) -> Iterator[Problem]:
    skip = frozenset(each.number for each in engine.classes.all if each.lock_type)
    for name, inside, enabled in _STATES:
        starts: dict[int, int] = {}
        ends: dict[int, int] = {}
        for number, marks in engine.usage.items():
            if inside in marks:
                starts[number] = DEP_EN
            elif inside + 1 in marks:
                starts[number] = DEP_ER
            if enabled in marks:
                ends[number] = DEP_EN
            elif enabled + 1 in marks:
                ends[number] = DEP_SN
            yield from _inconsistent(number, marks, name, inside, enabled)
        for path in engine.graph.paths(starts, ends, skip):
            taken = _mark(engine.usage[path[0]], inside)
            open_ = _mark(engine.usage[path[-1]], enabled)
            witnesses = tuple(engine.graph.witness(a, b) for a, b in pairwise(path))
            last = max((taken, open_, *(w.waiter for w in witnesses)), key=lambda at: at.tick)
            yield Problem(
                "irq-inversion", path, last, (taken, open_), name, witnesses,
                (f"in-{name}", f"{name}s-on"),
            )  # fmt: skip


def _inconsistent(
    number: int, marks: dict[int, Acquisition], name: str, inside: int, enabled: int
) -> Iterator[Problem]:
    for used, on in ((inside, enabled), (inside, enabled + 1), (inside + 1, enabled)):
        if used in marks and on in marks:
            parts = (marks[used], marks[on])
            last = max(parts, key=lambda at: at.tick)
            yield Problem(
                "inconsistent-irq-state", (number,), last, parts, name,
                usage=(f"in-{name}", f"{name}s-on"),
            )  # fmt: skip
            return


def _mark(marks: dict[int, Acquisition], usage: int) -> Acquisition:
    """The first use by a writer, else by a reader."""
    return marks[usage] if usage in marks else marks[usage + 1]


def _at_once(engine: Engine) -> Iterator[Problem]:
    sleeping = engine.classes.sleeping()
    for problem in engine.problems.values():
        word, _, number = problem.detail.partition(" ")
        if word == "config":
            # 2 is spinlock_t's wait type without PROVE_RAW_LOCK_NESTING, 3 with it.
            if int(number) <= sleeping - 1:
                continue
            problem.detail = "interrupt"
        elif word == "inner":
            if int(number) >= sleeping:
                continue
            problem.detail = ""
        yield problem
