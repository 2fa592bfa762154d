"""`python -m wdbg.trace.record FILE`: the process that writes a trace file.

It reads the frames of `feed` from standard input. At its end, expected or not, it writes all that
has come and finishes the file; frames are collected for at most FLUSH_AFTER.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from wdbg.errors import BadInput, WdbgError
from wdbg.trace.batch import Batch
from wdbg.trace.chunk import Compressor
from wdbg.trace.events import Kind
from wdbg.trace.feed import (
    FRAME,
    MAX_FRAME,
    FrameType,
    FunctionRow,
    LockClassRow,
    TaskRow,
    TraceHeader,
)
from wdbg.trace.lives import Lives
from wdbg.trace.locktexts import LockTexts
from wdbg.trace.raw import Context, decode
from wdbg.trace.ring import CONTINUED
from wdbg.trace.shared import SharedRing
from wdbg.trace.tables import Row, StringRow
from wdbg.trace.writer import TraceFile, TraceWriter

FLUSH_AFTER = 0.05
"""Seconds of wall clock: at most so much is lost when this process is killed, and the time that
a chunk's work takes. (100 ms are promised.)"""
FLUSH_SIZE = 1 << 19
"""Bytes of ring records in a chunk: what a reader makes of it still fits into a cache."""
PIPE_SIZE = 1 << 20
MOST_TRIGGERS = 1000
"""Reasons that a file tells; the last one in any case."""
MOST_ROWS = 1 << 16
"""Names of tasks that may wait for records before superfluous ones are sought."""

_Row = TypeVar("_Row")


class Observer(Protocol):
    """Somebody who is shown all that is recorded, in order."""

    def header(self, header: TraceHeader) -> None:
        """Once, first."""

    def rows(self, rows: Sequence[Row]) -> None:
        """Rows of one table: before the events that refer to them, or at the end."""

    def batch(self, batch: Batch) -> None:
        """The next events."""

    def end(self, facts: dict[str, Any]) -> None:
        """Nothing more will come."""


