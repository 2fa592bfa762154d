"""Races that were seen to happen (`wdbg.runtime.racewatch`), as findings."""

from __future__ import annotations

from collections.abc import Iterable

from symbols.dwarf.index import Index
from wdbg.analysis.findings import Finding
from wdbg.analysis.races.detect import Race
from wdbg.analysis.races.filters import Filters
from wdbg.analysis.races.interrupts import context_of
from wdbg.analysis.races.objects import Objects
from wdbg.analysis.races.report import Names, findings, frame_line
from wdbg.analysis.races.shadow import Access
from wdbg.analysis.races.sites import Sites
from wdbg.runtime.backtrace import Frame
from wdbg.runtime.racewatch import Side, Sighting
from wdbg.trace.events import MemFlag
from wdbg.trace.tables import Tables, TaskLife

NONE = Filters()


def observed(
    index: Index,
    sightings: Iterable[Sighting],
    tasks: list[TaskLife],
    per_cpu: dict[int, int],
    seed: int,
    filters: Filters = NONE,
) -> list[Finding]:
    """What was seen, without what is meant to race. `tasks`: numbered by their addresses."""
    sites = Sites(index)
    races = []
    stacks: dict[int, tuple[str, ...]] = {}
    for sighting in sightings:
        held, other = sighting.held, sighting.other
        if sites.meant_to_race(held.position) or sites.in_sequence(held.position):
            continue
        first = _access(held, len(stacks))
        stacks[first.seq] = _stack(index, held.frames)
        if other is None:
            races.append(Race(first, None, sighting.count, sighting.old, sighting.new))
            continue
        if sites.meant_to_race(other.position) or sites.in_sequence(other.position):
            continue
        second = _access(other, len(stacks))
        stacks[second.seq] = _stack(index, other.frames)
        races.append(Race(first, second, sighting.count, sighting.old, sighting.new))
    objects = Objects(index, tasks, per_cpu)
    names = Names(sites, objects, Tables(tasks=tasks), stacks, seed)
    return findings((race for race in races if filters.keep(race, sites)), names)


def _access(side: Side, seq: int) -> Access:
    flags = MemFlag.WRITE * side.write | MemFlag.READ * side.read | MemFlag.MARKED * side.marked
    context = context_of(side.task, side.cpu, side.preempt_count)
    return Access(
        seq, side.tick, side.cpu, side.task, context, side.position, side.address, side.size,
        int(flags), 0, None, side.irqs_off, side.preempt_count,
    )  # fmt: skip


def _stack(index: Index, frames: tuple[Frame, ...]) -> tuple[str, ...]:
    """The callers, without the function of the access itself."""
    lines = []
    for frame in frames[1:]:
        if frame.module:
            lines.append(str(frame))
            continue
        calls = index.frames_at(max(frame.code_offset, 0))
        lines += [frame_line(call) for call in calls] or [frame.function]
    return tuple(lines)
