"""Batches of schedules: as text, and over a cluster that is a thread pool."""

from __future__ import annotations

from array import array
from pathlib import Path

import pytest

from wdbg.errors import BadInput
from wdbg.explore import cluster
from wdbg.explore.batch import (
    Batch,
    Report,
    batches,
    from_json,
    play_batch,
    report_from_json,
    report_to_json,
    to_json,
)
from wdbg.explore.outcome import Outcome
from wdbg.explore.schedules import Workload
from wdbg.explore.start import Start
from wdbg.explore.trial import Limits
from wdbg.runtime.boot import BootOptions

WHOLE = Batch(
    BootOptions(Path("/k"), Path("/i"), "quiet", cuts=True), "00", "11", Start(text="x"),
    Limits(5, 6, 7, "over", (("text", "a.b"),)), "pct", Workload(9, 10, ((9, 3),), 4),
    1, 25, ("hang", "panic"),
)  # fmt: skip


def outcome(identity: str) -> Outcome:
    rows = array("q", (1, -1, 2, 3))
    return Outcome("hang", identity, "it hangs", 10, 2, 0, "ab", "cd", rows, "console")


def test_batches_and_reports_survive_the_way():
    assert from_json(to_json(WHOLE)) == WHOLE
    report = Report(3, ("a", "b"), ((7, outcome("x")),))
    back = report_from_json(report_to_json(report))
    assert back == report
    assert back.found[0][1].rows == array("q", (1, -1, 2, 3))


def test_pieces_are_the_whole():
    pieces = batches(WHOLE, 10)
    numbers = [n for piece in pieces for n in range(piece.first, piece.first + piece.count)]
    assert numbers == list(range(1, 26))


class Client:
    """Runs what is submitted, the last batch first."""

    def submit(self, function, text, *, pure):
        assert pure
        return Future(text)


class Future:
    def __init__(self, text):
        self.first = from_json(text).first
        self.cancelled = False

    def result(self):
        found = tuple((n, outcome("x")) for n in (8, 14) if self.first <= n < self.first + 5)
        return report_to_json(Report(5, (str(self.first),), found))

    def cancel(self):
        self.cancelled = True


def backwards(futures):
    for future in reversed(futures):
        if not future.cancelled:
            yield future


def test_the_lowest_number_is_reported_whoever_is_fast():
    result = cluster.search(
        Client(), backwards, WHOLE, most=1, show=lambda progress: None, size=5
    )
    assert result.found == {"x": (8, outcome("x"))}
    assert result.done == 25
    forward = cluster.search(Client(), iter, WHOLE, most=1, show=lambda progress: None, size=5)
    assert forward.found == {"x": (8, outcome("x"))}
    assert forward.done == 10


def test_without_dask(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(cluster.importlib, "import_module", missing)
    with pytest.raises(BadInput, match="not installed"):
        cluster.connect("tcp://127.0.0.1:1")


def test_other_files_are_refused(tmp_path):
    kernel = tmp_path / "k"
    kernel.write_bytes(b"another")
    whole = from_json(to_json(WHOLE).replace('"/k"', f'"{kernel}"'))
    with pytest.raises(BadInput, match="another file"):
        play_batch(whole)
    with pytest.raises(BadInput, match="No such file"):
        play_batch(WHOLE)
