"""A session in another process, a copy of a checkpoint: requests and answers over a socket.

Both sides are forks of one process, so messages are pickles; nobody else can reach the socket.
"""

from __future__ import annotations

import os
import pickle
import socket
import struct
import traceback
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from wdbg.debugger.backwards import in_interrupt, virtual_before
from wdbg.debugger.bounds import Bound, memory_of
from wdbg.debugger.levels import Level, Past
from wdbg.debugger.model import DebugError, Place, StopEvent, StopReason
from wdbg.debugger.scan import Filter, Found, Scan
from wdbg.debugger.watchpoints import Watchpoint
from wdbg.errors import WdbgError
from wdbg.runtime import checkpoint
from wdbg.runtime.checkpoint import Checkpoint, CheckpointError
from wdbg.runtime.console import StreamConsole
from wdbg.runtime.journal import Input, Journal, Moment, Position
from wdbg.runtime.machine import Machine
from wdbg.runtime.stacks import read_stacks
from wdbg.runtime.stop import Stop

if TYPE_CHECKING:
    from wdbg.debugger.session import Session


@dataclass(frozen=True, slots=True)
class Setup:
    """What a copy has to know that was not so, or not known, when its checkpoint was taken."""

    inputs: tuple[Input, ...]
    """All of the run."""
    breakpoints: tuple[Place, ...] = ()
    watchpoints: tuple[Watchpoint, ...] = ()
    end: Stop | None = None


class Copy:
    """In the process of the copy: what it can be asked, besides what a session can."""

    def __init__(self, session: Session, sock: socket.socket) -> None:
        self.session = session
        self._socket = sock
        self._scan: Scan | None = None

    def setup(self, what: Setup) -> None:
        """Bring the session up to date; nobody sees this guest, and nobody types."""
        session = self.session
        machine = session.machine
        journal = machine.journal
        machine.inputs.console = StreamConsole(None)
        machine.replay(Journal(list(what.inputs[len(journal.inputs) :])), what.end)
        machine.source = None
        session.past, session.keep = True, None
        session._queued = session._pending = None
        session._interrupted = False
        session._kept = len(journal.interventions)
        session.view.edits.clear()
        conditions = session.conditions
        conditions.clear()
        for place in what.breakpoints:
            conditions.add(place)
        for watchpoint in what.watchpoints:
            conditions.watch(watchpoint)

    def moment(self) -> Moment:
        """Where it stands."""
        return self.session.machine.moment()

    def bound(self) -> Bound:
        """The same, so that it can be found again."""
        return Bound.of(self.session.machine)

    def memory(self) -> str:
        """Fingerprint of the place where a task stands."""
        machine = self.session.machine
        assert machine.stopped_at is not None
        return memory_of(machine, *machine.stopped_at)

    def advance(self, ticks: int, most: int) -> bool:
        """Run to a tick, by `most` ticks at most; True if it is there (or the run has ended)."""
        machine = self.session.machine
        machine.on_probe = None
        machine.on_turn = None
        machine.pause_when_idle = False
        target = min(ticks, machine.ticks + most)
        while machine.ticks < target and machine.stop is None:
            machine.run(until=target)
        self.session.hook()
        return machine.ticks >= ticks or machine.stop is not None

    def checkpoint(self) -> None:
        """Fork a checkpoint of this place for the asker, whose socket follows."""
        checkpoint.take_for(self._socket, partial(serve, self.session))

    def scan(
        self, bound: Bound, task: int, cover: bool, stop_at: int,
        filters: dict[tuple[int, int], Filter],
    ) -> None:  # fmt: skip
        """Begin a scan."""
        self._scan = Scan(
            self.session, bound, task, cover=cover, stop_at=stop_at, filters=filters
        )

    def scan_slice(self) -> Found | None:
        """Some milliseconds of it."""
        assert self._scan is not None
        return self._scan.slice()

    def arrive(self, reason: StopReason) -> StopEvent:
        """The scan has stopped at its hit: the session stands there."""
        assert self._scan is not None
        assert self._scan.arrived is not None
        task, module, stop = self._scan.arrived
        self._scan = None
        self.session.hook()
        session = self.session
        session._forget()
        breakpoints = session.conditions.breakpoints
        place = breakpoints.last(module.number, stop) if reason is StopReason.BREAKPOINT else None
        place = place or Place(module.number, module.stops.places[stop])
        machine = session.machine
        tid = session.view.threads.tid(machine, task)
        return session._stopped(StopEvent(reason, tid, place, tick=machine.ticks))

    def here(self, task: int) -> StopEvent | None:
        """The stop that this place is itself: of that task, or (0) at a breakpoint."""
        session = self.session
        at = session.machine.stopped_at
        if at is None:
            return None
        breakpoints = session.conditions.breakpoints
        place = breakpoints.last(at[1].module, at[1].stop)
        reason = StopReason.STEP if task else StopReason.BREAKPOINT
        if at[0].pointer != task if task else place is None:
            return None
        stops = session.probes.modules[at[1].module].stops
        if task or place is None:
            place = Place(at[1].module, stops.places[at[1].stop])
        machine = session.machine
        tid = session.view.threads.tid(machine, at[0])
        return session._reported(StopEvent(reason, tid, place, tick=machine.ticks))

    def stand(self) -> StopEvent:
        """The session stands wherever its machine is."""
        self.session.hook()
        self.session.stand()
        return self.session.stop_event()

    def until(self, bound: Bound) -> None:
        """From here on the session does not run beyond that place."""
        self.session.approach.bound = bound

    def say(self, event: StopEvent) -> None:
        """That is why it stands."""
        self.session._reported(event)

    def task_of(self, tid: int) -> tuple[int, bool]:
        """A thread's task_struct, and whether it is in an interrupt."""
        session = self.session
        task = session.view.find(tid)
        if task is None:
            raise DebugError(f"there is no thread {tid}")
        return task.pointer, in_interrupt(session, tid)

    def virtual_before(self, step: bool) -> StopEvent | None:
        """See wdbg.debugger.backwards."""
        return virtual_before(self.session, step=step)

    def changes(self) -> int:
        """How often somebody has changed this guest."""
        session = self.session
        return len(session.machine.journal.interventions) - session._kept + len(session.view.edits)

    def come_to(self, bound: Bound) -> bool:
        """Run to a place that is near; False if the run does not come there."""
        session = self.session
        machine, approach = session.machine, session.approach
        approach.bound = bound
        approach.begin()
        session.conditions.quiet = True
        machine.pause_when_idle = False
        machine.on_probe = lambda _cpu, task, module, stop: approach.arrives(
            machine, task, module, stop
        )
        while machine.stopped_at is None and not approach.is_there(machine):
            if machine.stop is not None:
                break
            approach.run(machine, session.conditions, 1 << 20)
        approach.bound = session.conditions.extra = None
        session.hook()
        session.conditions.arm()
        session._forget()
        return machine.stopped_at is not None if bound.place else machine.moment() == bound.moment

    def state(self) -> tuple[str, dict[int, list[tuple[int, int]]]]:
        """Digest of history and memory, and the stop points that each task's frames are at."""
        return state_of(self.session.machine)

    def story(self) -> tuple[Past, Position, dict[int, int]]:
        """What it takes to do this guest's run again, where it stands, and the locals that are to
        be written there."""
        session = self.session
        machine = session.machine
        past = Past(machine.journal, machine.digest())
        return past, session._position(), dict(session.view.edits)


