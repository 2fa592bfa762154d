"""Running forward to a place that is known, with stops on the way, and not beyond it."""

from __future__ import annotations

from wdbg.debugger.bounds import Bound
from wdbg.debugger.conditions import Conditions
from wdbg.runtime.machine import Machine
from wdbg.runtime.probes import ProbedModule
from wdbg.runtime.stop import Stop
from wdbg.runtime.task import Task


class Approach:
    """Of one session. Without a bound it just runs."""

    def __init__(self) -> None:
        self.bound: Bound | None = None
        self._near = False
        """The bound is in the present tick."""
        self._matches = 0
        """Arrivals in it that look like the bound."""

    def begin(self) -> None:
        """The guest goes on."""
        self._near, self._matches = False, 0

    def run(self, machine: Machine, conditions: Conditions, most: int) -> Stop | None:
        """Run for some ticks at most."""
        bound = self.bound
        until = machine.ticks + most
        if bound is None or bound.ended:
            return machine.run(until=until)
        if bound.time:  # idle time passes between ticks: `is_there` looks after each piece of it
            left = (bound.time - machine.now() - 1) // (machine.ns_per_tick or 1) + 1
            return machine.run(until=min(until, machine.ticks + max(1, left)))
        moment = bound.moment
        if machine.ticks < moment.ticks:
            return machine.run(until=min(until, moment.ticks))
        if bound.place is None:
            if (machine.quanta, machine.skipped) < (moment.quanta, moment.skipped):
                return machine.run_to(moment.quanta, moment.skipped)
            return machine.stop
        if not self._near:
            self._near = True
            assert machine.probes is not None
            modules = machine.probes.modules
            if bound.place[0] < len(modules):
                stop = modules[bound.place[0]].stops.at(bound.place[1])
                conditions.extra = None if stop is None else (bound.place[0], stop)
            if not conditions.all_armed:
                conditions.arm()
        return machine.run(until=moment.ticks + 1)

    def arrives(self, machine: Machine, task: Task, module: ProbedModule, stop: int) -> bool:
        """Whether a task that has parked at a stop point is at the bound."""
        if not self._near or self.bound is None:
            return False
        if self.bound.looks(machine, task, (module.number, module.stops.places[stop])):
            self._matches += 1
            return self._matches == self.bound.which
        return False

    def is_there(self, machine: Machine) -> bool:
        """The machine has come to the bound between stop points, or by mistake beyond it."""
        bound = self.bound
        if bound is None:
            return False
        if bound.ended:
            return machine.stop is not None
        if bound.time:
            return machine.now() >= bound.time
        if bound.place is not None:
            return machine.ticks > bound.moment.ticks
        here, there = machine.moment(), bound.moment
        return here.ticks >= there.ticks and (here.quanta, here.skipped) >= (
            there.quanta,
            there.skipped,
        )
