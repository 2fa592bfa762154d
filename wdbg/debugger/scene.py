"""What a run was doing when it ended or trapped, with the values that were at hand: a run that had
no stop points is run again in a variant that has them.

A trap ends all calls of its task, and their locals are gone. In the second run the task is watched
from the last tick before the trap on: the frames at the last stop point that it passes are those
that the trap ended.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from wdbg.debugger.places import written_between
from wdbg.debugger.rewind import apply, go_to
from wdbg.dump.state import FrameState
from wdbg.runtime.cpu import Cpu
from wdbg.runtime.journal import Position, ReplayError
from wdbg.runtime.machine import Machine
from wdbg.runtime.probes import Captured, ProbedModule
from wdbg.runtime.stacks import read_stacks
from wdbg.runtime.stop import Stop
from wdbg.runtime.task import Task

_PIECE = 1 << 24
"""Ticks between two calls of the progress function."""
MOST_STOPS = 64
"""Stop points before a trap at which stacks are read; the code between two ticks has few."""

Progress = Callable[[float], None]


def again(
    old: Machine, fresh: Callable[[], Machine], progress: Progress | None = None
) -> tuple[Machine, dict[int, list[Captured]]]:
    """A machine that `fresh` boots, at the place where `old` has ended or stands between two
    slices; and the frames that were there before each trap in the kernel, by its number.

    ReplayError if it does not get there. `old` stays as it is, but for the registration of its
    host calls: it cannot run on.
    """
    new = fresh()
    scenes: dict[int, list[Captured]] = {}
    total = max(1, old.ticks)

    def show(ticks: int) -> None:
        if progress is not None:
            progress(min(1.0, ticks / total))

    try:
        new.replay(old.journal)
        reached = None
        for entry in old.journal.interventions:
            if entry.position != reached:
                reached = entry.position
                go_to(new, entry.position, show)
            apply(new, entry)
        for number, trap in enumerate(old.traps):
            if trap.tick > new.ticks:
                _run(new, trap.tick, show)
                scenes[number] = watch(new, trap)
        if old.stop is None:
            go_to(new, Position(old.moment()), show)
        else:
            _run(new, old.ticks, show)
            if new.stop is None:
                new.run(until=old.ticks + 1)
        if new.digest() != old.digest():
            raise ReplayError(f"the run is not the same as before at tick {old.ticks}")
    except BaseException:
        new.close()
        raise
    return new, scenes


def _run(machine: Machine, ticks: int, show: Callable[[int], None]) -> None:
    while machine.ticks < ticks and machine.stop is None:
        machine.run(until=min(ticks, machine.ticks + _PIECE))
        show(machine.ticks)


def watch(machine: Machine, trap: Stop) -> list[Captured]:
    """Run a machine that stands at the tick of a trap until the trap has happened; the frames at
    the last stop point before it. [] if there was none."""
    probes = machine.probes
    assert probes is not None
    found: list[Captured] = []
    count = 0

    def look(_cpu: Cpu, task: Task, _module: ProbedModule, _stop: int) -> bool:
        nonlocal found, count
        if task.pointer != trap.task or machine.traps[before:]:
            return False
        count += 1
        if count <= MOST_STOPS:
            machine.stopped_at = task, probes.capture(machine.mailbox.argument(0))
            found = read_stacks(machine, [task])[task.pointer]
            machine.stopped_at = None
        return False

    before = len(machine.traps)
    saved = [module.snapshot() for module in probes.modules]
    machine.on_probe, machine.pause_at_traps = look, True
    probes.fill(1)
    try:
        machine.run(until=machine.ticks + 1)
    finally:
        machine.on_probe, machine.pause_at_traps = None, False
        for module, state in zip(probes.modules, saved, strict=False):
            module.restore(state)
    return found


def with_values(
    machine: Machine, frames: Sequence[FrameState], scene: Sequence[Captured]
) -> tuple[FrameState, ...]:
    """The frames that a trap has ended, with what the stop point before it knew; unchanged if
    they are not the same calls."""
    probes = machine.probes
    assert probes is not None
    places = []
    for item in scene:
        module = probes.modules[item.module]
        offset = module.stops.places[item.stop]
        function = module.functions.at(offset)
        places.append((module, offset, module.functions.name(function) if function else "?"))
    names = [name for _, _, name in places]
    if names != [frame.function for frame in frames]:
        return tuple(frames)
    out = []
    for level, (frame, item) in enumerate(zip(frames, scene, strict=True)):
        if level:
            out.append(replace(frame, locals=item.locals, operands=item.operands))
            continue
        module, offset, _ = places[0]
        written = written_between(module, offset, frame.offset) if offset <= frame.offset else None
        kept = {
            index: value
            for index, value in item.locals.items()
            if written is not None and index not in written
        }
        out.append(replace(frame, locals=kept, operands={}))
    return tuple(out)
