"""What a task that does not run waits for: from the functions it is in and from its waiter.

Whoever sleeps for a lock or an event has a small struct on its own kernel stack (mutex_waiter,
rwsem_waiter, swait_queue, wait_queue_entry ...) that names the task and is linked into the list of
what it waits for. The function that sleeps says which struct it is; the ring of the list is
followed to its head, which is a member of the lock. All of that is guest memory and not to be
trusted: what does not fit together is no answer.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from wdbg.linux.image import Corrupt, Image, Unknown

MOST_WAITERS = 16384
"""Steps along a list of waiters."""
THREAD_SIZE = 16384
"""Bytes of a kernel stack where the kernel does not say (THREAD_SIZE of our port)."""


class On(enum.Enum):
    """What can be waited for; the value is the kernel's word."""

    MUTEX = "mutex"
    RWSEM = "rw_semaphore"
    RT_MUTEX = "rt_mutex"
    SEMAPHORE = "semaphore"
    SPINLOCK = "spinlock"
    RWLOCK = "rwlock"
    COMPLETION = "completion"
    WAIT_QUEUE = "wait queue"
    SWAIT_QUEUE = "simple wait queue"
    FUTEX = "futex"
    RCU = "RCU grace period"
    EVENT = "wake-up"
    """schedule() after set_current_state(): nothing says who is to wake it."""


OWNED = frozenset({On.MUTEX, On.RWSEM, On.RT_MUTEX, On.SPINLOCK, On.RWLOCK})
"""What somebody holds; the others are signalled."""

SLEEPS: tuple[tuple[On, tuple[str, ...]], ...] = (
    (On.MUTEX, ("__mutex_lock", "mutex_lock", "__ww_mutex_lock", "ww_mutex_lock")),
    (On.RWSEM, ("rwsem_down_", "down_read", "down_write", "__down_read", "__down_write")),
    (On.RT_MUTEX, ("rt_mutex_slowlock", "rt_mutex_lock", "__rt_mutex_lock", "futex_lock_pi")),
    (On.SEMAPHORE, ("__down", "down", "___down_common")),
    (On.COMPLETION, ("wait_for_completion", "__wait_for_common", "do_wait_for_common")),
    (On.FUTEX, ("futex_wait", "__futex_wait", "futex_do_wait")),
)
"""Beginnings of the names of functions that sleep, the more special ones first."""

SPINS: tuple[tuple[On, tuple[str, ...]], ...] = (
    (On.SPINLOCK, ("_raw_spin_lock", "queued_spin_lock_slowpath", "do_raw_spin_lock")),
    (
        On.RWLOCK,
        ("_raw_read_lock", "_raw_write_lock", "queued_read_lock_slowpath",
         "queued_write_lock_slowpath", "do_raw_read_lock", "do_raw_write_lock"),
    ),
)  # fmt: skip
"""The same for functions that spin. Their first argument is the lock."""

_INTERRUPTS = frozenset({"wasm_handle_irqs", "wasm_do_irq", "irq_enter_rcu"})
"""Functions that an interrupt is entered through."""
_SCHEDULE = (
    "schedule", "__schedule", "__schedule_loop", "schedule_timeout", "io_schedule",
    "schedule_preempt_disabled",
)  # fmt: skip
_NOT_AN_END = ("__down_read", "__down_write")
_GRACE = ("synchronize_rcu", "synchronize_srcu", "rcu_barrier", "__wait_rcu_gp", "wait_rcu_gp",
          "synchronize_rcu_expedited", "synchronize_rcu_normal")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wait:
    """What a task waits for."""

    on: On
    address: int = 0
    """Guest address of the lock, completion, queue head ...; 0: not known."""
    read: bool = False
    """It wants it shared."""
    function: str = ""
    """The kernel's function that waits."""
    level: int = 0
    """Number of that function's frame, from the innermost."""


@dataclass(frozen=True, slots=True)
class Stack:
    """The part of a task's kernel stack that is in use."""

    task: int
    start: int
    end: int


def kernel_stack(image: Image, task: int, pointer: int) -> Stack:
    """The stack of a task; `pointer` is its stack pointer, 0 if not known. Corrupt or Unknown if
    the task_struct does not tell."""
    base = image.field(task, "task_struct", "stack")
    if not base:
        raise Corrupt(f"the task at {task:#x} has no stack")
    start = pointer if base <= pointer < base + THREAD_SIZE else base
    return Stack(task, start, base + THREAD_SIZE)


def kind_of(
    names: Sequence[Sequence[str]], table: tuple[tuple[On, tuple[str, ...]], ...]
) -> tuple[On, str, int] | None:
    """(what, function, level) of the innermost frame that is in a table. `names`: of each frame
    the functions, inlined ones first."""
    for level, inlined in enumerate(names):
        for name in inlined:
            for on, beginnings in table:
                for beginning in beginnings:
                    if (
                        name == beginning
                        or (name.startswith(beginning) and on is not On.SEMAPHORE)
                        or (
                            on is On.SEMAPHORE
                            and name.startswith(("__down_", "___down_"))
                            and not name.startswith(_NOT_AN_END)
                        )
                    ):
                        return on, name, level
    return None


