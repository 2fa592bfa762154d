"""Stacks for findings, from the run itself: it is done again, and stopped where they are wanted.

A trace tells the call site of an event at most. Runs are deterministic, so the complete stacks of
the few events that a report shows cost a second run up to the last of them, and nothing while the
guest is recorded.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from symbols.dwarf.index import Index
from symbols.errors import SymbolsError
from wdbg.analysis.findings import Finding
from wdbg.analysis.stackrequests import Place, places, with_stacks
from wdbg.cli.recordings import describe, options_of
from wdbg.errors import BadInput, WdbgError
from wdbg.runtime.backtrace import Frame
from wdbg.runtime.boot import BootOptions, boot
from wdbg.runtime.console import StreamConsole
from wdbg.runtime.journal import Journal
from wdbg.runtime.machine import Machine
from wdbg.runtime.recording import Recording, parse, serialize
from wdbg.runtime.stacks import read_backtraces
from wdbg.runtime.symbolindex import open_index
from wdbg.trace.events import POSITION_MODULE_SHIFT

Again = Callable[[], tuple[Machine, Path]]
"""Makes a machine that does a run again, and tells its kernel; WdbgError if it cannot."""

MOST = 400
"""Stacks that are looked up of all findings together."""
_DEPTH = 40
"""Frames that are shown of each."""


def fill_stacks(findings: Sequence[Finding], boot_again: Again) -> list[Finding]:
    """The findings with their stacks. Where the run cannot be done again, call sites have to
    do."""
    wanted = list(dict.fromkeys(place for finding in findings for place in places(finding)))
    found: dict[Place, list[str]] = {}
    if wanted:
        try:
            machine, kernel = boot_again()
        except WdbgError:
            pass
        else:
            try:
                ordered = sorted(wanted[:MOST], key=lambda place: place.tick)
                found = _stacks(machine, ordered, _index(kernel))
            finally:
                machine.close()
    return [with_stacks(finding, found) for finding in findings]


def again(options: BootOptions, journal: Journal) -> Again:
    """Does a run of this process again."""

    def make() -> tuple[Machine, Path]:
        plain = replace(options, variant="tick", recording=None)
        machine = boot(plain, StreamConsole(None))
        machine.replay(journal)
        return machine, options.kernel

    return make


def packed(options: BootOptions, journal: Journal) -> str:
    """What it takes to do a run again, as a text: a fact of a trace."""
    recording: Recording = replace(describe(options), journal=journal)
    return base64.b64encode(serialize(recording)).decode("ascii")


def unpacked(fact: object) -> Again:
    """Does the run of a trace again, from such a fact."""

    def make() -> tuple[Machine, Path]:
        try:
            data = base64.b64decode(str(fact or ""), validate=True)
        except binascii.Error:
            raise BadInput("the trace does not tell how to do its run again") from None
        recording = parse(data, "the trace's recording")
        return again(options_of(recording, None, None), recording.journal)()

    return make


def _stacks(
    machine: Machine, wanted: Iterable[Place], index: Index | None
) -> dict[Place, list[str]]:
    found: dict[Place, list[str]] = {}
    for place in wanted:
        while machine.ticks < place.tick and machine.stop is None:
            machine.run(until=place.tick)
        task = machine.tasks.get(place.task)
        if machine.ticks != place.tick or task is None:
            continue
        frames = _upto(read_backtraces(machine, [task])[place.task], place.position)
        lines = [line for frame in frames for line in _lines(frame, index)]
        if len(lines) > _DEPTH:
            lines = [*lines[:_DEPTH], f"... {len(lines) - _DEPTH} more"]
        if lines:
            found[place] = lines
    return found


def _upto(frames: Sequence[Frame], position: int) -> list[Frame]:
    """The frames from the one of the call at `position` outwards: within the event's tick the task
    may have called other functions before."""
    if not position or position >> POSITION_MODULE_SHIFT:
        return list(frames)
    for number, frame in enumerate(frames):
        start = frame.code_offset - frame.offset
        if not frame.module and start <= position < start + frame.size:
            here = replace(frame, code_offset=position, offset=position - start)
            return [here, *frames[number + 1 :]]
    return []


def _lines(frame: Frame, index: Index | None) -> list[str]:
    """A frame, and the calls that were inlined into it."""
    if frame.module or index is None:
        return [str(frame)]
    try:
        source = index.frames_at(frame.code_offset)
    except SymbolsError:
        source = ()
    if not source or not source[0].file:
        return [str(frame)]
    return [f"{each.name} at {_short(each.file)}:{each.line}" for each in source]


def _short(file: str) -> str:
    """A source path from the kernel's tree on."""
    parts = PurePosixPath(file).parts
    for number, part in enumerate(parts):
        if part.startswith("linux-"):
            return "/".join(parts[number + 1 :]) or file
    return file


def _index(kernel: Path) -> Index | None:
    try:
        return open_index(kernel)
    except WdbgError:
        return None
