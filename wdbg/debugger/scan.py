"""Looking for the last thing that happened before a place: the run is done again up to there, and
nothing stops it. Runs in a copy of a checkpoint.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wdbg.debugger.bounds import Bound
from wdbg.debugger.stepping import Plan
from wdbg.debugger.watchpoints import VALUE_LIMIT, Watchpoint
from wdbg.instrument.layout import ACCESS_WRITE
from wdbg.runtime.cpu import Cpu
from wdbg.runtime.probes import ProbedModule
from wdbg.runtime.task import Task
from wdbg.runtime.taskglobals import stack_pointer

if TYPE_CHECKING:
    from wdbg.debugger.session import Session

_SLICE_TICKS = 1 << 22
_SLICE_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Filter:
    """A stop point counts only if a local has a value within [low, high) there."""

    local: int
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Access:
    """An access of watched memory."""

    tick: int
    number: int
    """Counted from 1 since the tick."""
    task: int
    watchpoint: Watchpoint
    accessed: int
    old: bytes
    by_host: bool


@dataclass(frozen=True, slots=True)
class Found:
    """What a scan has seen before its bound."""

    hits: int
    """Stop points that counted."""
    tick: int
    """Of the last one."""
    access: Access | None
    """The last access, if it came after the last stop point that counted."""
    which: int = 1
    """The bound's arrival, of those that look the same."""
    ambiguous: bool = False
    """Several arrivals look like the bound: ask again with its fingerprint."""
    here: bool = False
    """No hit, but the place where the window begins is one itself."""
    missed: bool = False
    """The run did not come to the bound."""


class Scan:
    """One scan. With `stop_at` the machine stops at the hit of that number."""

    def __init__(
        self, session: Session, bound: Bound, task: int, *, cover: bool, stop_at: int = 0,
        filters: dict[tuple[int, int], Filter] | None = None,
    ) -> None:  # fmt: skip
        """`task` 0: breakpoints and watchpoints count; else every stop point of that task, but for
        interrupts if `cover`."""
        self._session = session
        self._bound = bound
        self._task = task
        self._cover = cover
        self._stop_at = stop_at
        self._filters = filters or {}
        self._hits = self._tick = 0
        self._access: Access | None = None
        self._at_tick = self._accesses = 0
        self._marks: list[Found] = []
        self._near = False
        self.arrived: tuple[Task, ProbedModule, int] | None = None
        machine = session.machine
        conditions = session.conditions
        conditions.quiet = True
        conditions.plans = {task: Plan()} if task else {}
        session._interrupts.forget()
        conditions.start()
        machine.on_probe = self._on_probe
        machine.on_access = self._on_access
        machine.memory.on_write = self._on_host_write
        machine.pause_when_idle = False

    def slice(self) -> Found | None:
        """Some milliseconds of it; what was found once it is over."""
        machine, bound = self._session.machine, self._bound
        deadline = time.monotonic() + _SLICE_SECONDS
        ticks = bound.moment.ticks
        while time.monotonic() < deadline:
            if self.arrived is not None or machine.stop is not None:
                return self._over()
            if bound.access and self._marks:
                return self._over()
            if machine.ticks < ticks:
                machine.run(until=min(ticks, machine.ticks + _SLICE_TICKS))
                continue
            if bound.place is not None or bound.access:
                if not self._near:
                    self._near = True
                    self._arm()
                if machine.ticks > ticks:
                    return self._over()
                machine.run(until=ticks + 1)
            elif bound.ended:
                machine.run(until=machine.ticks + _SLICE_TICKS)
            elif (machine.quanta, machine.skipped) < (bound.moment.quanta, bound.moment.skipped):
                machine.run_to(bound.moment.quanta, bound.moment.skipped)
            else:
                return self._over()
        return None

    def _arm(self) -> None:
        """The bound's stop point counts from here on."""
        place = self._bound.place
        modules = self._session.probes.modules
        if place is not None and place[0] < len(modules):
            stop = modules[place[0]].stops.at(place[1])
            if stop is not None:
                self._session.conditions.extra = (place[0], stop)
                if not self._session.conditions.all_armed:
                    modules[place[0]].arm(stop)

    def _found(self) -> Found:
        return Found(self._hits, self._tick, self._access)

    def _over(self) -> Found:
        conditions = self._session.conditions
        conditions.extra = None
        conditions.end()
        bound = self._bound
        if self.arrived is not None:
            return self._found()
        if bound.place is None and not bound.access:
            return self._found()
        if not self._marks:
            return Found(0, 0, None, missed=True)
        if len(self._marks) > 1 and bound.which == 1 and not bound.memory:
            return Found(0, 0, None, ambiguous=True)
        if len(self._marks) < bound.which:
            return Found(0, 0, None, missed=True)
        return self._marks[bound.which - 1]

    def _on_probe(self, _cpu: Cpu, task: Task, module: ProbedModule, stop: int) -> bool:
        session = self._session
        machine = session.machine
        place = (module.number, module.stops.places[stop])
        if self._near and self._bound.looks(machine, task, place):
            self._marks.append(self._found())
        if self._task:
            if task.pointer != self._task:
                return False
            if self._cover and session._interrupts.cover(
                task.pointer, module.number, stop, lambda: stack_pointer(task, 0)
            ):
                return False
        elif not self._counts(module.number, stop, place):
            return False
        self._hits += 1
        self._tick = machine.ticks
        self._access = None
        if self._hits != self._stop_at:
            return False
        self.arrived = task, module, stop
        return True

    def _counts(self, module: int, stop: int, place: tuple[int, int]) -> bool:
        """A breakpoint is there, and its filter lets it pass."""
        if self._session.conditions.breakpoints.first(module, stop) is None:
            return False
        wanted = self._filters.get(place)
        if wanted is None:
            return True
        machine = self._session.machine
        captured = self._session.probes.capture(machine.mailbox.argument(0))
        value = captured.locals.get(wanted.local)
        return value is not None and wanted.low <= value < wanted.high

    def _on_access(self, task: Task, address: int, length: int, bits: int) -> None:
        self._touched(task, address, length, bits, by_host=False)

    def _on_host_write(self, address: int, length: int) -> None:
        if len(self._session.conditions.watchpoints):
            running = self._session.machine.running
            self._touched(running, address, length, ACCESS_WRITE, by_host=True)

    def _touched(
        self, task: Task | None, address: int, length: int, bits: int, *, by_host: bool
    ) -> None:
        machine = self._session.machine
        found = self._session.conditions.watchpoints.first(address, length, bits)
        if found is None or task is None:
            return
        if machine.ticks != self._at_tick:
            self._at_tick, self._accesses = machine.ticks, 0
        self._accesses += 1
        bound = self._bound
        if bound.access and machine.ticks == bound.moment.ticks:
            if self._accesses == bound.access:
                self._marks.append(self._found())
                machine.pause()
            return
        if self._task:
            return
        old = machine.memory.read(found.address, min(found.length, VALUE_LIMIT))
        self._access = Access(
            machine.ticks, self._accesses, task.pointer, found, max(address, found.address), old,
            by_host,
        )  # fmt: skip