def sleeping(
    image: Image, stacks: Mapping[int, Stack], task: int, names: Sequence[Sequence[str]]
) -> Wait:
    """What a task that has left its CPU waits for. `stacks` of all tasks, by their addresses."""
    found = kind_of(names, SLEEPS)
    grace = next((name for inlined in names for name in inlined if name.startswith(_GRACE)), "")
    on, function, level = found or (On.EVENT, *_sleeper(names))
    read = "read" in function
    try:
        waiter = Waiters(image, stacks, task)
        if grace:
            return Wait(On.RCU, _address(image, "rcu_state"), False, grace, level)
        if found is None:
            for other in (On.WAIT_QUEUE, On.SWAIT_QUEUE):
                address = waiter.head_of(other)
                if address is not None:
                    return Wait(other, address, False, function, level)
            return Wait(On.EVENT, 0, False, function, level)
        return Wait(on, waiter.head_of(on) or 0, read, function, level)
    except (Corrupt, Unknown):
        return Wait(on, 0, read, function, level)


def _sleeper(names: Sequence[Sequence[str]]) -> tuple[str, int]:
    """The innermost function that is not the scheduler's."""
    for level, inlined in enumerate(names):
        for name in inlined:
            switches = name.startswith(("wasm_", "__switch_to", "context_switch"))
            if not switches and name not in _SCHEDULE:
                return name, level
    return "", 0


def spinning(names: Sequence[Sequence[str]], locals_of: Sequence[Mapping[int, int]]) -> Wait | None:
    """The lock that a task on a CPU spins for; its address is the first argument, if the frame
    handed it over."""
    found = kind_of(names, SPINS)
    if found is None:
        return None
    on, function, level = found
    # An interrupt that came while it spun runs on top of it: then it does not spin just now.
    above = {name for inlined in names[:level] for name in inlined}
    if above & _INTERRUPTS:
        return None
    return Wait(on, locals_of[level].get(0, 0), "read" in function, function, level)


def _address(image: Image, variable: str) -> int:
    try:
        return image.address(variable)
    except Unknown:
        return 0


class Waiters:
    """The waiter structs on one task's stack."""

    def __init__(self, image: Image, stacks: Mapping[int, Stack], task: int) -> None:
        self._image = image
        self._stacks = stacks
        self._task = task

    def head_of(self, on: On) -> int | None:
        """Address of the object of that kind in whose list the task is; None if there is none."""
        if on is On.RT_MUTEX:
            return self._rt_mutex()
        layout = _LAYOUTS.get(on)
        if layout is None:
            return None
        struct, task_path, link_path, owner, list_path = layout
        task_at = self._image.member(struct, task_path)[0]
        link = self._image.member(struct, link_path)[0]
        inside = self._image.member(owner, list_path)[0]
        for node in self._nodes(task_at, link):
            head = self._ring(node, task_at - link)
            if head is not None:
                found = head - inside
                return found if found > 0 else None
        return None

    def _nodes(self, task_at: int, link: int) -> Iterator[int]:
        """Addresses of list nodes on the stack that may be of a waiter of this task."""
        stack = self._stacks.get(self._task)
        if stack is None:
            return
        raw = self._image.bytes(stack.start, stack.end - stack.start)
        wanted = self._task.to_bytes(4, "little")
        at = raw.find(wanted)
        while at >= 0:
            if at % 4 == 0:
                yield stack.start + at - task_at + link
            at = raw.find(wanted, at + 1)

    def _ring(self, node: int, task_from_link: int) -> int | None:
        """The head of the list that a node is in: the only one that is not a waiter, whose task
        has it on its own stack. None if the ring is broken, or has none or several."""
        image = self._image
        heads = []
        at, before = node, 0
        for _ in range(MOST_WAITERS):
            try:
                following = image.field(at, "list_head", "next")
                if not following or image.field(following, "list_head", "prev") != at:
                    return None
                if at != node and not self._is_waiter(at, task_from_link):
                    heads.append(at)
            except Corrupt:
                return None
            at, before = following, at
            if at == node:
                return heads[0] if len(heads) == 1 and before else None
        return None

    def _is_waiter(self, node: int, task_from_link: int) -> bool:
        task = self._image.number(node + task_from_link)
        stack = self._stacks.get(task)
        return stack is not None and stack.start <= node < stack.end

    def _rt_mutex(self) -> int | None:
        task_at = self._image.member("rt_mutex_waiter", "task")[0]
        lock = self._image.member("rt_mutex_waiter", "lock")[0]
        waiter = self._image.field(self._task, "task_struct", "pi_blocked_on")
        if waiter and self._image.number(waiter + task_at) == self._task:
            return self._image.number(waiter + lock) or None
        return None


_LAYOUTS: Mapping[On, tuple[str, str, str, str, str]] = {
    On.MUTEX: ("mutex_waiter", "task", "list", "mutex", "wait_list"),
    On.RWSEM: ("rwsem_waiter", "task", "list", "rw_semaphore", "wait_list"),
    On.SEMAPHORE: ("semaphore_waiter", "task", "list", "semaphore", "wait_list"),
    On.COMPLETION: ("swait_queue", "task", "task_list", "completion", "wait.task_list"),
    On.SWAIT_QUEUE: ("swait_queue", "task", "task_list", "swait_queue_head", "task_list"),
    On.WAIT_QUEUE: ("wait_queue_entry", "private", "entry", "wait_queue_head", "head"),
}
"""The waiter's struct, its task and its list node; the struct with the list's head, and that."""
