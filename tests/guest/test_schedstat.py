"""A trace's counts are those of /proc/schedstat, CPU by CPU.

Comparable are, of a `cpu` line (Documentation/scheduler/sched-stats.rst), yld_count with the
calls of do_sched_yield(), sched_count with those of __schedule(), sched_goidle with the switches
to the idle task, and ttwu_count with SCHED_WAKING on the waker's CPU. Not ttwu_local, which is
told before the target's CPU is chosen, nor pcount, which leaves out what was queued when the
clock was 0, nor times, which come from a clock that the kernel reads in between.
"""

from __future__ import annotations

import re

import numpy as np
import pytest

from tests.guest.conftest import run_guest
from wdbg.runtime.guest import default_guest
from wdbg.trace.events import Kind, Table
from wdbg.trace.reader import Trace

pytestmark = pytest.mark.guest

CPUS = 3
WORK = "spawnstorm 5; pingpong 50; futexes 20; timers 5; cat /proc/schedstat"


class Events:
    """The events of a trace in order, table by table."""

    def __init__(self, path) -> None:
        parts: dict[Table, list[np.ndarray]] = {}
        with Trace(path) as trace:
            assert not trace.damage
            for batch in trace.batches():
                for table in batch.tables:
                    rows = batch.rows(table, trace.header.ns_per_tick)
                    parts.setdefault(table, []).append(rows)
            self.functions = {row.name: row.number for row in trace.tables.functions}
            self.idle = [row.number for row in trace.tables.tasks if row.pid == 0]
        self.rows = {table: np.concatenate(pieces) for table, pieces in parts.items()}

    def calls(self, name: str, kind: Kind = Kind.CALL_ENTER) -> np.ndarray:
        rows = self.rows[Table.CALL]
        return rows[(rows["kind"] == kind) & (rows["function"] == self.functions[name])]

    def waking(self) -> np.ndarray:
        rows = self.rows[Table.WAKE]
        return rows[rows["kind"] == Kind.SCHED_WAKING]


def shown(events: Events) -> list[tuple[int, int]]:
    """First and last tick of each CPU's line: show_schedstat() is called for the head, then for
    each CPU, once or again if the buffer was too small."""
    enters = events.calls("show_schedstat")["tick"].tolist()
    leaves = events.calls("show_schedstat", Kind.CALL_EXIT)["tick"].tolist()
    assert len(enters) == len(leaves) == CPUS + 1
    return list(zip(enters, leaves, strict=True))[1:]


def test_counts_are_those_of_proc_schedstat(tmp_path):
    default_guest(["torture"])
    path = tmp_path / "sched.wdt"
    done = run_guest(
        "--config", "torture", "--cpus", CPUS, "--append", "schedstats=enable", "--trace", path,
        "--events", "call,sched", "--functions", "__schedule", "--functions", "show_schedstat",
        "--functions", "do_sched_yield", "--exec", WORK,
    )  # fmt: skip
    assert done.status == 0, done.messages
    events = Events(path)
    lines = re.findall(r"^cpu(\d+) ([\d ]+)$", done.console, re.M)
    assert [int(cpu) for cpu, _ in lines] == list(range(CPUS))
    switches, waking = events.rows[Table.SWITCH], events.waking()
    to_idle = np.isin(switches["next"], events.idle)
    for (cpu, numbers), (enter, leave) in zip(lines, shown(events), strict=True):
        yields, _, calls, idle, woken = map(int, numbers.split()[:5])

        def count(rows: np.ndarray, cpu: int = int(cpu), until: int = enter) -> int:
            return int(((rows["cpu"] == cpu) & (rows["tick"] < until)).sum())

        assert count(events.calls("do_sched_yield")) == yields
        assert count(events.calls("__schedule")) == calls
        assert count(switches[to_idle]) == idle
        assert count(waking) == woken
        # nothing of it has happened while the line was made
        assert count(switches, until=leave) == count(switches)
