"""Task lists, whole and broken."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.linux.image import Kernel, struct
from wdbg.linux.image import Corrupt, Unknown
from wdbg.linux.tasks import TaskTable, read_task, state_text, walk_tasks

STRUCTS = {
    "task_struct": struct(
        128, __state=(0, 4), pid=(4, 4), tgid=(8, 4), exit_state=(12, 4), comm=(16, 16),
        tasks=(32, 8), thread_node=(40, 8), signal=(48, 4), thread_info__cpu=(52, 4),
    ),
    "list_head": struct(8, next=(0, 4), prev=(4, 4)),
    "signal_struct": struct(64, thread_head=(8, 8)),
}  # fmt: skip
INIT = 0x1000


def kernel_with(groups: list[list[int]]) -> Kernel:
    """A kernel of thread groups, each a list of pids, the leader first; init_task is alone."""
    kernel = Kernel(STRUCTS, {"init_task": INIT})
    kernel.set(INIT, "task_struct", "comm", b"swapper/0\0")
    leaders = [INIT]
    at = 0x2000
    for group in groups:
        signal, tasks = at, []
        at += 0x100
        for pid in group:
            task, at = at, at + 0x100
            kernel.set(task, "task_struct", "pid", pid)
            kernel.set(task, "task_struct", "tgid", group[0])
            kernel.set(task, "task_struct", "comm", f"task{pid}".encode())
            kernel.set(task, "task_struct", "signal", signal)
            tasks.append(task)
        ring = [signal + 8, *(task + 40 for task in tasks)]
        for node, following in zip(ring, [*ring[1:], ring[0]], strict=True):
            kernel.put(node, following)
        leaders.append(tasks[0])
    ring = [leader + 32 for leader in leaders]
    for node, following in zip(ring, [*ring[1:], ring[0]], strict=True):
        kernel.put(node, following)
    return kernel


def test_all_threads_of_all_groups_are_found():
    kernel = kernel_with([[1], [2, 20, 21], [3]])
    facts = [read_task(kernel.image, address) for address in walk_tasks(kernel.image)]
    assert [fact.pid for fact in facts] == [0, 1, 2, 20, 21, 3]
    assert [fact.tgid for fact in facts] == [0, 1, 2, 2, 2, 3]
    assert [fact.comm for fact in facts][:2] == ["swapper/0", "task1"]


@pytest.mark.parametrize("next_node", [0, 0x7FFF_FFFF, INIT + 32 + 4])
def test_broken_lists_are_said_to_be(next_node):
    kernel = kernel_with([[1], [2]])
    kernel.put(INIT + 32, next_node)
    with pytest.raises(Corrupt):
        list(walk_tasks(kernel.image))


def test_a_list_without_an_end_ends(monkeypatch):
    monkeypatch.setattr("wdbg.linux.tasks.MOST_TASKS", 100)
    kernel = kernel_with([[1], [2]])
    second = kernel.image.number(INIT + 32)
    kernel.put(second, second)
    with pytest.raises(Corrupt, match="does not end"):
        list(walk_tasks(kernel.image))


@settings(deadline=None)
@given(st.binary(min_size=128, max_size=128))
def test_any_bytes_are_a_task_or_none(raw):
    kernel = Kernel(STRUCTS, {"init_task": INIT})
    kernel.put(0x5000, raw)
    facts = TaskTable(kernel.image).task(0x5000)
    assert facts is None or facts.pid <= 1 << 22


def test_addresses_outside_are_no_tasks():
    kernel = Kernel(STRUCTS, {"init_task": INIT})
    assert TaskTable(kernel.image).task(1 << 30) is None
    assert TaskTable(kernel.image).task(-5) is None


def test_a_kernel_without_the_type_has_no_tasks():
    kernel = Kernel({}, {})
    assert TaskTable(kernel.image).task(0x5000) is None
    with pytest.raises(Unknown):
        list(walk_tasks(kernel.image))


@pytest.mark.parametrize(
    ("state", "exit_state", "text"),
    [
        (0, 0, "R (running)"), (1, 0, "S (sleeping)"), (2, 0, "D (disk sleep)"),
        (0x402, 0, "I (idle)"), (4, 0, "T (stopped)"), (8, 0, "t (tracing stop)"),
        (0x80, 0x20, "Z (zombie)"), (0x80, 0x10, "X (dead)"), (0x40, 0, "P (parked)"),
        (0x101, 0, "S (sleeping)"),
    ],
)  # fmt: skip
def test_states_are_named_as_in_proc(state, exit_state, text):
    assert state_text(state, exit_state) == text
