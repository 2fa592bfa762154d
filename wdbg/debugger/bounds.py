"""Places in a run that another machine, which does the same run, can recognize."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from wdbg.debugger.rewind import fingerprint
from wdbg.runtime.journal import Moment, Position
from wdbg.runtime.machine import Machine
from wdbg.runtime.probes import Captured
from wdbg.runtime.task import Task


@dataclass(frozen=True, slots=True)
class Bound:
    """A place between two instructions of a run: at a tick, between quanta, at a stop point, before
    an access of watched memory, or where the run ends."""

    moment: Moment
    ended: bool = False
    """Where the run ends."""
    place: tuple[int, int] | None = None
    """(module, original code offset) of the stop point at which a task has parked."""
    task: int = 0
    """Address of its task_struct; 0: any."""
    frame: str = ""
    """Digest of its frame there; "": any."""
    memory: str = ""
    """Fingerprint of history and memory, where the rest does not tell; "": any."""
    which: int = 1
    """The arrival that is meant, of those within the tick that look the same."""
    access: int = 0
    """Before the access of watched memory of this number, counted from 1 since the tick."""
    time: int = 0
    """If not 0: where the clock (virtual ns) is there or beyond for the first time; nothing else
    of it counts then."""

    @classmethod
    def of(cls, machine: Machine) -> Bound:
        """Where a machine stands."""
        at = machine.stopped_at
        if machine.changed is not None:
            return cls.of_position(machine.changed)  # how it looked when the run came here
        if machine.stop is not None or at is None or machine.probes is None:
            return cls(machine.moment(), machine.stop is not None)
        module = machine.probes.modules[at[1].module]
        place = (module.number, module.stops.places[at[1].stop])
        return cls(machine.moment(), False, place, at[0].pointer, digest(at[1]))

    @classmethod
    def of_position(cls, position: Position) -> Bound:
        """Where a journal says that something was done."""
        return cls(
            position.moment, False, position.place, memory=position.fingerprint,
            which=1 if position.fingerprint else max(1, position.occurrence),
        )  # fmt: skip

    def looks(self, machine: Machine, task: Task, place: tuple[int, int]) -> bool:
        """Whether a task that has just parked at an armed stop point seems to be there."""
        if place != self.place or (self.task and task.pointer != self.task):
            return False
        if machine.ticks != self.moment.ticks or machine.probes is None:
            return False
        if not self.frame and not self.memory:
            return True
        captured = machine.probes.capture(machine.mailbox.argument(0))
        if self.frame and digest(captured) != self.frame:
            return False
        return not self.memory or memory_of(machine, task, captured) == self.memory


def digest(captured: Captured) -> str:
    """What tells a frame from others at the same stop point."""
    text = f"{sorted(captured.locals.items())} {captured.result}"
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def memory_of(machine: Machine, task: Task, captured: Captured) -> str:
    """The fingerprint of a machine whose task has just parked at a stop point."""
    before = machine.stopped_at
    machine.stopped_at = task, captured
    try:
        return fingerprint(machine)
    finally:
        machine.stopped_at = before
