"""Reports, against the same sums made one event at a time."""

from collections import defaultdict
from pathlib import Path

import pytest

from tests.trace.synthetic import NS_PER_TICK, Synthetic, write_trace
from wdbg.analysis.calls import call_tree, collapsed, function_times
from wdbg.analysis.lockstat import lock_stats
from wdbg.analysis.sched import stretches, task_times
from wdbg.trace.events import Kind
from wdbg.trace.names import Names
from wdbg.trace.reader import Trace


@pytest.fixture(scope="module")
def guest() -> Synthetic:
    return Synthetic(seed=21).run(15_000)


@pytest.fixture(scope="module", params=[1, 37])
def path(guest: Synthetic, request, tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("trace") / "t.wdt"
    write_trace(found, guest, chunks=request.param)
    return found


@pytest.mark.parametrize("elapsed", [False, True])
def test_calls(guest: Synthetic, path: Path, elapsed: bool) -> None:
    calls: dict[int, int] = defaultdict(int)
    own: dict[int, int] = defaultdict(int)
    edges: dict[tuple[int, int], int] = defaultdict(int)
    stacks: dict[int, list[list[int]]] = defaultdict(list)
    last: dict[int, int] = {}
    left: dict[tuple[int, int], int] = {}
    off: dict[tuple[int, int], int] = defaultdict(int)

    def leave(stack: list[list[int]], time: int) -> None:
        function, start, inner = stack.pop()
        took = time - start
        own[function] += took - inner
        if stack:
            stack[-1][2] += took

    # By task, not pid: idle tasks share pid 0.
    running = {0: 0x10000, 1: 0x11000}
    lives: dict[int, int] = defaultdict(int)
    for event in guest.truth:
        cpu, time = event["cpu"], event["time"]
        task = running[cpu]
        key = (task, lives[task])
        if not elapsed:
            time -= off[key]
        if event["kind"] == Kind.CALL_ENTER:
            stack = stacks[key]
            edges[stack[-1][0] if stack else -1, event["function"]] += 1
            stack.append([event["function"], time, 0])
            calls[event["function"]] += 1
            last[key] = time
        elif event["kind"] == Kind.CALL_EXIT:
            leave(stacks[key], time)
            last[key] = time
        elif event["kind"] == Kind.SCHED_SWITCH:
            running[cpu] = event["next"]
            left[key] = event["time"]
            following = (event["next"], lives[event["next"]])
            if following in left:
                off[following] += event["time"] - left.pop(following)
        elif event["kind"] == Kind.SCHED_FORK:
            lives[event["target"]] += 1
    for key, stack in stacks.items():
        while stack:
            leave(stack, last[key])
    with Trace(path) as trace:
        tree = call_tree(trace, elapsed)
    found = {item.function: item for item in function_times(tree)}
    assert {number: item.calls for number, item in found.items()} == calls
    assert {number: item.own for number, item in found.items()} == own
    callers = {
        (caller, number): count
        for number, item in found.items()
        for caller, (count, _) in item.callers.items()
    }
    assert callers == edges
    lines = list(collapsed(tree, {}))
    assert sum(int(line.rpartition(" ")[2]) for line in lines) == sum(own.values())
    assert all(item.own <= item.total for item in found.values())


def test_sched(guest: Synthetic, path: Path) -> None:
    started: dict[int, int] = {}
    runtime: dict[int, int] = defaultdict(int)
    runs = 0
    for event in guest.truth:
        if event["kind"] == Kind.SCHED_SWITCH:
            prev, time = event["prev"], event["time"]
            if prev in started:
                runtime[event["pid"]] += time - started.pop(prev)
                runs += 1
            started[event["next"]] = time
    with Trace(path) as trace:
        names = Names(trace.tables)
        found = task_times(trace, names)
        listed = list(stretches(trace, names))
    by_pid: dict[int, int] = defaultdict(int)
    for task in found:
        by_pid[task.pid] += task.runtime
    assert by_pid == runtime
    assert sum(task.switches for task in found) == len(listed) == runs
    assert any(task.max_delay > 0 for task in found)
    assert all(task.idle == (task.pid == 0) for task in found)
    assert all(run.delay >= -1 and run.asleep >= 0 for run in listed)


def test_locks(guest: Synthetic, path: Path) -> None:
    acquired: dict[int, int] = defaultdict(int)
    contended: dict[int, int] = defaultdict(int)
    wait: dict[int, int] = defaultdict(int)
    begun: dict[tuple[int, int], int] = {}
    for event in guest.truth:
        if "lock" not in event:
            continue
        group, key = event["lock_class"], (event["cpu"], event["lock"])
        if event["kind"] == Kind.LOCK_ACQUIRE:
            begun[key] = event["time"]
        elif event["kind"] == Kind.LOCK_CONTENDED:
            contended[group] += 1
            begun[key, 1] = begun[key]
        elif event["kind"] == Kind.LOCK_ACQUIRED:
            acquired[group] += 1
            if (key, 1) in begun:
                wait[group] += event["time"] - begun.pop((key, 1))
    with Trace(path) as trace:
        found = lock_stats(trace, Names(trace.tables))
    names = {1: "&rq->__lock", 2: "&sb->s_type->i_mutex_key", 3: "console_lock"}
    stats = {stat.name: stat for stat in found}
    assert set(stats) == set(names.values())
    for group, name in names.items():
        stat = stats[name]
        assert stat.acquisitions == acquired[group]
        assert stat.contentions == contended[group] == stat.wait.count
        assert stat.wait.total == wait[group]
        assert stat.wait.least <= stat.wait.average <= stat.wait.most
        assert 0 < stat.acq_bounces < stat.acquisitions
        assert sum(stat.points.values()) == stat.contentions
        assert stat.hold.count <= stat.acquisitions
    assert NS_PER_TICK
