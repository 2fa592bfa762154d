"""Takes the state of a machine that stands still."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from symbols.dwarf.index import Index
from wdbg.dump.snapshot import Snapshot
from wdbg.dump.state import (
    BootState,
    CpuState,
    FrameState,
    ModuleState,
    PlaceState,
    StopState,
    TaskState,
)
from wdbg.errors import WdbgError
from wdbg.runtime.backtrace import Frame
from wdbg.runtime.boot import BootOptions
from wdbg.runtime.machine import Machine
from wdbg.runtime.probes import Captured, ProbedModule
from wdbg.runtime.program import Program
from wdbg.runtime.stacks import read_backtraces, read_stacks
from wdbg.runtime.stop import Stop
from wdbg.runtime.symbolindex import open_index
from wdbg.runtime.task import Task
from wdbg.runtime.taskglobals import global_item, stack_pointer, unsigned

_MOST_GLOBALS = 64
"""Globals of a task that are kept."""


def capture(machine: Machine, index: Index | None, *, frames: bool) -> Snapshot:
    """See `Snapshot.of_machine`."""
    options = machine.options
    modules, numbers = _modules(machine, options)
    notes = []
    if index is None and modules[0].path is not None:
        try:
            index = open_index(modules[0].path)
        except WdbgError as error:
            notes.append(error.message)
    tasks = list(machine.tasks.values())
    stacks: dict[int, tuple[FrameState, ...]] = {}
    if frames and machine.probes is not None:
        stacks = {
            pointer: _frames(machine, machine.tasks[pointer], captured)
            for pointer, captured in read_stacks(machine, tasks).items()
        }
    elif frames:
        stacks = {
            pointer: tuple(_bare(frame, numbers) for frame in found)
            for pointer, found in read_backtraces(machine, tasks).items()
        }
        notes.append("the guest ran without stop points: frames have no values")
    states = {}
    for task in tasks:
        ended = tuple(_bare(frame, numbers, trapped=True) for frame in task.frames)
        states[task.pointer] = TaskState(
            task.pointer,
            task.name,
            task.phase.value,
            task.fresh,
            (*stacks.get(task.pointer, ()), *(frame for frame in ended if frames)),
            _globals(machine, task),
        )
    return Snapshot(
        memory=machine.memory,
        tick=machine.ticks,
        virtual_ns=machine.now(),
        cpus=tuple(
            CpuState(
                cpu.number,
                cpu.task.pointer if cpu.task is not None else 0,
                cpu.ready,
                cpu.waits_on,
                cpu.deadline,
                cpu.timer,
            )
            for cpu in machine.online()
        ),
        tasks=states,
        modules=modules,
        stop=_stop(_reason(machine), numbers, machine.ticks),
        running=machine.running.pointer if machine.running is not None else 0,
        traps=tuple(_stop(trap, numbers, trap.tick) for trap in machine.traps),
        boot=_boot(options),
        console=bytes(machine.written),
        index=index,
        notes=tuple(notes),
    )


# ---- frames


def _frames(machine: Machine, task: Task, captured: list[Captured]) -> tuple[FrameState, ...]:
    assert machine.probes is not None
    pointers = {
        number: stack_pointer(task, number) or 0 for number in {item.module for item in captured}
    }
    found = []
    for item in captured:
        module = machine.probes.modules[item.module]
        offset = module.stops.places[item.stop]
        function = module.functions.at(offset)
        start = module.functions.start(function) if function is not None else None
        found.append(
            FrameState(
                item.module,
                offset,
                module.functions.name(function) if function is not None else "?",
                offset if start is None else start,
                item.locals,
                item.operands,
                pointers.pop(item.module, 0),
            )
        )
    return tuple(found)


def _bare(frame: Frame, numbers: dict[str, int], *, trapped: bool = False) -> FrameState:
    return FrameState(
        numbers.get(frame.module, -1),
        frame.code_offset,
        frame.function,
        frame.code_offset - frame.offset,
        trapped=trapped,
    )


def _stop(stop: Stop | None, numbers: dict[str, int], tick: int) -> StopState:
    if stop is None:
        return StopState("running", "", (), tick)
    places = tuple(
        PlaceState(frame.function, frame.code_offset, numbers.get(frame.module, -1))
        for frame in stop.frames
    )
    return StopState(stop.kind.value, stop.message, places, tick, stop.task)


def _reason(machine: Machine) -> Stop | None:
    """Why it stands still; a trap that has just happened is a reason too."""
    if machine.stop is None and machine.traps and machine.traps[-1].tick == machine.ticks:
        return machine.traps[-1]
    return machine.stop


# ---- modules


def _modules(
    machine: Machine, options: BootOptions | None
) -> tuple[tuple[ModuleState, ...], dict[str, int]]:
    """The modules, and their numbers by the names that backtraces have for them."""
    numbers = {"": 0}
    if machine.probes is not None:
        for task in machine.tasks.values():
            program = task.image.program if task.image is not None else None
            if program is not None and program.probed is not None:
                numbers[program.label] = program.probed.number
        return tuple(map(_probed, machine.probes.modules)), numbers
    path = options.kernel if options is not None else None
    modules = [_module(0, path.stem if path is not None else "vmlinux", path)]
    programs: dict[str, tuple[Program, int, int]] = {}
    for task in machine.tasks.values():
        if task.image is not None:
            program = task.image.program
            programs[program.label] = (program, task.image.data_start, task.image.table_start)
    for label, (program, data, table) in programs.items():
        numbers[label] = len(modules)
        modules.append(_module(len(modules), label, program.debug_file, data, table))
    return tuple(modules), numbers


def _probed(module: ProbedModule) -> ModuleState:
    last = len(module.functions) - 1
    digest, size = _digest(module.path) if module.path is not None else ("", 0)
    return ModuleState(
        module.number,
        module.name,
        module.path,
        digest,
        module.code.facts.original_code_base,
        (module.functions.start(last) or 0) + module.functions.size(last),
        module.data_start,
        module.table_start,
        size,
    )


def _module(
    number: int, name: str, path: Path | None, data: int = 0, table: int = 0
) -> ModuleState:
    digest, size = _digest(path) if path is not None else ("", 0)
    return ModuleState(number, name, path, digest, 0, 0, data, table, size)


@lru_cache(maxsize=32)
def _digest(path: Path) -> tuple[str, int]:
    """(SHA-256, size) of a file; ("", 0) if it cannot be read."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return digest, file.tell()
    except OSError:
        return "", 0


# ---- the rest


def _globals(machine: Machine, task: Task) -> dict[tuple[int, int], int]:
    found: dict[tuple[int, int], int] = {}
    if machine.probes is None:
        pointer = stack_pointer(task, 0)
        return {} if pointer is None else {(0, 0): pointer}
    for module in machine.probes.modules:
        facts = module.code.facts
        wanted = {number for _, kind, number in facts.exports if kind == "global"}
        wanted |= set(range(len(facts.globals))) | {0}
        for number in sorted(wanted)[:_MOST_GLOBALS]:
            item = global_item(task, module, number)
            value = item if item is None or isinstance(item, int) else unsigned(item, task)
            if value is not None:
                found[module.number, number] = value
    return found


def _boot(options: BootOptions | None) -> BootState:
    if options is None:
        return BootState()
    initrd = options.initrd
    return BootState(
        str(options.kernel),
        str(initrd) if initrd is not None else "",
        _digest(initrd)[0] if initrd is not None else "",
        options.command_line,
        options.cpus,
        options.memory,
        options.seed,
        options.schedule,
        options.variant,
    )
