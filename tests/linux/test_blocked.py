"""What sleeping tasks wait for, from waiters on their stacks; whole and broken lists."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.linux.image import Kernel, struct
from wdbg.linux.blocked import On, Stack, sleeping, spinning
from wdbg.linux.locks import holding

STRUCTS = {
    "task_struct": struct(128, stack=(0, 4), pi_blocked_on=(4, 4)),
    "list_head": struct(8, next=(0, 4), prev=(4, 4)),
    "mutex": struct(16, owner=(0, 4), wait_list=(8, 8)),
    "mutex_waiter": struct(16, list=(0, 8), task=(8, 4)),
    "rw_semaphore": struct(20, count=(0, 4), owner=(4, 4), wait_list=(12, 8)),
    "rwsem_waiter": struct(24, list=(0, 8), task=(8, 4)),
    "semaphore": struct(16, count=(4, 4), wait_list=(8, 8)),
    "semaphore_waiter": struct(16, list=(0, 8), task=(8, 4)),
    "completion": struct(16, done=(0, 4), wait__task_list=(8, 8)),
    "swait_queue": struct(12, task=(0, 4), task_list=(4, 8)),
    "swait_queue_head": struct(12, task_list=(4, 8)),
    "wait_queue_entry": struct(20, private=(4, 4), entry=(12, 8)),
    "wait_queue_head": struct(12, head=(4, 8)),
    "rt_mutex_base": struct(16, owner=(12, 4)),
    "rt_mutex_waiter": struct(64, task=(48, 4), lock=(52, 4)),
}
TASKS = (0x1000, 0x1100, 0x1200)
LOCK = 0x8000


def stacks() -> dict[int, Stack]:
    return {
        task: Stack(task, 0x10000 * (number + 1), 0x10000 * (number + 1) + 0x4000)
        for number, task in enumerate(TASKS)
    }


def queued(waiter: str, task_path: str, link: str, head: int, tasks=TASKS) -> Kernel:
    """Tasks wait in the list whose head is at an address."""
    kernel = Kernel(STRUCTS, {})
    link_at = STRUCTS[waiter].member(link).offset
    nodes = []
    for task in tasks:
        at = stacks()[task].start + 0x100
        kernel.set(at, waiter, task_path, task)
        nodes.append(at + link_at)
    ring(kernel, [head, *nodes])
    return kernel


def ring(kernel: Kernel, nodes: list[int]) -> None:
    for node, following in zip(nodes, [*nodes[1:], nodes[0]], strict=True):
        kernel.set(node, "list_head", "next", following)
        kernel.set(following, "list_head", "prev", node)


@pytest.mark.parametrize(
    ("function", "waiter", "task_path", "link", "inside", "on"),
    [
        ("__mutex_lock", "mutex_waiter", "task", "list", 8, On.MUTEX),
        ("__ww_mutex_lock", "mutex_waiter", "task", "list", 8, On.MUTEX),
        ("rwsem_down_write_slowpath", "rwsem_waiter", "task", "list", 12, On.RWSEM),
        ("rwsem_down_read_slowpath", "rwsem_waiter", "task", "list", 12, On.RWSEM),
        ("___down_common", "semaphore_waiter", "task", "list", 8, On.SEMAPHORE),
        ("down", "semaphore_waiter", "task", "list", 8, On.SEMAPHORE),
        ("wait_for_completion", "swait_queue", "task", "task_list", 8, On.COMPLETION),
        ("some_driver", "wait_queue_entry", "private", "entry", 4, On.WAIT_QUEUE),
    ],
)
def test_the_head_of_the_list_is_the_lock(function, waiter, task_path, link, inside, on):
    kernel = queued(waiter, task_path, link, LOCK + inside)
    names = [["__switch_to"], ["__schedule"], ["schedule"], [function], ["caller"]]
    for task in TASKS:
        wait = sleeping(kernel.image, stacks(), task, names)
        assert (wait.on, wait.address) == (on, LOCK)
        assert wait.read == ("read" in function)
        assert wait.function == function


def test_a_readers_wait_is_not_taken_for_a_semaphore():
    kernel = queued("rwsem_waiter", "task", "list", LOCK + 12)
    wait = sleeping(kernel.image, stacks(), TASKS[0], [["schedule"], ["__down_read"]])
    assert (wait.on, wait.read) == (On.RWSEM, True)


def test_without_a_list_it_waits_for_a_wake_up():
    kernel = Kernel(STRUCTS, {})
    wait = sleeping(kernel.image, stacks(), TASKS[0], [["__schedule"], ["schedule"], ["my_thread"]])
    assert (wait.on, wait.address, wait.function) == (On.EVENT, 0, "my_thread")


@pytest.mark.parametrize("damage", ["one way", "no end", "nowhere"])
def test_a_broken_list_has_no_lock(damage):
    kernel = queued("mutex_waiter", "task", "list", LOCK + 8)
    first = stacks()[TASKS[0]].start + 0x100
    if damage == "one way":
        kernel.set(LOCK + 8, "list_head", "prev", 0)
    elif damage == "no end":
        kernel.set(first, "list_head", "next", first)
    else:
        kernel.set(first, "list_head", "next", 0x7FFF_0000)
    wait = sleeping(kernel.image, stacks(), TASKS[0], [["schedule"], ["__mutex_lock"]])
    assert (wait.on, wait.address) == (On.MUTEX, 0)


@settings(deadline=None, max_examples=50)
@given(st.binary(min_size=256, max_size=256))
def test_any_stack_is_read(raw):
    kernel = Kernel(STRUCTS, {})
    stack = stacks()[TASKS[0]]
    kernel.put(stack.start, raw)
    kernel.set(stack.start + 64, "mutex_waiter", "task", TASKS[0])
    wait = sleeping(kernel.image, stacks(), TASKS[0], [["schedule"], ["mutex_lock"]])
    assert wait.on is On.MUTEX


def test_spinning_wants_the_lock_function_on_top():
    names = [["wasm_cpu_relax"], ["arch_spin_lock", "_raw_spin_lock"], ["f"]]
    found = spinning(names, [{}, {0: LOCK}, {}])
    assert found is not None
    assert (found.on, found.address) == (On.SPINLOCK, LOCK)
    assert spinning([["tick"], ["wasm_do_irq"], *names], [{}, {}, {}, {0: LOCK}, {}]) is None
    assert spinning([["f"], ["g"]], [{}, {}]) is None


def test_owners():
    kernel = Kernel(STRUCTS, {})
    kernel.set(LOCK, "mutex", "owner", TASKS[1] | 1)
    found = holding(kernel.image, On.MUTEX, LOCK, TASKS)
    assert found is not None
    assert (found.held, found.owner, found.sure) == (True, TASKS[1], True)
    kernel.set(LOCK, "mutex", "owner", 0x5550)
    found = holding(kernel.image, On.MUTEX, LOCK, TASKS)
    assert found is not None
    assert (found.held, found.owner) == (True, 0)


def test_readers_are_counted_and_the_last_one_is_a_guess():
    kernel = Kernel(STRUCTS, {})
    kernel.set(LOCK, "rw_semaphore", "count", 2 << 8)
    kernel.set(LOCK, "rw_semaphore", "owner", TASKS[0] | 3)
    found = holding(kernel.image, On.RWSEM, LOCK, TASKS)
    assert found is not None
    assert (found.held, found.owner, found.readers, found.sure) == (True, TASKS[0], 2, False)
    kernel.set(LOCK, "rw_semaphore", "count", 1)
    kernel.set(LOCK, "rw_semaphore", "owner", TASKS[2])
    found = holding(kernel.image, On.RWSEM, LOCK, TASKS)
    assert found is not None
    assert (found.owner, found.sure) == (TASKS[2], True)


def test_spinlocks_tell_how_many_wait():
    kernel = Kernel(STRUCTS, {})
    kernel.put(LOCK, 5 << 16 | 2)
    found = holding(kernel.image, On.SPINLOCK, LOCK, TASKS)
    assert found is not None
    assert found.held
    assert "2 wait" in found.words
    kernel.put(LOCK, 7 << 16 | 7)
    found = holding(kernel.image, On.SPINLOCK, LOCK, TASKS)
    assert found is not None
    assert not found.held


def test_a_lock_outside_of_memory_is_none():
    kernel = Kernel(STRUCTS, {})
    for on in On:
        assert holding(kernel.image, on, 0xFFFF_FF00, TASKS) is None
