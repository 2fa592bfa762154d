"""One guest under control: the `Debugger` that front ends use, over a machine with stop points.

The machine is driven in slices that leave no trace in the run. At a stop the guest stands at a
stop point that it has reached, at a tick (somebody asked for a stop), or idle.
"""

from __future__ import annotations

import gc
import select
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from wdbg.debugger import monitor, rewind
from wdbg.debugger.approach import Approach
from wdbg.debugger.conditions import Conditions
from wdbg.debugger.levels import Keep, Level, Past, Rebuild
from wdbg.debugger.model import (
    Action,
    DebugError,
    Hit,
    Place,
    Resume,
    StopEvent,
    StopReason,
    WatchKind,
)
from wdbg.debugger.places import entry_of, stop_for
from wdbg.debugger.reading import Reading
from wdbg.debugger.stepping import Interrupts, Plan, ReturnTrap
from wdbg.debugger.values import write_global
from wdbg.debugger.view import View
from wdbg.debugger.watchpoints import VALUE_LIMIT, Touch, Watchpoint
from wdbg.errors import WdbgError
from wdbg.instrument.layout import ACCESS_WRITE
from wdbg.linux.image import Symbols
from wdbg.runtime.cpu import Cpu
from wdbg.runtime.journal import GlobalWrite, Hold, Intervention, LocalWrite, MemoryWrite, Position
from wdbg.runtime.machine import Machine
from wdbg.runtime.memory import GuestFault
from wdbg.runtime.probes import ProbedModule
from wdbg.runtime.stacks import read_stacks
from wdbg.runtime.stop import Stop, StopKind
from wdbg.runtime.task import Task
from wdbg.runtime.taskglobals import stack_pointer

SLICE_SECONDS = 0.01
"""Time between two looks at the clients, about: the number of ticks follows it, since a host call
takes thousands of times as long as a tick."""
LEAST_SLICE, MOST_SLICE = 1 << 8, 1 << 24
"""Ticks."""
WAIT_SECONDS = 0.05
"""Longest wait in `pump` for a client while no CPU may run."""

_LASTING = {
    StopKind.PANIC: StopReason.PANIC,
    StopKind.TRAP: StopReason.TRAP,
    StopKind.HANG: StopReason.HANG,
}
"""Ends of a run that can be looked at before the guest is gone."""
_CONTINUE = Action(Resume.CONTINUE)


