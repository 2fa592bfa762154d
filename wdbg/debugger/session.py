"""One guest under control: the `Debugger` that front ends use, over a machine with stop points.

The machine is driven in slices that leave no trace in the run. At a stop the guest stands at a
stop point that it has reached, at a tick (somebody asked for a stop), or idle.
"""

from __future__ import annotations

import enum
import select
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from wdbg.debugger import monitor, rewind
from wdbg.debugger.breakpoints import Breakpoints
from wdbg.debugger.model import (
    Action,
    DebugError,
    Frame,
    Hit,
    ModuleInfo,
    Place,
    Resume,
    StopEvent,
    StopReason,
    Thread,
    WatchKind,
)
from wdbg.debugger.places import build_frames, entry_of, module_info, stop_for
from wdbg.debugger.stepping import Plan, ReturnTrap
from wdbg.debugger.threads import Threads
from wdbg.debugger.values import global_item, write_global
from wdbg.debugger.watchpoints import VALUE_LIMIT, Touch, Watchpoint, Watchpoints
from wdbg.errors import WdbgError
from wdbg.instrument.layout import ACCESS_WRITE, STACK_POINTER_EXPORT
from wdbg.linux.dmesg import read_log
from wdbg.linux.image import Corrupt, Image, Symbols, Unknown
from wdbg.linux.tasks import TaskTable
from wdbg.runtime.cpu import Cpu
from wdbg.runtime.journal import GlobalWrite, Hold, LocalWrite, MemoryWrite, Position
from wdbg.runtime.machine import Machine
from wdbg.runtime.memory import GuestFault
from wdbg.runtime.probes import Captured, ProbedModule, Probes
from wdbg.runtime.stacks import read_stacks
from wdbg.runtime.stop import Stop, StopKind
from wdbg.runtime.task import Phase, Task

SLICE_TICKS = 1 << 20
"""Ticks between two looks at the clients: some milliseconds."""
SLICE_SECONDS = 0.01
WAIT_SECONDS = 0.05
READ_LIMIT = 64 << 20
"""Bytes that one read of memory returns at most."""

_LASTING = {
    StopKind.PANIC: StopReason.PANIC,
    StopKind.TRAP: StopReason.TRAP,
    StopKind.HANG: StopReason.HANG,
}
"""Ends of a run that can be looked at before the guest is gone."""
_CONTINUE = Action(Resume.CONTINUE)

Rebuild = Callable[[Machine, str, Position], Machine]
"""(machine, name of a variant, where the machine stands) -> a machine that stands there."""


class Level(enum.IntEnum):
    """What the variant that runs can do, each more than the one before."""

    DEBUG = 0
    """Stop points."""
    WATCH = 1
    """Watchpoints."""
    EDIT = 2
    """Locals can be written."""

    @property
    def value_name(self) -> str:
        """The variant's name."""
        return self.name.lower()


