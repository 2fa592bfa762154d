"""What can be read of a guest that stands still: threads, frames, locals, memory.

Answers are kept until `forget`: stacks are read in a forked copy of the machine, which takes
milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from wdbg.debugger.model import DebugError, Frame, ModuleInfo, Place
from wdbg.debugger.places import build_frames, entry_of, module_info, with_trap, written_between
from wdbg.debugger.threads import Threads
from wdbg.linux.image import Image, Symbols
from wdbg.linux.tasks import TaskTable
from wdbg.runtime.machine import Machine
from wdbg.runtime.probes import Captured, Probes
from wdbg.runtime.stacks import read_stacks
from wdbg.runtime.task import Phase, Task
from wdbg.runtime.taskglobals import global_item, stack_pointer, unsigned

READ_LIMIT = 64 << 20
"""Bytes that one read of memory returns at most."""


class View:
    """The guest at one stop after the other. `machine` is replaced when another variant of the
    guest takes over."""

    def __init__(self, machine: Machine, symbols: Symbols | None) -> None:
        self.machine = machine
        self.image = Image(self._read, symbols) if symbols is not None else None
        self._threads = Threads(TaskTable(self.image) if self.image is not None else None)
        self._stacks: dict[int, list[Captured]] = {}
        self.virtual: tuple[int, Place] | None = None
        """The thread of the stop and the place where it is said to stand: in the segment of the
        stop point where it stands."""
        self.edits: dict[int, int] = {}
        """Locals of the innermost frame that are to be written when the guest goes on."""

    def forget(self) -> None:
        """The guest has moved: nothing that was read holds any more."""
        self._stacks.clear()
        self._threads.forget()

    def forget_threads(self) -> None:
        """Its memory has changed."""
        self._threads.forget()

    @property
    def probes(self) -> Probes:
        """The stop points."""
        assert self.machine.probes is not None
        return self.machine.probes

    @property
    def threads(self) -> Threads:
        """The guest's tasks."""
        return self._threads

    def modules(self) -> Sequence[ModuleInfo]:
        """Kernel and programs."""
        return tuple(map(module_info, self.probes.modules))

    def find(self, tid: int) -> Task | None:
        """The machine's task behind a thread."""
        return self._threads.task(self.machine, tid)

    def task(self, tid: int) -> Task:
        """The same; DebugError if there is none."""
        task = self.find(tid)
        if task is None:
            raise DebugError(f"there is no thread {tid}")
        return task

    # ---- stacks

    def captured(self, task: Task) -> list[Captured]:
        """A task's frames; one task's alone come cheaper than all."""
        found = self._stacks.get(task.pointer)
        if found is None:
            wanted = [task]
            if self._stacks:
                done = self._stacks
                wanted = [t for t in self.machine.tasks.values() if t.pointer not in done]
            self._stacks.update(read_stacks(self.machine, wanted))
            found = self._stacks.get(task.pointer, [])
        return found

    def stands_at(self, task: Task) -> tuple[int, int] | None:
        """(module, number of the stop point) where a task really stands."""
        at = self.machine.stopped_at
        if at is not None and at[0] is task:
            return at[1].module, at[1].stop
        captured = self.captured(task)
        return (captured[0].module, captured[0].stop) if captured else None

    def frames(self, tid: int) -> Sequence[Frame]:
        """A thread's frames, innermost first; () if they cannot be had."""
        task = self.find(tid)
        if task is None:
            return ()
        captured = self.captured(task)
        if not captured:
            return self._first_frame(task)
        pointers = {}
        for module in {item.module for item in captured}:
            pointer = stack_pointer(task, module)
            if pointer is not None:
                pointers[module] = pointer
        frames = build_frames(self.probes.modules, captured, pointers)
        place = self._virtual_place(tid, captured[0])
        if place is not None:
            frames = (replace(frames[0], place=place), *frames[1:])
        return with_trap(frames, task) if task.frames else frames

    def _virtual_place(self, tid: int, inner: Captured) -> Place | None:
        if self.virtual is None or self.virtual[0] != tid:
            return None
        place = self.virtual[1]
        return place if place.module == inner.module else None

    def _first_frame(self, task: Task) -> Sequence[Frame]:
        """A task that has not run yet stands at the start of its first function."""
        if not task.fresh or task.phase not in (Phase.CPU, Phase.KERNEL):
            return ()
        name = "ret_from_fork"
        if task.phase is Phase.CPU:
            name = "_start" if task.name.endswith("/0") else "_start_secondary"
        module = self.probes.modules[0]
        place = entry_of(module, name)
        index = module.functions.index(name)
        start = module.functions.start(index) if index is not None else None
        if place is None or start is None:
            return ()
        return (Frame(0, place, name, start, 0, stack_pointer(task, 0) or 0),)

    # ---- values

    def value(self, tid: int, level: int, index: int, *, operand: bool) -> int | None:
        """A local or operand of a frame; None if it is not known there."""
        task = self.task(tid)
        at = self.machine.stopped_at
        if level == 0 and at is not None and at[0] is task:
            if not operand and index in self.edits:
                return self.edits[index]
            frame = at[1]  # it came with the stop: conditions need nothing else
        else:
            captured = self.captured(task)
            if not 0 <= level < len(captured):
                return None
            frame = captured[level]
        if level == 0 and not self._holds(tid, frame, index, operand=operand):
            return None
        return (frame.operands if operand else frame.locals).get(index)

    def _holds(self, tid: int, frame: Captured, index: int, *, operand: bool) -> bool:
        """Whether what a stop point has handed over is still so at the virtual place."""
        place = self._virtual_place(tid, frame)
        if place is None:
            return True
        module = self.probes.modules[frame.module]
        real = module.stops.places[frame.stop]
        if place.offset <= real:
            return True
        written = written_between(module, real, place.offset)
        return not operand and written is not None and index not in written

    def global_value(self, tid: int, module: int, index: int) -> int | None:
        """A wasm global of a task's instance of a module; None if it cannot be seen."""
        task = self.task(tid)
        if not 0 <= module < len(self.probes.modules):
            return None
        item = global_item(task, self.probes.modules[module], index)
        return item if item is None or isinstance(item, int) else unsigned(item, task)

    def _read(self, address: int, length: int) -> bytes:
        return self.machine.memory.read(address, length)

    def read_memory(self, address: int, length: int) -> bytes:
        """Guest memory, as far as it exists. DebugError if none of it does."""
        memory = self.machine.memory
        size = memory.size()
        if not 0 <= address < size or length < 0:
            raise DebugError(f"no guest memory at {address:#x}")
        return memory.read(address, min(length, size - address, READ_LIMIT))
