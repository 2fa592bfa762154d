"""A guest with a past: the `Debugger` that front ends use, over the guest at the end of its run and
copies of it that stand further back.

The guest itself, in this process, never goes back. Checkpoints of it are forked while it runs; to
go back is to look at a copy of one (docs/time-travel.md). A copy that is changed cannot go on: the
guest is then run again up to there with those changes, and what came after is gone.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

from wdbg.debugger.backwards import in_interrupt, virtual_before
from wdbg.debugger.bounds import Bound
from wdbg.debugger.levels import Level
from wdbg.debugger.looking import Looking
from wdbg.debugger.model import (
    Action,
    DebugError,
    Place,
    Resume,
    StopEvent,
    StopReason,
    WatchKind,
)
from wdbg.debugger.remote import Remote, Setup, checkpoint_of
from wdbg.debugger.rewind import apply, fingerprint
from wdbg.debugger.search import STEP_WINDOW, Arrival, Search, Wanted
from wdbg.debugger.session import Session
from wdbg.debugger.shelf import Entry, Shelf, Why, order
from wdbg.debugger.timecommands import run as run_monitor
from wdbg.errors import WdbgError
from wdbg.runtime.checkpoint import CheckpointError, faults
from wdbg.runtime.journal import Intervention, Moment, Position
from wdbg.runtime.machine import Machine
from wdbg.runtime.stop import Stop, StopKind

EVERY_TICKS = 1 << 24
EVERY_SECONDS = 0.1
"""At least so much lies between two checkpoints that are taken because it was time."""
_SLICE_SECONDS = 0.01
BEGINNING = "this is where the history begins"
END = "this is where the guest is: it can go on from here"
BRANCH = "changed: the run goes on from tick {}, what came after it is gone"


class Timeline(Looking):
    """See `wdbg.debugger.model.Debugger` for the public methods."""

    def __init__(
        self,
        live: Session,
        script: Sequence[Intervention] = (),
        end: tuple[Bound, Stop] | None = None,
    ) -> None:
        """`script`: what debuggers did to the run that `live` repeats; `end`: where that run's
        recording ends, and how."""
        self.live = live
        self.shelf = Shelf()
        self.past: Remote | None = None
        self._entry: Entry | None = None
        """The checkpoint that `past` comes from."""
        self._event = live.stop_event()
        self._work: Generator[None, None, StopEvent | None] | None = None
        self._cancelled = False
        self._again: tuple[Mapping[int, Action], Action] = ({}, Action(Resume.CONTINUE))
        self._kept_machine: Machine | None = None
        self._kept_tick, self._kept_time, self._faults = 0, 0.0, 0
        self._live_bound: Bound | None = None
        self._script = list(script)
        self._end = end
        self._detached = False
        self._note = ""
        live.keep = self._keep
        self._next_bound()
        if self.machine.ticks == 0:
            self._keep(self.machine)

    # ---- who is who

    @property
    def machine(self) -> Machine:
        """The guest at the end of its run."""
        return self.live.machine

    @property
    def probes(self) -> Any:
        """Its stop points."""
        return self.live.probes

    @property
    def at(self) -> Any:
        """The session that clients look at: here, or in a copy."""
        return self.live if self.past is None else self.past

    def stop_event(self) -> StopEvent:
        """See Debugger."""
        return self._event if self.past is not None else self.live.stop_event()

    # ---- checkpoints

    def _keep(self, machine: Machine, changed: Position | None = None) -> None:
        """A checkpoint would be of use: take one if it is time, or if somebody has changed
        something at that place."""
        now = time.monotonic()
        if machine is not self._kept_machine:
            self.shelf.clear()
            self._kept_machine = machine
        elif changed is None and (
            machine.ticks - self._kept_tick < EVERY_TICKS
            or now - self._kept_time < EVERY_SECONDS
        ):
            return
        try:
            self.snapshot(machine, Why.TIME if changed is None else Why.CHANGE, changed)
        except CheckpointError:
            pass  # one less: what is there serves
        self._kept_tick, self._kept_time = machine.ticks, time.monotonic()

    def snapshot(self, machine: Machine, why: Why, at: Position | None = None) -> Entry:
        """Take a checkpoint. `at`: how its place looked before it was changed. CheckpointError if
        there can be none."""
        before = faults()
        entries = list(self.shelf)
        if entries:
            entries[-1].pages += before - self._faults
        checkpoint = checkpoint_of(self.live, machine, self.live.bringing)
        self._faults = faults()
        bound = Bound.of(machine) if at is None else Bound.of_position(at)
        if bound.place is not None and not bound.memory:
            bound = replace(bound, memory=fingerprint(machine))
        return self.shelf.add(checkpoint, bound, why, machine.ticks)

    def ensure(self) -> None:
        """Have checkpoints from the beginning on, of a variant that can do what is asked for.
        DebugError if that cannot be."""
        live = self.live
        if len(live.conditions.watchpoints) and not live.conditions.checks_accesses:
            live._switch(Level.WATCH)
        first = self.shelf.first
        if self._kept_machine is not live.machine or first is None:
            live.run_again()

    def setup(self) -> Setup:
        """What copies have to know."""
        live = self.live
        return Setup(
            tuple(live.machine.journal.inputs),
            live.conditions.breakpoints.all(),
            live.conditions.watchpoints.all(),
        )

    # ---- conditions

    def add_breakpoint(self, place: Place, *, at_return: bool = False) -> None:
        """See Debugger."""
        if at_return:
            self.at.add_breakpoint(place, at_return=True)
            return
        self.live.add_breakpoint(place)
        if self.past is not None:
            self.past.add_breakpoint(place)

    def remove_breakpoint(self, place: Place) -> None:
        """See Debugger."""
        self.live.remove_breakpoint(place)
        if self.past is not None:
            self.past.remove_breakpoint(place)

    def add_watchpoint(self, kind: WatchKind, address: int, length: int) -> None:
        """See Debugger."""
        self.live.add_watchpoint(kind, address, length)
        if self.past is not None and self.live.conditions.checks_accesses:
            self.past.add_watchpoint(kind, address, length)

    def remove_watchpoint(self, kind: WatchKind, address: int, length: int) -> None:
        """See Debugger."""
        self.live.remove_watchpoint(kind, address, length)
        if self.past is not None:
            self.past.remove_watchpoint(kind, address, length)

    # ---- running

    def resume(self, actions: Mapping[int, Action], default: Action) -> None:
        """See Debugger."""
        self._cancelled = False
        self._again = actions, default
        self._work = None
        if any(action.reverse for action in (*actions.values(), default)):
            self._work = self._back(actions, default)
        elif self.past is not None:
            self._work = self._forth(actions, default)
        else:
            self.live.resume(actions, default)

    def pump(self) -> StopEvent | None:
        """See Debugger."""
        if self._work is None:
            return self._pump_live()
        if self.machine.asked_to_stop:
            self._leave()
            return self._pump_live()
        if self._cancelled:
            self._cancelled, self._work = False, None
            return self._told(replace(self.stop_event(), reason=StopReason.INTERRUPT, hit=None))
        deadline = time.monotonic() + _SLICE_SECONDS
        try:
            while time.monotonic() < deadline:
                next(self._work)
        except StopIteration as stop:
            self._work = None
            event: StopEvent | None = stop.value
            return self._pump_live() if event is None else self._told(event)
        except (DebugError, WdbgError) as error:
            self._work = None
            if isinstance(error, CheckpointError):
                self.shelf.clear()
                self._kept_machine = None
                self._leave()
            event = replace(
                self.stop_event(), reason=StopReason.INTERRUPT, hit=None, message=str(error)
            )
            return self._told(event)
        return None

    def _pump_live(self) -> StopEvent | None:
        event = self.live.pump()
        self._live_bound = None
        if event is None:
            self._keep(self.machine)
            return None
        if event.reason is StopReason.HISTORY:
            return self._recorded(event)
        if self._note and event.reason is not StopReason.EXITED:
            event, self._note = replace(event, message=event.message or self._note), ""
        return event

    def _told(self, event: StopEvent) -> StopEvent:
        """The event that clients are told."""
        if self.past is not None:
            self._event = event
            self.past.say(event)
        else:
            self.live._reported(event)
        return event

    def _leave(self) -> None:
        """Back to the guest itself."""
        self._work = None
        if self.past is not None:
            self.past.close()
        self.past = self._entry = None

    def _enter(self, copy: Remote, entry: Entry) -> None:
        old, self.past, self._entry = self.past, copy, entry
        if old is not None:
            old.close()

    def bound(self) -> Bound:
        """Where clients look, so that it can be found again."""
        if self.past is None:
            return self._live_bound_now()
        found: Bound = self.past.bound()
        return found

    def _live_bound_now(self) -> Bound:
        here = Bound.of(self.machine)
        known = self._live_bound
        if known is not None and replace(known, memory="") == here:
            return known
        self._live_bound = here
        return here

    def _memory(self) -> str:
        return fingerprint(self.machine) if self.past is None else str(self.past.memory())

    def search(self) -> Search:
        """Searches that begin where clients look."""
        return Search(self.shelf, self.setup, self._memory)

    def _back(
        self, actions: Mapping[int, Action], default: Action
    ) -> Generator[None, None, StopEvent | None]:
        """Go backwards."""
        event = self.stop_event()
        steps = [tid for tid, action in actions.items() if action.how is not Resume.CONTINUE]
        tid = steps[0] if steps else event.tid
        step = bool(steps) or default.how in (Resume.STEP, Resume.RANGE)
        if tid == event.tid:
            virtual = (
                virtual_before(self.live, step=step)
                if self.past is None
                else self.past.virtual_before(step)
            )
            if virtual is not None:
                found: StopEvent = virtual
                return found
        yield
        if self.past is not None and self.past.changes():
            self._branch()
        yield from self._same_place()
        bound = self.bound()
        wanted = Wanted()
        if step:
            task, inside = self._task(tid)
            wanted = Wanted(task, cover=not inside, window=STEP_WINDOW)
        search = self.search()
        arrival: Arrival | None = yield from search.stop(bound, wanted)
        if self.past is None and search.bound is not None:
            self._live_bound = search.bound
        if arrival is None:
            return (yield from self._beginning())
        self._enter(arrival.copy, arrival.entry)
        return arrival.event

    def _task(self, tid: int) -> tuple[int, bool]:
        if self.past is not None:
            found: tuple[int, bool] = self.past.task_of(tid)
            return found
        task = self.live.view.find(tid)
        if task is None:
            raise DebugError(f"there is no thread {tid}")
        return task.pointer, in_interrupt(self.live, tid)

    def _same_place(self) -> Generator[None, None, None]:
        """Be where we are in a variant that can do what is asked for."""
        if self.past is None:
            self.ensure()
            return
        kept = self._kept_machine
        bound = replace(self.past.bound(), memory=self._where_exactly())
        event = self._event
        self.ensure()
        if self._kept_machine is kept:
            return
        found = yield from self.search().find(bound)
        if found is None:
            raise DebugError(f"the run does not come to tick {bound.moment.ticks} again")
        self._enter(*found)
        self._event = event
        found[0].say(event)

    def _where_exactly(self) -> str:
        assert self.past is not None
        live = self.live
        switches = len(live.conditions.watchpoints) and not live.conditions.checks_accesses
        bound: Bound = self.past.bound()
        return str(self.past.memory()) if switches and bound.place is not None else ""

    def _beginning(self) -> Generator[None, None, StopEvent]:
        first = self.shelf.first
        if first is None:
            raise DebugError(BEGINNING)
        copy = yield from self.search().run_to(first, first.ticks)
        self._enter(copy, first)
        event: StopEvent = copy.stand()
        return replace(event, reason=StopReason.HISTORY, message=BEGINNING)

    # ---- forward again

    def _forth(
        self, actions: Mapping[int, Action], default: Action
    ) -> Generator[None, None, StopEvent | None]:
        """Go forward in the past, up to the guest itself; None: it goes on."""
        assert self.past is not None
        held = any(a.how is Resume.STOPPED for a in (*actions.values(), default))
        if self.past.changes() or held:
            self._branch()
            self.live.resume(actions, default)
            return None
        yield from self._same_place()
        while True:
            assert self._entry is not None
            change = self.shelf.change_after(self._entry)
            self.past.until(self._live_bound_now() if change is None else change.bound)
            self.past.resume(actions, default)
            while (event := self.past.pump()) is None:
                if self._cancelled:
                    self._cancelled = False
                    self.past.interrupt()
                yield
            if event.reason is not StopReason.HISTORY:
                stop: StopEvent = event
                return stop
            if change is None:
                break
            copy = yield from self.search().run_to(change, change.ticks)
            copy.stand()
            self._enter(copy, change)
        self._leave()
        event = self.live.stop_event()
        return replace(event, reason=StopReason.HISTORY, end=True, message=END, hit=None)

    def _branch(self) -> None:
        """What was changed in the past is the run from here on."""
        assert self.past is not None
        past, position, edits = self.past.story()
        self._script.clear()
        self._end = None
        self.live.approach.bound = None
        ticks = position.moment.ticks
        event = self._event
        self.live.run_again(past, position)
        self._leave()
        self._live_bound = None
        self.live._reported(replace(event, hit=None))
        self.live.view.edits.update(edits)
        self._note = BRANCH.format(ticks)

    # ---- a recording's own

    def _next_bound(self) -> None:
        """Where the run is to stop by itself next."""
        bound = None if self._end is None else self._end[0]
        if self._script:
            bound = Bound.of_position(self._script[0].position)
        self.live.approach.bound = bound

    def _recorded(self, event: StopEvent) -> StopEvent | None:
        """The live guest has come to a place where its recording says something."""
        if self._script:
            position = self._script[0].position
            while self._script and self._script[0].position == position:
                entry = self._script.pop(0)
                apply(self.machine, entry)
                self.machine.note(entry)
            self._keep(self.machine, position)
            self._next_bound()
            self.live.resume(*self._again)
            return None
        stop = Stop(StopKind.RECORDED) if self._end is None else self._end[1]
        if self._detached:
            self.machine.end(stop)
            left: StopEvent = self.live._stopped(self.live._exited(self.machine.stop or stop))
            return left
        message = f"the recording ends here: {stop.kind.value}"
        if stop.message:
            message += f": {stop.message}"
        told = replace(event, reason=StopReason.HISTORY, end=True, message=message)
        shown: StopEvent = self.live._reported(told)
        return shown

    def run_to(self, ticks: int) -> None:
        """Bring the guest to a tick, or to the end if that comes before. Nothing stops it."""
        self._run_to(Bound(Moment(ticks, 0, 0)))

    def run_to_time(self, time: int) -> None:
        """The same to the first place where the clock (virtual ns) is not before `time`."""
        self._run_to(Bound(self.machine.moment(), time=time))

    def _run_to(self, goal: Bound) -> None:
        live = self.live

        def there() -> bool:
            machine = self.machine
            return machine.now() >= goal.time if goal.time else machine.ticks >= goal.moment.ticks

        def first(scripted: Bound) -> bool:
            if not goal.time:
                return order(goal) <= order(scripted)
            moment = scripted.moment
            return goal.time <= moment.skipped + moment.ticks * self.machine.ns_per_tick

        while self.machine.stop is None and not there():
            self._next_bound()
            scripted = live.approach.bound
            if scripted is None or first(scripted):
                live.approach.bound = goal
            before = self.machine.moment()
            live.resume({}, Action(Resume.CONTINUE))
            event = live.pump()
            self._keep(self.machine)
            if event is None and self.machine.moment() == before:
                break  # it waits for a CPU that is held
            if event is not None and event.reason is StopReason.HISTORY:
                if live.approach.bound is goal or not self._script:
                    break
                self._recorded(event)
        self._next_bound()

    # ---- looking elsewhere

    def go(self, entry: Entry) -> None:
        """Look at a checkpoint."""
        copy = finished(self.search().run_to(entry, entry.ticks))
        self._enter(copy, entry)
        self._event = copy.stand()

    def travel(self, ticks: int) -> None:
        """Look at a tick of the past. DebugError for one that is not there."""
        if not 0 <= ticks <= self.machine.ticks:
            raise DebugError(f"tick {ticks}: the run has ticks 0 to {self.machine.ticks}")
        if self._kept_machine is not self.machine or self.shelf.first is None:
            self.live.run_again()
        entry = self.shelf.before(Bound(Moment(ticks, 0, 0)), None) or self.shelf.first
        if entry is None:
            raise DebugError(BEGINNING)
        copy = finished(self.search().run_to(entry, ticks))
        self._enter(copy, entry)
        self._event = copy.stand()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Without the clients' breakpoints and watchpoints."""
        conditions = self.live.conditions
        places, points = conditions.breakpoints.all(), conditions.watchpoints.all()
        conditions.clear()
        try:
            yield
        finally:
            conditions.clear()
            for place in places:
                conditions.add(place)
            for point in points:
                conditions.watch(point)

    def look_back(self, wanted: Wanted) -> tuple[Arrival | None, Bound]:
        """The last stop before the place where clients look, without going there."""
        finished(self._same_place())
        bound = self.bound()
        return finished(self.search().stop(bound, wanted)), bound

    # ---- the rest

    def interrupt(self) -> None:
        """See Debugger."""
        if self._work is not None:
            self._cancelled = True
        else:
            self.live.interrupt()

    def monitor(self, command: str) -> str:
        """See Debugger."""
        return run_monitor(self, command)

    def detach(self) -> None:
        """See Debugger."""
        self._leave()
        self._detached = True
        self.live.detach()

    def kill(self) -> None:
        """See Debugger."""
        self._leave()
        self.live.kill()

    def wake_on(self, fds: Sequence[int]) -> None:
        """See Debugger."""
        self.live.wake_on(fds)

    def close(self) -> None:
        """End all processes of the past."""
        self._leave()
        self.shelf.clear()


T = TypeVar("T")


def finished(work: Generator[None, None, T]) -> T:
    """The result of work that is not interrupted."""
    while True:
        try:
            next(work)
        except StopIteration as stop:
            result: T = stop.value
            return result
