"""What the tasks that are stepped may do before they stop: plans, as data."""

from __future__ import annotations

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
