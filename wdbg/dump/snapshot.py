"""The frozen state of a guest: what analyses read, of a guest that stands still or from a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from symbols.dwarf.index import Index
from wdbg.dump.state import (
    BootState,
    CpuState,
    FrameState,
    Memory,
    ModuleState,
    StopState,
    TaskState,
)
from wdbg.linux.image import Corrupt, Image, Unknown
from wdbg.linux.tasks import TaskFacts, read_task, walk_tasks

if TYPE_CHECKING:
    from wdbg.runtime.machine import Machine


@dataclass(frozen=True)
class Snapshot:
    """See the module. What is read of guest memory is not to be trusted."""

    memory: Memory
    tick: int
    virtual_ns: int
    cpus: tuple[CpuState, ...]
    """Those that are online, by number."""
    tasks: Mapping[int, TaskState]
    """By the address of their task_struct, in the order in which they were made."""
    modules: tuple[ModuleState, ...]
    stop: StopState
    running: int = 0
    """Address of the task whose turn it was last; 0: none."""
    traps: tuple[StopState, ...] = ()
    """Traps in the kernel that the guest was left to deal with, the oldest first."""
    boot: BootState = field(default_factory=BootState)
    console: bytes = b""
    """The last that the guest wrote on its console, if it was kept."""
    index: Index | None = None
    """The kernel's symbols; None if they are not known."""
    notes: tuple[str, ...] = ()
    """What of it is missing or damaged, a line each."""
    sections: Mapping[str, bytes] = field(default_factory=dict)
    """Further contents of a dump by name: "trace", "recording", "module1" ..."""

    @classmethod
    def of_machine(
        cls,
        machine: Machine,
        *,
        index: Index | None = None,
        frames: bool = True,
    ) -> Snapshot:
        """A machine that stands still; holds as long as it does. `index` is the kernel's if it is
        open already. Without `frames` no stacks are read. Variants without stop points give
        frames without values."""
        from wdbg.dump.capture import capture  # it knows the runtime, this module need not

        return capture(machine, index, frames=frames)

    @cached_property
    def image(self) -> Image | None:
        """Typed reads of memory; None without DWARF."""
        if self.index is None or not self.index.has_dwarf:
            return None
        return Image(self.memory.read, self.index)

    @cached_property
    def facts(self) -> Mapping[int, TaskFacts]:
        """What each task_struct says, by its address: those of `tasks` and those that only the
        kernel's lists know (zombies). Tasks whose memory makes no sense are left out."""
        image = self.image
        found: dict[int, TaskFacts] = {}
        if image is None:
            return found
        for address in self.tasks:
            self._add_facts(image, address, found)
        try:
            for address in walk_tasks(image):
                if address not in found:
                    self._add_facts(image, address, found)
        except (Corrupt, Unknown):
            pass  # `wdbg.dump.checks` tells of broken lists
        return found

    @staticmethod
    def _add_facts(image: Image, address: int, found: dict[int, TaskFacts]) -> None:
        try:
            found[address] = read_task(image, address)
        except (Corrupt, Unknown):
            pass

    def frames(self, task: int) -> Sequence[FrameState]:
        """Frames of the task at an address; () if there are none."""
        state = self.tasks.get(task)
        return state.frames if state is not None else ()

    def cpu_of(self, task: int) -> CpuState | None:
        """The CPU that a task is on; None while it is switched out."""
        return next((cpu for cpu in self.cpus if cpu.task == task), None)
