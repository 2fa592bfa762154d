"""Writing dumps of a guest that runs in this process."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from wdbg.cli.dumpflags import DumpRequest
from wdbg.cli.recordings import describe
from wdbg.cli.registry import Request
from wdbg.debugger.scene import again, with_values
from wdbg.dump.file import TRACE_LIMIT, write_dump
from wdbg.dump.snapshot import Snapshot
from wdbg.errors import WdbgError
from wdbg.linux.image import Corrupt, Unknown
from wdbg.runtime.boot import boot
from wdbg.runtime.console import StreamConsole
from wdbg.runtime.machine import Machine
from wdbg.runtime.progress import ProgressBar
from wdbg.runtime.recording import End, serialize
from wdbg.runtime.stop import FINDINGS, Stop, StopKind

SHOW_AFTER = 1.0
"""Seconds after which a progress line appears."""

_EVENTS = {
    StopKind.PANIC: "panic",
    StopKind.TRAP: "trap",
    StopKind.HANG: "hang",
    StopKind.TIMEOUT: "hang",
    StopKind.LIMIT: "hang",
}

Say = Callable[[str], None]


class Dumper:
    """Writes what a `DumpRequest` asks for. A later event's dump takes the place of an earlier
    one's: it knows of both."""

    def __init__(self, request: DumpRequest, machine: Machine, say: Say) -> None:
        self._request = request
        self._say = say
        self._traps = 0
        machine.pause_at_traps = "trap" in request.events

    def paused(self, machine: Machine) -> None:
        """The run stands still; if that is because of a trap, and the kernel will not panic for
        it, write a dump."""
        if len(machine.traps) > self._traps:
            self._traps = len(machine.traps)
            if not ("panic" in self._request.events and _panics(machine)):
                self._write(machine, None)

    def ended(self, machine: Machine, stop: Stop, trace: Path | None) -> None:
        """The run is over."""
        event = _EVENTS.get(stop.kind, "exit")
        if event in self._request.events or (
            stop.kind not in FINDINGS and "exit" in self._request.events
        ):
            self._write(machine, trace)

    def _write(self, machine: Machine, trace: Path | None) -> None:
        save(self._request.path, machine, trace)
        self._say(f"dump in {self._request.path}: wdbg report crash {self._request.path}")


def save(path: Path, machine: Machine, trace: Path | None = None) -> None:
    """Write a dump of a machine that stands still. WdbgError if it cannot be written."""
    write_dump(path, take(machine), _parts(machine, trace))


def take(machine: Machine) -> Snapshot:
    """Its state, with the values of all frames: if it had no stop points, or a trap has ended
    calls, it is run again for them. If that fails there is a note in it."""
    if machine.probes is not None and not machine.traps:
        return Snapshot.of_machine(machine)
    bare = Snapshot.of_machine(machine)
    options = machine.options
    if options is None:
        return bare
    silent = replace(options, variant="debug", recording=None)
    bar = ProgressBar(f"running again to tick {machine.ticks}", SHOW_AFTER)
    started = time.monotonic()

    def show(done: float) -> None:
        bar.update("for the frames' values", done, time.monotonic() - started)

    try:
        new, scenes = again(machine, partial(boot, silent, StreamConsole(None)), show)
    except WdbgError as error:
        return replace(bare, notes=(*bare.notes, f"no values of frames: {error.message}"))
    finally:
        bar.close()
        machine.abi.observe_parks()
    full = Snapshot.of_machine(new, index=bare.index)
    tasks = dict(full.tasks)
    for number, scene in scenes.items():
        task = tasks.get(machine.traps[number].task)
        if task is not None:
            ended = [frame for frame in task.frames if frame.trapped]
            live = [frame for frame in task.frames if not frame.trapped]
            tasks[task.address] = replace(task, frames=(*live, *with_values(new, ended, scene)))
    new.close()
    return replace(
        full, memory=bare.memory, stop=bare.stop, traps=bare.traps, tasks=tasks,
        running=bare.running, boot=bare.boot, console=bare.console,
    )  # fmt: skip


def _panics(machine: Machine) -> bool:
    """Whether the kernel panics for each oops (kernel.panic_on_oops)."""
    image = Snapshot.of_machine(machine, frames=False).image
    try:
        return image is not None and bool(image.number(image.address("panic_on_oops")))
    except (Corrupt, Unknown):
        return False


def _parts(machine: Machine, trace: Path | None) -> dict[str, bytes]:
    """What else goes into a dump: how to run it again, and its trace."""
    parts = {}
    if machine.options is not None:
        moment = machine.moment()
        stop = machine.stop
        end = None
        if stop is not None:
            end = End(stop.kind.value, stop.message, stop.exit_code, moment, machine.digest())
        recorded = replace(
            describe(machine.options), journal=machine.journal, reached=moment, end=end
        )
        parts["recording"] = serialize(recorded)
    try:
        if trace is not None and trace.stat().st_size <= TRACE_LIMIT:
            parts["trace"] = trace.read_bytes()
    except OSError:
        pass  # the dump is what matters now
    return parts


def answer_dump(request: Request, machine: Machine) -> None:
    """Write the dump that somebody asks a running guest for."""
    assert request.dump is not None
    answer = request.answer
    try:
        save(Path(request.dump), machine)
        answer.send(done=True, line=request.dump)
    except WdbgError as error:
        answer.send(error=error.message)
    answer.close()