class Session(Reading):
    """See `wdbg.debugger.model.Debugger` for the public methods."""

    def __init__(
        self,
        machine: Machine,
        symbols: Symbols | None = None,
        schedule: str = "",
        rebuild: Rebuild | None = None,
        level: Level = Level.DEBUG,
    ) -> None:
        """The machine must have stop points; it may be at its first instruction or anywhere.
        `symbols` are the kernel's, `schedule` says in words who runs next. `rebuild` brings the
        guest to where it stands in another build variant; without it that is not possible."""
        if machine.probes is None:
            raise DebugError("the guest runs without stop points")
        self.machine = machine
        self.schedule = schedule
        self.view = View(machine, symbols)
        self.conditions = Conditions()
        self._rebuild = rebuild
        self._level = level
        self._here: Position | None = None
        self._writing = False
        self.approach = Approach()
        self.keep: Keep | None = None
        """Told of the machine wherever a checkpoint would be of use."""
        self._kept = 0
        self.bringing = level
        """The level of the machine that is on its way to take over."""
        self.past = False
        """It is a copy that shows the past: what changes there is not for it to carry on."""
        self._slice = LEAST_SLICE
        self._traps = 0
        self._interrupts = Interrupts()
        self._skips: dict[int, tuple[int, int]] = {}
        self._hit: tuple[StopReason, Task, Place] | None = None
        self._queued: StopEvent | None = None
        self._pending: tuple[Mapping[int, Action], Action] | None = None
        self._interrupted = False
        self._wakers: Sequence[int] = ()
        self._adopt(machine)
        self._event = self._standing(StopReason.ATTACH)

    def _adopt(self, machine: Machine) -> None:
        """Take over a machine: the first one, or one that has been brought to the same place in
        another variant."""
        self.machine = self.view.machine = machine
        self.hook()
        machine.console.wake_on(self._wakers)
        self.probes.on_add = self.conditions.loaded
        self._traps = len(machine.traps)
        kernel, port = self.probes.modules[0], machine.abi.port
        names = [name for name in (port.irq_entry, port.user_irq_entry) if name]
        entries = [place for name in names if (place := entry_of(kernel, name)) is not None]
        stops = [stop_for(kernel, place.offset) for place in entries]
        self._interrupts.entries = frozenset(stops)
        self._forget()
        self.conditions.checks_accesses = self._level >= Level.WATCH
        self.conditions.adopt(machine)

    def hook(self) -> None:
        """Be the one whom the machine asks."""
        machine = self.machine
        machine.on_probe = self._on_probe
        machine.on_access = self._on_access
        machine.memory.on_write = self._on_host_write
        machine.pause_when_idle = True
        self.conditions.quiet = False

    def _forget(self) -> None:
        """The guest has moved: nothing that was read holds any more."""
        self._here = None
        self.view.forget()

    # ---- writing

    def set_local(self, tid: int, level: int, index: int, value: int) -> None:
        """See Debugger. The value is written when the guest goes on: the variant that takes it may
        have to be made first, and no client waits that long for an answer."""
        at = self.machine.stopped_at
        if level or at is None or at[0] is not self.view.task(tid):
            raise DebugError("only the innermost frame of the task that has stopped can be written")
        if self.view.value(tid, level, index, operand=False) is None:
            raise DebugError(f"local {index} is not available here")
        if self._level < Level.EDIT and self._rebuild is None and not self.past:
            raise DebugError("this guest cannot be brought to a variant with writable locals")
        self.view.edits[index] = value & 0xFFFF_FFFF_FFFF_FFFF

    def _write_locals(self) -> None:
        if self.view.edits:
            self._switch(Level.EDIT)
        for index, value in self.view.edits.items():
            entry = LocalWrite(self._position(), index, value)
            try:
                rewind.apply(self.machine, entry)
            except WdbgError as error:
                raise DebugError(str(error)) from None
            self._note(entry)
        self.view.edits.clear()

    def set_global(self, tid: int, module: int, index: int, value: int) -> None:
        """See Debugger."""
        task = self.view.task(tid)
        here = self._position()
        write_global(self.machine, task, module, index, value)
        self._note(GlobalWrite(here, task.pointer, module, index, value))

    def write_memory(self, address: int, data: bytes) -> None:
        """See Debugger."""
        memory = self.machine.memory
        try:
            memory.check(address, len(data))
        except GuestFault as fault:
            raise DebugError(str(fault)) from None
        here = self._position()
        self._writing = True
        try:
            memory.write(address, data)
        finally:
            self._writing = False
        self._note(MemoryWrite(here, address, data))
        self.view.forget_threads()

    def _note(self, entry: Intervention) -> None:
        """What a debugger does to the run belongs into its journal."""
        self.machine.note(entry)

    def _position(self) -> Position:
        """Where the guest stood at this stop before anybody wrote anything."""
        if self._here is None:
            self._here = rewind.position(self.machine)
        return self._here

    def _switch(self, level: Level) -> None:
        """Go on in a variant that can do more. DebugError if that does not succeed; the guest is
        as it was then."""
        if level <= self._level:
            return
        if self._rebuild is None:
            raise DebugError("this guest cannot be brought to another build variant")
        self.bringing = level
        try:
            machine = self._rebuild(self.machine, level.variant, self._position(), self.keep)
        except WdbgError as error:
            raise DebugError(f"cannot bring the guest to another variant: {error}") from None
        self._level = level
        self._adopt(machine)
        gc.collect()  # the old machine is a cycle, and its memory makes each fork slower

    def run_again(self, past: Past | None = None, position: Position | None = None) -> None:
        """Bring the guest to where it stands by running it again, so that `keep` sees all of it; or
        to a place of another past. DebugError if that does not succeed."""
        if self._rebuild is None:
            raise DebugError("this guest cannot be run again")
        self.bringing = self._level
        place = position or self._position()
        try:
            machine = self._rebuild(self.machine, self._level.variant, place, self.keep, past)
        except WdbgError as error:
            raise DebugError(f"cannot run the guest again: {error}") from None
        event = self._event
        self.take(machine, self._level)
        self._event = event
        gc.collect()

    def take(self, machine: Machine, level: Level) -> None:
        """Go on with another machine."""
        self._level = level
        self._kept = len(machine.journal.interventions)
        self._adopt(machine)

    # ---- stop conditions

    def add_breakpoint(self, place: Place, *, at_return: bool = False) -> None:
        """See Debugger. A place of a module that is not loaded yet waits for it."""
        if not at_return:
            self.conditions.add(place)
            return
        task = self.view.find(self._event.tid)
        if task is None or not 0 <= place.module < len(self.probes.modules):
            raise DebugError("no task is in that function")
        function = self.probes.modules[place.module].functions.at(max(0, place.offset - 1))
        captured = self.view.captured(task)
        for level, item in enumerate(captured[:-1]):
            module = self.probes.modules[item.module]
            here = module.functions.at(module.stops.places[item.stop])
            if item.module == place.module and here == function:
                caller = captured[level + 1]
                offset = self.probes.modules[caller.module].stops.places[caller.stop]
                left = len(captured) - level - 1
                trap = ReturnTrap(task.pointer, caller.module, caller.stop, offset, left)
                self.conditions.add_return(place, trap)
                return

    def remove_breakpoint(self, place: Place) -> None:
        """See Debugger."""
        self.conditions.remove(place)

    def add_watchpoint(self, kind: WatchKind, address: int, length: int) -> None:
        """See Debugger. The guest is brought to the same place in the variant with access checks
        when it goes on: that can take longer than a client waits for an answer."""
        if length <= 0:
            raise DebugError("a watchpoint needs at least one byte")
        try:
            self.machine.memory.check(address, length)
        except GuestFault as fault:
            raise DebugError(str(fault)) from None
        if self._level < Level.WATCH and self._rebuild is None:
            raise DebugError("this guest cannot be brought to a variant with access checks")
        self.conditions.watch(Watchpoint(kind, address, length))

    def remove_watchpoint(self, kind: WatchKind, address: int, length: int) -> None:
        """See Debugger."""
        self.conditions.unwatch(Watchpoint(kind, address, length))

    # ---- running

    def resume(self, actions: Mapping[int, Action], default: Action) -> None:
        """See Debugger."""
        if any(action.reverse for action in (*actions.values(), default)):
            raise DebugError("running backwards is not possible yet")
        machine = self.machine
        self._interrupted = False
        self._queued = None
        if machine.stop is not None:
            return
        self._queued = self._virtual(actions.get(self._event.tid, default))
        if self._queued is not None:
            return
        self._pending = actions, default

    def _go(self) -> None:
        """Carry a `resume` out."""
        assert self._pending is not None
        self._write_locals()
        if len(self.conditions.watchpoints):
            self._switch(Level.WATCH)
        self._plan(*self._pending)
        self._pending = None
        self.approach.begin()
        noted = len(self.machine.journal.interventions)
        if noted != self._kept:
            self._kept = noted
            if self.keep is not None:
                self.keep(self.machine, self._position())
        self._skips = self._still_to_come()
        self._interrupts.forget()
        self.conditions.start()
        self.view.virtual = None
        self._hit = None
        self._forget()

    def _still_to_come(self) -> dict[int, tuple[int, int]]:
        """Where the tasks stand that have been shown at a stop point without having passed it:
        at a tick, or in a call. They reach it next, and are not to stop there again."""
        machine = self.machine
        plans, event_task = self.conditions.plans, self.view.find(self._event.tid)
        shown = [t for t in machine.tasks.values() if t is event_task or t.pointer in plans]
        skips = {}
        for task in shown:
            if machine.stopped_at is None or machine.stopped_at[0] is not task:
                here = self.view.stands_at(task)
                if here is not None:
                    skips[task.pointer] = here
        return skips

    def _virtual(self, action: Action) -> StopEvent | None:
        """The next breakpoint in the segment where the event's task stands, which is reached
        without running."""
        task = self.view.find(self._event.tid)
        here = self.view.stands_at(task) if task is not None else None
        place = self._event.place
        if place is None or here is None or action.how is Resume.STOPPED:
            return None
        if place.module != here[0]:
            return None
        following = self.conditions.breakpoints.next(place, here[1])
        if self._event.reason is StopReason.MODULES:
            following = self.conditions.breakpoints.first(*here)
        if following is None:
            return None
        return StopEvent(StopReason.BREAKPOINT, self._event.tid, following, tick=self.machine.ticks)

    def _plan(self, actions: Mapping[int, Action], default: Action) -> None:
        plans = self.conditions.plans
        plans.clear()
        stopped = set()
        tids: Iterable[int] = actions  # reading all tasks takes longer than a step
        if default.how is not Resume.CONTINUE:
            tids = [thread.tid for thread in self.threads()]
        on_cpu = {cpu.task: cpu.number for cpu in self.machine.online()}
        for tid in tids:
            action, task = actions.get(tid, default), self.view.find(tid)
            if task is None or action.how is Resume.CONTINUE:
                continue
            if action.how is Resume.STOPPED:
                if task in on_cpu:
                    stopped.add(on_cpu[task])
                continue
            here = None
            if action.how is Resume.RANGE:
                here = self._event.place
                if tid != self._event.tid:
                    here = next((frame.place for frame in self.frames(tid)), None)
            plan = Plan.of(action, here)
            if plan is not None:
                plans[task.pointer] = plan
        self._hold(frozenset(stopped))

    def _hold(self, cpus: frozenset[int]) -> None:
        """Keep CPUs from running: an intervention, so it goes into the journal."""
        machine = self.machine
        if cpus != machine.held and machine.stop is None:
            entry = Hold(self._position(), cpus)
            machine.hold(cpus)
            self._note(entry)

    def _on_probe(self, cpu: Cpu, task: Task, module: ProbedModule, stop: int) -> bool:
        """The machine's question at an armed stop point: is it to stop there?"""
        if self.approach.arrives(self.machine, task, module, stop):
            self._hit = (StopReason.HISTORY, task, Place(module.number, module.stops.places[stop]))
            return True
        if self._skips and self._skips.pop(task.pointer, None) == (module.number, stop):
            return False
        place = Place(module.number, module.stops.places[stop])
        touch = self.conditions.touch
        if touch is not None and touch[0] in (None, task):
            self._hit = (StopReason.WATCHPOINT, task, place)
            return True
        if self.conditions.is_new(module):
            self.conditions.greet()
            self._hit = (StopReason.MODULES, task, place)
            return True
        if self.conditions.is_trap(module.number, stop) and self._new_trap():
            self._hit = (StopReason.TRAP, task, place)
            return True
        wanted = self.conditions.breakpoints.first(module.number, stop)
        if wanted is not None:
            self._hit = (StopReason.BREAKPOINT, task, wanted)
            return True
        for trap in self.conditions.returns.values():
            there = trap.task, trap.module, trap.stop
            if there == (task.pointer, module.number, stop) and self._back(task, trap):
                self._hit = (StopReason.STEP, task, place)
                return True
        plan = self.conditions.plans.get(task.pointer)
        if plan is None or self._interrupts.cover(
            task.pointer, module.number, stop, lambda: stack_pointer(task, 0)
        ):
            return False
        if plan.ends_at(place):
            self._hit = (StopReason.STEP, task, place)
            return True
        return False

    def _new_trap(self) -> bool:
        """Code of the kernel has trapped since the last time."""
        known, self._traps = self._traps, len(self.machine.traps)
        return self._traps > known

    def _on_access(self, task: Task, address: int, length: int, bits: int) -> None:
        """Guest code is about to touch a watched granule."""
        self._touched(task, address, length, bits, by_host=False)

    def _on_host_write(self, address: int, length: int) -> None:
        """The host is about to write guest memory."""
        if not self._writing and len(self.conditions.watchpoints):
            self._touched(None, address, length, ACCESS_WRITE, by_host=True)

    def _touched(
        self, task: Task | None, address: int, length: int, bits: int, *, by_host: bool
    ) -> None:
        if self.conditions.touch is not None:
            return
        found = self.conditions.watchpoints.first(address, length, bits)
        if found is None:
            return
        old = self.machine.memory.read(found.address, min(found.length, VALUE_LIMIT))
        touch = Touch(found, max(address, found.address), old, by_host)
        self.conditions.touched(task, touch)

    def _touch_hit(self) -> Hit | None:
        """The watchpoint's hit that this stop is for."""
        if self.conditions.touch is None:
            return None
        touch = self.conditions.touch[1]
        watchpoint = touch.watchpoint
        new = self.machine.memory.read(watchpoint.address, len(touch.old))
        return Hit(
            watchpoint.kind, watchpoint.address, watchpoint.length, touch.accessed, touch.old,
            new, touch.by_host,
        )  # fmt: skip

    def _back(self, task: Task, trap: ReturnTrap) -> bool:
        """The call that a trap waits for has returned (not a deeper one of the same function)."""
        machine = self.machine
        machine.stopped_at = task, self.probes.capture(machine.mailbox.argument(0))
        below = read_stacks(machine, [task])[task.pointer]
        machine.stopped_at = None
        return len(below) <= trap.frames

    def pump(self) -> StopEvent | None:
        """See Debugger."""
        machine = self.machine
        if self._queued is not None:
            event, self._queued = self._queued, None
            return self._reported(event)
        if self._event.reason in _LASTING.values() and machine.stop is not None:
            return self._stopped(self._exited(machine.stop))
        if self._interrupted and self._pending is not None:  # it has not moved
            return self._reported(replace(self._event, reason=StopReason.INTERRUPT, hit=None))
        if self._interrupted:
            return self._stopped(self._standing(StopReason.INTERRUPT))
        if self._pending is not None:
            try:
                self._go()
            except DebugError as error:
                self._pending = None
                event = self._standing(StopReason.INTERRUPT)
                return self._stopped(replace(event, message=str(error)))
            machine = self.machine
        deadline = time.monotonic() + SLICE_SECONDS
        while True:
            before, started = machine.moment(), time.monotonic()
            stop = self.approach.run(machine, self.conditions, self._slice)
            ended = time.monotonic()
            if self._hit is None and self.approach.is_there(machine):
                return self._stopped(self._standing(StopReason.HISTORY))
            if stop is not None:
                return self._stopped(self._ended(stop))
            if self._hit is not None:
                reason, task, place = self._hit
                self._hit = None
                self._forget()
                tid = self.view.threads.tid(machine, task)
                hit = self._touch_hit() if reason is StopReason.WATCHPOINT else None
                message = machine.traps[-1].message if reason is StopReason.TRAP else ""
                event = StopEvent(reason, tid, place, hit, message, tick=machine.ticks)
                return self._stopped(event)
            if machine.moment() == before:  # it waits for a CPU that is held
                select.select(self._wakers, [], [], WAIT_SECONDS)
                return None
            if machine.ticks - before.ticks >= self._slice:  # it did not go idle
                slow = ended - started > SLICE_SECONDS
                self._slice = self._slice // 2 if slow else self._slice * 2
                self._slice = min(max(self._slice, LEAST_SLICE), MOST_SLICE)
            if ended >= deadline or machine.console.interactive:
                return None

    def _stopped(self, event: StopEvent) -> StopEvent:
        # CPUs that are held stay so until it is known what comes next: a client that steps with
        # the others held does so again and again, and each change costs a look at all memory.
        self.conditions.extra = None
        self.conditions.end()
        self._forget()
        self.view.edits.clear()
        if self.machine.tracer is not None:
            self.machine.tracer.trigger(event.reason.value)
        return self._reported(event)

    def _reported(self, event: StopEvent) -> StopEvent:
        """A stop that front ends are told of, perhaps without the guest having moved."""
        self._pending = None
        self._event = event
        self.view.virtual = (event.tid, event.place) if event.place is not None else None
        self._interrupted = False
        return event

    def _standing(self, reason: StopReason) -> StopEvent:
        """A stop between two slices: the task whose turn it is, or an idle one."""
        self._forget()
        self.view.virtual = None
        machine = self.machine
        task = machine.running
        on_cpu = {cpu.task.pointer: cpu for cpu in machine.online() if cpu.task is not None}
        cpu = on_cpu.get(task.pointer) if task is not None else None
        if cpu is None or (not cpu.ready and not machine.idle()):
            cpu = next((c for c in machine.online() if c.ready), None)
            cpu = cpu or next(iter(machine.online()), None)
        task = cpu.task if cpu is not None else task
        tid = self.view.threads.tid(machine, task) if task is not None else 0
        frames = self.frames(tid) if tid else ()
        return StopEvent(reason, tid, frames[0].place if frames else None, tick=machine.ticks)

    def stand(self) -> None:
        """The machine was brought somewhere by other means: that is where it stands now."""
        self._event = self._standing(StopReason.ATTACH)

    def _ended(self, stop: Stop) -> StopEvent:
        reason = _LASTING.get(stop.kind)
        if reason is None:
            return self._exited(stop)
        event = self._standing(reason)
        return StopEvent(reason, event.tid, event.place, message=stop.message, tick=event.tick)

    def _exited(self, stop: Stop) -> StopEvent:
        status = stop.exit_code if stop.exit_code is not None else int(stop.kind in _LASTING)
        message = f"{stop.kind.value}: {stop.message}" if stop.message else stop.kind.value
        return StopEvent(
            StopReason.EXITED, 0, message=message, exit_status=status, tick=self.machine.ticks
        )

    def wake_on(self, fds: Sequence[int]) -> None:
        """See Debugger."""
        self._wakers = tuple(fds)
        self.machine.console.wake_on(fds)

    def interrupt(self) -> None:
        """See Debugger."""
        self._interrupted = True

    def monitor(self, command: str) -> str:
        """See Debugger."""
        return monitor.run(self, command)

    def detach(self) -> None:
        """See Debugger."""
        self.conditions.clear()
        self.resume({}, _CONTINUE)

    def kill(self) -> None:
        """See Debugger."""
        self.machine.request_stop(Stop(StopKind.INTERRUPTED, "killed by a debugger"))
        self._queued = self._pending = None
        self._interrupted = False
        self._event = StopEvent(StopReason.INTERRUPT, self._event.tid)
