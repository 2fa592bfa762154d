"""The journal: what reached the guest from outside, each input with its exact position in the run.

A machine booted with the same options and given the journal repeats the run, in any variant that
counts ticks, with nobody at the keyboard; then it can go live where the journal ends.

Inputs arrive at scheduling points only, and a scheduling point is named by what never repeats in
a run: the quanta started before it, and the idle time skipped before it (several points in a row
can have the same count of quanta, while every CPU is idle).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from wdbg.errors import WdbgError


class ReplayError(WdbgError):
    """A replay does not follow its journal: other options, another kernel, or a bug."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Where a run stands."""

    ticks: int
    """Ticks executed by all CPUs together."""
    quanta: int
    """Quanta started."""
    skipped: int
    """Virtual ns skipped while every CPU was idle."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Console input."""

    moment: Moment
    data: bytes
    idle: bool
    """Every CPU waited. An alarm due at the same moment can end that, and the next piece of input
    comes to a busy machine."""


@dataclass(frozen=True, slots=True)
class Resize:
    """The console's size became known, or another."""

    moment: Moment
    rows: int
    columns: int


Input = Keys | Resize


@dataclass(frozen=True, slots=True)
class Position:
    """A point of a run that can be found again.

    Without a `place`: where `run(until=ticks)` stops, or the scheduling point after it that has
    the moment's quanta and skipped time. With one: at a stop point inside a quantum.
    """

    moment: Moment
    place: tuple[int, int] | None = None
    """(module, original code offset) of the stop point at which the task has parked."""
    occurrence: int = 0
    """How often that place was reached since `run(until=ticks)` would have stopped, or since the
    intervention before it if that is later, from 1; 0 with a place: not counted yet, the
    `fingerprint` tells which arrival it is."""
    fingerprint: str = ""
    """Digest of the run, the memory and the captured values at that very arrival."""


@dataclass(frozen=True, slots=True)
class MemoryWrite:
    """A debugger wrote guest memory."""

    position: Position
    address: int
    data: bytes


@dataclass(frozen=True, slots=True)
class GlobalWrite:
    """A debugger wrote a wasm global of a task's instance of a module."""

    position: Position
    task: int
    """Address of its task_struct."""
    module: int
    index: int
    value: int


@dataclass(frozen=True, slots=True)
class LocalWrite:
    """A debugger wrote a local of the innermost frame of the task that stands at the position."""

    position: Position
    index: int
    value: int


@dataclass(frozen=True, slots=True)
class Hold:
    """From here on the CPUs of that set do not run (an empty set: all run)."""

    position: Position
    cpus: frozenset[int]


Intervention = MemoryWrite | GlobalWrite | LocalWrite | Hold


@dataclass(slots=True)
class Journal:
    """All inputs of a run so far, in order, and what debuggers did to it."""

    inputs: list[Input] = field(default_factory=list)
    interventions: list[Intervention] = field(default_factory=list)


class Replay:
    """Gives a machine the inputs of a journal, each at its moment."""

    def __init__(self, inputs: Sequence[Input]) -> None:
        self._inputs = tuple(inputs)
        self._next = 0

    @property
    def left(self) -> int:
        """Inputs that have not been given yet."""
        return len(self._inputs) - self._next

    def _due(self, quanta: int, skipped: int) -> Input | None:
        if self._next >= len(self._inputs):
            return None
        entry = self._inputs[self._next]
        moment = entry.moment
        if moment.quanta > quanta:
            return None
        if moment.quanta < quanta or moment.skipped < skipped:
            raise ReplayError(
                f"the run does not follow its journal: input {self._next} belongs to quantum "
                f"{moment.quanta}, and that has passed"
            )
        return entry if moment.skipped == skipped else None

    def resize(self, quanta: int, skipped: int) -> tuple[int, int] | None:
        """(rows, columns) if the console's size is next at this scheduling point."""
        entry = self._due(quanta, skipped)
        if not isinstance(entry, Resize):
            return None
        self._next += 1
        return entry.rows, entry.columns

    def keys(self, quanta: int, skipped: int, *, idle: bool) -> bytes:
        """Console input if that is next at this scheduling point."""
        entry = self._due(quanta, skipped)
        if not isinstance(entry, Keys) or entry.idle != idle:
            return b""
        self._next += 1
        return entry.data

    def idle(
        self, quanta: int, skipped: int, wait: int | None, most: int | None
    ) -> tuple[bytes, int] | None:
        """`Console.idle` as it went: time passes up to the next input or the alarm, by no more
        than `most` virtual ns."""
        data = self.keys(quanta, skipped, idle=True)
        if data:
            return data, 0
        entry = self._inputs[self._next] if self.left else None
        if entry is not None and entry.moment.quanta == quanta:
            passed = entry.moment.skipped - skipped
            if wait is not None and passed > wait:
                raise ReplayError(
                    f"the run does not follow its journal: an alarm before input {self._next}"
                )
            if most is None or passed <= most:
                return self.keys(quanta, entry.moment.skipped, idle=True), passed
            return b"", most
        if wait is None:
            return None if most is None else (b"", most)
        return b"", wait if most is None else min(wait, most)