def state_of(machine: Machine) -> tuple[str, dict[int, list[tuple[int, int]]]]:
    """What two machines that stand at the same place have in common."""
    stacks = read_stacks(machine, list(machine.tasks.values()))
    frames = {task: [(f.module, f.stop) for f in found] for task, found in stacks.items()}
    return machine.digest(memory=True), frames


_LENGTH = struct.Struct("<Q")


def _send(sock: socket.socket, message: object) -> None:
    data = pickle.dumps(message)
    sock.sendall(_LENGTH.pack(len(data)) + data)


def _receive(sock: socket.socket) -> Any:
    """The next message. EOFError if the other end is closed."""
    return pickle.loads(_read(sock, _LENGTH.unpack(_read(sock, _LENGTH.size))[0]))


def _read(sock: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        part = sock.recv(min(size - len(data), 1 << 20))
        if not part:
            raise EOFError
        data += part
    return bytes(data)


def serve(session: Session, sock: socket.socket) -> None:
    """Answer requests until the other end is closed."""
    copy = Copy(session, sock)
    while True:
        try:
            name, args, keywords = _receive(sock)
        except (EOFError, OSError):
            return
        answer: tuple[bool, Any]
        try:
            target = getattr(copy, name, None) or getattr(session, name)
            answer = True, target(*args, **keywords)
        except (DebugError, WdbgError) as error:
            answer = False, DebugError(str(error))
        except Exception as error:
            if os.environ.get("WDBG_TRACEBACK"):
                traceback.print_exc()
            answer = False, DebugError(f"internal error of wdbg: {type(error).__name__}: {error}")
        try:
            _send(sock, answer)
        except OSError:
            return


class Remote:
    """The front's side: every method of `Copy` and of a session, by its name."""

    def __init__(self, source: Checkpoint) -> None:
        """A copy of that checkpoint. CheckpointError if there can be none."""
        self._socket = source.wake()
        self.closed = False

    def __getattr__(self, name: str) -> Any:
        return partial(self._call, name)

    def _call(self, name: str, *args: Any, **keywords: Any) -> Any:
        try:
            _send(self._socket, (name, args, keywords))
            good, answer = _receive(self._socket)
        except (EOFError, OSError):
            raise CheckpointError("the process of a checkpoint has died") from None
        if not good:
            raise answer
        return answer

    def keep(self) -> Checkpoint:
        """A checkpoint of where the copy stands."""
        _send(self._socket, ("checkpoint", (), {}))
        kept = checkpoint.ask_for(self._socket)
        good, answer = _receive(self._socket)
        if not good:
            raise answer
        return kept

    def close(self) -> None:
        """Let it end."""
        if not self.closed:
            self.closed = True
            self._socket.close()


def checkpoint_of(session: Session, machine: Machine, level: Level) -> Checkpoint:
    """A checkpoint of a machine, the session's or one that is being made for it."""

    def awake(sock: socket.socket) -> None:
        machine.recorder = machine.hash.tap = machine.tracer = None
        session.keep = session._rebuild = None
        session._wakers = ()
        if session.machine is not machine:
            session.take(machine, level)
        serve(session, sock)

    return checkpoint.take(awake)


