"""Writes a recording while the run goes on: whatever ends the run, the file tells how it went.

Inputs are on disk before the guest reads them; checks of context switches follow within a fraction
of a second. Nothing here is seen by the guest.
"""

from __future__ import annotations

import os
import time
import zlib
from array import array
from pathlib import Path
from typing import TYPE_CHECKING

from wdbg.errors import BadInput, WdbgError
from wdbg.runtime.journal import Input, Intervention
from wdbg.runtime.recording import (
    End,
    Recording,
    SwitchPoint,
    checks_bytes,
    cut_bytes,
    end_bytes,
    header_bytes,
    input_bytes,
    intervention_bytes,
)
from wdbg.runtime.runhash import SWITCH, check_of, roll
from wdbg.runtime.stop import Stop

if TYPE_CHECKING:
    from wdbg.runtime.machine import Machine


FULL_EVERY = 64
"""Context switches between two that are recorded in full."""
PROGRESS_TICKS = 1 << 26
"""Ticks between two writes while the guest is busy: a fraction of a second."""
REST_SECONDS = 0.25
"""Wall time between two writes while it waits for somebody to type."""


class Counter:
    """A tap that only counts."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.switches = self.value = 0

    def events(self, items: array[int]) -> None:
        """See Tap."""
        for at in range(0, len(items), 2):
            self.value = roll(self.value, items[at], items[at + 1])
            self.switches += items[at + 1] & SWITCH != 0

    def data(self, tick: int, data: bytes) -> None:
        """See Tap."""
        self.value = roll(self.value, tick, zlib.crc32(data))


class Recorder:
    """A recording that grows; a `Tap` of the machine's run hash."""

    def __init__(self, path: Path, recording: Recording) -> None:
        """Make the file, with everything but the run. BadInput if that cannot be."""
        self.path = path
        self.due = PROGRESS_TICKS
        """Tick at which `progress` is to be called."""
        self._machine: Machine
        self._value = 0
        self._switches = self._written = 0
        self._checks = bytearray()
        self._points: list[SwitchPoint] = []
        self._rested = 0.0
        self._failure: OSError | None = None
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            self._file = os.open(temporary, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o666)
            os.write(self._file, header_bytes(recording))
            os.replace(temporary, path)
        except OSError as error:
            raise BadInput(f"{path}: {error.strerror}") from None

    def attach(self, machine: Machine) -> None:
        """Record that machine: one that has not run yet, or one that stands where the one before
        stood."""
        self._machine = machine
        machine.hash.flush()
        machine.hash.tap = machine.recorder = self

    # ---- Tap

    def events(self, items: array[int]) -> None:
        """See Tap."""
        value = self._value
        for at in range(0, len(items), 2):
            tick, word = items[at], items[at + 1]
            value = roll(value, tick, word)
            if word & SWITCH:
                if self._switches % FULL_EVERY == 0:
                    cpu = word >> 32 & 0x7F
                    self._points.append(
                        SwitchPoint(self._switches, tick, cpu, word & 0xFFFF_FFFF)
                    )
                self._checks.append(check_of(value))
                self._switches += 1
        self._value = value

    def data(self, tick: int, data: bytes) -> None:
        """See Tap."""
        self._value = roll(self._value, tick, zlib.crc32(data))

    # ---- what the machine tells

    def note(self, entry: Input | Intervention) -> None:
        """Something reached the guest from outside, or a debugger did something to it."""
        if isinstance(entry, Input):
            self._write(input_bytes(entry))
        else:
            self._write(intervention_bytes(entry))

    def progress(self) -> None:
        """Write how far the run has come."""
        self._machine.hash.flush()
        self.due = self._machine.ticks + PROGRESS_TICKS
        reached = self._machine.moment()
        self._write(checks_bytes(self._written, bytes(self._checks), self._points, reached))
        self._written = self._switches
        self._checks.clear()
        self._points.clear()

    def rest(self) -> None:
        """The guest waits for somebody to type: the same, if something has happened since."""
        now = time.monotonic()
        if now - self._rested > REST_SECONDS:
            self._rested = now
            self._machine.hash.flush()
            if self._checks:
                self.progress()

    def branch(self, machine: Machine) -> Counter:
        """A machine that has not run yet is about to go to a place of the past, to change it."""
        counter = Counter(machine)
        machine.hash.tap = counter
        return counter

    def cut(self, counter: Counter) -> None:
        """It has come there, and its interventions are in its journal: what came after is no longer
        part of the run."""
        machine = counter.machine
        machine.hash.flush()
        switches, value = counter.switches, counter.value
        journal = machine.journal
        self._machine.hash.flush()
        self._write(checks_bytes(
            self._written, bytes(self._checks), self._points, self._machine.moment()
        ))
        self._write(cut_bytes(len(journal.inputs), 0, switches))
        for entry in journal.interventions:
            self._write(intervention_bytes(entry))
        self._checks.clear()
        self._points.clear()
        self._switches = self._written = switches
        self._value = value

    def finish(self, stop: Stop) -> None:
        """The run has ended. WdbgError if the file is not whole."""
        self.progress()
        machine = self._machine
        digest = machine.digest()
        moment = machine.moment()
        self._write(
            end_bytes(End(stop.kind.value, stop.message, stop.exit_code, moment, digest))
        )
        os.close(self._file)
        machine.recorder = machine.hash.tap = None
        if self._failure is not None:
            raise WdbgError(f"{self.path}: {self._failure.strerror}: the recording is not whole")

    def _write(self, data: bytes) -> None:
        if self._failure is None:
            try:
                if os.write(self._file, data) != len(data):
                    raise OSError(0, "the disk is full")
            except OSError as error:
                self._failure = error  # the run is worth more than its recording
