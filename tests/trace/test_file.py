"""The file: round trip, truncation, damage, versions."""

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trace.synthetic import CLASSES, HEADER, Synthetic, functions, write_trace
from wdbg.errors import BadInput
from wdbg.trace import layout
from wdbg.trace.batch import Batch, join
from wdbg.trace.layout import ChunkType
from wdbg.trace.reader import Trace
from wdbg.trace.writer import build_start


def same(left: Batch, right: Batch) -> bool:
    if not (
        np.array_equal(left.kind, right.kind)
        and np.array_equal(left.tick, right.tick)
        and np.array_equal(left.task(), right.task())
        and np.array_equal(left.cpu(), right.cpu())
        and set(left.tables) == set(right.tables)
    ):
        return False
    return all(np.array_equal(left.rows(t, 4), right.rows(t, 4)) for t in left.tables)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), steps=st.integers(1, 3000), chunks=st.integers(1, 9))
def test_what_was_written_is_read(tmp_path_factory, seed: int, steps: int, chunks: int) -> None:
    path = tmp_path_factory.mktemp("trace") / "t.wdt"
    batch = write_trace(path, Synthetic(seed=seed).run(steps), chunks)
    with Trace(path) as trace:
        assert trace.indexed
        assert not trace.damage
        assert trace.header == HEADER
        assert trace.facts == {"clean": True}
        assert same(join(list(trace.batches())), batch)
        assert trace.tables.functions == functions()
        assert trace.tables.classes == CLASSES
        assert trace.events == len(batch)


def test_cut_off_at_every_byte_of_the_last_chunk(tmp_path: Path) -> None:
    path = tmp_path / "t.wdt"
    write_trace(path, Synthetic().run(300), 4)
    with Trace(path) as trace:
        last = trace.chunks[-1]
        whole = [batch.kind.tobytes() for batch in trace.batches()]
    data = path.read_bytes()
    for end in range(last.offset, last.end):
        path.write_bytes(data[:end])
        with Trace(path) as trace:
            assert not trace.indexed
            assert [batch.kind.tobytes() for batch in trace.batches()] == whole[:-1]
            assert bool(trace.damage) == (end != last.offset)
    path.write_bytes(data[: last.end])
    with Trace(path) as trace:
        assert [batch.kind.tobytes() for batch in trace.batches()] == whole
        assert not trace.damage


def test_flipped_bits_lose_a_chunk_and_are_told(tmp_path: Path) -> None:
    path = tmp_path / "t.wdt"
    write_trace(path, Synthetic().run(2000), 6)
    data = path.read_bytes()
    with Trace(path) as trace:
        first = trace.entries[0].offset
        whole = [batch.kind.tobytes() for batch in trace.batches()]
    chance = random.Random(4)
    for _ in range(150):
        bit = chance.randrange(first * 8, len(data) * 8)
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        with Trace(path) as trace:
            found = [batch.kind.tobytes() for batch in trace.batches()]
            assert trace.damage or found == whole
            assert len(found) >= len(whole) - 1
            assert all(part in whole for part in found)


@pytest.mark.parametrize("size", [0, 1, 7, 8, 19, 20, 40])
def test_a_short_file_is_no_trace(tmp_path: Path, size: int) -> None:
    path = tmp_path / "t.wdt"
    path.write_bytes(build_start(HEADER)[:size])
    with pytest.raises(BadInput):
        Trace(path)


def test_another_major_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.wdt"
    write_trace(path, Synthetic().run(50), 1)
    data = bytearray(path.read_bytes())
    data[8] = layout.MAJOR + 1
    path.write_bytes(data)
    with pytest.raises(BadInput, match="trace format 2") as caught:
        Trace(path)
    assert caught.value.hint


def test_a_newer_minor_version_is_read(tmp_path: Path, monkeypatch) -> None:
    """More header fields, chunks of an unknown type, an unknown column and an unknown kind."""
    import wdbg.trace.writer as writer_module
    from wdbg.trace.chunk import Compressor, pack_events
    from wdbg.trace.columns import Written, pack
    from wdbg.trace.writer import TraceFile

    path = tmp_path / "t.wdt"
    monkeypatch.setattr(writer_module.layout, "MINOR", 9)
    start = build_start(HEADER)
    body = start[20:] + b"more fields"
    longer = layout.START.build(
        {
            "magic": layout.MAGIC, "major": 1, "minor": 9, "size": len(body),
            "crc": layout.crc(body),
        }
    )  # fmt: skip
    monkeypatch.setattr(writer_module, "build_start", lambda header: bytes(longer) + body)
    compressor = Compressor()
    file = TraceFile(path, HEADER, compressor)
    file.chunk(compressor.chunk(99, 0, b"something new"))
    batch = Batch(
        np.array([4, 63, 5], np.uint8),
        np.array([1, 2, 3], np.uint64),
        np.array([(0, 0, 1, 0)], layout_run()),
        {2: {"function": np.array([7, 7], np.uint32)}},
    )
    payload, facts = pack_events(batch, 4)
    extra = pack([Written(2, 200, np.arange(2, dtype=np.uint32)), Written(77, 0, np.arange(1))])
    payload = merge(payload, extra)
    file.chunk(compressor.chunk(ChunkType.EVENTS, 0, payload, **facts))
    file.close({})
    with Trace(path) as trace:
        assert trace.version == (1, 9)
        assert trace.header == HEADER
        (found,) = trace.batches()
        assert found.kind.tolist() == [4, 63, 5]
        assert found.tables[2]["function"].tolist() == [7, 7]
        assert not trace.damage


def layout_run() -> np.dtype:
    from wdbg.trace.batch import RUN

    return RUN


def merge(left: bytes, right: bytes) -> bytes:
    """One payload with the columns of both."""
    a, b = int.from_bytes(left[:4], "little"), int.from_bytes(right[:4], "little")
    return b"".join(
        (
            (a + b).to_bytes(4, "little"), left[4 : 4 + 12 * a], right[4 : 4 + 12 * b],
            left[4 + 12 * a :], right[4 + 12 * b :],
        )
    )  # fmt: skip


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_damaged_payloads_with_a_right_checksum_raise_nothing(tmp_path_factory, data) -> None:
    """Whoever computes the checksums anew can't make the reader fail either."""
    from wdbg.trace.chunk import Entry, pack_events, unpack_events
    from wdbg.trace.columns import Damaged

    batch, _ = _small()
    payload, facts = pack_events(batch, 4)
    damaged = bytearray(payload)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        damaged[at] = data.draw(st.integers(0, 255))
    entry = Entry(0, ChunkType.EVENTS, len(damaged), len(damaged), **facts)
    try:
        found = unpack_events(entry, bytes(damaged))
    except Damaged:
        return
    for table in found.tables:
        found.rows(table, 4)


def _small():
    from tests.trace.synthetic import to_batch

    return to_batch(Synthetic(seed=2).run(60))


def test_reading_from_a_tick_on_skips_chunks(tmp_path: Path) -> None:
    path = tmp_path / "t.wdt"
    batch = write_trace(path, Synthetic().run(5000), 10)
    middle = int(batch.tick[len(batch) // 2])
    with Trace(path) as trace:
        tail = list(trace.batches(first_tick=middle))
        assert len(tail) < 10
        assert sum(int((b.tick >= middle).sum()) for b in tail) == int((batch.tick >= middle).sum())
        head = list(trace.batches(last_tick=middle))
        assert sum(int((b.tick <= middle).sum()) for b in head) == int((batch.tick <= middle).sum())
