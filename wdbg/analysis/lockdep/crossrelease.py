"""Completions and wait queues that close a circle with a lock.

A task that waits for a completion with a lock held depends on whoever completes it. If that one
completes it takes the same lock first (not another of its class), and both can be at work at once,
neither comes on. A run in which that has not happened shows both sides apart: one that waits, one
that signals, each with the lock.
"""

from __future__ import annotations

from collections.abc import Iterator

from wdbg.analysis.lockdep.engine import Engine, Side, Step
from wdbg.analysis.lockdep.model import Acquisition, LockClass, Problem, Source
from wdbg.trace.events import LockKind

_KINDS = {
    LockKind.COMPLETION: "completion",
    LockKind.WAIT_QUEUE: "wait queue",
}
DYNAMIC = "nothing tells whether the memory was one completion all the time"

_SURE = (Source.STATIC, Source.INITIALISED)


def signal_cycles(engine: Engine) -> Iterator[Problem]:
    """A problem for each completion or wait queue, and lock."""
    signals: dict[int, list[Side]] = {}
    for side in engine.signals.values():
        signals.setdefault(side.what.number, []).append(side)
    done: set[tuple[int, int]] = set()
    for wait in engine.waits.values():
        kind = _KINDS.get(wait.what.kind)
        others = signals.get(wait.what.number, [])
        if kind is None or not wait.held or not others:
            continue
        for mine in wait.held:
            mark = (wait.what.number, mine.number)
            blocked = [(side, at) for side in others if (at := _needed(side, wait, mine))]
            # Others may signal it without the lock: it is a circle only if nobody does.
            if mark in done or len(blocked) < len(others):
                continue
            done.add(mark)
            side, theirs = blocked[0]
            last = max(wait.step, side.step)
            yield Problem(
                "circular-dependency", (mine.number, wait.what.number), _at(wait.what, last),
                (mine, _at(wait.what, wait.step), theirs, _at(wait.what, side.step)), kind,
                doubtful="" if wait.what.source in _SURE else DYNAMIC,
            )  # fmt: skip


def _needed(side: Side, wait: Side, mine: Acquisition) -> Acquisition | None:
    """The signaller's acquisition of what the waiter holds, before its signal."""
    if side.step[1] == wait.step[1]:
        return None
    # Whoever wakes a queue may have had the lock long before; a completion is one piece of work.
    earlier = side.earlier if side.what.kind is LockKind.COMPLETION else ()
    for theirs in (*side.held, *earlier):
        if theirs.lock == mine.lock and not (mine.read and theirs.read):
            return theirs
    return None


def _at(found: LockClass, step: Step) -> Acquisition:
    return Acquisition(found.number, step[3], 0, step[0], step[1], step[6], step[5])
