"""Exports read by the tools that they are for: every count is that of the trace."""

import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.clients.perfetto import query
from tests.trace.synthetic import Synthetic, write_trace
from wdbg.trace.events import Kind, LockFlag, Table
from wdbg.trace.export import export
from wdbg.trace.reader import Trace
from wdbg.trace.upstream import EVENTS

DEADLINE = 300


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up trace with events of nearly every kind."""
    path = tmp_path_factory.mktemp("trace") / "synthetic.wdt"
    write_trace(path, Synthetic(seed=11).run(20_000))
    return path


@pytest.fixture(scope="module")
def boot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A boot of the example guest with everything recorded; its console output is beside it."""
    path = tmp_path_factory.mktemp("trace") / "boot.wdt"
    command = [sys.executable, "-m", "wdbg", "run", "--append", "quiet", "--trace", str(path)]
    command += ["--exec", "grep ctxt /proc/stat"]
    done = subprocess.run(command, capture_output=True, timeout=DEADLINE, check=False)
    assert done.returncode == 0, done.stderr.decode()
    path.with_suffix(".console").write_bytes(done.stdout)
    return path


@pytest.fixture(params=["synthetic", pytest.param("boot", marks=pytest.mark.guest)])
def recorded(request: pytest.FixtureRequest) -> Path:
    """Both traces in turn."""
    path: Path = request.getfixturevalue(request.param)
    return path


def counts_of(path: Path) -> Counter[str]:
    """Events by the kernel's name for them."""
    found: Counter[str] = Counter()
    with Trace(path) as trace:
        for kind, count in trace.counts().items():
            found[EVENTS[kind].name] += count
    return found


def exported(path: Path, tmp_path: Path, format_name: str) -> Path:
    target = tmp_path / "exported"
    with Trace(path) as trace:
        written = export(trace, format_name, target)
        assert sum(written.values()) == trace.events > 1000
    return target


def tool(name: str) -> str:
    found = shutil.which(name)
    assert found, f"{name} is not installed: make test installs it"
    return found


