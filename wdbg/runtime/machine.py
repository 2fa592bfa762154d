"""The machine: virtual CPUs that take turns on one thread, in an order that a seed repeats.

One loop: choose a CPU and a quantum, poll its task's fiber, answer the host calls that it parks
in, until the quantum is used up or the CPU goes idle; raise what is due; choose again.
Time is counted in ticks of all CPUs together (DESIGN D2): now = skipped + ticks * ns_per_tick,
where `skipped` grows when every CPU is idle and the clock jumps to the next alarm.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wdbg.instrument import layout
from wdbg.runtime.abi import Abi
from wdbg.runtime.atomics import WAIT_TIMED_OUT, notify, wait
from wdbg.runtime.console import Console
from wdbg.runtime.cpu import Cpu
from wdbg.runtime.edits import Edits
from wdbg.runtime.engine import Engine, EngineError, Linker, SharedMemory
from wdbg.runtime.forked import in_fork
from wdbg.runtime.inputs import Inputs
from wdbg.runtime.journal import Input, Intervention, Journal, Moment, Position
from wdbg.runtime.mailbox import Mailbox
from wdbg.runtime.memory import GuestFault, GuestMemory
from wdbg.runtime.probes import Captured, ProbedModule, Probes
from wdbg.runtime.recorder import Recorder
from wdbg.runtime.runhash import RunHash
from wdbg.runtime.scheduler import FORCED, Point, Scheduler, Turn
from wdbg.runtime.stop import Stop, StopKind
from wdbg.runtime.task import Task
from wdbg.runtime.tracer import Tracer
from wdbg.runtime.watchdog import Watchdog

if TYPE_CHECKING:
    from wdbg.runtime.boot import BootOptions

NS_PER_TICK = 4
"""Virtual nanoseconds in a tick: about what a tick takes on a present-day machine."""

HALT_TICKS = 20_000_000
"""Ticks without a host call after which a lone CPU that has stopped all others has halted."""

CONSOLE_KEPT = 64 << 10
"""Bytes of the console's output that are kept for dumps."""

MAX_TASKS = 16384
"""Guest tasks at one time; each has a fiber with two mappings of address space."""


