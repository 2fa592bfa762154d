"""A guest that is none: tasks, frames, memory and stops as the test writes them down.

`resume` notes what was asked. `pump` then gives the next event of `script`, or, when that is
empty, lets the "guest" run until somebody interrupts it.
"""

import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

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

KERNEL = ModuleInfo(0, "vmlinux", None, 0x200, 0x10000, 0, 0)
PROGRAM = ModuleInfo(1, "cat", None, 0x100, 0x2000, 0x8000, 100)

INIT, CAT, IDLE = 1, 42, IDLE_TID


def frame(level: int, depth: int, offset: int, start: int, *, module: int = 0) -> Frame:
    return Frame(
        level,
        Place(module, offset),
        f"f_{start:x}",
        start,
        depth,
        0x4000 - 64 * depth,
    )


class FakeDebugger:
    """See wdbg.debugger.model.Debugger for what each method means."""

    def __init__(self) -> None:
        self.memory = bytearray(range(256)) * 256
        self.tasks = [
            Thread(INIT, "init", 1, 1, 0, TaskState.RUNNING, "R (running)", 0x1000),
            Thread(CAT, "cat", 42, 42, None, TaskState.ASLEEP, "S (sleeping)", 0x1800),
            Thread(IDLE, "swapper/0", 0, 0, None, TaskState.IDLE, "", 0x2000),
        ]
        self.loaded = [KERNEL, PROGRAM]
        self.stacks: dict[int, list[Frame]] = {
            INIT: [
                frame(0, 2, 0x120, 0x100),
                frame(1, 1, 0x230, 0x200),
                frame(2, 0, 0x40, 0x20, module=1),
            ],
            CAT: [frame(0, 1, 0x360, 0x300), frame(1, 0, 0x230, 0x200)],
            IDLE: [frame(0, 0, 0x410, 0x400)],
        }
        self.locals: dict[tuple[int, int, int], int] = {
            (INIT, 0, 0): 7,
            (INIT, 0, 1): 0x1122334455667788,
            (INIT, 1, 3): 0xDEAD,
            (CAT, 0, 0): 99,
        }
        self.operands: dict[tuple[int, int, int], int] = {(INIT, 0, 0): 5}
        self.returns: dict[int, int] = {}
        self.stack_pointer = 0x3F80
        self.breakpoints: Counter[Place] = Counter()
        self.watchpoints: Counter[tuple[WatchKind, int, int]] = Counter()
        self.script: deque[StopEvent] = deque()
        self.resumes: list[tuple[dict[int, Action], Action]] = []
        self.event = StopEvent(StopReason.ATTACH, INIT, Place(0, 0x120))
        self.running = False
        self.interrupted = False
        self.killed = False
        self.detached = 0
        self.pumps = 0
        self.woken_by: Sequence[int] = ()
        self.monitored: list[str] = []

    # ---- standing still

    def stop_event(self) -> StopEvent:
        return self.event

    def threads(self) -> Sequence[Thread]:
        self._still()
        return tuple(self.tasks)

    def thread(self, tid: int) -> Thread | None:
        return next((task for task in self.tasks if task.tid == tid), None)

    def modules(self) -> Sequence[ModuleInfo]:
        return tuple(self.loaded)

    def frames(self, tid: int) -> Sequence[Frame]:
        self._still()
        return tuple(self.stacks.get(tid, ()))

    def local(self, tid: int, level: int, index: int) -> int | None:
        self._still()
        return self.locals.get((tid, level, index))

    def operand(self, tid: int, level: int, slot: int) -> int | None:
        self._still()
        return self.operands.get((tid, level, slot))

    def set_local(self, tid: int, level: int, index: int, value: int) -> None:
        if (tid, level, index) not in self.locals:
            raise DebugError(f"local {index} of frame {level} is not available")
        self.locals[tid, level, index] = value

    def global_value(self, tid: int, module: int, index: int) -> int | None:
        return self.stack_pointer if index == 0 else None

    def set_global(self, tid: int, module: int, index: int, value: int) -> None:
        raise DebugError("globals cannot be written")

    def read_memory(self, address: int, length: int) -> bytes:
        self._still()
        if not 0 <= address < len(self.memory):
            raise DebugError(f"no memory at {address:#x}")
        return bytes(self.memory[address : address + length])

    def write_memory(self, address: int, data: bytes) -> None:
        self._still()
        if not 0 <= address <= address + len(data) <= len(self.memory):
            raise DebugError(f"no memory at {address:#x}")
        self.memory[address : address + len(data)] = data

    def return_value(self, tid: int) -> int | None:
        return self.returns.get(tid)

    # ---- stop conditions

    def add_breakpoint(self, place: Place, *, at_return: bool = False) -> None:
        self._still()
        sizes = {module.number: module.code_size for module in self.loaded}
        if not 0 <= place.offset <= sizes.get(place.module, -1):
            raise DebugError("no code there")
        self.breakpoints[place] += 1

    def remove_breakpoint(self, place: Place) -> None:
        self._still()
        self.breakpoints -= Counter({place: 1})

    def add_watchpoint(self, kind: WatchKind, address: int, length: int) -> None:
        if not 0 <= address < address + length <= len(self.memory):
            raise DebugError(f"no memory at {address:#x}")
        self.watchpoints[kind, address, length] += 1

    def remove_watchpoint(self, kind: WatchKind, address: int, length: int) -> None:
        self.watchpoints -= Counter({(kind, address, length): 1})

    # ---- running

    def resume(self, actions: Mapping[int, Action], default: Action) -> None:
        self._still()
        self.resumes.append((dict(actions), default))
        self.running = True
        self.interrupted = False

    def pump(self) -> StopEvent | None:
        assert self.running, "pump while it stands still"
        self.pumps += 1
        event: StopEvent | None = None
        if self.killed:
            event = StopEvent(StopReason.EXITED, 0, message="killed", exit_status=137)
        elif self.script:
            event = self.script.popleft()
        elif self.interrupted:
            event = replace(self.event, reason=StopReason.INTERRUPT, hit=None, message="")
        else:
            time.sleep(0.001)
        if event is not None:
            self.event = event
            self.running = self.interrupted = False
        return event

    def wake_on(self, fds: Sequence[int]) -> None:
        self.woken_by = tuple(fds)

    def interrupt(self) -> None:
        self.interrupted = True

    def monitor(self, command: str) -> str:
        self.monitored.append(command)
        if command == "fail":
            raise DebugError("no such command")
        return f"you said {command}\n"

    def detach(self) -> None:
        self._still()
        self.detached += 1
        self.breakpoints.clear()
        self.watchpoints.clear()
        self.running = True

    def kill(self) -> None:
        self.killed = True
        self.running = True

    def _still(self) -> None:
        assert not self.running, "asked while it runs"


def path_of(debugger: FakeDebugger, number: int, path: Path) -> None:
    """Give a module a file."""
    debugger.loaded[number] = replace(debugger.loaded[number], path=path)
