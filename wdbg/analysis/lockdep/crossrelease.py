"""Completions and wait queues that close a circle with a lock.

A task that waits for a completion with a lock held depends on whoever completes it. If that one
completes it with the same lock held (not another of its class), and both can be at work at once,
neither comes on. A run in which that has not happened shows both sides apart: one that waits, one
that signals, each with the lock.
"""

from __future__ import annotations

from collections.abc import Iterator

from wdbg.analysis.lockdep.engine import Engine, Step
from wdbg.analysis.lockdep.model import Acquisition, Held, LockClass, Problem, Source
from wdbg.trace.events import LockKind

_KINDS = {
    LockKind.COMPLETION: "completion",
    LockKind.WAIT_QUEUE: "wait queue",
}
DYNAMIC = "nothing tells whether the memory was one completion all the time"

_Side = tuple[LockClass, Step, tuple[Held, ...]]


def signal_cycles(engine: Engine) -> Iterator[Problem]:
    """A problem for each completion or wait queue, and lock."""
    signals: dict[int, list[_Side]] = {}
    for side in engine.signals:
        signals.setdefault(side[0].number, []).append(side)
    done: set[tuple[int, int]] = set()
    for found, wait, held in engine.waits:
        kind = _KINDS.get(found.kind)
        if kind is None or not held:
            continue
        others = signals.get(found.number, [])
        for mine in held:
            mark = (found.number, mine.at.number)
            if mark in done:
                continue
            blocked = [
                (step, theirs)
                for _, step, sides in others
                if step[1] != wait[1]
                for theirs in sides
                if _conflict(mine, theirs)
            ]
            # Anybody may wake a queue: it is a circle only if nobody does without the lock.
            if not blocked or (found.kind is LockKind.WAIT_QUEUE and len(blocked) < len(others)):
                continue
            done.add(mark)
            step, theirs = blocked[0]
            at = _at(found, max(wait, step))
            yield Problem(
                "circular-dependency", (mine.at.number, found.number), at,
                (mine.at, _at(found, wait), theirs.at, _at(found, step)), kind,
                doubtful="" if found.source is not Source.INSTANCE else DYNAMIC,
            )  # fmt: skip


def _conflict(mine: Held, theirs: Held) -> bool:
    """Whether one of two tasks that hold these waits for the other."""
    return mine.at.lock == theirs.at.lock and not (mine.at.read and theirs.at.read)


def _at(found: LockClass, step: Step) -> Acquisition:
    return Acquisition(found.number, step[3], 0, step[0], step[1], step[6], step[5])
