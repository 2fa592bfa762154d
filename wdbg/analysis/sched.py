"""Scheduling: how long each task ran, and how long it waited for a CPU while it could have run.

As `perf sched latency` and `perf sched timehist` tell it. A task waits from the moment it is woken,
or is switched out while still runnable, to the moment it is switched in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from wdbg.trace.events import Kind, Table
from wdbg.trace.names import Names
from wdbg.trace.reader import Trace

TABLES = (Table.SWITCH, Table.WAKE)


@dataclass(slots=True)
class TaskTimes:
    """A task's sums. Times are in virtual nanoseconds."""

    pid: int
    comm: str
    idle: bool = False
    """It is a CPU's idle task."""
    runtime: int = 0
    switches: int = 0
    """Times that it was switched in."""
    delays: int = 0
    """Of these, how often it is known since when it waited."""
    delay: int = 0
    max_delay: int = 0
    max_delay_start: int = 0
    max_delay_end: int = 0

    @property
    def average_delay(self) -> float:
        """Mean wait in virtual nanoseconds."""
        return self.delay / self.delays if self.delays else 0.0


@dataclass(frozen=True, slots=True)
class Stretch:
    """A task was on a CPU from `start` to `end` (virtual ns)."""

    cpu: int
    task: int
    pid: int
    comm: str
    start: int
    end: int
    asleep: int
    """ns between its last run and being woken; 0 if it never slept or that is not known."""
    delay: int
    """ns that it waited for the CPU."""
    state: int
    """What it was switched out with, as in struct task_struct; 0 = runnable."""


class _State:
    """What is known of a task on the way."""

    __slots__ = ("asleep", "delay", "out", "runnable", "started")

    def __init__(self) -> None:
        self.out: int | None = None
        self.runnable: int | None = None
        self.started: int | None = None
        self.asleep = 0
        self.delay = 0


def stretches(trace: Trace, names: Names) -> Iterator[Stretch]:
    """All stretches on CPUs that end in the trace, in the order of their ends."""
    states: dict[int, _State] = {}
    ns_per_tick = trace.header.ns_per_tick
    for batch in trace.batches(TABLES):
        steps: list[tuple[int, int, int, int, int, int, int]] = []
        if Table.SWITCH in batch.tables:
            rows = batch.rows(Table.SWITCH, ns_per_tick)
            life = names.life(rows["prev"], rows["tick"])
            columns = [rows[n].tolist() for n in ("seq", "time", "cpu", "prev", "next")]
            steps += zip(*columns, rows["prev_state"].tolist(), life.tolist(), strict=True)
        if Table.WAKE in batch.tables:
            rows = batch.rows(Table.WAKE, ns_per_tick)
            rows = rows[rows["kind"] != Kind.SCHED_WAKING]
            zero = [0] * len(rows)
            columns = [rows[n].tolist() for n in ("seq", "time", "cpu", "target")]
            steps += zip(*columns, zero, zero, zero, strict=True)
        steps.sort()
        for _, time, cpu, task, following, state, alive in steps:
            mine = states.setdefault(task, _State())
            if not following:  # woken
                if mine.started is None and mine.runnable is None:
                    mine.runnable = time
                    mine.asleep = time - mine.out if mine.out is not None else 0
                continue
            if mine.started is not None:
                found = names.lives[alive]
                yield Stretch(
                    cpu, task, found.pid, found.comm, mine.started, time, mine.asleep,
                    mine.delay, state,
                )  # fmt: skip
            mine.started, mine.out, mine.asleep = None, time, 0
            mine.runnable = time if state & 0xFF == 0 else None
            other = states.setdefault(following, _State())
            other.delay = time - other.runnable if other.runnable is not None else -1
            other.started, other.runnable = time, None


def task_times(trace: Trace, names: Names) -> list[TaskTimes]:
    """Each task's sums, the one that ran longest first; idle tasks come last."""
    found: dict[int, TaskTimes] = {}
    for run in stretches(trace, names):
        task = found.setdefault(run.task, TaskTimes(run.pid, run.comm, run.pid == 0))
        task.comm = run.comm
        task.runtime += run.end - run.start
        task.switches += 1
        if run.delay >= 0:
            task.delays += 1
            task.delay += run.delay
            if run.delay >= task.max_delay:
                task.max_delay = run.delay
                task.max_delay_start, task.max_delay_end = run.start - run.delay, run.start
    return sorted(found.values(), key=lambda task: (task.idle, -task.runtime))
