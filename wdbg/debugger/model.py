"""The nouns of the debugger, and the one interface that every front end uses.

A *place* is an instruction of an original module. The guest can stop at *stop points* only:
function entries, is_stmt rows of the line table, the instructions after calls, loop headers
(DESIGN D5). A breakpoint between two of them is hit virtually: at the stop point before it, and
reported where it was asked for.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """An instruction: `offset` from the start of the original code section's contents, which is
    what DWARF calls an address. Module 0 is the kernel, user programs count from 1 in the order
    in which the guest loaded them first."""

    module: int
    offset: int


@dataclass(frozen=True, slots=True)
class ModuleInfo:
    """A module whose code the guest has loaded."""

    number: int
    name: str
    """"vmlinux", or the program's name."""
    path: Path | None
    """File of the original module with its DWARF, if the host has it."""
    code_base: int
    """File offset, in that original file, of the code section's contents."""
    code_size: int
    """Bytes of the code section's contents."""
    data_start: int
    """Guest address to which a program's data is relocated; 0 for the kernel."""
    table_start: int


class TaskState(enum.Enum):
    """What a guest task does, as the host sees it."""

    RUNNING = "running"
    """On a CPU (perhaps not the one whose turn it is)."""
    IDLE = "idle"
    """A CPU's idle task, waiting for an interrupt."""
    ASLEEP = "asleep"
    """Switched out."""


@dataclass(frozen=True, slots=True)
class Thread:
    """A guest task. `tid` is what clients call it: the guest's pid, or IDLE_TID + CPU number for
    a CPU's idle task; never 0, unique at any time."""

    tid: int
    name: str
    """comm."""
    pid: int
    tgid: int
    cpu: int | None
    """The CPU it is on, None while it is switched out."""
    state: TaskState
    detail: str = ""
    """The guest's own word for its state: "S (sleeping)" and the like; "" if not known."""
    address: int = 0
    """Guest address of its task_struct."""


IDLE_TID = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Frame:
    """One call under way; level 0 is the innermost."""

    level: int
    place: Place
    """Where it goes on: the stop's place for level 0, the instruction after the call else."""
    function: str
    function_start: int
    """Code offset of the function's body (DWARF's low_pc)."""
    depth: int
    """Calls between it and the outermost frame (0): stays the same while it lives, so (tid,
    depth, function_start) is its identity."""
    stack_pointer: int
    """Value of the module's __stack_pointer as DWARF of this frame would see it; 0: not known."""


class StopReason(enum.Enum):
    """Why the guest stands still."""

    ATTACH = "attach"
    BREAKPOINT = "breakpoint"
    WATCHPOINT = "watchpoint"
    STEP = "step"
    INTERRUPT = "interrupt"
    """Somebody asked for it."""
    MODULES = "modules"
    """A user program was loaded: `modules()` has grown."""
    PANIC = "panic"
    TRAP = "trap"
    HANG = "hang"
    EXITED = "exited"
    """The machine is gone (power off, timeout ...); only `exit_status` is left."""
    HISTORY = "history"
    """Ran backwards into the beginning, or forward to the end of a recording."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A watchpoint's hit."""

    kind: WatchKind
    address: int
    length: int
    """The watchpoint as it was asked for."""
    accessed: int
    """Address of the access itself."""
    old: bytes
    new: bytes
    """Contents of the watched range before and after (equal for a read)."""
    by_host: bool = False
    """The host wrote (console input, a program's image), not guest code."""


class WatchKind(enum.Enum):
    """What a watchpoint reacts to."""

    WRITE = "write"
    READ = "read"
    ACCESS = "access"


@dataclass(frozen=True, slots=True)
class StopEvent:
    """A stop. `tid` is the task that caused it."""

    reason: StopReason
    tid: int
    place: Place | None = None
    hit: Hit | None = None
    message: str = ""
    """Panic message, trap reason, how the run ended."""
    exit_status: int = 0
    tick: int = 0
    end: bool = False
    """HISTORY: the end, not the beginning."""


