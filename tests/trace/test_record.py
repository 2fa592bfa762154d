"""The writer's process: what reaches the file when, and after which death."""

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.trace.synthetic import CLASSES, HEADER, Synthetic, to_batch
from wdbg.errors import WdbgError
from wdbg.trace.batch import join
from wdbg.trace.feed import Feed
from wdbg.trace.reader import Trace

DEADLINE = 30


def feed_guest(feed: Feed, guest: Synthetic, pieces: int = 40) -> None:
    """All of a guest's records, rows and strings, in order, in pieces."""
    for row in guest.strings:
        assert feed.string(row.text) <= row.number
    data, rows = bytes(guest.data), list(guest.rows)
    heads = [
        unit
        for unit, low in enumerate(np.frombuffer(data, np.uint32)[::2].tolist())
        if low < 1 << 31
    ]
    cuts = [heads[len(heads) * i // pieces] for i in range(pieces)] + [len(data) // 8]
    for first, last in itertools.pairwise(cuts):
        at = first
        while rows and rows[0][0] <= last:
            unit, row = rows.pop(0)
            feed.raw(data[8 * at : 8 * unit])
            feed.task(row)
            at = unit
        feed.raw(data[8 * at : 8 * last])


def test_a_fed_guest_is_in_the_file(tmp_path: Path) -> None:
    guest = Synthetic(seed=8).run(5000)
    path = tmp_path / "t.wdt"
    feed = Feed(path, HEADER)
    feed_guest(feed, guest)
    feed.classes(CLASSES)
    feed.close({"run_hash": "cafe"})
    batch, lives = to_batch(guest)
    with Trace(path) as trace:
        found = join(list(trace.batches()))
        assert np.array_equal(found.kind, batch.kind)
        assert np.array_equal(found.tick, batch.tick)
        assert np.array_equal(found.time(4), batch.time(4))
        pids = {life.number: life.pid for life in lives.rows}
        pids_found = {life.number: life.pid for life in trace.tables.tasks}
        assert [pids_found[n] for n in found.task()] == [pids[n] for n in batch.task()]
        assert trace.facts == {"run_hash": "cafe", "clean": True}
        assert trace.tables.classes == CLASSES
        assert {row.text for row in trace.tables.strings} == {row.text for row in guest.strings}


FEEDER = """
import sys
from pathlib import Path
from tests.trace.synthetic import HEADER, Synthetic
from wdbg.trace.feed import Feed
guest = Synthetic(seed=8).run(2000)
feed = Feed(Path(sys.argv[1]), HEADER)
feed.raw(bytes(guest.data))
print(feed._process.pid, len(guest.truth), flush=True)
sys.stdin.read()
"""


def start_feeder(path: Path) -> tuple[subprocess.Popen[str], int, int]:
    process = subprocess.Popen(
        [sys.executable, "-c", FEEDER, str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    writer, events = process.stdout.readline().split()
    return process, int(writer), int(events)


def wait_until(condition) -> None:
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_the_file_is_whole_after_the_guest_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "t.wdt"
    process, _writer, events = start_feeder(path)
    with process:
        process.send_signal(signal.SIGKILL)
        process.wait(DEADLINE)
    wait_until(lambda: path.exists() and path.read_bytes().endswith(b"WDTEND\r\n"))
    with Trace(path) as trace:
        assert trace.indexed
        assert trace.events == events
        assert trace.facts == {"clean": False}


def test_whole_chunks_are_read_after_the_writer_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "t.wdt"
    process, writer, events = start_feeder(path)
    with process:

        def written() -> bool:
            try:
                with Trace(path) as trace:
                    return trace.events == events
            except Exception:
                return False  # not even a header yet

        wait_until(written)  # nothing but the passing of time makes it write
        os.kill(writer, signal.SIGKILL)
        process.stdin.close()
    with Trace(path) as trace:
        assert not trace.indexed
        assert sum(len(batch) for batch in trace.batches()) == events


def test_a_writer_that_cannot_write_is_told(tmp_path: Path) -> None:
    feed = Feed(tmp_path / "no" / "such" / "folder", HEADER)

    def fill() -> None:
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            feed.raw(b"\0" * 65536)

    with pytest.raises(WdbgError):
        fill()
    feed.close({})  # has been told already


def test_what_a_flight_recorder_held_is_in_the_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "t.wdt"
    guest = Synthetic(seed=8).run(2000)
    feed = Feed(path, HEADER)
    feed.raw(bytes(guest.data))
    feed.trigger("panic")
    feed.close({})
    with Trace(path) as trace:
        assert trace.facts["trigger"] == "panic"
        assert trace.events == len(guest.truth)
        assert trace.facts["clean"]


def test_the_guests_process_needs_no_numpy() -> None:
    code = (
        "import sys; import wdbg.trace.feed, wdbg.trace.ring, wdbg.trace.events;"
        "sys.exit('numpy' in sys.modules or 'construct' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