def lines_of(*command: str) -> list[str]:
    done = subprocess.run(command, capture_output=True, timeout=DEADLINE, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert not done.stderr, done.stderr.decode()
    return done.stdout.decode("utf-8", "replace").splitlines()


def test_trace_cmd_reads_trace_dat(recorded: Path, tmp_path: Path) -> None:
    target = exported(recorded, tmp_path, "trace.dat")
    lines = lines_of(tool("trace-cmd"), "report", "-N", "-i", str(target))
    assert lines[0].startswith("cpus=")
    found = Counter(re.findall(r"^.{16}-\d+ +\[\d+\] +[\d.]+: (\w+):", "\n".join(lines[1:]), re.M))
    assert found == counts_of(recorded)


def test_trace_cmds_plug_ins_understand_switches(recorded: Path, tmp_path: Path) -> None:
    target = exported(recorded, tmp_path, "trace.dat")
    lines = lines_of(tool("trace-cmd"), "report", "-F", "sched_switch", "-i", str(target))
    switches = [line for line in lines if "sched_switch:" in line]
    assert len(switches) == counts_of(recorded)["sched_switch"]
    assert all(re.search(r"\S+:\d+ \[\d+\] \S+ ==> \S+:\d+ \[\d+\]", line) for line in switches)


def test_babeltrace_reads_ctf(recorded: Path, tmp_path: Path) -> None:
    target = exported(recorded, tmp_path, "ctf")
    lines = lines_of(tool("babeltrace2"), str(target))
    found = Counter(re.findall(r"\) (\w+): \{ cpu_id", "\n".join(lines)))
    assert found == counts_of(recorded)


def test_perfetto_reads_its_format(recorded: Path, tmp_path: Path) -> None:
    target = exported(recorded, tmp_path, "perfetto")
    counts = counts_of(recorded)
    names, errors, switches, slices, flows = query(
        target,
        "select name, count(*) from ftrace_event group by 1",
        "select name, value from stats where severity in ('error', 'data_loss') and value > 0",
        "select count(*) from sched",
        "select category, count(*) from slice group by 1",
        "select count(*) from flow",
    )
    assert not errors
    ftrace = ("sched_switch", "sched_waking", "sched_wakeup", "sched_wakeup_new", "softirq_entry",
              "irq_handler_entry", "irq_handler_exit", "softirq_exit", "softirq_raise")  # fmt: skip
    assert dict(names) == {name: counts[name] for name in ftrace if counts[name]}
    assert switches == [(counts["sched_switch"],)]
    by_category = dict(slices)
    assert by_category["call"] == counts["funcgraph_entry"]
    assert by_category.get("lock_wait", 0) == counts["lock_contended"]
    assert by_category["syscall"] == counts["sys_enter"]
    assert by_category["lock_held"] == acquisitions(recorded)
    assert flows[0][0] > 0


def test_perfetto_has_threads_of_the_right_names(boot: Path, tmp_path: Path) -> None:
    target = exported(boot, tmp_path, "perfetto")
    threads, busy = query(
        target,
        "select tid, name from thread",
        "select name, count(*) from slice where name = 'schedule' group by 1",
    )
    assert (2, "kthreadd") in threads
    with Trace(boot) as trace:
        number = next(f.number for f in trace.tables.functions if f.name == "schedule")
        calls = sum(
            int(((rows["kind"] == Kind.CALL_ENTER) & (rows["function"] == number)).sum())
            for batch in trace.batches((Table.CALL,))
            for rows in [batch.rows(Table.CALL, 4)]
        )
    assert busy == [("schedule", calls)]


def test_switches_are_those_that_the_guest_counts(boot: Path) -> None:
    """ctxt of /proc/stat, at the moment when the kernel adds it up for `grep`."""
    ((told),) = re.findall(rb"^ctxt (\d+)", boot.with_suffix(".console").read_bytes(), re.M)
    with Trace(boot) as trace:
        names = {f.name: f.number for f in trace.tables.functions}
        before = switches = 0
        for batch in trace.batches((Table.CALL, Table.SWITCH)):
            calls = batch.rows(Table.CALL, 4)
            mine = calls["function"] == names["nr_context_switches"]
            asked = calls["seq"][mine & (calls["kind"] == Kind.CALL_ENTER)]
            seqs = batch.rows(Table.SWITCH, 4)["seq"]
            if len(asked):
                before = switches + int((seqs < asked[-1]).sum())
            switches += len(seqs)
        assert switches == trace.facts["switches"]
    assert before == int(told) > 100


def acquisitions(path: Path) -> int:
    with Trace(path) as trace:
        return sum(
            int((rows["kind"] == Kind.LOCK_ACQUIRED).sum())
            + int(((rows["kind"] == Kind.LOCK_TRY) & (rows["flags"] & LockFlag.SUCCESS != 0)).sum())
            for batch in trace.batches((Table.LOCK,))
            for rows in [batch.rows(Table.LOCK, 4)]
        )


def test_perfetto_imports_the_text(recorded: Path, tmp_path: Path) -> None:
    target = exported(recorded, tmp_path, "text")
    text = target.read_text().splitlines()
    found = Counter(re.findall(r"\[\d+\] +[\d.]+: (\w+): ", "\n".join(text)))
    assert found == counts_of(recorded)
    switches, errors = query(
        target,
        "select count(*) from sched",
        "select name, value from stats where severity in ('error', 'data_loss') and value > 0",
    )
    assert switches == [(counts_of(recorded)["sched_switch"],)]
    assert not errors


def test_parquet_has_a_row_an_event(recorded: Path, tmp_path: Path) -> None:
    from pyarrow import parquet

    target = exported(recorded, tmp_path, "parquet")
    with Trace(recorded) as trace:
        counts = trace.counts()
    for kind, count in counts.items():
        table = parquet.read_table(target / f"{kind.name.lower()}.parquet")
        assert len(table) == count
    switches = parquet.read_table(target / "sched_switch.parquet").to_pydict()
    assert set(switches["cpu"]) <= set(range(4))
    assert switches["seq"] == sorted(switches["seq"])
    assert all(switches["prev_comm"])
    assert parquet.read_table(target / "functions.parquet").num_rows > 100
