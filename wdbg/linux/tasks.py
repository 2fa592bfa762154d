"""Tasks, as include/linux/sched.h has them: struct task_struct, and the lists that link all of
them (init_task.tasks: thread group leaders; signal->thread_head: the threads of a group).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from wdbg.linux.image import Corrupt, Image, Unknown

MOST_TASKS = 65536
"""Steps of a walk: more than a guest can have."""
HIGHEST_PID = 1 << 22
"""PID_MAX_LIMIT of include/linux/threads.h."""

_EXIT_DEAD, _EXIT_ZOMBIE = 0x10, 0x20
_NOLOAD_SLEEP = 0x402
_STATES = (
    (0x1, "S (sleeping)"),
    (0x2, "D (disk sleep)"),
    (0x4, "T (stopped)"),
    (0x8, "t (tracing stop)"),
    (0x40, "P (parked)"),
    (0x80, "X (dead)"),
)
"""Bits of __state and the words of /proc/PID/status (fs/proc/array.c)."""


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """What a task_struct says of its task."""

    address: int
    comm: str
    pid: int
    tgid: int
    state: str
    """Letter and word as in /proc/PID/status."""
    cpu: int
    """The CPU where it runs or ran last; -1 if not known."""


def state_text(state: int, exit_state: int) -> str:
    """Letter and word for __state and exit_state."""
    if exit_state & _EXIT_DEAD:
        return "X (dead)"
    if exit_state & _EXIT_ZOMBIE:
        return "Z (zombie)"
    if state & _NOLOAD_SLEEP == _NOLOAD_SLEEP:
        return "I (idle)"
    return next((text for bit, text in _STATES if state & bit), "R (running)")


def read_task(image: Image, address: int) -> TaskFacts:
    """The task_struct at an address. Corrupt if it makes no sense, Unknown without its type."""
    pid = image.field(address, "task_struct", "pid")
    tgid = image.field(address, "task_struct", "tgid")
    if pid > HIGHEST_PID or tgid > HIGHEST_PID:
        raise Corrupt(f"no task at {address:#x}: its pid would be {pid}")
    state = image.field(address, "task_struct", "__state")
    exit_state = image.field(address, "task_struct", "exit_state")
    comm = image.text(address, "task_struct", "comm")
    return TaskFacts(address, comm, pid, tgid, state_text(state, exit_state), _cpu(image, address))


def _cpu(image: Image, address: int) -> int:
    for path in ("thread_info.cpu", "recent_used_cpu"):
        try:
            return image.field(address, "task_struct", path)
        except Unknown:
            continue
    return -1


def _list(image: Image, head: int) -> Iterator[int]:
    """Addresses of the nodes of a struct list_head list; Corrupt where it leads nowhere."""
    node = image.field(head, "list_head", "next")
    for _ in range(MOST_TASKS):
        if node == head:
            return
        if not node:
            raise Corrupt(f"the list at {head:#x} is broken")
        yield node
        node = image.field(node, "list_head", "next")
    raise Corrupt(f"the list at {head:#x} does not end")


def walk_tasks(image: Image) -> Iterator[int]:
    """Addresses of all task_structs, init_task and every thread included, in the kernel's order;
    the other CPUs' idle tasks are on no list. Corrupt in the middle if a list is broken."""
    init = image.address("init_task")
    links = image.member("task_struct", "tasks")[0]
    thread_link = image.member("task_struct", "thread_node")[0]
    yield init
    for node in _list(image, init + links):
        leader = node - links
        signal = image.field(leader, "task_struct", "signal")
        if not signal:
            yield leader
            continue
        head = signal + image.member("signal_struct", "thread_head")[0]
        seen = False
        for thread in _list(image, head):
            seen = seen or thread - thread_link == leader
            yield thread - thread_link
        if not seen:
            yield leader


class TaskTable:
    """Reads tasks of one kernel; says None instead of raising."""

    def __init__(self, image: Image) -> None:
        self._image = image

    def task(self, address: int) -> TaskFacts | None:
        """The task at an address; None if it makes no sense or nothing is known of the type."""
        try:
            return read_task(self._image, address)
        except (Corrupt, Unknown):
            return None

    def pid(self, address: int) -> int:
        """The pid of the task at an address; 0 if that is not known."""
        try:
            pid = self._image.field(address, "task_struct", "pid")
        except (Corrupt, Unknown):
            return 0
        return pid if pid <= HIGHEST_PID else 0
