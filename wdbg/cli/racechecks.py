"""`wdbg run --check races`: hold sampled accesses, and tell who came meanwhile."""

from __future__ import annotations

import argparse
from dataclasses import replace

from symbols.dwarf.index import Index
from wdbg.analysis.findings import Finding
from wdbg.analysis.races.filters import Filters
from wdbg.analysis.races.observed import observed
from wdbg.analysis.races.stream import Layout
from wdbg.cli.guestrun import Start
from wdbg.cli.races import layout_of
from wdbg.errors import BadInput
from wdbg.linux.tracefields import task_fields
from wdbg.runtime.machine import Machine
from wdbg.runtime.memory import GuestFault
from wdbg.runtime.racewatch import EVERY, WINDOW, RaceWatch, Where
from wdbg.runtime.symbolindex import open_index
from wdbg.trace.tables import TaskLife


def watching_races(args: argparse.Namespace, start: Start) -> Start:
    """The same run with races being watched for. BadInput if the kernel does not allow it."""
    options = start.options
    every = EVERY if args.race_every is None else args.race_every
    window = WINDOW if args.race_window is None else args.race_window
    for flag, value in (("every", every), ("window", window)):
        if not 1 <= value <= 1 << 24:
            raise BadInput(f"--race-{flag} {value}: 1 to {1 << 24} are possible")
    if options.variant != "tick":
        raise BadInput(f"--check races cannot go with the variant {options.variant}")
    filters = Filters.parse(args.race_ignore, args.race_skip)
    index = open_index(options.kernel)
    layout = layout_of(index)
    where = Where(layout.preempt_count, layout.irqs_off, layout.stack, layout.stack_size)
    watches: list[RaceWatch] = []

    def live(machine: Machine) -> None:
        start.live(machine)
        watches.append(RaceWatch(machine, where, options.seed or 0, every, window))

    def found(machine: Machine) -> list[Finding]:
        seen = [sighting for watch in watches for sighting in watch.sightings.values()]
        tasks = _tasks(index, machine)
        per_cpu = _per_cpu(layout, machine)
        races = observed(index, seen, tasks, per_cpu, options.seed or 0, filters)
        return [*start.found(machine), *races]

    return replace(start, options=replace(options, samples=True), live=live, found=found)


def _tasks(index: Index, machine: Machine) -> list[TaskLife]:
    """The tasks that there are, numbered by their addresses."""
    fields, rows = task_fields(index), []
    for pointer, task in machine.tasks.items():
        pid, comm = -1, task.name
        try:
            if fields.pid >= 0 and fields.comm >= 0:
                pid = machine.memory.read_u32(pointer + fields.pid)
                raw = machine.memory.read(pointer + fields.comm, 16)
                comm = raw.split(b"\0")[0].decode("utf-8", "backslashreplace")
        except GuestFault:
            pass  # the name that it was created with
        rows.append(TaskLife(0, pointer, pointer, pid, pid, comm))
    return rows


def _per_cpu(layout: Layout, machine: Machine) -> dict[int, int]:
    if not layout.per_cpu:
        return {}
    return {
        cpu.number: machine.memory.read_u32(layout.per_cpu + 4 * cpu.number)
        for cpu in machine.online()
    }
