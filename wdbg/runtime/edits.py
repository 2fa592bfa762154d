"""Locals that a debugger changes where a task stands at a stop point."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wdbg.instrument import layout
from wdbg.instrument.stops import LOCAL

if TYPE_CHECKING:
    from wdbg.runtime.machine import Machine
    from wdbg.runtime.task import Task


class Edits:
    """Of one machine whose variant may take changed locals back."""

    def __init__(self) -> None:
        self.slots: list[int] = []
        """What the stop point of the last stop handed over."""
        self._edited: dict[Task, list[int]] = {}

    def put(self, machine: Machine, index: int, value: int) -> None:
        """Give a local of the frame at the stop point another value (unsigned, floats by their
        bits). LookupError if the frame did not hand it over or the variant takes none back."""
        if machine.stopped_at is None or machine.probes is None or not machine.reloads:
            raise LookupError(index)
        task, captured = machine.stopped_at
        stops = machine.probes.modules[captured.module].stops
        slots = [
            slot
            for slot, known in enumerate(stops.captured(captured.stop))
            if known.kind == LOCAL and known.index == index
        ]
        if not slots:
            raise LookupError(index)
        captured.locals[index] = value
        self._edited.setdefault(task, self.slots)[slots[0]] = value
        task.answer = layout.PROBE_RELOAD

    def hand_over(self, machine: Machine, task: Task) -> None:
        """A task goes on: it reads what was changed from where its stop point wrote it."""
        if self._edited and task in self._edited and machine.probes is not None:
            machine.probes.put_slots(self._edited.pop(task))
