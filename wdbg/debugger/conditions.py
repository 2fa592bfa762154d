"""Where and when the guest is to stop, and the bytes in its debug memory that say so."""

from __future__ import annotations

from dataclasses import replace

from wdbg.debugger.breakpoints import Breakpoints
from wdbg.debugger.model import DebugError, Place
from wdbg.debugger.places import entry_of, stop_for
from wdbg.debugger.stepping import Plan, ReturnTrap
from wdbg.debugger.watchpoints import Touch, Watchpoint, Watchpoints
from wdbg.runtime.machine import Machine
from wdbg.runtime.probes import ProbedModule, Probes
from wdbg.runtime.task import Task

TRAP_FUNCTION = "raise_exception"
"""What the host calls in the kernel for a task that has trapped (docs/host-interface.md)."""


class Conditions:
    """Breakpoints, watchpoints and the steps of one guest. Bytes are written when something
    changes; everything is armed only while a task that steps has its turn, so that the others
    do not slow down."""

    def __init__(self) -> None:
        self._machine: Machine
        self.breakpoints = Breakpoints()
        self.returns: dict[Place, ReturnTrap] = {}
        self.watchpoints = Watchpoints()
        self.plans: dict[int, Plan] = {}
        """Steps by the address of the task."""
        self.touch: tuple[Task | None, Touch] | None = None
        """An access of watched memory whose task (None: any) has not come to a stop point yet."""
        self.checks_accesses = False
        """The machine is of a variant that looks at each access of memory."""
        self.quiet = False
        """Nobody is to be told of programs that the guest loads."""
        self.extra: tuple[int, int] | None = None
        """One more stop point at which the guest is to park."""
        self._all = False
        self._new: set[int] = set()
        self._always: set[tuple[int, int]] = set()

    def adopt(self, machine: Machine) -> None:
        """Bring all to a machine; stop points have other numbers in another variant."""
        self._machine = machine
        self.breakpoints.forget_stops(self.locate)
        for place, trap in self.returns.items():
            stop = stop_for(self._probes.modules[trap.module], trap.offset)
            self.returns[place] = replace(trap, stop=stop)
        told = entry_of(self._probes.modules[0], TRAP_FUNCTION)
        number = self.locate(told) if told is not None else None
        self._always = {(0, number)} if number is not None else set()
        self.arm()
        self.mark()

    def is_trap(self, module: int, stop: int) -> bool:
        """The stop point is where the kernel learns of a trap."""
        return (module, stop) in self._always

    @property
    def _probes(self) -> Probes:
        assert self._machine.probes is not None
        return self._machine.probes

    # ---- breakpoints

    def locate(self, place: Place) -> int | None:
        """The stop point of a place, None while its module is not loaded. DebugError for what is
        no code."""
        if place.module < 0:
            raise DebugError(f"there is no module {place.module}")
        if place.module >= len(self._probes.modules):
            return None
        return stop_for(self._probes.modules[place.module], place.offset)

    def add(self, place: Place) -> None:
        """Stop at a place. DebugError for what is no code."""
        stop = self.locate(place)
        self.breakpoints.add(place, stop)
        if stop is not None:
            self._probes.modules[place.module].arm(stop)

    def add_return(self, place: Place, trap: ReturnTrap) -> None:
        """Stop when a call returns; `place` is the end of its function."""
        self.returns[place] = trap
        self._probes.modules[trap.module].arm(trap.stop)

    def remove(self, place: Place) -> None:
        """Undo one of these."""
        trap = self.returns.pop(place, None)
        stop = (trap.module, trap.stop) if trap is not None else self.breakpoints.remove(place)
        if stop is not None and not self._needed(*stop):
            self._probes.modules[stop[0]].arm(stop[1], 0)

    def _needed(self, module: int, stop: int) -> bool:
        return (
            (module, stop) in self._always
            or (module, stop) == self.extra
            or self.breakpoints.first(module, stop) is not None
            or any((trap.module, trap.stop) == (module, stop) for trap in self.returns.values())
        )

    def loaded(self, module: ProbedModule) -> None:
        """The guest has loaded a program: what waits for it is resolved, and all of its stop
        points are armed, so that the guest stops at the first one."""
        for place in self.breakpoints.pending(module.number):
            try:
                self.breakpoints.resolve(place, stop_for(module, place.offset))
            except DebugError:
                continue  # the file has changed meanwhile: no code there
        if self.quiet:
            self.arm_all() if self._all else self.arm()
            return
        self._new.add(module.number)
        module.fill(1)

    def is_new(self, module: ProbedModule) -> bool:
        """A program that nobody has been told of."""
        return module.number in self._new

    def greet(self) -> None:
        """Everybody is told of all programs now."""
        self._new.clear()
        self.arm()

    # ---- watchpoints

    def watch(self, watchpoint: Watchpoint) -> None:
        """Watch a range."""
        self.watchpoints.add(watchpoint)
        self.mark()

    def unwatch(self, watchpoint: Watchpoint) -> None:
        """Undo it."""
        if self.watchpoints.remove(watchpoint):
            if self.checks_accesses:
                self._probes.watch(watchpoint.address, watchpoint.length, 0)
            self.mark()

    def mark(self) -> None:
        """Tell the guest's code which granules of memory are watched."""
        if self.checks_accesses:
            for watchpoint in self.watchpoints:
                self._probes.watch(watchpoint.address, watchpoint.length, 1)

    def touched(self, task: Task | None, touch: Touch) -> None:
        """Watched memory is about to be accessed: stop at the next stop point."""
        self.touch = task, touch
        self.arm_all()
        self._machine.on_turn = self._on_turn

    # ---- arming

    def arm(self) -> None:
        """Write all bytes anew."""
        probes = self._probes
        probes.fill(0)
        extra = () if self.extra is None else (self.extra,)
        for module, stop in (*self._always, *extra, *self.breakpoints.stops()):
            probes.modules[module].arm(stop)
        for trap in self.returns.values():
            probes.modules[trap.module].arm(trap.stop)
        for number in self._new:
            probes.modules[number].fill(1)
        self._all = False

    @property
    def all_armed(self) -> bool:
        """Tasks park at every stop point."""
        return self._all

    def arm_all(self) -> None:
        """Have tasks park at every stop point."""
        self._probes.fill(1)
        self._all = True

    def start(self) -> None:
        """The guest goes on, with `plans`."""
        self.touch = None
        self._machine.on_turn = self._on_turn if self.plans else None
        if self._all:
            self.arm()

    def end(self) -> None:
        """The guest has stopped: no task steps any more."""
        self.plans.clear()
        self.touch = None
        self._machine.on_turn = None
        if self._all:
            self.arm()

    def _on_turn(self, task: Task) -> None:
        stepping = task.pointer in self.plans or self.touch is not None
        if stepping and not self._all:
            self.arm_all()
        elif self._all and not stepping:
            self.arm()

    def clear(self) -> None:
        """Forget all of them."""
        self.breakpoints.clear()
        self.returns.clear()
        for watchpoint in self.watchpoints:
            if self.checks_accesses:
                self._probes.watch(watchpoint.address, watchpoint.length, 0)
        self.watchpoints.clear()
        self.arm()
