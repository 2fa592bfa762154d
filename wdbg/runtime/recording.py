"""A recording: what it takes to do a run again, to the bit, and to notice if it goes otherwise.

A run is a pure function of kernel, initial RAM disk, options and inputs (docs/determinism.md), so
that is what a recording holds, and a byte for each context switch by which a replay is judged.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from wdbg.errors import BadInput
from wdbg.runtime import recordformat as layout
from wdbg.runtime.journal import (
    GlobalWrite,
    Hold,
    Input,
    Intervention,
    Journal,
    Keys,
    LocalWrite,
    MemoryWrite,
    Moment,
    Position,
    Resize,
)
from wdbg.runtime.recordformat import ChunkType, Damaged

BEGINNING = Moment(0, 0, 0)

Decision = tuple[int, int, int]
"""(tick, number of the access after it or -1, CPU): who runs next at that scheduling point."""


@dataclass(frozen=True, slots=True)
class SwitchPoint:
    """A context switch that the recording holds in full: one in `recorder.FULL_EVERY`."""

    switch: int
    """Number of the switch, from 0."""
    ticks: int
    cpu: int
    task: int
    """Address of the task_struct that goes on."""


@dataclass(frozen=True, slots=True)
class End:
    """How the recorded run ended."""

    kind: str
    """Value of a `StopKind`."""
    message: str
    status: int | None
    """Exit status of the scripted command."""
    moment: Moment
    digest: str
    """Run hash without memory."""


@dataclass(frozen=True, slots=True)
class Recording:
    """See the module. Hashes are SHA-256, hexadecimal."""

    kernel: str
    initrd: str = ""
    """"" if there is none."""
    kernel_path: str = ""
    initrd_path: str = ""
    """Where they were: a hint."""
    command_line: str = ""
    cpus: int = 4
    memory: int = 128 << 20
    """Bytes."""
    seed: int | None = None
    schedule: str = "rr"
    policy: Mapping[str, int] = field(default_factory=dict)
    """Numbers that the schedule policy needs besides the seed."""
    needs: tuple[str, ...] = ()
    """What a build variant must be able to do: "cuts"."""
    frozen_clock: bool = False
    wdbg: str = ""
    """Digest of the instrumenter: which ticks are counted."""
    engine: str = ""
    journal: Journal = field(default_factory=Journal)
    decisions: tuple[Decision, ...] = ()
    """An explicit schedule, if the policy is one."""
    checks: bytes = b""
    """A byte of the rolling hash at each context switch (`runhash.Roll`)."""
    points: tuple[SwitchPoint, ...] = ()
    reached: Moment = BEGINNING
    """The last place of the run that is known: its end, or what the file knew when its writer was
    killed."""
    end: End | None = None
    """None if the writer was killed."""


# ---- bytes


def header_bytes(recording: Recording) -> bytes:
    """The file's start and header."""
    fields = {
        "kernel": bytes.fromhex(recording.kernel),
        "initrd": bytes.fromhex(recording.initrd) or bytes(32),
        "kernel_path": recording.kernel_path,
        "initrd_path": recording.initrd_path,
        "command_line": recording.command_line,
        "cpus": recording.cpus,
        "memory": recording.memory,
        "seed": 0 if recording.seed is None else recording.seed + 1,
        "schedule": recording.schedule,
        "policy": [{"name": name, "value": value} for name, value in recording.policy.items()],
        "needs": list(recording.needs),
        "frozen_clock": int(recording.frozen_clock),
        "wdbg": recording.wdbg,
        "engine": recording.engine,
    }
    start = layout.START.build({"major": layout.MAJOR, "minor": layout.MINOR})
    data = bytes(start) + layout.chunk(ChunkType.HEADER, layout.HEADER.build(fields))
    if recording.decisions:
        rows = [{"tick": t, "access": a, "cpu": c} for t, a, c in recording.decisions]
        data += layout.chunk(ChunkType.SCHEDULE, layout.SCHEDULE.build(rows))
    return data


