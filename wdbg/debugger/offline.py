"""A dump as a guest under control that cannot move: what debuggers can read, without a guest."""

from __future__ import annotations

import select
from collections.abc import Mapping, Sequence
from typing import NoReturn

from wdbg.debugger.model import (
    IDLE_TID,
    Action,
    DebugError,
    Frame,
    ModuleInfo,
    Place,
    StopEvent,
    StopReason,
    TaskState,
    Thread,
    WatchKind,
)
from wdbg.debugger.threads import UNKNOWN_TID
from wdbg.debugger.view import READ_LIMIT
from wdbg.dump.container import DumpError
from wdbg.dump.snapshot import Snapshot
from wdbg.dump.state import TaskState as DumpedTask
from wdbg.linux.dmesg import read_log
from wdbg.linux.image import Corrupt, Unknown
from wdbg.runtime.memory import GuestFault

WAIT_SECONDS = 0.05
"""Longest wait in `pump` for a client."""

_REASONS = {"panic": StopReason.PANIC, "trap": StopReason.TRAP, "hang": StopReason.HANG}


class Offline:
    """See `wdbg.debugger.model.Debugger` for the public methods."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._tasks: dict[int, DumpedTask] = {}
        self._threads = tuple(map(self._thread, snapshot.tasks.values()))
        stop = snapshot.stop
        by_address = {thread.address: thread.tid for thread in self._threads}
        tid = by_address.get(stop.task or snapshot.running, 0)
        tid = tid or (self._threads[0].tid if self._threads else 0)
        frames = self.frames(tid)
        self._event = StopEvent(
            _REASONS.get(stop.kind, StopReason.ATTACH),
            tid,
            frames[0].place if frames else None,
            message=stop.message,
            tick=snapshot.tick,
        )
        self._killed = self._interrupted = False
        self._wakers: Sequence[int] = ()

    def _thread(self, task: DumpedTask) -> Thread:
        facts = self.snapshot.facts.get(task.address)
        cpu = self.snapshot.cpu_of(task.address)
        pid = facts.pid if facts is not None else 0
        idle = task.idle_cpu
        if idle is not None and IDLE_TID + idle not in self._tasks:
            tid = IDLE_TID + idle
        elif 0 < pid < IDLE_TID and pid not in self._tasks:
            tid = pid
        else:
            tid = UNKNOWN_TID + len(self._tasks)
        self._tasks[tid] = task
        state = TaskState.ASLEEP
        if cpu is not None:
            state = TaskState.IDLE if idle is not None and not cpu.ready else TaskState.RUNNING
        return Thread(
            tid,
            facts.comm if facts is not None and facts.comm and idle is None else task.name,
            pid,
            facts.tgid if facts is not None else 0,
            cpu.number if cpu is not None else None,
            state,
            facts.state if facts is not None else "",
            task.address,
        )

    # ---- what can be read

    def stop_event(self) -> StopEvent:
        """See Debugger."""
        return self._event

    def threads(self) -> Sequence[Thread]:
        """See Debugger."""
        return self._threads

    def thread(self, tid: int) -> Thread | None:
        """See Debugger."""
        return next((thread for thread in self._threads if thread.tid == tid), None)

    def modules(self) -> Sequence[ModuleInfo]:
        """See Debugger."""
        return tuple(
            ModuleInfo(
                module.number, module.name, module.path, module.code_base, module.code_size,
                module.data_start, module.table_start,
            )
            for module in self.snapshot.modules
        )  # fmt: skip

    def frames(self, tid: int) -> Sequence[Frame]:
        """See Debugger."""
        task = self._tasks.get(tid)
        if task is None:
            return ()
        known = [frame for frame in task.frames if frame.module >= 0]
        return tuple(
            Frame(
                level,
                Place(frame.module, frame.offset),
                frame.function,
                frame.start,
                len(known) - 1 - level,
                frame.stack_pointer,
            )
            for level, frame in enumerate(known)
        )

    def _value(self, tid: int, level: int, index: int, *, operand: bool) -> int | None:
        task = self._tasks.get(tid)
        known = [frame for frame in task.frames if frame.module >= 0] if task is not None else []
        if not 0 <= level < len(known):
            return None
        return (known[level].operands if operand else known[level].locals).get(index)

    def local(self, tid: int, level: int, index: int) -> int | None:
        """See Debugger."""
        return self._value(tid, level, index, operand=False)

    def operand(self, tid: int, level: int, slot: int) -> int | None:
        """See Debugger."""
        return self._value(tid, level, slot, operand=True)

    def global_value(self, tid: int, module: int, index: int) -> int | None:
        """See Debugger."""
        task = self._tasks.get(tid)
        return task.globals.get((module, index)) if task is not None else None

    def read_memory(self, address: int, length: int) -> bytes:
        """See Debugger."""
        memory = self.snapshot.memory
        size = memory.size()
        if not 0 <= address < size or length < 0:
            raise DebugError(f"no guest memory at {address:#x}")
        try:
            return memory.read(address, min(length, size - address, READ_LIMIT))
        except (GuestFault, DumpError) as error:
            raise DebugError(str(error)) from None

    def return_value(self, tid: int) -> int | None:
        """See Debugger."""
        return None

    # ---- what cannot be done

    def _refuse(self) -> NoReturn:
        raise DebugError("this is a dump: it can be read, and nothing else")

    def set_local(self, tid: int, level: int, index: int, value: int) -> None:
        """See Debugger."""
        self._refuse()

    def set_global(self, tid: int, module: int, index: int, value: int) -> None:
        """See Debugger."""
        self._refuse()

    def write_memory(self, address: int, data: bytes) -> None:
        """See Debugger."""
        self._refuse()

    def add_watchpoint(self, kind: WatchKind, address: int, length: int) -> None:
        """See Debugger."""
        self._refuse()

    def remove_watchpoint(self, kind: WatchKind, address: int, length: int) -> None:
        """See Debugger."""

    def add_breakpoint(self, place: Place, *, at_return: bool = False) -> None:
        """See Debugger. Clients set some of their own accord: they are never hit."""

    def remove_breakpoint(self, place: Place, *, at_return: bool = False) -> None:
        """See Debugger."""

    def resume(self, actions: Mapping[int, Action], default: Action) -> None:
        """See Debugger."""
        self._refuse()

    # ---- the server's loop

    def pump(self) -> StopEvent | None:
        """See Debugger. Nothing runs; it waits for somebody to come."""
        if self._killed:
            return StopEvent(StopReason.EXITED, 0, message="the dump is closed")
        if self._interrupted:
            self._interrupted = False
            return StopEvent(StopReason.INTERRUPT, self._event.tid, self._event.place)
        select.select(self._wakers, [], [], WAIT_SECONDS)
        return None

    def wake_on(self, fds: Sequence[int]) -> None:
        """See Debugger."""
        self._wakers = tuple(fds)

    def interrupt(self) -> None:
        """See Debugger."""
        self._interrupted = True

    def detach(self) -> None:
        """See Debugger."""

    def kill(self) -> None:
        """See Debugger. The file stays as it is."""
        self._killed = True

    def monitor(self, command: str) -> str:
        """See Debugger."""
        snapshot = self.snapshot
        match command.strip():
            case "tasks":
                lines = [f"{'tid':>10} {'pid':>6} {'cpu':>3}  {'state':<20} name"]
                for thread in self._threads:
                    cpu = "" if thread.cpu is None else str(thread.cpu)
                    state = thread.detail or thread.state.value
                    lines.append(
                        f"{thread.tid:>10} {thread.pid:>6} {cpu:>3}  {state:<20} {thread.name}"
                    )
                return "\n".join(lines) + "\n"
            case "tick":
                return f"tick {snapshot.tick}, {snapshot.virtual_ns / 1e9:.9f} s of virtual time\n"
            case "dmesg":
                if snapshot.image is None:
                    raise DebugError("the kernel has no DWARF: where its log lies is not known")
                try:
                    return "".join(f"{line}\n" for line in read_log(snapshot.image))
                except (Corrupt, Unknown) as error:
                    raise DebugError(f"the kernel's log cannot be read: {error}") from None
            case "help" | "":
                return "tasks, tick, dmesg: as of a guest that runs\n"
        raise DebugError(f"monitor {command}: not of a dump; monitor help lists what there is")
