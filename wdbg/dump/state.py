"""The parts of a guest's frozen state, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


class Memory(Protocol):
    """A guest's linear memory, for reading."""

    def size(self) -> int:
        """Bytes."""

    def read(self, address: int, length: int) -> bytes:
        """Exactly that much; `wdbg.runtime.memory.GuestFault` if it leaves the memory."""


@dataclass(frozen=True, slots=True)
class ModuleState:
    """A module that the guest has loaded. Number 0 is the kernel, programs count from 1."""

    number: int
    name: str
    path: Path | None
    """File of the original module with its DWARF, if the host has it."""
    digest: str
    """SHA-256 of that file, hex; "" if there is none."""
    code_base: int
    """File offset, in that file, of the code section's contents."""
    code_size: int
    data_start: int
    """Guest address to which a program's data is relocated; 0 for the kernel."""
    table_start: int
    size: int = 0
    """Bytes of that file."""


@dataclass(frozen=True, slots=True)
class FrameState:
    """One call under way."""

    module: int
    offset: int
    """Original code offset where it goes on; of a frame that trapped: of the instruction."""
    function: str
    start: int
    """Code offset of the function's body (DWARF's low_pc); the offset if that is not known."""
    locals: Mapping[int, int] = field(default_factory=dict)
    """Value (unsigned, floats by their bits) by index: what DWARF gives a meaning there."""
    operands: Mapping[int, int] = field(default_factory=dict)
    """The same by slot of the operand stack."""
    stack_pointer: int = 0
    """Of the innermost frame of a module: value of its __stack_pointer; 0: not known."""
    trapped: bool = False
    """A trap has ended the call: it is what the task was doing before it dealt with the trap."""


@dataclass(frozen=True, slots=True)
class TaskState:
    """A task that the host switches between."""

    address: int
    """Of its task_struct."""
    name: str
    phase: str
    """"cpu" (an idle task), "kernel", "user" or "dying" (it deals with a trap)."""
    fresh: bool
    """It has not run yet."""
    frames: tuple[FrameState, ...]
    """Innermost first; those that a trap has ended come last."""
    globals: Mapping[tuple[int, int], int] = field(default_factory=dict)
    """Wasm globals by (module, index), as far as they can be seen."""

    @property
    def idle_cpu(self) -> int | None:
        """Number of the CPU whose idle task this is, None for any other task."""
        number = self.name.rpartition("/")[2]
        return int(number) if self.phase == "cpu" and number.isdigit() else None


@dataclass(frozen=True, slots=True)
class CpuState:
    """A virtual CPU that is online."""

    number: int
    task: int
    """Address of the task that it runs."""
    ready: bool
    """It does not wait for an interrupt."""
    waits_on: int
    """Guest address of the memory.atomic.wait under way, while it is not ready."""
    deadline: int
    """Virtual ns at which that wait times out; 0: never."""
    timer: int
    """Virtual ns of its next timer interrupt; 0: none."""


@dataclass(frozen=True, slots=True)
class PlaceState:
    """A frame of a backtrace that the host took at a stop or a trap."""

    function: str
    offset: int
    """Original code offset."""
    module: int


@dataclass(frozen=True, slots=True)
class StopState:
    """Why the guest stood still, or a trap in the kernel that it dealt with."""

    kind: str
    """A `wdbg.runtime.stop.StopKind`'s value, or "running"."""
    message: str
    frames: tuple[PlaceState, ...] = ()
    tick: int = -1
    """When; -1 if that is not known."""
    task: int = 0
    """Address of the task that trapped; 0: not noted."""


@dataclass(frozen=True, slots=True)
class BootState:
    """How the guest was booted."""

    kernel: str = ""
    initrd: str = ""
    initrd_digest: str = ""
    command_line: str = ""
    cpus: int = 0
    memory: int = 0
    seed: int | None = None
    schedule: str = ""
    variant: str = ""
