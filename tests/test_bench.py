"""The benchmark's own tools: series, processes, marks."""

import sys

import pytest

from bench.__main__ import number, table_line
from bench.guest_run import MARK
from bench.processes import BenchError, cost_of, time_to_text
from bench.rows import at_least, at_most
from bench.series import Spread, interleaved, ratios


def test_interleaved_series_alternate_and_drop_the_first_round() -> None:
    calls: list[str] = []

    def variant(name: str) -> int:
        calls.append(name)
        return len(calls)

    samples = interleaved({"a": lambda: variant("a"), "b": lambda: variant("b")}, rounds=2)
    assert calls == ["b", "a", "a", "b", "b", "a"]
    assert samples == {"a": [3, 6], "b": [4, 5]}


def test_ratios_are_taken_within_a_round() -> None:
    assert ratios([2.0, 6.0, 4.0], [1.0, 2.0, 4.0]) == Spread(1.0, 2.0, 3.0)


def test_bounds_are_held_against_the_median() -> None:
    assert at_most("a", "s", Spread(0.1, 0.5, 9.0), 0.5).good
    assert not at_least("b", "/s", Spread(1.0, 2.0, 400.0), 300).good


def test_a_row_is_a_table_line() -> None:
    row = at_most("boot", "s", Spread(0.3, 0.4, 0.51234), 0.5)
    assert table_line(row) == "| boot | 0.4 s | 0.3 – 0.512 | ≤ 0.5 ✓ |"
    assert number(1234.5) == "1234"


def test_cost_counts_cpu_time_of_the_child() -> None:
    cost, output = cost_of([sys.executable, "-c", "print(sum(range(10**6)))"])
    assert output == "499999500000\n"
    assert cost.cpu > 0
    assert cost.wall > 0


def test_a_failing_process_is_no_figure() -> None:
    with pytest.raises(BenchError, match="status 3: broken"):
        cost_of([sys.executable, "-c", "print('broken'); raise SystemExit(3)"])


def test_time_to_text_needs_the_text() -> None:
    waits = "print('ready# ', flush=True); input()"
    assert time_to_text([sys.executable, "-c", waits], b"# ").wall > 0
    with pytest.raises(BenchError, match="never showed"):
        time_to_text([sys.executable, "-c", "print('bye')"], b"# ")


def test_marks_are_whole_lines() -> None:
    assert MARK.findall(b"echo @no\r\n@boot\r\n@end\n@ no\n") == [b"boot", b"end"]
