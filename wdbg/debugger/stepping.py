"""What the tasks that are stepped may do before they stop: plans, as data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from wdbg.debugger.model import Action, Place, Resume


@dataclass(frozen=True, slots=True)
class Plan:
    """One task's step. It ends at the first stop point that the task reaches outside of [start,
    end) of `module`; an empty range makes that the next one."""

    module: int = 0
    start: int = 0
    end: int = 0

    @classmethod
    def of(cls, action: Action, here: Place | None) -> Plan | None:
        """The plan of an action for a task that stands at `here`; None: it just runs."""
        if action.how is Resume.STEP:
            return cls()
        if action.how is Resume.RANGE:
            return cls() if here is None else cls(here.module, action.start, action.end)
        return None

    def ends_at(self, place: Place) -> bool:
        """Whether the step is over there."""
        return place.module != self.module or not self.start <= place.offset < self.end


@dataclass(frozen=True, slots=True)
class ReturnTrap:
    """Stop a task when a call has returned to its caller."""

    task: int
    """Address of its task_struct."""
    module: int
    stop: int
    offset: int
    """The caller's stop point after the call, and its place."""
    frames: int
    """Frames of the task once it is back there."""


class Interrupts:
    """Steps pass over interrupts: what a task does between the entry of one and its return is not
    what the person at the client steps through.

    An interrupt runs below the stack of what it has interrupted; a program has a stack of its own.
    """

    def __init__(self) -> None:
        self.entries: frozenset[int] = frozenset()
        """Stop points of the kernel's interrupt entries."""
        self._below: dict[int, int] = {}

    def forget(self) -> None:
        """A step begins: if its task is in an interrupt, that is what is stepped through."""
        self._below.clear()

    def cover(self, task: int, module: int, stop: int, pointer: Callable[[], int | None]) -> bool:
        """Whether a stop point that a task has reached belongs to an interrupt; `pointer` reads its
        kernel stack pointer."""
        if module == 0 and stop in self.entries and task not in self._below:
            self._below[task] = pointer() or 0
        if task not in self._below:
            return False
        if module == 0 and (pointer() or 0) <= self._below[task]:
            return True
        del self._below[task]
        return False
