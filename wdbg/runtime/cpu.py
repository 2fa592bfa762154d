"""A virtual CPU: which task it runs, what it waits for, when its timer fires."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wdbg.runtime.task import Task


class Cpu:
    """Mutable state of one virtual CPU; the machine owns it."""

    __slots__ = ("deadline", "number", "ready", "switches", "task", "timer", "waits_on")

    def __init__(self, number: int) -> None:
        self.number = number
        self.task: Task | None = None
        """The task whose fiber this CPU runs; None: not started, or stopped."""
        self.ready = False
        """It has a task and that does not wait in memory.atomic.wait."""
        self.waits_on = 0
        """Guest address of the memory.atomic.wait under way; only while not `ready`."""
        self.deadline = 0
        """Virtual ns at which that wait times out; 0: never."""
        self.timer = 0
        """Virtual ns of the next timer interrupt; 0: none."""
        self.switches = 0
        """Context switches so far."""

    def run(self, task: Task) -> None:
        """Make `task` the one that this CPU runs."""
        self.task = task
        self.ready = True

    def stop(self) -> None:
        """Take the CPU out for good; its task stays parked."""
        self.task = None
        self.ready = False
        self.timer = self.deadline = 0

    def wait(self, address: int, deadline: int) -> None:
        """Go idle in memory.atomic.wait."""
        self.ready = False
        self.waits_on = address
        self.deadline = deadline

    def wake(self, answer: int) -> None:
        """End the wait; `answer` is the instruction's result (0 woken, 2 timed out)."""
        assert self.task is not None
        self.ready = True
        self.deadline = 0
        self.task.answer = answer
