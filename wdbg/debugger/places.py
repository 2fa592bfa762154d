"""Places and stop points: which stop point stands for an instruction.

A stop point's *segment* is the code from it to the next one in the same function. A place in
between is reached virtually, when the task arrives at the segment's stop point; places in a
function's header (the declaration of its locals) belong to its entry.
"""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from symbols.errors import SymbolsError
from symbols.wasm.decode import instructions
from wdbg.debugger.model import DebugError, Frame, ModuleInfo, Place
from wdbg.runtime.probes import Captured, ProbedModule
from wdbg.runtime.task import Task


def module_info(module: ProbedModule) -> ModuleInfo:
    """What front ends know of a module."""
    last = len(module.functions) - 1
    return ModuleInfo(
        module.number,
        module.name,
        module.path,
        module.code.facts.original_code_base,
        (module.functions.start(last) or 0) + module.functions.size(last),
        module.data_start,
        module.table_start,
    )


def stop_for(module: ProbedModule, offset: int) -> int:
    """Number of the stop point in whose segment an offset lies. DebugError if there is none."""
    function = module.functions.at(offset) if offset >= 0 else None
    if function is None:
        raise DebugError(f"{module.name}: no code at offset {offset:#x}")
    start = module.functions.start(function) or 0
    inside = module.stops.between(start, start + module.functions.size(function))
    if not inside:
        name = module.functions.name(function)
        raise DebugError(f"{module.name}: the guest cannot be stopped in {name}")
    last = module.stops.before(offset)
    return last if last is not None and last in inside else inside[0]


def entry_of(module: ProbedModule, name: str) -> Place | None:
    """The first instruction, or else the start, of a function."""
    index = module.functions.index(name)
    start = module.functions.start(index) if index is not None else None
    if index is None or start is None:
        return None
    inside = module.stops.between(start, start + module.functions.size(index))
    return Place(module.number, module.stops.places[inside[0]] if inside else start)


def build_frames(
    modules: Sequence[ProbedModule], captured: Sequence[Captured], stack_pointers: dict[int, int]
) -> tuple[Frame, ...]:
    """Frames as front ends see them; `stack_pointers` by module, of its innermost frame."""
    left = dict(stack_pointers)
    frames = []
    for level, item in enumerate(captured):
        module = modules[item.module]
        offset = module.stops.places[item.stop]
        function = module.functions.at(offset)
        start = module.functions.start(function) if function is not None else None
        name = module.functions.name(function) if function is not None else "?"
        depth = len(captured) - 1 - level
        pointer = left.pop(item.module, 0)
        place = Place(item.module, offset)
        frames.append(Frame(level, place, name, start or 0, depth, pointer))
    return tuple(frames)


def with_trap(frames: tuple[Frame, ...], task: Task) -> tuple[Frame, ...]:
    """The frames of a task that deals with a trap, on top of those that the trap has ended: what
    is known of these is where they were."""
    program = task.image.program if task.image is not None else None
    ended = []
    for frame in task.frames:
        number: int | None = 0
        if frame.module:
            ours = program is not None and program.label == frame.module and program.probed
            number = ours.number if ours else None
        if number is not None:
            ended.append((Place(number, frame.code_offset), frame))
    outer = tuple(
        Frame(
            len(frames) + level,
            place,
            frame.function,
            frame.code_offset - frame.offset,
            len(ended) - 1 - level,
            0,
        )
        for level, (place, frame) in enumerate(ended)
    )
    return (*(replace(f, depth=f.depth + len(ended)) for f in frames), *outer)


@lru_cache(maxsize=8)
def _file(path: Path) -> mmap.mmap | None:
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):
        return None


def written_between(module: ProbedModule, start: int, end: int) -> set[int] | None:
    """Locals that the code in [start, end) writes; None if the code cannot be read."""
    data = _file(module.path) if module.path is not None else None
    if data is None:
        return None
    base = module.code.facts.original_code_base
    written = set()
    try:
        for item in instructions(data[base + start : base + end], 0, end - start):
            if item.opcode.name in ("local.set", "local.tee") and isinstance(item.operands[0], int):
                written.add(item.operands[0])
    except SymbolsError:
        return None
    return written
