"""The recorder's side of the pipe to the process that writes a trace file (`record`).

The process that runs the guest has no thread and no numpy, so it hands over ring contents as they
are. Frames of the pipe: u32 type, u32 length, payload. A full pipe makes the guest's process wait;
that the guest cannot see.
"""

from __future__ import annotations

import enum
import json
import os
import struct
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from wdbg.errors import WdbgError
from wdbg.trace.shared import SharedRing

FRAME = struct.Struct("<II")
MAX_FRAME = 64 << 20
"""Bytes of the longest payload."""
PART_SIZE = 1 << 19
"""Bytes of a PART."""


class FrameType(enum.IntEnum):
    """What a frame of the pipe carries."""

    HEADER = 1
    """JSON: `TraceHeader`; the first frame."""
    RAW = 2
    """Ring records, whole ones (see `ring`)."""
    TASK = 3
    """JSON: `TaskRow`."""
    CLASSES = 4
    """JSON: list of `LockClassRow`."""
    STRING = 5
    """u32 number, then UTF-8 text."""
    TRIGGER = 6
    """UTF-8 reason: a flight recorder has fed what it held. Stored as the fact `trigger`."""
    PART = 8
    """Like RAW, but the last record may go on in the next frame."""
    AT = 9
    """u64: position of the next RAW's first byte, if it does not follow what came before. What
    comes up to the next CONTEXT record is left out then."""
    END = 7
    """JSON object: facts about the end, stored as they are (`run_hash`, `status` ...)."""


@dataclass(frozen=True, slots=True)
class TraceHeader:
    """What is known when recording starts."""

    kernel_hash: str
    """BLAKE2b or SHA-256 of the original module, hexadecimal."""
    kernel: str
    """Its file name."""
    seed: int
    cpus: int
    ns_per_tick: int
    """Virtual nanoseconds of a tick."""
    command_line: str
    """The guest's."""
    events: str
    """The recorded groups, as given to --events."""
    banner: str = ""
    """"Linux version ...", if known."""
    functions: str = ""
    """Path of a JSON file: a list of `FunctionRow` as objects; "" without a table."""
    module: str = ""
    """Path of the kernel module, whose static data holds the names of locks; "" if not known."""
    symbols: dict[str, int] = field(default_factory=dict)
    """Addresses that checks need: "static_end" and some variables'. In a file: a fact."""


@dataclass(frozen=True, slots=True)
class FunctionRow:
    """A function, as JSON in the file that the header names. `number` is what CALL records hold;
    numbers need not be dense, functions that are never recorded may be in the table too."""

    number: int
    name: str
    file: str
    """Source file as in DWARF, "" if not known."""
    line: int
    start: int
    """Position of its first byte (see `Meaning.POSITION`)."""
    size: int
    """Bytes of code."""
    pointer: int = 0
    """Its index in the wasm table (what a C function pointer to it holds); 0 = none."""


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task's identity from a tick on. Tasks are known by the guest address of their task_struct
    here; the writer numbers them, and gives an address a new number when a SCHED_FORK record has it
    as `target`, or when a row says another pid."""

    tick: int
    address: int
    pid: int
    """0 for idle tasks."""
    tgid: int
    comm: str
    at: int = -1
    """Position (bytes of RAW since the start) of the first record that it holds for; -1: of the
    next one that is fed."""


@dataclass(frozen=True, slots=True)
class LockClassRow:
    """A lock class. `number` (not 0, below 2^31) is what LOCK records hold as `lock_class`."""

    number: int
    name: str
    key: int
    """Guest address of the lock_class_key, 0 if not known."""
    kind: int
    """`LockKind`."""


class Feed:
    """A trace file being written by a process of its own. Close it, or the file has no index."""

    def __init__(
        self,
        path: Path | None,
        header: TraceHeader,
        reader: Sequence[str] = (),
        shared: SharedRing | None = None,
    ) -> None:
        """`reader`: the command that reads the pipe, if that is not the writer of `path`; it may
        do without a file. `shared`: where it finds the last records if this process is killed."""
        command = list(reader) or [sys.executable, "-m", "wdbg.trace.record", str(path)]
        files: tuple[int, ...] = ()
        if shared is not None:
            files = (shared.file,)
            command += ["--shared", *map(str, (shared.file, shared.ring_size, shared.keep))]
        # A session of its own: Ctrl-C in the terminal ends the guest, the writer then sees EOF.
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, bufsize=0, start_new_session=True, pass_fds=files
        )
        assert self._process.stdin is not None
        self._pipe = self._process.stdin
        self._name = str(path or "the checks")
        self._strings: dict[str, int] = {}
        self._closed = False
        self._json(FrameType.HEADER, asdict(header))

    def raw(self, records: bytes | bytearray | memoryview) -> None:
        """Ring contents: whole records."""
        self._frame(FrameType.RAW, records)

    def part(self, records: memoryview) -> None:
        """Records of which the last one may go on in the next part."""
        for start in range(0, len(records), PART_SIZE):
            self._frame(FrameType.PART, records[start : start + PART_SIZE])

    def at(self, position: int) -> None:
        """The next records are those from this position on."""
        self._frame(FrameType.AT, struct.pack("<Q", position))

    def task(self, row: TaskRow) -> None:
        """A task is new, or is called otherwise from now on."""
        self._json(FrameType.TASK, asdict(row))

    def classes(self, rows: list[LockClassRow]) -> None:
        """Lock classes, at the latest before `close`."""
        self._json(FrameType.CLASSES, [asdict(row) for row in rows])

    def string(self, text: str) -> int:
        """The number of a text, for fields that hold strings; 0 is the empty one."""
        if not text:
            return 0
        number = self._strings.get(text)
        if number is None:
            number = len(self._strings) + 1
            self._strings[text] = number
            self._frame(FrameType.STRING, struct.pack("<I", number) + text.encode())
        return number

    def trigger(self, reason: str) -> None:
        """What a flight recorder held has been fed, for this reason: it goes to the file now."""
        self._frame(FrameType.TRIGGER, reason.encode())

    def close(self, facts: dict[str, object]) -> None:
        """The end: waits until the file is whole. Raises WdbgError if the writer failed."""
        if self._closed:
            return
        self._json(FrameType.END, facts)
        self._closed = True
        self._pipe.close()
        status = self._process.wait()
        if status:
            raise WdbgError(f"{self._name}: the trace is not complete (writer's status {status})")

    def fileno(self) -> int:
        """Of the pipe: a forked child must close it."""
        return self._pipe.fileno()

    def _json(self, kind: FrameType, value: object) -> None:
        self._frame(kind, json.dumps(value, separators=(",", ":")).encode())

    def _frame(self, kind: FrameType, payload: bytes | bytearray | memoryview) -> None:
        pipe = self._pipe.fileno()
        try:
            for part in (FRAME.pack(kind, len(payload)), payload):
                rest = memoryview(part)
                while rest:
                    rest = rest[os.write(pipe, rest) :]
        except BrokenPipeError:
            self._closed = True
            self._pipe.close()
            status = self._process.wait()
            raise WdbgError(
                f"{self._name}: the trace's writer ended with status {status}"
            ) from None