class Recording:
    """A file being recorded: frames in, chunks out."""

    def __init__(
        self,
        path: Path | None,
        observer: Observer | None = None,
        shared: SharedRing | None = None,
    ) -> None:
        """`path`: None if nothing but the observer is to have it; `shared`: memory of the recorder
        that is there when it has been killed."""
        self._path = path
        self._observer = observer
        self._started = False
        self._shared = shared
        self._writer: TraceWriter | None = None
        self._lives = Lives()
        self._context = Context()
        self._pending = bytearray()
        self._position = 0
        """Of the end of what is pending, in all that the recorder has recorded."""
        self._whole = True
        """What is pending ends with a record's end."""
        self._gap = False
        """What is pending does not follow what has been written."""
        self._task_rows: list[tuple[int, TaskRow]] = []
        """Rows and the positions from which on they hold."""
        self._strings: list[StringRow] = []
        self._facts: dict[str, Any] = {"clean": False}
        self._texts = LockTexts()
        self._module = ""
        self.damaged = 0
        self.since: float | None = None
        """When the oldest record came that is not in a chunk yet."""

    def frame(self, kind: int, payload: bytes) -> None:
        """Take a frame. Raises WdbgError if it makes no sense."""
        if kind == FrameType.RAW or kind == FrameType.PART:
            self._records(payload, whole=kind == FrameType.RAW)
        elif kind == FrameType.TASK:
            row = _row(TaskRow, json.loads(payload))
            self._task_rows.append((self._position if row.at < 0 else row.at, row))
            if len(self._task_rows) > MOST_ROWS:
                self._forget_rows()
        elif kind == FrameType.AT:
            self._go_to(int.from_bytes(payload, "little"))
        elif kind == FrameType.STRING:
            number = int.from_bytes(payload[:4], "little")
            self._strings.append(StringRow(number, payload[4:].decode("utf-8", "replace")))
        elif kind == FrameType.CLASSES:
            self._rows([_row(LockClassRow, item) for item in json.loads(payload)])
        elif kind == FrameType.HEADER:
            self._start(_row(TraceHeader, json.loads(payload)))
        elif kind == FrameType.TRIGGER:
            self._trigger(payload.decode("utf-8", "replace"))
            self.flush(whole=True)
        elif kind == FrameType.END:
            self._facts |= {**json.loads(payload), "clean": True}
        else:
            raise WdbgError(f"the recorder sent a frame of type {kind}")

    def flush(self, *, whole: bool = False, last: bool = False) -> None:
        """Write what is pending as a chunk (and the tables' rows before it). `whole`: the last
        record, too, if there may be more of it. `last`: nothing will follow."""
        if not self._started:
            raise WdbgError("the recorder sent no header")
        end = len(self._pending) if whole or self._whole else _last_head(self._pending)
        data = bytes(self._pending[:end])
        del self._pending[:end]
        start = self._position - len(self._pending) - len(data)
        self.since = None
        if self._gap and data:
            skipped = _first_context(data)
            data, start = data[skipped:], start + skipped
            self._gap = False
        self._whole = True
        words = np.frombuffer(data, np.uint32, len(data) // 8 * 2)
        stop = sys.maxsize if last else start + len(data)
        due = [(max(at - start, 0) // 8, row) for at, row in self._task_rows if at < stop]
        self._task_rows = [(at, row) for at, row in self._task_rows if at >= stop]
        self._lives.begin(words, due, self._context.tick_end)
        batch, self._context = decode(data, self._context, self._lives.number_of)
        self._texts.collect(batch)
        self.damaged += batch.lost
        self._rows(self._lives.rows)
        self._rows(self._strings)
        self._lives.rows, self._strings = [], []
        if self._writer is not None:
            self._writer.events(batch)
        if self._observer is not None and len(batch):
            self._observer.batch(batch)

    def _trigger(self, reason: str) -> None:
        self._facts["trigger"] = reason
        all_ = self._facts.setdefault("triggers", [])
        if len(all_) < MOST_TRIGGERS:
            all_.append(reason)

    def _records(self, records: bytes, *, whole: bool) -> None:
        self._pending += records
        self._position += len(records)
        self._whole = whole
        if self.since is None:
            self.since = time.monotonic()
        if len(self._pending) >= FLUSH_SIZE:
            self.flush()

    def _go_to(self, position: int) -> None:
        self.flush(whole=True)
        self._gap = position != self._position
        self._position = position

    def _forget_rows(self) -> None:
        """Of a flight recorder's rows from before what it can hold, the last of an address do."""
        kept = 0 if self._shared is None else self._shared.keep + self._shared.ring_size
        oldest = self._task_rows[-1][0] - kept
        old = {row.address: (at, row) for at, row in self._task_rows if at < oldest}
        new = [(at, row) for at, row in self._task_rows if at >= oldest]
        self._task_rows = [*sorted(old.values(), key=lambda pair: pair[0]), *new]

    def recover(self) -> None:
        """The recorder has gone without a word: take what it has left behind."""
        if self._shared is None or "clean" not in self._facts or self._facts["clean"]:
            return
        start, records = self._shared.left(self._position)
        if records:
            if start != self._position:
                self._go_to(start)
            self._records(records, whole=True)
        self._trigger("killed")
        self._facts["recovered_bytes"] = len(records)

    def close(self) -> None:
        """The last chunk, and the end of the file."""
        if not self._started:
            raise BadInput(f"{self._path or 'the guest'}: nothing was recorded")
        self.recover()
        self.flush(whole=True, last=True)
        self._rows(self._texts.rows(self._module))
        if self.damaged:
            self._facts["damaged_records"] = self.damaged
        if self._writer is not None:
            self._writer.close(self._facts)
        if self._observer is not None:
            self._observer.end(self._facts)

    def _rows(self, rows: Sequence[Row]) -> None:
        if not self._started:
            raise WdbgError("the recorder sent no header")
        if self._writer is not None:
            self._writer.rows(rows)
        if self._observer is not None:
            self._observer.rows(rows)

    def _start(self, header: TraceHeader) -> None:
        self._started = True
        self._module = header.module
        if header.symbols:
            self._facts["symbols"] = header.symbols
        if header.module:
            self._facts["module"] = header.module
        if self._path is not None:
            compressor = Compressor()
            file = TraceFile(self._path, header, compressor)
            self._writer = TraceWriter(file, header, compressor)
        if self._observer is not None:
            self._observer.header(header)
        if header.functions:
            items = json.loads(Path(header.functions).read_text(encoding="utf-8"))
            self._rows([_row(FunctionRow, item) for item in items])


def _last_head(records: bytearray) -> int:
    """Where the last record begins."""
    low = np.frombuffer(bytes(records), np.int32)[0::2]
    heads = np.flatnonzero(low > 0)
    return int(heads[-1]) * 8 if len(heads) else 0


def _first_context(records: bytes) -> int:
    """Where the first record is that tells what the following ones mean; the end without one."""
    low = np.frombuffer(records, np.uint32, len(records) // 8 * 2)[0::2]
    found = np.flatnonzero((low & np.uint32(CONTINUED | 0xFF)) == Kind.CONTEXT)
    return int(found[0]) * 8 if len(found) else len(records)


def _row(row: type[_Row], values: dict[str, Any]) -> _Row:
    # mypy knows no bound for "a dataclass"
    known = {item.name for item in fields(row)}  # type: ignore[arg-type]
    return row(**{name: value for name, value in values.items() if name in known})


def serve(pipe: int, recording: Recording) -> None:
    """Read frames until the pipe's other end is closed."""
    buffer = bytearray()
    while True:
        if recording.since is not None:
            left = recording.since + FLUSH_AFTER - time.monotonic()
            if left <= 0 or not select.select([pipe], [], [], left)[0]:
                recording.flush()
                continue
        data = os.read(pipe, PIPE_SIZE)
        if not data:
            return  # a frame that was cut off is left out: its ring record may be half a one
        buffer += data
        at = 0
        while len(buffer) - at >= FRAME.size:
            kind, length = FRAME.unpack_from(buffer, at)
            if length > MAX_FRAME:
                raise WdbgError(f"the recorder sent a frame of {length} bytes")
            if len(buffer) - at - FRAME.size < length:
                break
            recording.frame(kind, bytes(buffer[at + FRAME.size : at + FRAME.size + length]))
            at += FRAME.size + length
        del buffer[:at]


def add_shared_flag(parser: argparse.ArgumentParser) -> None:
    """Declare the flag that `Feed` gives its reader."""
    parser.add_argument("--shared", type=int, nargs=3, metavar="N",
                        help="descriptor, bytes of the ring, bytes that are kept")  # fmt: skip


def shared_ring(arguments: argparse.Namespace) -> SharedRing | None:
    """The memory that the flag tells of."""
    if arguments.shared is None:
        return None
    file, ring_size, keep = arguments.shared
    return SharedRing(ring_size, keep, file)


def record(recording: Recording) -> int:
    """Read standard input to its end, and finish. Returns the exit status."""
    # The terminal's signals are for the guest's process: this one ends when that has ended.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    try:
        serve(0, recording)
        recording.close()
    except WdbgError as error:
        print(f"wdbg: {error.message}", file=sys.stderr)
        return error.exit_status
    return 0


def main() -> int:
    """Exit status 0 when the file is whole."""
    parser = argparse.ArgumentParser(prog="python -m wdbg.trace.record")
    parser.add_argument("file", type=Path)
    add_shared_flag(parser)
    arguments = parser.parse_args()
    return record(Recording(arguments.file, shared=shared_ring(arguments)))


if __name__ == "__main__":
    sys.exit(main())
