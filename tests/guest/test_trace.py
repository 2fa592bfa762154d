"""Recording a trace of the real guest: invisible to it, complete, and true to its own counters."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import pytest

from tests.guest.conftest import Run, run_guest
from wdbg.trace.events import Kind, Table
from wdbg.trace.reader import Trace

pytestmark = pytest.mark.guest

WORK = "spawnstorm 10; pingpong 50; futexes 20; fschurn 5; sleep 0.05; cat /proc/stat"
CPUS = 3
DEADLINE = 120


@dataclass(frozen=True)
class Traced:
    """A run with a trace, and what was read from the file."""

    run: Run
    rows: dict[Table, np.ndarray]
    """Events of each table in order, with their place in the whole trace as `order`."""
    functions: dict[str, int]
    facts: dict[str, object]
    started: frozenset[str]
    """Files of the programs."""

    def of(self, kind: Kind, table: Table) -> np.ndarray:
        rows = self.rows[table]
        return rows[rows["kind"] == kind]


def read(path) -> tuple[dict[Table, np.ndarray], dict[str, int], dict[str, object]]:
    parts = defaultdict(list)
    with Trace(path) as trace:
        assert not trace.damage
        base = 0
        for batch in trace.batches():
            for table in batch.tables:
                rows = batch.rows(table, trace.header.ns_per_tick)
                parts[table].append((rows, rows["seq"].astype(np.int64) + base))
            base += len(batch)
        functions = {row.name: row.number for row in trace.tables.functions}
        rows = {}
        for table, pieces in parts.items():
            whole = np.concatenate([rows for rows, _ in pieces])
            fields = {name: whole[name] for name in whole.dtype.names}
            fields["order"] = np.concatenate([order for _, order in pieces])
            rows[table] = np.rec.fromarrays(list(fields.values()), names=list(fields))
        return rows, functions, trace.facts


@pytest.fixture(name="traced", scope="module")
def traced_fixture(guest, tmp_path_factory) -> Traced:
    path = tmp_path_factory.mktemp("trace") / "boot.wdt"
    run = run_guest(
        "--print-hash", "--stats", "--cpus", CPUS, "--trace", path, "--exec", WORK, deadline=600
    )
    assert run.status == 0, run.messages
    with Trace(path) as trace:
        text = {row.number: row.text for row in trace.tables.strings}
    rows, functions, facts = read(path)
    execs = rows[Table.TASK][rows[Table.TASK]["kind"] == Kind.SCHED_EXEC]
    return Traced(run, rows, functions, facts, frozenset(text[n] for n in execs["value"]))


def test_the_run_is_the_same_as_without(traced):
    bare = run_guest("--print-hash", "--cpus", CPUS, "--exec", WORK)
    assert bare.hash == traced.run.hash
    assert bare.console == traced.run.console


def test_programs_have_the_name_of_their_file(traced):
    assert {"/init", "/bin/sh", "/bin/pingpong", "/bin/cat"} <= traced.started


def test_priorities_change_from_what_they_were(traced):
    rows = traced.rows[Table.PRIO]
    assert {120} == set(rows["old"].tolist())
    assert set(rows["new"].tolist()) <= set(range(120))


def test_the_flight_recorder_changes_nothing_and_keeps_the_end(traced, tmp_path):
    path = tmp_path / "ring.wdt"
    run = run_guest("--print-hash", "--cpus", CPUS, "--trace", path, "--ring", "1M", "--exec", WORK)
    assert run.hash == traced.run.hash
    rows, _, facts = read(path)
    assert facts["overwritten_bytes"] > 0
    last = traced.rows[Table.CALL]
    kept = rows[Table.CALL]
    assert 10_000 < len(kept) < len(last)
    for name in ("kind", "tick", "time", "cpu", "function"):
        assert (kept[name] == last[name][-len(kept) :]).all(), name
    assert rows[Table.TEXT]["tick"][-1] == traced.rows[Table.TEXT]["tick"][-1]


def test_switches_are_those_of_the_machine(traced):
    said = int(re.search(r"(\d+) context switches", traced.run.messages)[1])
    switches = traced.rows[Table.SWITCH]
    assert len(switches) == said
    on_cpu: dict[int, int] = {}
    for row in switches:
        assert on_cpu.get(row["cpu"], row["prev"]) == row["prev"]
        assert row["task"] == row["prev"]
        on_cpu[row["cpu"]] = row["next"]


def before(traced: Traced, function: str) -> int:
    """Place in the trace of the last call of a function."""
    calls = traced.of(Kind.CALL_ENTER, Table.CALL)
    found = calls["order"][calls["function"] == traced.functions[function]]
    return int(found[-1])


def count(rows: np.ndarray, order: int) -> int:
    return int((rows["order"] < order).sum())


def counter(traced: Traced, name: str) -> int:
    """A number of /proc/stat as the guest printed it."""
    return int(re.search(rf"^{name} (\d+)", traced.run.console, re.M)[1])


def test_counts_are_those_of_proc_stat(traced):
    switches = traced.rows[Table.SWITCH]
    assert count(switches, before(traced, "nr_context_switches")) == counter(traced, "ctxt")
    at = before(traced, "show_stat")
    forks = traced.of(Kind.SCHED_FORK, Table.TASK)
    assert count(forks, at) + CPUS - 1 == counter(traced, "processes")  # and the idle tasks
    taken = traced.of(Kind.IRQ_ENTER, Table.IRQ)
    assert count(taken, at) == counter(traced, "intr")
    handled = traced.of(Kind.SOFTIRQ_ENTER, Table.IRQ)
    assert count(handled, at) == counter(traced, "softirq")


def test_calls_nest_in_every_task(traced):
    stacks = defaultdict(list)
    calls = traced.rows[Table.CALL]
    columns = (calls["kind"].tolist(), calls["task"].tolist(), calls["function"].tolist())
    for kind, task, function in zip(*columns, strict=True):
        if kind == Kind.CALL_ENTER:
            stacks[task].append(function)
        else:
            assert stacks[task].pop() == function
    assert len(calls) > 100_000


def test_waits_for_locks_end(traced):
    rows = traced.rows[Table.LOCK]
    for lock_kind in (1, 4, 6):  # spinlock, mutex, rwsem
        mine = rows[(rows["flags"] >> 11 & 31) == lock_kind]
        waiting = {}
        for kind, task, lock in zip(mine["kind"], mine["task"], mine["lock"], strict=True):
            if kind == Kind.LOCK_ACQUIRE:
                waiting.setdefault(task, []).append(lock)
            elif kind == Kind.LOCK_ACQUIRED:
                assert waiting[task].pop() == lock
        assert sum(map(len, waiting.values())) <= CPUS
    assert (rows["position"] != 0).sum() > len(rows) // 3
    acquired = rows[(rows["kind"] == Kind.LOCK_ACQUIRED) & (rows["flags"] >> 11 & 31 != 13)]
    assert (acquired["flags"] & 1 << 10).all(), "the state of interrupts is known"


def test_ticks_and_times_never_go_back(traced):
    order = np.concatenate([rows["order"] for rows in traced.rows.values()])
    place = np.argsort(order)
    for name in ("tick", "time"):
        values = np.concatenate([rows[name] for rows in traced.rows.values()])[place]
        assert (np.diff(values.astype(np.int64)) >= 0).all(), name


def test_console_text_is_in_the_trace(traced):
    assert len(traced.rows[Table.TEXT]) > 5
    assert traced.facts["stop"] == "restart"
    assert "mutex_lock" in traced.facts["points_found"]


@pytest.mark.parametrize("ring", [(), ("--ring", "1M")], ids=["file", "ring"])
def test_a_killed_guest_leaves_all_that_it_recorded(guest, traced, tmp_path, ring):
    path = tmp_path / "killed.wdt"
    command = [sys.executable, "-m", "wdbg", "run", "--cpus", str(CPUS), "--trace", str(path)]
    command += [*ring, "--exec", "echo busy; while :; do pingpong 50; done"]
    until = time.monotonic() + DEADLINE
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        while b"busy" not in process.stdout.readline():
            assert time.monotonic() < until
        said = [process.stdout.readline() for _ in range(20)][-1]
        process.send_signal(signal.SIGKILL)
    while not path.read_bytes().endswith(b"WDTEND\r\n"):  # the writer goes on
        assert time.monotonic() < until
        time.sleep(0.05)
    with Trace(path) as trace:
        assert not trace.damage
        assert trace.facts["clean"] is False
        assert trace.facts["trigger"] == "killed"
        assert trace.events > 50_000
        text = {row.number: row.text for row in trace.tables.strings}
        shown = [text[n] for b in trace.batches([Table.TEXT]) for n in b.tables[Table.TEXT]["text"]]
        assert said.decode().strip() in "".join(shown)


def test_locktorture_counts_the_same_acquisitions(guest, tmp_path):
    path = tmp_path / "torture.wdt"
    done = run_guest(
        "--config", "torture", "--events", "lock", "--trace", path, "--timeout", 400,
        "--exec", "sleep 600", "--append",
        "locktorture.torture_type=spin_lock locktorture.shutdown_secs=1 "
        "locktorture.stat_interval=1",
        deadline=600,
    )  # fmt: skip
    assert "End of test: SUCCESS" in done.console, done.messages
    writes = [int(n) for n in re.findall(r"Writes: +Total: (\d+)", done.console)]
    with Trace(path) as trace:
        rows = [r for r in trace.tables.functions if r.name.startswith("torture_spin_lock")]
        taken = 0
        places = [(r.start, r.start + r.size) for r in rows if r.name.endswith("write_lock")]
        for batch in trace.batches([Table.LOCK]):
            events = batch.rows(Table.LOCK, trace.header.ns_per_tick)
            begun = events[events["kind"] == Kind.LOCK_ACQUIRE]["position"]
            taken += sum(int(((begun >= low) & (begun < high)).sum()) for low, high in places)
    assert taken == writes[-1]


def test_a_panic_ends_the_flight_recorder(guest, tmp_path):
    path = tmp_path / "panic.wdt"
    done = run_guest(
        "--trace", path, "--ring", "1M", "--events", "sched", "--append", "rdinit=/none init=/none"
    )
    assert done.status == 1
    rows, _, facts = read(path)
    assert facts["stop"] == "panic"
    assert rows[Table.TEXT]["kind"][-1] == Kind.PANIC
    assert len(rows[Table.SWITCH]) > 50
