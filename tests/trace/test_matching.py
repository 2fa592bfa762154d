"""Calls and locks that belong together, against what a stack in plain Python finds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trace.synthetic import NS_PER_TICK, Synthetic, to_batch
from wdbg.trace.batch import ROW_TYPES
from wdbg.trace.calls import NEVER, CallMatcher
from wdbg.trace.events import LOCK_KIND_SHIFT, Kind, LockFlag, LockKind, Table
from wdbg.trace.lines import decimal, hexadecimal, nine_digits
from wdbg.trace.lockclass import LockClasses
from wdbg.trace.locks import LockMatcher

EVENTS = st.lists(
    st.tuples(st.integers(1, 3), st.booleans(), st.integers(0, 2)), min_size=1, max_size=60
)


@given(EVENTS, st.integers(1, 20))
@settings(deadline=None)
def test_calls(events: list[tuple[int, bool, int]], size: int) -> None:
    """Exits that fit no entry, entries without exit, chunks of any size."""
    rows = np.zeros(len(events), ROW_TYPES[Table.CALL])
    for place, (task, enter, function) in enumerate(events):
        kind = Kind.CALL_ENTER if enter else Kind.CALL_EXIT
        row = {"tick": place, "time": 10 * place, "seq": place, "task": task, "cpu": 0}
        rows[place] = (*row.values(), kind, function)
    depth_of: dict[int, int] = {}
    open_at: dict[tuple[int, int], tuple[int, int]] = {}
    matcher = CallMatcher()
    at = 0
    for first in range(0, len(rows), size):
        found = matcher.feed(rows[first : first + size])
        for place in range(len(found.depth)):
            task, enter, function = events[at]
            level = depth_of.get(task, 0)
            if enter:
                assert found.depth[place] == level
                open_at[task, level] = function, 10 * at
                depth_of[task] = level + 1
                assert found.started[place] == 10 * at
            else:
                depth_of[task] = level - 1
                assert found.depth[place] == level - 1
                opened = open_at.pop((task, level - 1), None)
                known = opened is not None and opened[0] == function
                assert found.entered[place] == known
                assert found.started[place] == (opened[1] if known else 10 * at)
            at += 1


def test_durations_of_entries_in_the_same_chunk() -> None:
    rows = np.zeros(3, ROW_TYPES[Table.CALL])
    rows["kind"] = (Kind.CALL_ENTER, Kind.CALL_ENTER, Kind.CALL_EXIT)
    rows["time"] = (1, 2, 9)
    found = CallMatcher().feed(rows)
    assert found.ended.tolist() == [NEVER, 9, 9]


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_locks(size: int) -> None:
    batch, _ = to_batch(Synthetic(seed=4).run(8000))
    rows = batch.rows(Table.LOCK, NS_PER_TICK)
    matcher = LockMatcher()
    asked: dict[tuple[int, int], int] = {}
    contended: set[tuple[int, int]] = set()
    held: dict[int, tuple[int, int]] = {}
    waits = holds = 0
    for first in range(0, len(rows), size):
        part = rows[first : first + size]
        found = matcher.feed(part)
        for place, row in enumerate(part):
            key = int(row["task"]), int(row["lock"])
            time = int(row["time"])
            if row["kind"] == Kind.LOCK_ACQUIRE:
                asked[key] = time
            elif row["kind"] == Kind.LOCK_CONTENDED:
                contended.add(key)
            elif row["kind"] == Kind.LOCK_ACQUIRED:
                assert found.taken[place]
                assert found.asked[place] == asked.pop(key)
                assert found.contended[place] == (key in contended)
                waits += key in contended
                contended.discard(key)
                held[key[1]] = time, key[0]
            elif row["kind"] == Kind.LOCK_RELEASE:
                assert found.known[place]
                since, holder = held.pop(key[1])
                assert (found.held_since[place], found.holder[place]) == (since, holder)
                holds += 1
            else:
                assert not found.taken[place]
    assert waits > 10
    assert holds > 100


def lock_rows(*events: tuple[Kind, int, int, int]) -> np.ndarray:
    """Rows of (kind, task, time, flags) on one lock."""
    rows = np.zeros(len(events), ROW_TYPES[Table.LOCK])
    for place, (kind, task, time, flags) in enumerate(events):
        rows[place]["seq"], rows[place]["kind"], rows[place]["task"] = place, kind, task
        rows[place]["time"], rows[place]["flags"], rows[place]["lock"] = time, flags, 0x10
    return rows


def test_a_run_queue_lock_that_is_handed_over() -> None:
    """Taken by one task, released by the one switched to."""
    flags = LockKind.RAW_SPINLOCK << LOCK_KIND_SHIFT
    rows = lock_rows(
        (Kind.LOCK_ACQUIRED, 1, 10, flags),
        (Kind.LOCK_RELEASE, 2, 15, flags),
        (Kind.LOCK_ACQUIRED, 2, 20, flags),
        (Kind.LOCK_RELEASE, 1, 26, flags),
    )
    found = LockMatcher().feed(rows)
    assert found.known.tolist() == [False, True, False, True]
    assert (rows["time"] - found.held_since).tolist() == [0, 5, 0, 6]
    assert found.holder.tolist() == [1, 1, 2, 2]


def test_the_class_of_a_lock_is_told_once() -> None:
    events = [
        (0x10, Kind.LOCK_ACQUIRED, 0), (0x20, Kind.LOCK_INIT, 7), (0x20, Kind.LOCK_RELEASE, 0),
        (0x10, Kind.LOCK_INIT, 8), (0x20, Kind.LOCK_INIT, 9), (0x10, Kind.LOCK_ACQUIRED, 0),
        (0x20, Kind.LOCK_ACQUIRED, 0), (0x10, Kind.LOCK_INIT, 0), (0x10, Kind.LOCK_RELEASE, 0),
    ]  # fmt: skip
    wanted = [0, 7, 7, 8, 9, 8, 9, 0, 0]
    for size in (1, 2, 4, 9):
        classes, found = LockClasses(), []
        for first in range(0, len(events), size):
            part = events[first : first + size]
            rows = np.zeros(len(part), ROW_TYPES[Table.LOCK])
            rows["lock"], rows["kind"], rows["lock_class"] = zip(*part, strict=True)
            classes.fill(rows)
            found += rows["lock_class"].tolist()
        assert found == wanted


def test_readers_hold_their_own() -> None:
    flags = LockKind.RWSEM << LOCK_KIND_SHIFT | LockFlag.READ
    rows = lock_rows(
        (Kind.LOCK_ACQUIRED, 1, 10, flags),
        (Kind.LOCK_ACQUIRED, 2, 11, flags),
        (Kind.LOCK_RELEASE, 1, 15, flags),
        (Kind.LOCK_RELEASE, 2, 19, flags),
    )
    found = LockMatcher().feed(rows)
    assert (rows["time"] - found.held_since).tolist() == [0, 0, 5, 8]


@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=30), st.integers(0, 12))
def test_decimal_numbers(values: list[int], digits: int) -> None:
    chars = decimal(np.array(values, np.int32), digits)
    texts = [bytes(row[row != 0]).decode() for row in chars]
    assert texts == [
        ("-" if value < 0 else "") + str(abs(value)).rjust(digits, "0") for value in values
    ]


@given(st.lists(st.integers(0, 10**9 - 1), min_size=1, max_size=30))
def test_fractions_of_seconds(values: list[int]) -> None:
    chars = nine_digits(np.array(values, np.uint32))
    assert [bytes(row[row != 0]).decode() for row in chars] == [f"{value:09}" for value in values]


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=30))
def test_hexadecimal_numbers(values: list[int]) -> None:
    chars = hexadecimal(np.array(values, np.uint32))
    assert [bytes(row[row != 0]).decode() for row in chars] == [f"{value:#x}" for value in values]