class Session:
    """See `wdbg.debugger.model.Debugger` for the public methods."""

    def __init__(
        self,
        machine: Machine,
        symbols: Symbols | None = None,
        schedule: str = "",
        rebuild: Rebuild | None = None,
    ) -> None:
        """The machine must have stop points; it may be at its first instruction or anywhere.
        `symbols` are the kernel's, `schedule` says in words who runs next. `rebuild` brings the
        guest to where it stands in another build variant; without it that is not possible."""
        self.machine = machine
        self.schedule = schedule
        self._rebuild = rebuild
        self._variant = Level.DEBUG
        self.watchpoints = Watchpoints()
        self._touch: tuple[Task | None, Touch] | None = None
        self._writing = False
        self._here: Position | None = None
        self._edits: dict[int, int] = {}
        self.image = Image(self._read, symbols) if symbols is not None else None
        self.breakpoints = Breakpoints()
        self._threads = Threads(TaskTable(self.image) if self.image is not None else None)
        self._stacks: dict[int, list[Captured]] = {}
        self._returns: dict[Place, ReturnTrap] = {}
        self._plans: dict[int, Plan] = {}
        self._stepping_armed = False
        self._greeted = 0
        self._skips: dict[int, tuple[int, int]] = {}
        self._hit: tuple[StopReason, Task, Place] | None = None
        self._place: Place | None = None
        self._queued: StopEvent | None = None
        self._pending: tuple[Mapping[int, Action], Action] | None = None
        self._interrupted = False
        self._wakers: Sequence[int] = ()
        self._event = StopEvent(StopReason.ATTACH, 0)
        self.adopt(machine)

    def adopt(self, machine: Machine) -> None:
        """Take over a machine: the first one, or one that has been brought to the same place in
        another variant."""
        if machine.probes is None:
            raise DebugError("the guest runs without stop points")
        old = self.machine
        self.machine = machine
        machine.on_probe = self._on_probe
        machine.on_access = self._on_access
        machine.memory.on_write = self._on_host_write
        self.probes.on_add = self._module_added
        machine.pause_when_idle = True
        machine.console.wake_on(self._wakers)
        self._greeted = len(self.probes.modules)
        self._forget()
        if old is not machine:  # stop points have other numbers in another variant
            self.breakpoints.forget_stops(self._locate)
            for place, trap in self._returns.items():
                stop = stop_for(self.probes.modules[trap.module], trap.offset)
                self._returns[place] = replace(trap, stop=stop)
        self._arm()
        self._mark()
        if old is machine:
            self._event = self._standing(StopReason.ATTACH)

    @property
    def probes(self) -> Probes:
        """The stop points."""
        assert self.machine.probes is not None
        return self.machine.probes

    def _read(self, address: int, length: int) -> bytes:
        return self.machine.memory.read(address, length)

    def _forget(self) -> None:
        """The guest has moved: nothing that was read holds any more."""
        self._here = None
        self._stacks.clear()
        self._threads.forget()

    # ---- standing still

    def stop_event(self) -> StopEvent:
        """See Debugger."""
        return self._event

    def threads(self) -> Sequence[Thread]:
        """See Debugger."""
        return self._threads.all(self.machine)

    def thread(self, tid: int) -> Thread | None:
        """See Debugger."""
        return next((thread for thread in self.threads() if thread.tid == tid), None)

    def modules(self) -> Sequence[ModuleInfo]:
        """See Debugger."""
        return tuple(map(module_info, self.probes.modules))

    def _task(self, tid: int) -> Task:
        task = self._threads.task(self.machine, tid)
        if task is None:
            raise DebugError(f"there is no thread {tid}")
        return task

    def _captured(self, task: Task) -> list[Captured]:
        """A task's frames; the event task's alone come cheaper than all."""
        found = self._stacks.get(task.pointer)
        if found is None:
            wanted = [task]
            if self._stacks:
                done = self._stacks
                wanted = [t for t in self.machine.tasks.values() if t.pointer not in done]
            self._stacks.update(read_stacks(self.machine, wanted))
            found = self._stacks.get(task.pointer, [])
        return found

    def frames(self, tid: int) -> Sequence[Frame]:
        """See Debugger."""
        try:
            task = self._task(tid)
        except DebugError:
            return ()
        captured = self._captured(task)
        if not captured:
            return self._first_frame(task)
        pointers = {}
        for module in {item.module for item in captured}:
            pointer = self._stack_pointer(task, module)
            if pointer is not None:
                pointers[module] = pointer
        frames = build_frames(self.probes.modules, captured, pointers)
        place = self._place
        if place is not None and tid == self._event.tid and frames[0].place.module == place.module:
            inner = frames[0]
            virtual = Frame(
                0, place, inner.function, inner.function_start, inner.depth, inner.stack_pointer
            )
            return (virtual, *frames[1:])
        return frames

    def _first_frame(self, task: Task) -> Sequence[Frame]:
        """A task that has not run yet stands at the start of its first function."""
        if not task.fresh or task.phase not in (Phase.CPU, Phase.KERNEL):
            return ()
        name = "ret_from_fork"
        if task.phase is Phase.CPU:
            name = "_start" if task.name.endswith("/0") else "_start_secondary"
        module = self.probes.modules[0]
        place = entry_of(module, name)
        if place is None:
            return ()
        index = module.functions.index(name)
        start = module.functions.start(index) if index is not None else None
        pointer = self._stack_pointer(task, 0) or 0
        return (Frame(0, place, name, start or place.offset, 0, pointer),)

    def _stack_pointer(self, task: Task, module: int) -> int | None:
        if module == 0:
            for name in (STACK_POINTER_EXPORT, "__stack_pointer"):
                value = task.kernel.global_value(name)
                if value is not None:
                    return value
            return None
        return None if task.user is None else _unsigned(task.user.stack_pointer, task)

    def _value(self, tid: int, level: int, index: int, *, operand: bool) -> int | None:
        captured = self._captured(self._task(tid))
        if not 0 <= level < len(captured):
            return None
        at = self.machine.stopped_at
        edited = at is not None and self._threads.task(self.machine, tid) is at[0]
        if edited and index in self._edits and not (level or operand):
            return self._edits[index]
        frame = captured[level]
        return (frame.operands if operand else frame.locals).get(index)

    def local(self, tid: int, level: int, index: int) -> int | None:
        """See Debugger."""
        return self._value(tid, level, index, operand=False)

    def operand(self, tid: int, level: int, slot: int) -> int | None:
        """See Debugger."""
        return self._value(tid, level, slot, operand=True)

    def set_local(self, tid: int, level: int, index: int, value: int) -> None:
        """See Debugger."""
        at = self.machine.stopped_at
        if level or at is None or at[0] is not self._task(tid):
            raise DebugError("only the innermost frame of the task that has stopped can be written")
        if index not in at[1].locals:
            raise DebugError(f"local {index} is not available here")
        if self._variant < Level.EDIT and self._rebuild is None:
            raise DebugError("this guest cannot be brought to a variant with writable locals")
        self._position()
        self._edits[index] = value & 0xFFFF_FFFF_FFFF_FFFF

    def _edit(self) -> None:
        """Write the locals, now that the guest goes on: the variant that takes them may have to be
        made first, and no client waits that long for an answer."""
        if not self._edits:
            return
        self._switch(Level.EDIT)
        for index, value in self._edits.items():
            entry = LocalWrite(self._position(), index, value)
            try:
                rewind.apply(self.machine, entry)
            except WdbgError as error:
                raise DebugError(str(error)) from None
            self.machine.journal.interventions.append(entry)
        self._edits.clear()

    def global_value(self, tid: int, module: int, index: int) -> int | None:
        """See Debugger."""
        task = self._task(tid)
        if not 0 <= module < len(self.probes.modules):
            return None
        item = global_item(task, self.probes.modules[module], index)
        if item is None:
            return None
        return item if isinstance(item, int) else _unsigned(item, task)

    def set_global(self, tid: int, module: int, index: int, value: int) -> None:
        """See Debugger."""
        task = self._task(tid)
        here = self._position()
        write_global(self.machine, task, module, index, value)
        entry = GlobalWrite(here, task.pointer, module, index, value)
        self.machine.journal.interventions.append(entry)

    def read_memory(self, address: int, length: int) -> bytes:
        """See Debugger."""
        memory = self.machine.memory
        size = memory.size()
        if not 0 <= address < size or length < 0:
            raise DebugError(f"no guest memory at {address:#x}")
        return memory.read(address, min(length, size - address, READ_LIMIT))

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
        self.machine.journal.interventions.append(MemoryWrite(here, address, data))
        self._threads.forget()

    def _position(self) -> Position:
        """Where the guest stood at this stop before anybody wrote anything."""
        if self._here is None:
            self._here = rewind.position(self.machine)
        return self._here

    def return_value(self, tid: int) -> int | None:
        """See Debugger."""
        held = self.machine.stopped_at
        return held[1].result if held is not None and held[0] is self._task(tid) else None

    # ---- stop conditions

    def add_breakpoint(self, place: Place, *, at_return: bool = False) -> None:
        """See Debugger."""
        if at_return:
            self._trap_return(place)
            return
        stop = self._locate(place)
        self.breakpoints.add(place, stop)
        if stop is not None:
            self.probes.modules[place.module].arm(stop)

    def _locate(self, place: Place) -> int | None:
        """The stop point of a place, None while its module is not loaded."""
        if place.module < 0:
            raise DebugError(f"there is no module {place.module}")
        if place.module >= len(self.probes.modules):
            return None
        return stop_for(self.probes.modules[place.module], place.offset)

    def _trap_return(self, place: Place) -> None:
        """Stop the current task when it returns from the function that ends at `place`."""
        task = self._threads.task(self.machine, self._event.tid)
        if task is None or not 0 <= place.module < len(self.probes.modules):
            raise DebugError("no task is in that function")
        function = self.probes.modules[place.module].functions.at(max(0, place.offset - 1))
        captured = self._captured(task)
        for level, item in enumerate(captured[:-1]):
            module = self.probes.modules[item.module]
            here = module.functions.at(module.stops.places[item.stop])
            if item.module == place.module and here == function:
                caller = captured[level + 1]
                left = len(captured) - level - 1
                there = self.probes.modules[caller.module]
                self._returns[place] = ReturnTrap(
                    task.pointer,
                    caller.module,
                    caller.stop,
                    there.stops.places[caller.stop],
                    left,
                )
                there.arm(caller.stop)
                return

    def remove_breakpoint(self, place: Place) -> None:
        """See Debugger."""
        trap = self._returns.pop(place, None)
        if trap is not None:
            self._disarm(trap.module, trap.stop)
            return
        stop = self.breakpoints.remove(place)
        if stop is not None:
            self._disarm(*stop)

    def _disarm(self, module: int, stop: int) -> None:
        """Clear a stop point's byte unless something else needs it."""
        if self.breakpoints.first(module, stop) is None and not any(
            (trap.module, trap.stop) == (module, stop) for trap in self._returns.values()
        ):
            self.probes.modules[module].arm(stop, 0)

    def add_watchpoint(self, kind: WatchKind, address: int, length: int) -> None:
        """See Debugger. The guest is brought to the same place in the variant with access checks
        when it goes on: that can take longer than a client waits for an answer."""
        if length <= 0:
            raise DebugError("a watchpoint needs at least one byte")
        try:
            self.machine.memory.check(address, length)
        except GuestFault as fault:
            raise DebugError(str(fault)) from None
        if self._variant < Level.WATCH and self._rebuild is None:
            raise DebugError("this guest cannot be brought to a variant with access checks")
        self.watchpoints.add(Watchpoint(kind, address, length))
        self._mark()

    def remove_watchpoint(self, kind: WatchKind, address: int, length: int) -> None:
        """See Debugger."""
        if self.watchpoints.remove(Watchpoint(kind, address, length)):
            if self._variant >= Level.WATCH:
                self.probes.watch(address, length, 0)
            self._mark()

    def _mark(self) -> None:
        """Tell the guest's code which granules of memory are watched."""
        if self._variant >= Level.WATCH:
            for watchpoint in self.watchpoints:
                self.probes.watch(watchpoint.address, watchpoint.length, 1)

    def _switch(self, level: Level) -> None:
        """Go on in a variant that can do more. DebugError if that does not succeed; the guest is
        as it was then."""
        if level <= self._variant:
            return
        if self._rebuild is None:
            raise DebugError("this guest cannot be brought to another build variant")
        try:
            machine = self._rebuild(self.machine, level.value_name, self._position())
        except WdbgError as error:
            raise DebugError(f"cannot bring the guest to another variant: {error}") from None
        self._variant = level
        self.adopt(machine)

    # ---- arming

    def _arm(self) -> None:
        """Write all bytes anew: those of breakpoints, or everything for a task that steps."""
        probes = self.probes
        probes.fill(0)
        for module, stop in self.breakpoints.stops():
            probes.modules[module].arm(stop)
        for trap in self._returns.values():
            probes.modules[trap.module].arm(trap.stop)
        self._stepping_armed = False

    def _on_turn(self, task: Task) -> None:
        """Everything is armed only while a task that steps has its turn."""
        stepping = task.pointer in self._plans or self._touch is not None
        if stepping and not self._stepping_armed:
            self.probes.fill(1)
            self._stepping_armed = True
        elif self._stepping_armed and not stepping:
            self._arm()

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
        self._edit()
        if len(self.watchpoints):
            self._switch(Level.WATCH)
        self._plan(*self._pending)
        self._pending = None
        self._skips = self._still_to_come()
        self._touch = None
        self._place = None
        self._hit = None
        self._forget()

    def _still_to_come(self) -> dict[int, tuple[int, int]]:
        """Where the tasks stand that have been shown at a stop point without having passed it:
        at a tick, or in a call. They reach it next, and are not to stop there again."""
        machine = self.machine
        event_task = self._threads.task(machine, self._event.tid)
        shown = [t for t in machine.tasks.values() if t is event_task or t.pointer in self._plans]
        skips = {}
        for task in shown:
            if machine.stopped_at is None or machine.stopped_at[0] is not task:
                here = self._real_place(task)
                if here is not None:
                    skips[task.pointer] = here
        return skips

    def _virtual(self, action: Action) -> StopEvent | None:
        """The next breakpoint in the segment where the event's task stands, which is reached
        without running."""
        task = self._threads.task(self.machine, self._event.tid)
        here = self._real_place(task) if task is not None else None
        place = self._event.place
        if place is None or here is None or action.how is Resume.STOPPED:
            return None
        if place.module != here[0]:
            return None
        following = self.breakpoints.next(place, here[1])
        if self._event.reason is StopReason.MODULES:
            following = self.breakpoints.first(*here)
        if following is None:
            return None
        return StopEvent(StopReason.BREAKPOINT, self._event.tid, following, tick=self.machine.ticks)

    def _real_place(self, task: Task) -> tuple[int, int] | None:
        """(module, stop point) where a task stands."""
        at = self.machine.stopped_at
        if at is not None and at[0] is task:
            return at[1].module, at[1].stop
        captured = self._captured(task)
        return (captured[0].module, captured[0].stop) if captured else None

    def _plan(self, actions: Mapping[int, Action], default: Action) -> None:
        machine = self.machine
        self._plans.clear()
        stopped = set()
        for thread in self.threads():
            action = actions.get(thread.tid, default)
            task = self._task(thread.tid)
            if action.how is Resume.STOPPED:
                if thread.cpu is not None:
                    stopped.add(thread.cpu)
            elif action.how is not Resume.CONTINUE:
                here = None
                if action.how is Resume.RANGE:
                    frames = self.frames(thread.tid)
                    here = frames[0].place if frames else None
                plan = Plan.of(action, here)
                if plan is not None:
                    self._plans[task.pointer] = plan
        self._hold(frozenset(stopped))
        machine.on_turn = self._on_turn if self._plans else None
        if self._stepping_armed:
            self._arm()

    def _hold(self, cpus: frozenset[int]) -> None:
        """Keep CPUs from running: an intervention, so it goes into the journal."""
        machine = self.machine
        if cpus != machine.held and machine.stop is None:
            entry = Hold(self._position(), cpus)
            machine.hold(cpus)
            machine.journal.interventions.append(entry)

    def _on_probe(self, cpu: Cpu, task: Task, module: ProbedModule, stop: int) -> bool:
        """The machine's question at an armed stop point: is it to stop there?"""
        if self._skips and self._skips.pop(task.pointer, None) == (module.number, stop):
            return False
        place = Place(module.number, module.stops.places[stop])
        if self._touch is not None and self._touch[0] in (None, task):
            self._hit = (StopReason.WATCHPOINT, task, place)
            return True
        if module.number >= self._greeted:
            self._greeted = len(self.probes.modules)
            self._arm()
            self._hit = (StopReason.MODULES, task, place)
            return True
        wanted = self.breakpoints.first(module.number, stop)
        if wanted is not None:
            self._hit = (StopReason.BREAKPOINT, task, wanted)
            return True
        for trap in self._returns.values():
            there = trap.task, trap.module, trap.stop
            if there == (task.pointer, module.number, stop) and self._back(task, trap):
                self._hit = (StopReason.STEP, task, place)
                return True
        plan = self._plans.get(task.pointer)
        if plan is not None and plan.ends_at(place):
            self._hit = (StopReason.STEP, task, place)
            return True
        return False

    def _on_access(self, task: Task, address: int, length: int, bits: int) -> None:
        """Guest code is about to touch a watched granule."""
        self._touched(task, address, length, bits, by_host=False)

    def _on_host_write(self, address: int, length: int) -> None:
        """The host is about to write guest memory."""
        if not self._writing and len(self.watchpoints):
            self._touched(None, address, length, ACCESS_WRITE, by_host=True)

    def _touched(
        self, task: Task | None, address: int, length: int, bits: int, *, by_host: bool
    ) -> None:
        if self._touch is not None or self.machine.replaying:
            return
        found = self.watchpoints.first(address, length, bits)
        if found is None:
            return
        old = self.machine.memory.read(found.address, min(found.length, VALUE_LIMIT))
        self._touch = task, Touch(found, max(address, found.address), old, by_host)
        self.probes.fill(1)
        self._stepping_armed = True
        self.machine.on_turn = self._on_turn

    def _touch_hit(self) -> Hit | None:
        """The watchpoint's hit that this stop is for."""
        if self._touch is None:
            return None
        touch = self._touch[1]
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
            before = machine.moment()
            stop = machine.run(until=machine.ticks + SLICE_TICKS)
            if stop is not None:
                return self._stopped(self._ended(stop))
            if self._hit is not None:
                reason, task, place = self._hit
                self._hit = None
                self._forget()
                tid = self._threads.tid(machine, task)
                hit = self._touch_hit() if reason is StopReason.WATCHPOINT else None
                event = StopEvent(reason, tid, place, hit, tick=machine.ticks)
                return self._stopped(event)
            if machine.moment() == before:  # it waits for a CPU that is held
                select.select(self._wakers, [], [], WAIT_SECONDS)
                return None
            if machine.console.interactive:
                return None
            if time.monotonic() >= deadline:
                return None

    def _module_added(self, module: ProbedModule) -> None:
        """The guest loads a program: stop at the first thing that it does, and resolve what waits
        for it."""
        for place in self.breakpoints.pending(module.number):
            try:
                self.breakpoints.resolve(place, stop_for(module, place.offset))
            except DebugError:
                continue
        module.fill(1)

    def _stopped(self, event: StopEvent) -> StopEvent:
        machine = self.machine
        self._plans.clear()
        machine.on_turn = None
        if self._stepping_armed:
            self._arm()
        self._forget()
        self._hold(frozenset())
        self._touch = None
        self._edits.clear()
        return self._reported(event)

    def _reported(self, event: StopEvent) -> StopEvent:
        """A stop that front ends are told of, perhaps without the guest having moved."""
        self._pending = None
        self._event = event
        self._place = event.place
        self._interrupted = False
        return event

    def _standing(self, reason: StopReason) -> StopEvent:
        """A stop between two slices: the task whose turn it is, or an idle one."""
        self._forget()
        self._place = None
        machine = self.machine
        task = machine.running
        on_cpu = {cpu.task.pointer: cpu for cpu in machine.online() if cpu.task is not None}
        cpu = on_cpu.get(task.pointer) if task is not None else None
        if cpu is None or (not cpu.ready and not machine.idle()):
            cpu = next((c for c in machine.online() if c.ready), None)
            cpu = cpu or next(iter(machine.online()), None)
        task = cpu.task if cpu is not None else task
        tid = self._threads.tid(machine, task) if task is not None else 0
        frames = self.frames(tid) if tid else ()
        return StopEvent(reason, tid, frames[0].place if frames else None, tick=machine.ticks)

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

    def dmesg(self) -> str:
        """The kernel's log."""
        if self.image is None:
            raise DebugError("the kernel has no DWARF: where its log lies is not known")
        try:
            return "".join(f"{line}\n" for line in read_log(self.image))
        except (Corrupt, Unknown) as error:
            raise DebugError(f"the kernel's log cannot be read: {error}") from None

    def monitor(self, command: str) -> str:
        """See Debugger."""
        return monitor.run(self, command)

    def detach(self) -> None:
        """See Debugger."""
        self.breakpoints.clear()
        self._returns.clear()
        for watchpoint in self.watchpoints:
            self.remove_watchpoint(watchpoint.kind, watchpoint.address, watchpoint.length)
        self.watchpoints.clear()
        self._arm()
        self.resume({}, _CONTINUE)

    def kill(self) -> None:
        """See Debugger."""
        self.machine.request_stop(Stop(StopKind.INTERRUPTED, "killed by a debugger"))
        self._queued = self._pending = None
        self._interrupted = False
        self._event = StopEvent(StopReason.INTERRUPT, self._event.tid)


def _unsigned(item: object, task: Task) -> int | None:
    """A wasm global's value, without its sign; None for what is no number."""
    value: object = item.value(task.fiber.store)  # type: ignore[attr-defined]
    if not isinstance(value, int):
        return None
    bits = 64 if "i64" in str(item.type(task.fiber.store).content) else 32  # type: ignore[attr-defined]
    return value & ((1 << bits) - 1)