class Resume(enum.Enum):
    """What one task is to do."""

    CONTINUE = "continue"
    STEP = "step"
    """To the next stop point that this task reaches, callees' included."""
    RANGE = "range"
    """Step until the place is outside of [start, end), callees count as outside."""
    STOPPED = "stopped"
    """Keep it where it is (scheduler-locking): its CPU does not run."""


@dataclass(frozen=True, slots=True)
class Action:
    """One task's part of a resume; `start` and `end` are code offsets for RANGE, in the module
    where the task stands."""

    how: Resume
    start: int = 0
    end: int = 0
    reverse: bool = False


class DebugError(Exception):
    """A request that cannot be fulfilled; the text is for the person at the client."""


class Debugger(Protocol):
    """A guest under control. All calls but `pump` and `interrupt` need it to stand still.

    Nothing here blocks: `resume` only says what to do, `pump` runs a bounded slice of it.
    """

    # ---- standing still

    def stop_event(self) -> StopEvent:
        """The last stop."""

    def threads(self) -> Sequence[Thread]:
        """All guest tasks; the order is stable while they live."""

    def thread(self, tid: int) -> Thread | None:
        """One of them."""

    def modules(self) -> Sequence[ModuleInfo]:
        """Kernel and programs."""

    def frames(self, tid: int) -> Sequence[Frame]:
        """Stack of a task, kernel and user frames alike; () if it cannot be had."""

    def local(self, tid: int, level: int, index: int) -> int | None:
        """Value (unsigned, floats by their bits) of a frame's wasm local. None: not known at this
        place, because DWARF gives it no meaning there."""

    def operand(self, tid: int, level: int, slot: int) -> int | None:
        """The same for a slot of the operand stack, 0 at the bottom."""

    def set_local(self, tid: int, level: int, index: int, value: int) -> None:
        """DebugError if it cannot be written."""

    def global_value(self, tid: int, module: int, index: int) -> int | None:
        """A wasm global of the task's instance of a module (__stack_pointer among them)."""

    def set_global(self, tid: int, module: int, index: int, value: int) -> None:
        """DebugError if it cannot be written."""

    def read_memory(self, address: int, length: int) -> bytes:
        """Guest memory; the part that exists if the range leaves it, DebugError if none does."""

    def write_memory(self, address: int, data: bytes) -> None:
        """DebugError if any of it does not exist."""

    def return_value(self, tid: int) -> int | None:
        """Result of the call that has just returned, at a stop right after it."""

    # ---- stop conditions

    def add_breakpoint(self, place: Place, *, at_return: bool = False) -> None:
        """Stop there. Places in a function's header mean its entry. `place` at the end of a
        function means: when the current task returns from it. Adding twice counts twice.
        DebugError for what is no code."""

    def remove_breakpoint(self, place: Place) -> None:
        """Undo one `add_breakpoint`; nothing happens if there is none."""

    def add_watchpoint(self, kind: WatchKind, address: int, length: int) -> None:
        """Watch guest memory; DebugError if it does not exist."""

    def remove_watchpoint(self, kind: WatchKind, address: int, length: int) -> None:
        """Undo it."""

    # ---- running

    def resume(self, actions: Mapping[int, Action], default: Action) -> None:
        """Let the guest go on; `default` is for the tasks that are not in `actions`."""

    def pump(self) -> StopEvent | None:
        """Run for some milliseconds at most; the stop, if there was one. Returns at once when
        the guest idles in real time and one of `wake_fds` has become readable."""

    def wake_on(self, fds: Sequence[int]) -> None:
        """File descriptors whose readability ends an idle `pump`."""

    def interrupt(self) -> None:
        """Have `pump` stop the guest at the next stop point (StopReason.INTERRUPT); when all
        CPUs idle, in an idle task."""

    def monitor(self, command: str) -> str:
        """A `monitor` command's output, with the newline at its end."""

    def detach(self) -> None:
        """No client any more: all breakpoints and watchpoints go, the guest runs on (pump)."""

    def kill(self) -> None:
        """End the guest."""
