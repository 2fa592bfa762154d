"""Against a model that knows nothing of graphs: it tries every order in which tasks can run."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.analysis.lockdep.script import Script
from wdbg.analysis.lockdep.check import EARLY, LockCheck
from wdbg.analysis.lockdep.engine import Engine, Step
from wdbg.analysis.lockdep.judge import judge
from wdbg.trace.batch import RUN, Batch
from wdbg.trace.events import Kind, LockNote, Table
from wdbg.trace.feed import TraceHeader

LETTERS = "ABCD"
nests = st.lists(
    st.tuples(st.sampled_from(LETTERS), st.sampled_from([0, 2])),
    min_size=1, max_size=3, unique_by=lambda item: item[0],
)  # fmt: skip
"""What a task takes, one inside of the other: (lock, 0 exclusive or 2 recursive reader)."""
programs = st.lists(nests, min_size=2, max_size=3)

Nest = list[tuple[str, int]]


def can_deadlock(tasks: list[Nest]) -> bool:
    """Whether some order of the tasks' steps ends where nobody comes on."""
    seen = set()
    stack = [(0,) * len(tasks)]
    while stack:
        state = stack.pop()
        if state in seen:
            continue
        seen.add(state)
        moves = [number for number in range(len(tasks)) if may_go_on(tasks, state, number)]
        stack += [tuple(at + (i == number) for i, at in enumerate(state)) for number in moves]
        if not moves and any(at <= len(task) - 1 for at, task in zip(state, tasks, strict=True)):
            return True
    return False


def may_go_on(tasks: list[Nest], state: tuple[int, ...], number: int) -> bool:
    """Whether a task can take its next lock; with all of them it gives them back at once."""
    task, at = tasks[number], state[number]
    if at >= len(task):
        return at == len(task)  # gives back
    lock, read = task[at]
    for other, (theirs, position) in enumerate(zip(tasks, state, strict=True)):
        if other == number or position > len(theirs):
            continue
        for held, how in theirs[:position]:
            if held == lock and not (read and how):
                return False
    return True


def script_of(tasks: list[Nest]) -> Script:
    script = Script()
    for number, task in enumerate(tasks, 1):
        for name, read in task:
            script.take(number, name, read)
        for name, _ in reversed(task):
            script.drop(number, name)
    return script


@settings(max_examples=300, deadline=None)
@given(programs)
def test_a_circle_is_what_can_deadlock(tasks: list[Nest]) -> None:
    found = script_of(tasks).kinds()
    assert bool(found) == can_deadlock(tasks), found


def batch_of(steps: list[Step]) -> Batch:
    """Events as a trace holds them."""
    kind = np.array([step[2] for step in steps], np.uint8)
    tick = np.array([step[0] for step in steps], np.uint64)
    runs = np.zeros(len(steps), RUN)
    runs["start"] = np.arange(len(steps))
    runs["task"] = [step[1] for step in steps]
    tables = {}
    lock = [step for step in steps if step[2] != Kind.LOCK_NOTE]
    names = ("lock", "lock_class", "flags", "position", "nest", "wait", "name")
    if lock:
        tables[Table.LOCK] = {
            name: np.array([step[3 + at] for step in lock], np.uint32)
            for at, name in enumerate(names)
        }
    note = [step for step in steps if step[2] == Kind.LOCK_NOTE]
    if note:
        tables[Table.LOCK_NOTE] = {
            name: np.array([step[at] for step in note], np.uint32)
            for name, at in (("lock", 3), ("flags", 5), ("position", 6), ("value", 4),
                             ("wait", 8), ("name", 9))
        }  # fmt: skip
    return Batch(kind, tick, runs, tables)


states = st.sampled_from(["", "", "irq-off", "bh-off", "hardirq", "softirq"])


@st.composite
def scripts(draw: st.DrawFn) -> Script:
    """Sections of several tasks, again and again, each task's own in order, all interleaved."""
    kinds = draw(st.lists(st.tuples(nests, states), min_size=1, max_size=4))
    runs = draw(st.lists(st.tuples(st.integers(1, 3), st.integers(0, len(kinds) - 1)), max_size=30))
    pending: dict[int, list[tuple[str, str, int, str]]] = {1: [], 2: [], 3: []}
    for task, number in runs:
        nest, state = kinds[number]
        pending[task] += [("take", name, read, state) for name, read in nest]
        if draw(st.booleans()):
            pending[task].append(("on", "", 0, state))
        pending[task] += [("drop", name, 0, state) for name, _ in reversed(nest)]
    script = Script()
    while any(pending.values()):
        task = draw(st.sampled_from([number for number, left in pending.items() if left]))
        what, name, read, state = pending[task].pop(0)
        if what == "take":
            script.take(task, name, read, state=state)
        elif what == "drop":
            script.drop(task, name, state=state)
        else:
            script.note(task, LockNote.HARDIRQS_ON, state=state)
    return script


def checked(batches: list[list[Step]]) -> LockCheck:
    check = LockCheck(TraceHeader("", "", 0, 1, 4, "", "annotations"))
    for steps in batches:
        if steps:
            check.batch(batch_of(steps))
    return check


def outcome(engine: Engine) -> tuple[object, ...]:
    """What it has learnt, by the keys of classes."""
    keys = [(each.key, each.subclass) for each in engine.classes.all]
    edges = {
        (keys[edge >> 32], keys[edge & 0xFFFFFFFF], tuple(sorted(kinds)))
        for edge, kinds in engine.graph.edges.items()
    }
    usage = {(keys[number], tuple(sorted(marks))) for number, marks in engine.usage.items()}
    problems = {
        (p.kind, tuple(keys[n] for n in p.classes), bool(p.doubtful)) for p in judge(engine)
    }
    return edges, usage, problems


@settings(max_examples=150, deadline=None)
@given(scripts(), st.lists(st.integers(0, 300), max_size=4))
def test_what_is_skipped_is_not_missed(script: Script, cuts: list[int]) -> None:
    places = sorted({0, *(min(cut, len(script.steps)) for cut in cuts), len(script.steps)})
    batches = [script.steps[a:b] for a, b in itertools.pairwise(places)]
    everything = Engine()
    everything.feed(script.steps)
    assert outcome(checked(batches)._engine) == outcome(everything)


@settings(max_examples=150, deadline=None)
@given(scripts(), st.data())
def test_a_part_of_a_trace_accuses_nobody_else(script: Script, data: st.DataObject) -> None:
    """What is certain of a trace that starts late, or with a hole, is certain of the whole, too."""
    size = len(script.steps)
    start, hole, end = sorted(data.draw(st.integers(0, size)) for _ in range(3))
    late = [(EARLY + step[0], *step[1:]) for step in script.steps]
    check = LockCheck(TraceHeader("", "", 0, 1, 4, "", "annotations"))
    for part in (late[start:hole], late[end:]):
        if part:
            check.batch(batch_of(part))
        check.lose()
    whole = Engine()
    whole.feed(script.steps)
    _, _, certain = outcome(check._engine)
    _, _, everything = outcome(whole)
    told = {(kind, frozenset(classes)) for kind, classes, _ in everything}
    assert {(k, frozenset(c)) for k, c, doubtful in certain if not doubtful} <= told