def input_bytes(entry: Input) -> bytes:
    """An input's chunk."""
    if isinstance(entry, Keys):
        kind, body = layout.KEYS, {"idle": int(entry.idle), "data": entry.data}
    else:
        kind, body = layout.RESIZE, {"rows": entry.rows, "columns": entry.columns}
    fields = {"kind": kind, "moment": asdict(entry.moment), "body": body}
    return layout.chunk(ChunkType.INPUT, layout.INPUT.build(fields))


_INTERVENTIONS: dict[str, type[Intervention]] = {
    "memory": MemoryWrite, "global": GlobalWrite, "local": LocalWrite, "hold": Hold,
}  # fmt: skip


def intervention_bytes(entry: Intervention) -> bytes:
    """An intervention's chunk: a JSON object."""
    name = next(name for name, kind in _INTERVENTIONS.items() if isinstance(entry, kind))
    fields: dict[str, Any] = {"kind": name, **asdict(entry)}
    if isinstance(entry, MemoryWrite):
        fields["data"] = entry.data.hex()
    if isinstance(entry, Hold):
        fields["cpus"] = sorted(entry.cpus)
    return layout.chunk(ChunkType.INTERVENTION, json.dumps(fields).encode())


def checks_bytes(
    first: int, checks: bytes, points: list[SwitchPoint], reached: Moment
) -> bytes:
    """A chunk of checks; `first` is the number of the first one's switch."""
    fields = {
        "first": first, "checks": checks, "points": [asdict(p) for p in points],
        "reached": asdict(reached),
    }  # fmt: skip
    return layout.chunk(ChunkType.CHECKS, layout.CHECKS.build(fields))


def end_bytes(end: End) -> bytes:
    """The chunk that a run's end leaves."""
    fields = asdict(end) | {
        "status": -1 if end.status is None else end.status,
        "digest": bytes.fromhex(end.digest),
    }
    return layout.chunk(ChunkType.END, layout.END.build(fields))


def cut_bytes(inputs: int, interventions: int, switches: int) -> bytes:
    """What came after so many of each is no longer part of the run: a debugger has gone back and
    changed something."""
    fields = {"inputs": inputs, "interventions": interventions, "switches": switches}
    return layout.chunk(ChunkType.CUT, layout.CUT.build(fields))


def _moment(fields: Any) -> Moment:
    return Moment(fields.ticks, fields.quanta, fields.skipped)


def _input(payload: bytes) -> Input:
    fields = layout.parse(layout.INPUT, payload)
    if fields.kind == layout.KEYS:
        return Keys(_moment(fields.moment), bytes(fields.body.data), bool(fields.body.idle))
    if fields.kind == layout.RESIZE:
        return Resize(_moment(fields.moment), fields.body.rows, fields.body.columns)
    raise Damaged(f"an input of unknown kind {fields.kind}")


def _intervention(payload: bytes) -> Intervention:
    try:
        fields = json.loads(payload)
        kind = _INTERVENTIONS[fields.pop("kind")]
        at = fields.pop("position")
        place = at["place"]
        position = Position(
            Moment(**at["moment"]), None if place is None else (place[0], place[1]),
            at["occurrence"], at["fingerprint"],
        )  # fmt: skip
        if kind is MemoryWrite:
            fields["data"] = bytes.fromhex(fields["data"])
        if kind is Hold:
            fields["cpus"] = frozenset(fields["cpus"])
        return kind(position, **fields)
    except (ValueError, KeyError, TypeError) as error:
        raise Damaged(f"an intervention that makes no sense: {error}") from None


