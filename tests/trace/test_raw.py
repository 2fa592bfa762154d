"""Ring records: decoding equals what was written, whatever the records are."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trace.synthetic import NS_PER_TICK, Synthetic, to_batch
from wdbg.trace import ring
from wdbg.trace.batch import join
from wdbg.trace.events import FIELDS, TABLE_OF, Kind, Meaning, Slot
from wdbg.trace.lives import Lives
from wdbg.trace.raw import Context, decode


def test_a_guest_decodes_to_what_it_wrote() -> None:
    guest = Synthetic(seed=3).run(20_000)
    batch, lives = to_batch(guest)
    assert len(batch) == len(guest.truth)
    pid_of = {}
    for life in lives.rows:
        pid_of[life.number] = life.pid
    truth = guest.truth
    assert batch.kind.tolist() == [event["kind"] for event in truth]
    assert batch.tick.tolist() == [event["tick"] for event in truth]
    assert batch.cpu().tolist() == [event["cpu"] for event in truth]
    assert batch.time(NS_PER_TICK).tolist() == [event["time"] for event in truth]
    assert [pid_of[n] for n in batch.task().tolist()] == [event["pid"] for event in truth]
    for table in batch.tables:
        rows = batch.rows(table, NS_PER_TICK)
        for row in rows[:2000]:
            event = truth[row["seq"]]
            assert row["kind"] == event["kind"]
            assert row["tick"] == event["tick"]
            for item in FIELDS[table]:
                if item.meaning is not Meaning.TASK:
                    wanted = event.get(item.name, 0)
                    assert int(row[item.name]) & 0xFFFFFFFF == wanted, (table, item)


def test_tasks_at_reused_addresses_are_told_apart() -> None:
    guest = Synthetic(seed=5).run(30_000)
    batch, lives = to_batch(guest)
    by_address: dict[int, set[int]] = {}
    for life in lives.rows:
        by_address.setdefault(life.address, set()).add(life.number)
    assert any(len(numbers) > 1 for numbers in by_address.values())
    pids: dict[int, set[int]] = {}
    for life in lives.rows:
        if life.pid >= 0:
            pids.setdefault(life.number, set()).add(life.pid)
    assert all(len(found) == 1 for found in pids.values())
    assert 0 not in batch.task()


@pytest.mark.parametrize("kind", TABLE_OF)
def test_every_kind_keeps_its_extreme_values(kind: Kind) -> None:
    limits = {Slot.ARG: ring.ARG_MAX}
    values = {}
    for item in FIELDS[TABLE_OF[kind]]:
        most = limits.get(item.slot, 2**32 - 1 if item.slot % 2 == 0 else ring.LOW_MAX)
        values[item.name] = most
    data = ring.context(3, 0x1000, 2**62, 2**60) + ring.record(kind, 5, values)
    lives = Lives()
    lives.begin(np.frombuffer(data, np.uint32), [], 0)
    batch, after = decode(data, Context(), lives.number_of)
    task = values["next"] if kind is Kind.SCHED_SWITCH else 0x1000
    assert after == Context(3, task, 2**62, 2**60)
    assert batch.kind.tolist() == [kind]
    assert batch.tick.tolist() == [2**62 - 5]
    columns = batch.tables[TABLE_OF[kind]]
    for item in FIELDS[TABLE_OF[kind]]:
        if item.meaning is not Meaning.TASK:
            assert int(columns[item.name][0]) & 0xFFFFFFFF == values[item.name]


def test_fields_of_units_that_are_left_out_are_zero() -> None:
    short = ring.record(Kind.LOCK_ACQUIRE, 5, {"lock": 1, "lock_class": 9, "position": 2})[:16]
    data = (
        ring.context(0, 0x1000, 100, 0) + short + ring.record(Kind.CALL_ENTER, 4, {"function": 8})
    )
    lives = Lives()
    batch, _ = decode(data, Context(), lives.number_of)
    assert batch.kind.tolist() == [Kind.LOCK_ACQUIRE, Kind.CALL_ENTER]
    lock = batch.tables[TABLE_OF[Kind.LOCK_ACQUIRE]]
    assert (int(lock["lock"][0]), int(lock["position"][0]), int(lock["lock_class"][0])) == (1, 2, 0)


@given(st.binary(max_size=400))
def test_any_bytes_decode_to_something(data: bytes) -> None:
    lives = Lives()
    words = np.frombuffer(data[: len(data) // 8 * 8], np.uint32)
    lives.begin(words, [], 0)
    batch, _ = decode(data, Context(), lives.number_of)
    assert len(batch.tick) == len(batch.kind) == len(batch.cpu())
    for table, columns in batch.tables.items():
        assert all(len(column) == len(batch.places(table)) for column in columns.values())


@given(st.integers(0, 10_000), st.lists(st.integers(0, 3000), max_size=5))
def test_selected_parts_join_to_the_whole(seed: int, cuts: list[int]) -> None:
    batch, _ = to_batch(Synthetic(seed=seed).run(200))
    places = np.arange(len(batch))
    bounds = [0, *sorted(min(cut, len(batch)) for cut in cuts), len(batch)]
    parts = [batch.select((places >= a) & (places < b)) for a, b in itertools.pairwise(bounds)]
    whole = join([part for part in parts if len(part)])
    assert np.array_equal(whole.kind, batch.kind)
    assert np.array_equal(whole.task(), batch.task())
    assert np.array_equal(whole.time(4), batch.time(4))
    for table in batch.tables:
        left, right = whole.rows(table, 4), batch.rows(table, 4)
        assert np.array_equal(left, right)