class Machine:
    """A guest machine over one kernel; `run` drives it."""

    def __init__(
        self,
        engine: Engine,
        abi: Abi,
        memory: SharedMemory,
        memory_limit: int,
        scheduler: Scheduler,
        console: Console,
        *,
        ns_per_tick: int = NS_PER_TICK,
        debug_pages: int = layout.PAGES,
    ) -> None:
        self.engine = engine
        self.abi = abi
        self.shared = memory
        self.memory = GuestMemory(memory, memory_limit)
        self.scheduler = scheduler
        self.inputs = Inputs(self, console)
        self.linker = Linker(engine)
        self.mailbox = Mailbox(engine, ns_per_tick, debug_pages)
        self.ns_per_tick = ns_per_tick
        self.ticks = 0
        """Ticks executed by all CPUs together."""
        self.skipped = 0
        """Virtual ns that passed while every CPU was idle."""
        self.cpus: dict[int, Cpu] = {}
        self._online: list[Cpu] = []
        self.tasks: dict[int, Task] = {}
        self.hash = RunHash()
        self.journal = Journal()
        self.source: Journal | None = None
        """The whole journal of the recording that it follows."""
        self.changed: Position | None = None
        """Where it stands, if a debugger has changed something since it came there."""
        self.recorder: Recorder | None = None
        """Writes what happens to a recording's file."""
        self.pause_when_idle = False
        """Have `run` return None, an observation, after each look at the console while every CPU
        is idle: the caller has other things to wait for."""
        self.held: frozenset[int] = frozenset()
        """Numbers of CPUs that are not to run (a debugger's intervention)."""
        self.probes: Probes | None = None
        """The stop points, in variants that have them."""
        self.on_probe: Callable[[Cpu, Task, ProbedModule, int], bool] | None = None
        """Called when a task has parked at an armed stop point (its number comes last): True has
        `run` return None, an observation."""
        self.on_turn: Callable[[Task], None] | None = None
        """Called with the task that goes on when a CPU's turn begins or the CPU switches tasks."""
        self.on_access: Callable[[Task, int, int, int], bool | None] | None = None
        """Called before an access (address, length, layout.ACCESS bits) that touches a watched
        granule."""
        self.stopped_at: tuple[Task, Captured] | None = None
        """After a stop for `on_probe`: the task that stands at the stop point, its frame there."""
        self.tracer: Tracer | None = None
        """Records a trace, in variants that have a ring."""
        self.watchdog: Watchdog | None = None
        """Ends the run if the guest hangs."""
        self.traps: list[Stop] = []
        """Traps in kernel code that the guest was left to deal with."""
        self.pause_at_traps = False
        """Have `run` return None, an observation, right after such a trap."""
        self.options: BootOptions | None = None
        """What was booted, if `boot` did it."""
        self.written = bytearray()
        """The last that the guest wrote on its console."""
        self.running: Task | None = None
        """The task whose fiber was polled last."""
        self.switches = 0
        self.quanta = 0
        self.host_calls = 0
        self.stop: Stop | None = None
        self._request: Stop | None = None
        self._slice: tuple[Cpu, int] | None = None
        self._end = self._quantum_end = 0
        self._until: int | None = None
        self._access = self._planned = 0
        """The quantum is to end before this access after its last tick (0: at the tick); only if
        that tick is `_planned`, unless that is 0."""
        self._counting = False
        """The last tick has come, accesses are counted."""
        self._cut_at = FORCED
        """`Point.access` of the next scheduling point."""
        self._yielded = False
        self._resched = False
        self._dead: list[Task] = []
        self._stopped_others: tuple[int, int] | None = None
        self._pause = False
        self._at_stop = False
        self.cuts = False
        """The variant counts memory accesses: quanta can end at one."""
        self.on_exec: Callable[[Task], None] | None = None
        """Called when a task is about to enter a program that it has executed."""
        self.reloads = False
        """The variant takes changed locals back at stop points."""
        self.edits = Edits()
        self._goal: tuple[int, int] | None = None
        abi.attach(self)

    # ---- what the ABI and the front ends use ------------------------------------------------

    def now(self) -> int:
        """Virtual time in ns at the last scheduling point or host call."""
        return self.skipped + self.ticks * self.ns_per_tick

    def cpu(self, number: int) -> Cpu:
        """The CPU of that number, made on first use."""
        cpu = self.cpus.get(number)
        if cpu is None:
            cpu = self.cpus[number] = Cpu(number)
        return cpu

    def start_cpu(self, number: int, task: Task) -> None:
        """Bring a CPU up with its first task."""
        cpu = self.cpu(number)
        cpu.run(task)
        self._online = sorted((c for c in self.cpus.values() if c.task), key=lambda c: c.number)
        self._resched = True

    def stop_cpu(self, number: int) -> None:
        """Take a CPU out."""
        if number in self.cpus:
            self.cpus[number].stop()
            self._online = [c for c in self._online if c.task]
            if len(self._online) == 1:
                self._stopped_others = (self.ticks, self.host_calls)

    def online(self) -> list[Cpu]:
        """CPUs that have a task, in order of their numbers."""
        return self._online

    def add_task(self, task: Task) -> None:
        """Make a new task known; ends the run when there are too many."""
        if len(self.tasks) >= MAX_TASKS:
            self.end(Stop(StopKind.LIMIT, f"more than {MAX_TASKS} guest tasks"))
        old = self.tasks.get(task.pointer)
        if old is not None:
            self._dead.append(old)
        self.tasks[task.pointer] = task

    def remove_task(self, pointer: int) -> None:
        """Forget a task; its fiber is freed at the next scheduling point."""
        task = self.tasks.pop(pointer, None)
        if self.tracer is not None:
            self.tracer.forget(pointer)
        if task is not None:
            self._dead.append(task)

    def switch(self, cpu: Cpu, task: Task) -> None:
        """Context switch on `cpu`."""
        cpu.task = task
        cpu.switches += 1
        if self.on_turn is not None:
            self.on_turn(task)
        self.switches += 1
        self.hash.event(self.ticks, cpu.number | 0x80, task.pointer)

    def end(self, stop: Stop) -> None:
        """End the run at this point; the first reason counts."""
        if self.stop is None:
            self.stop = stop
            if self.tracer is not None and stop.kind is StopKind.PANIC:
                self.tracer.panic(stop.message)

    def trapped(self, stop: Stop) -> None:
        """Kernel code has trapped, and the guest is left to deal with it."""
        self.traps.append(stop)
        if self.pause_at_traps:
            self._pause = True

    def request_stop(self, stop: Stop) -> None:
        """End the run at the next scheduling point (safe in a signal handler)."""
        if self._request is None:
            self._request = stop

    @property
    def asked_to_stop(self) -> bool:
        """`request_stop` has been called and the run has not ended yet."""
        return self._request is not None and self.stop is None

    def pause(self) -> None:
        """Have `run` return None, an observation, at the next scheduling point (safe in a signal
        handler)."""
        self._pause = True

    def end_quantum(self, *, yielded: bool = False) -> None:
        """Make the host call at hand a scheduling point; `yielded`: the CPU waits for others."""
        self._resched = True
        self._yielded = yielded

    def end_quantum_soon(self) -> None:
        """Have the quantum under way end at the next tick."""
        self._cut(1)

    def set_timer(self, cpu: Cpu, expiry: int) -> None:
        """Arm (or with 0 disarm) a CPU's timer; a quantum that would overrun it is cut."""
        cpu.timer = expiry
        if expiry and self.ns_per_tick:
            self._cut(max(1, (expiry - self.now()) // self.ns_per_tick + 1))

    def _cut(self, ticks: int) -> None:
        """Let the quantum under way last no more than `ticks` from here."""
        self._quantum_end = min(self._quantum_end, self.ticks + ticks)
        if self._end > self._quantum_end:
            self._set_end(self._quantum_end)

    def _set_end(self, end: int) -> None:
        """Have the guest park at tick `end`; its clock counts back from there."""
        self._end = end
        self.mailbox.tick.value = end - self.ticks
        self.mailbox.clock_end.value = self.skipped + end * self.ns_per_tick

    @property
    def console(self) -> Console:
        """Where the guest's output goes, and its input comes from while nothing is replayed."""
        return self.inputs.console

    def request_resize(self) -> None:
        """Look at the console's size at the next scheduling point (safe in a signal handler)."""
        self.inputs.resized = True

    def console_output(self, data: bytes) -> None:
        """Bytes that the guest wrote."""
        self.hash.data(self.ticks, data)
        if self.tracer is not None:
            self.tracer.console(data)
        self.written += data
        if len(self.written) > 2 * CONSOLE_KEPT:
            del self.written[:-CONSOLE_KEPT]
        self.console.write(data)

    def note(self, entry: Input | Intervention) -> None:
        """Something reached the guest from outside, or a debugger did something to it."""
        if isinstance(entry, Input):
            self.journal.inputs.append(entry)
        else:
            self.journal.interventions.append(entry)
            self.changed = self.changed or entry.position
        if self.recorder is not None:
            self.recorder.note(entry)

    def moment(self) -> Moment:
        """Where the run stands."""
        return Moment(self.ticks, self.quanta, self.skipped)

    def between_quanta(self) -> bool:
        """The run stands at a scheduling point: no quantum is under way."""
        return self._slice is None

    def idle(self) -> bool:
        """Between quanta, and every CPU waits for an interrupt."""
        return self._slice is None and not any(cpu.ready for cpu in self._online)

    def hold(self, cpus: frozenset[int]) -> None:
        """From here on the CPUs with these numbers do not run; what is left of the quantum of one
        of them is lost. An intervention: the run is no longer what it would have been."""
        self.held = cpus
        if self._slice is not None and self._slice[0].number in cpus:
            self._slice = None

    def replay(self, journal: Journal, end: Stop | None = None) -> None:
        """Take all inputs from a journal, in a machine that has not run yet, until `go_live`.
        `end`: what ends the run where it waits for more input than there is."""
        self.inputs.replay(journal, end)

    def go_live(self, console: Console) -> None:
        """From here on `console` is the guest's. ReplayError if the journal holds more input."""
        self.inputs.go_live(console)

    def follow(self, old: Machine) -> None:
        """Take over the requests to end the run that came to a machine which this one replaces,
        and its watchdog."""
        self._request = self._request or old._request
        self.watchdog = old.watchdog

    def close(self) -> None:
        """Free all fibers; the machine cannot be used any more."""
        self.on_probe = self.on_turn = self.on_access = None
        for task in (*self.tasks.values(), *self._dead):
            task.close()
        self.tasks.clear()
        self._dead.clear()

    # ---- the loop ---------------------------------------------------------------------------

    def run_to(self, quanta: int, skipped: int) -> Stop | None:
        """Run to the scheduling point after `quanta` quanta with `skipped` ns skipped (then None):
        an observation, like a stop of `run`."""
        self._goal = (quanta, skipped)
        try:
            return self.run()
        finally:
            self._goal = None

    def run(self, until: int | None = None) -> Stop | None:
        """Run to the end, or to tick `until` exactly (then None).

        A stop at `until` is an observation: the run goes on from it as if it had not been.
        None also after `pause`, or while idle if `pause_when_idle` asks for it, and where
        `on_probe` wants to stop.
        """
        self.stopped_at, self._at_stop = None, False
        self.changed = None
        self._until = until
        while self.stop is None:
            if self._at_stop:
                return None
            if until is not None and self.ticks >= until:
                return None
            if self._pause:
                self._pause = False
                return None
            if (
                self._goal is not None
                and self._slice is None
                and (self.quanta, self.skipped) >= self._goal
            ):
                return None
            if self.recorder is not None and self.ticks >= self.recorder.due:
                self.recorder.progress()
            if self._request is not None:
                self.end(self._request)
                break
            if self._slice is not None:
                (cpu, quantum), self._slice = self._slice, None
                resumed = True
            else:
                chosen = self._choose()
                if chosen is None:
                    continue
                cpu, quantum, access, _, self._planned = chosen
                self._access = access if self.cuts else 0
                self._counting = False
                resumed = False
            self._quantum_end = self.ticks + quantum
            end = self._quantum_end if until is None else min(self._quantum_end, until)
            if self.tracer is not None:  # the trace is to be on disk soon: an observation, too
                end = min(end, self.tracer.limit(self.ticks))
            if self._run_quantum(cpu, end, resumed):
                self._slice = (cpu, self._quantum_end - self.ticks)
        return self.stop

    def _choose(self) -> Turn | None:
        """A scheduling point: raise what is due, then pick; None: nothing can run yet."""
        self.inputs.take_size()
        if self._stopped_others is not None:
            self._look_for_halt(*self._stopped_others)
        alarm = self._alarms()
        if self.watchdog is not None and self.now() >= self.watchdog.due:
            self.watchdog.look(self)
            if self.stop is not None:
                return None
        ready = [c for c in self._online if c.ready]
        if self.held:
            ready = [c for c in ready if c.number not in self.held]
        if not ready:
            self.inputs.idle(alarm, self._goal)
            return None
        self.inputs.take_keys()
        turn = self.scheduler.pick(ready, Point(self.ticks, self._cut_at, self._yielded))
        self._yielded = False
        quantum = turn.ticks
        if len(ready) == 1 and not self.abi.interrupt_pending(turn.cpu.number):
            quantum = turn.longest  # alone: nothing to decide before the next alarm
        if alarm and self.ns_per_tick:
            quantum = min(quantum, max(1, (alarm - self.now()) // self.ns_per_tick + 1))
        return turn if quantum == turn.ticks else turn._replace(ticks=quantum)

    def _look_for_halt(self, tick: int, calls: int) -> None:
        """machine_halt() of a port without a call for it: the last CPU spins, in silence."""
        if self.host_calls != calls:
            self._stopped_others = (self.ticks, self.host_calls)
        elif self.ticks - tick > HALT_TICKS:
            self.end(Stop(StopKind.HALT, "the last CPU spins and asks for nothing"))

    def _alarms(self) -> int:
        """Raise timers and time-outs that are due; returns the next alarm (ns), 0 if none."""
        now = self.now()
        following = 0
        for cpu in self._online:
            timer = cpu.timer
            if timer:
                if timer <= now:
                    cpu.timer = 0
                    self.abi.raise_timer(cpu.number)
                elif not following or timer < following:
                    following = timer
            deadline = cpu.deadline
            if deadline:
                if deadline <= now:
                    cpu.wake(WAIT_TIMED_OUT)
                elif not following or deadline < following:
                    following = deadline
        return following

    def _run_quantum(self, cpu: Cpu, end: int, resumed: bool) -> bool:
        """Run `cpu` to tick `end` at most; True if an observer ended it, before its quantum did.

        `resumed`: the rest of a quantum that an observation cut: not a scheduling point.
        """
        mailbox = self.mailbox
        tick, call_word, result = mailbox.tick, mailbox.call, mailbox.result
        self._resched = False
        access, self._cut_at = self._cut_at, FORCED
        self._set_end(end)
        if not resumed:
            mailbox.cut.value = 0
        elif self._counting:
            pass
        elif self.ticks == self._quantum_end:
            self._count_accesses()
        task = cpu.task
        assert task is not None
        if resumed:
            if task.answer is None:
                task.answer = 0  # no interrupt where there was only an observation
        else:
            self.quanta += 1
            what = cpu.number if access <= 0 else cpu.number | access << 8
            self.hash.event(self.ticks, what, task.pointer)
        if self.on_turn is not None:
            self.on_turn(task)
        handlers, tracer = self.abi.handlers, self.tracer
        observed = False
        while True:
            task = cpu.task
            if task is None:
                break
            answer = task.answer
            if answer is None:
                answer = 1 if self.abi.interrupt_pending(cpu.number) else 0
            result.value = answer
            self.edits.hand_over(self, task)
            if task.fresh:
                task.fresh = False
                task.set_tick(tick.value)
            self.running = task
            if tracer is not None:
                tracer.enter(cpu.number, task, self._end, self.skipped)
            if task.fiber.poll():
                tick.value = left = task.get_tick()
                self.ticks = self._end - left
                self.abi.returned(cpu, task)
                if self.stop is not None:
                    break
                if self._pause and left > 0:
                    observed = True
                    break
                continue
            self.ticks = self._end - tick.value
            call = call_word.value
            if call >= layout.CALL_IMPORT:
                self.host_calls += 1
                try:
                    handlers[call - layout.CALL_IMPORT](cpu, task)
                except GuestFault as fault:
                    self.end(Stop(StopKind.TRAP, f"bad argument of a host call: {fault}"))
                except EngineError as error:
                    self.end(Stop(StopKind.LIMIT, f"the host has no room for a task: {error}"))
                if self.stop is not None or self._resched:
                    break
            elif call == layout.CALL_WAIT32 or call == layout.CALL_WAIT64:
                if wait(self, cpu, task, call):
                    break
            elif call == layout.CALL_NOTIFY:
                if notify(self, task):
                    break
            elif call == layout.CALL_PROBE:
                if self._at_stop_point(cpu, task):
                    observed = True
                    break
            elif call == layout.CALL_RING:
                task.answer = 0
                self._empty_ring()
            elif call == layout.CALL_WATCH:
                task.answer = 0
                if self.on_access is not None and self.on_access(
                    task, *(self.mailbox.argument(i) for i in range(3))
                ):
                    break
            else:
                task.answer = None
                if self.ticks < self._quantum_end and not self._counting:
                    observed = True
                    break
                if not self._is_to_count():
                    self._cut_at = self._access if self.ticks < self._quantum_end else 0
                    break
                if self.ticks == self._until:
                    observed = True
                    break
                task.answer = 0
                self._count_accesses()
        if self._dead:
            for dead in self._dead:
                dead.close()
            self._dead.clear()
        return observed

    def _is_to_count(self) -> bool:
        """The quantum's last tick has come, and it is to end at an access after that."""
        return (
            self._access > 0
            and not self._counting
            and (not self._planned or self._planned == self.ticks)
        )

    def _count_accesses(self) -> None:
        """Have the guest park before the access at which the quantum ends, or at the next tick if
        that comes first."""
        self._counting = True
        self.mailbox.cut.value = self._access
        self._quantum_end = self.ticks + 1
        self._set_end(self._quantum_end)

    def _empty_ring(self) -> None:
        """The ring of trace records is full; without a tracer nobody wants them."""
        if self.tracer is not None:
            self.tracer.drain()
        else:
            self.mailbox.ring_head.value = 0

    def _at_stop_point(self, cpu: Cpu, task: Task) -> bool:
        """A task has parked at an armed stop point; True if the run is to stop there."""
        task.answer = 0
        if self.probes is None or self.on_probe is None:
            return False
        address = self.mailbox.argument(0)
        module, stop = self.probes.find(address)
        if not self.on_probe(cpu, task, module, stop):
            return False
        self.stopped_at, self._at_stop = (task, self.probes.capture(address)), True
        self.edits.slots = self.probes.slots(module, stop)
        return True

    def in_fork(self, function: Callable[[], Any]) -> Any:
        """See `wdbg.runtime.forked.in_fork`; the copy does not trace."""

        def alone() -> Any:
            self.tracer = None
            return function()

        return in_fork(alone)

    def digest(self, *, memory: bool = False) -> str:
        """The run hash so far; with `memory`, over the guest's memory too."""
        return self.hash.digest(self.memory.view() if memory else None)