class _Reader:
    """Puts chunks together."""

    def __init__(self) -> None:
        self.header: Any = None
        self.journal = Journal()
        self.checks = bytearray()
        self.points: list[SwitchPoint] = []
        self.reached = BEGINNING
        self.decisions: tuple[Decision, ...] = ()
        self.end: End | None = None

    def take(self, kind: int, payload: bytes) -> None:
        """One chunk; types that are not known are left out."""
        match kind:
            case ChunkType.HEADER:
                self.header = layout.parse(layout.HEADER, payload)
            case ChunkType.INPUT:
                entry = _input(payload)
                self.journal.inputs.append(entry)
                self.reached = entry.moment
            case ChunkType.INTERVENTION:
                self.journal.interventions.append(_intervention(payload))
            case ChunkType.CHECKS:
                fields = layout.parse(layout.CHECKS, payload)
                if fields.first != len(self.checks):
                    raise Damaged("checks are missing")
                self.checks += fields.checks
                self.points += [
                    SwitchPoint(p.switch, p.ticks, p.cpu, p.task) for p in fields.points
                ]
                self.reached = _moment(fields.reached)
            case ChunkType.SCHEDULE:
                rows = layout.parse(layout.SCHEDULE, payload)
                self.decisions = tuple((row.tick, row.access, row.cpu) for row in rows)
            case ChunkType.END:
                fields = layout.parse(layout.END, payload)
                status = None if fields.status < 0 else fields.status
                self.reached = _moment(fields.moment)
                digest = bytes(fields.digest).hex()
                self.end = End(fields.kind, fields.message, status, self.reached, digest)
            case ChunkType.CUT:
                fields = layout.parse(layout.CUT, payload)
                del self.journal.inputs[fields.inputs :]
                del self.journal.interventions[fields.interventions :]
                del self.checks[fields.switches :]
                self.points = [p for p in self.points if p.switch < fields.switches]
                self.end = None

    def whole(self) -> Recording:
        """All of it."""
        if self.header is None:
            raise Damaged("it has no header")
        head = self.header
        return Recording(
            kernel=bytes(head.kernel).hex(),
            initrd=bytes(head.initrd).hex() if any(head.initrd) else "",
            kernel_path=head.kernel_path,
            initrd_path=head.initrd_path,
            command_line=head.command_line,
            cpus=head.cpus,
            memory=head.memory,
            seed=head.seed - 1 if head.seed else None,
            schedule=head.schedule,
            policy={entry.name: entry.value for entry in head.policy},
            needs=tuple(head.needs),
            frozen_clock=bool(head.frozen_clock),
            wdbg=head.wdbg,
            engine=head.engine,
            journal=self.journal,
            decisions=self.decisions,
            checks=bytes(self.checks),
            points=tuple(self.points),
            reached=self.reached,
            end=self.end,
        )


# ---- files


def parse(data: bytes, name: str = "recording") -> Recording:
    """A recording from its file's bytes, up to the last whole chunk. BadInput if it is none."""
    start = int(layout.START.sizeof())
    if len(data) < start or not data.startswith(layout.MAGIC):
        raise BadInput(f"{name}: no recording of wdbg")
    head = layout.START.parse(data[:start])
    if head.major != layout.MAJOR:
        raise BadInput(
            f"{name}: a recording of version {head.major}; this wdbg reads version {layout.MAJOR}"
        )
    reader = _Reader()
    try:
        for kind, payload in layout.chunks(data):
            reader.take(kind, payload)
        return reader.whole()
    except Damaged as error:
        raise BadInput(f"{name}: the recording is damaged: {error}") from None


def read(path: Path) -> Recording:
    """The recording in a file. BadInput if there is none."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None
    return parse(data, str(path))


def serialize(recording: Recording) -> bytes:
    """A recording as its file's bytes."""
    parts = [header_bytes(recording)]
    parts += [input_bytes(entry) for entry in recording.journal.inputs]
    parts += [intervention_bytes(entry) for entry in recording.journal.interventions]
    if recording.checks or recording.reached != BEGINNING:
        points = list(recording.points)
        parts.append(checks_bytes(0, recording.checks, points, recording.reached))
    if recording.end is not None:
        parts.append(end_bytes(recording.end))
    return b"".join(parts)


def write(path: Path, recording: Recording) -> None:
    """Write a file, whole or not at all. BadInput if that cannot be."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(serialize(recording))
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise BadInput(f"{path}: {error.strerror}") from None
