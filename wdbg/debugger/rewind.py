"""Bringing a guest to the same place in another build variant, by running it again.

A run is its boot options and its journal: the fresh machine takes the old one's inputs, each at
its moment, makes the same changes that debuggers made, stops at the same place, and then goes
live in the place of the old one. The two histories must have the same hash.
"""

from __future__ import annotations

import hashlib
import time
import zlib
from collections.abc import Callable
from dataclasses import replace

from wdbg.debugger.levels import Keep, Past
from wdbg.debugger.values import write_global
from wdbg.runtime.cpu import Cpu
from wdbg.runtime.journal import (
    GlobalWrite,
    Hold,
    Intervention,
    LocalWrite,
    MemoryWrite,
    Position,
    ReplayError,
)
from wdbg.runtime.machine import Machine
from wdbg.runtime.probes import ProbedModule
from wdbg.runtime.progress import ProgressBar
from wdbg.runtime.runhash import RunHash
from wdbg.runtime.task import Task

SHOW_AFTER = 1.0
"""Seconds after which a progress line appears."""
_PIECE = 1 << 24
"""Ticks between two steps of the progress line."""


def position(machine: Machine) -> Position:
    """Where a machine that stands still is. At a stop point that takes a look at all of its
    memory: several arrivals there can fall into one tick."""
    at = machine.stopped_at
    if at is None or machine.probes is None:
        return Position(machine.moment())
    module = machine.probes.modules[at[1].module]
    place = (module.number, module.stops.places[at[1].stop])
    return Position(machine.moment(), place, 0, fingerprint(machine))


def fingerprint(machine: Machine) -> str:
    """Digest of history, memory and the frame of the task that stands at a stop point. A checksum
    of memory does: it tells apart a few arrivals within one tick, in a fraction of the time."""
    at = machine.stopped_at
    frame = "" if at is None else f"{at[0].pointer} {sorted(at[1].locals.items())}"
    text = f"{machine.digest()} {zlib.crc32(machine.memory.view())} {frame}"
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


Progress = Callable[[str, float, float], None]
"""(what is done, fraction of it, seconds since the start)."""


def bring_to(
    old: Machine,
    fresh: Callable[[], Machine],
    target: Position,
    progress: Progress | None = None,
    keep: Keep | None = None,
    past: Past | None = None,
) -> Machine:
    """The machine that `fresh` boots, in another variant and on a silent console, once it stands
    where `old` stands; `old` is closed then. ReplayError if it does not get there: `old` is as
    it was. Without `progress` a line on stderr shows how far it is. `past`: go to a place of that
    run instead."""
    console = old.console
    digest = old.digest() if past is None else past.digest
    journal = old.journal if past is None else past.journal
    following = old.source is not None and past is None
    total = max(1, target.moment.ticks)
    started = time.monotonic()
    bar = ProgressBar(f"running again to tick {total}", SHOW_AFTER)

    def show(ticks: int) -> None:
        update = progress or bar.update
        update(f"tick {ticks}", min(1.0, ticks / total), time.monotonic() - started)
        if old.asked_to_stop:
            raise ReplayError("asked to end")
        if keep is not None and new is not None:
            keep(new, None)

    new: Machine | None = None
    try:
        new = fresh()
        if not following:
            new.source, new.hash = None, RunHash()
            new.replay(journal)
        counter = None
        if past is not None and old.recorder is not None:
            counter = old.recorder.branch(new)
        if keep is not None:
            keep(new, None)
        reached, found = None, target
        for entry in journal.interventions:
            if entry.position != reached:
                reached, found = entry.position, go_to(new, entry.position, show)
            new.journal.interventions.append(replace(entry, position=found))
            apply(new, entry)
            new.changed = found
            if keep is not None:
                keep(new, found)
        if target != reached:
            go_to(new, target, show)
        if new.digest() != digest:
            raise ReplayError(f"the run is not the same as before at tick {total}")
        if following:
            new.inputs.console = console
        else:
            new.go_live(console)
    except BaseException:
        old.abi.observe_parks()
        if new is not None:
            new.close()
        raise
    finally:
        bar.close()
    if old.recorder is not None:
        if counter is not None:
            old.recorder.cut(counter)
        old.recorder.attach(new)
    if old.tracer is not None:
        old.tracer.move(new)
    new.follow(old)
    old.close()
    return new


def go_to(machine: Machine, target: Position, show: Callable[[int], None]) -> Position:
    """Run a replaying machine to a position; returns it with its occurrence counted.

    ReplayError if the run ends before, or never gets there.
    """
    moment = target.moment
    while machine.ticks < moment.ticks and machine.stop is None:
        machine.run(until=min(moment.ticks, machine.ticks + _PIECE))
        show(machine.ticks)
    if target.place is not None:
        return _go_to_place(machine, target)
    if (machine.quanta, machine.skipped) != (moment.quanta, moment.skipped):
        machine.run_to(moment.quanta, moment.skipped)
    if machine.moment() != moment:
        raise ReplayError(f"the run was at {moment} before, and is at {machine.moment()} now")
    return target


def _go_to_place(machine: Machine, target: Position) -> Position:
    """From the target's tick, or from the intervention before it in the same tick, to the arrival
    at its stop point that is meant."""
    assert target.place is not None
    if machine.probes is None or target.place[0] >= len(machine.probes.modules):
        raise ReplayError("the run was at a stop point that does not exist now")
    module = machine.probes.modules[target.place[0]]
    stop = module.stops.at(target.place[1])
    if stop is None:
        raise ReplayError("the run was at a stop point that does not exist now")

    def here(_cpu: Cpu, _task: Task, at: ProbedModule, number: int) -> bool:
        return at is module and number == stop

    machine.on_probe = here
    module.arm(stop)
    try:
        count = 0
        while True:
            machine.run(until=target.moment.ticks + 1)
            if machine.stopped_at is None:
                raise ReplayError(f"the run did not come to its place at {target.moment} again")
            count += 1
            if target.occurrence:
                if count == target.occurrence:
                    return target
            elif fingerprint(machine) == target.fingerprint:
                return replace(target, occurrence=count)
    finally:
        machine.on_probe = None
        module.arm(stop, 0)


def apply(machine: Machine, entry: Intervention) -> None:
    """Do to a machine what a debugger did."""
    match entry:
        case MemoryWrite(address=address, data=data):
            machine.memory.write(address, data)
        case GlobalWrite(task=pointer, module=module, index=index, value=value):
            write_global(machine, machine.tasks[pointer], module, index, value)
        case Hold(cpus=cpus):
            machine.hold(cpus)
        case LocalWrite(index=index, value=value):
            try:
                machine.edits.put(machine, index, value)
            except LookupError:
                raise ReplayError(f"local {index} cannot be written where it was before") from None
