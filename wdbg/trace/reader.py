"""Reads a trace file: tables at once, events a chunk at a time, from any tick on.

A file that has no index (its writer was killed) is read as well: the index is made anew from the
headers of the chunks. Damaged chunks are skipped, and told in `Trace.damage`.
"""

from __future__ import annotations

import json
import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from construct import ConstructError

from wdbg.errors import BadInput
from wdbg.trace import layout
from wdbg.trace.batch import Batch, counts
from wdbg.trace.chunk import (
    HEADER_SIZE,
    Entry,
    has_kind,
    mask_of,
    open_payload,
    parse_header,
    unpack_events,
)
from wdbg.trace.columns import Damaged, numbers, unpack
from wdbg.trace.events import KINDS_OF, Kind, Table
from wdbg.trace.feed import TraceHeader
from wdbg.trace.layout import CHUNK_MAGIC, ChunkType
from wdbg.trace.tables import ROWS, Tables, unpack_rows
from wdbg.trace.writer import INDEX_FIELDS

_SCAN = 1 << 20
START_SIZE = int(layout.START.sizeof())
TRAILER_SIZE = int(layout.TRAILER.sizeof())


class Trace:
    """An open trace file. Use it as a context manager, or close it."""

    def __init__(self, path: Path) -> None:
        """Raises BadInput if the file is none of ours, or of a newer major version."""
        self.path = path
        try:
            self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise BadInput(f"{path}: {error.strerror}") from None
        self.damage: list[str] = []
        """What could not be read, a line each."""
        self.facts: dict[str, Any] = {}
        """What the recorder knew at the end; "clean": it reached its end."""
        self.tables = Tables()
        try:
            found = os.fstat(self._file)
            if not stat.S_ISREG(found.st_mode):
                raise BadInput(f"{path}: not a file")
            self.size = found.st_size
            self.version, self.header, first = self._read_header()
            entries = self._read_index()
            self.indexed = entries is not None
            """Whether the file was closed; else the index was made from the chunks."""
            self.entries = entries if entries is not None else list(self._scan(first))
            self.chunks = [e for e in self.entries if e.type == ChunkType.EVENTS and e.events]
            """Entries of the chunks with events."""
            self._read_tables()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Trace:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    @property
    def events(self) -> int:
        """Events in the file."""
        return sum(entry.events for entry in self.chunks)

    @property
    def lost(self) -> int:
        """Events that the recorder could not keep."""
        return sum(entry.lost for entry in self.chunks)

    def batches(
        self,
        tables: Iterable[Table] | None = None,
        first_tick: int = 0,
        last_tick: int | None = None,
    ) -> Iterator[Batch]:
        """Batches in order: of chunks that have events of these tables (None: all) and reach into
        the ticks. Events of other tables and outside of the ticks are not filtered out."""
        kinds = None if tables is None else mask_of([k for t in tables for k in KINDS_OF[t]])
        for entry in self.chunks:
            if entry.last_tick < first_tick:
                continue
            if last_tick is not None and entry.first_tick > last_tick:
                continue
            if kinds is None or has_kind(entry, kinds):
                batch = self.batch(entry)
                if batch is not None:
                    yield batch

    def batch(self, entry: Entry) -> Batch | None:
        """The events of a chunk; None if it is damaged, which `damage` then tells."""
        try:
            return unpack_events(entry, open_payload(entry, self.stored(entry)))
        except Damaged as error:
            self._damaged(entry.offset, str(error))
            return None

    def stored(self, entry: Entry) -> bytes:
        """A chunk's payload as it is in the file."""
        return self._read(entry.offset + HEADER_SIZE, entry.stored)

    def counts(self) -> Counter[Kind]:
        """Events of each kind; reads the whole file."""
        total: Counter[Kind] = Counter()
        for batch in self.batches():
            total.update(counts(batch))
        return total

    def _read(self, offset: int, size: int) -> bytes:
        parts = []
        while size > 0:
            part = os.pread(self._file, size, offset)
            if not part:
                break
            parts.append(part)
            offset, size = offset + len(part), size - len(part)
        return b"".join(parts)

    def _damaged(self, offset: int, what: str) -> None:
        line = f"offset {offset}: {what}"
        if line not in self.damage:
            self.damage.append(line)

    def _read_header(self) -> tuple[tuple[int, int], TraceHeader, int]:
        data = self._read(0, START_SIZE)
        if data[: len(layout.MAGIC)] != layout.MAGIC or len(data) < START_SIZE:
            raise BadInput(f"{self.path}: no wdbg trace")
        start = layout.START.parse(data)
        if start.major != layout.MAJOR:
            raise BadInput(
                f"{self.path}: trace format {start.major}.{start.minor}, "
                f"this wdbg reads version {layout.MAJOR}",
                "a newer wdbg reads it" if start.major > layout.MAJOR else None,
            )
        body = self._read(START_SIZE, min(start.size, layout.MAX_HEADER))
        try:
            if layout.crc(body) != start.crc:
                raise BadInput(f"{self.path}: damaged header")
            found = layout.HEADER.parse(body)
        except (ConstructError, UnicodeDecodeError):
            raise BadInput(f"{self.path}: damaged header") from None
        if found.cpus > layout.MAX_CPUS:
            raise BadInput(f"{self.path}: damaged header: {found.cpus} CPUs")
        header = TraceHeader(
            found.kernel_hash, found.kernel, found.seed, found.cpus, found.ns_per_tick,
            found.command_line, found.events, found.banner,
        )  # fmt: skip
        return (start.major, start.minor), header, START_SIZE + len(body)

    def _read_index(self) -> list[Entry] | None:
        """The index at the end; None if there is none, or a damaged one."""
        data = self._read(max(0, self.size - TRAILER_SIZE), TRAILER_SIZE)
        if len(data) < TRAILER_SIZE or not data.endswith(layout.TRAILER_MAGIC):
            return None
        try:
            trailer = layout.TRAILER.parse(data)
            if layout.crc(data[:8]) != trailer.crc:
                raise Damaged("the trailer has a wrong checksum")
            head = parse_header(self._read(trailer.index, HEADER_SIZE), trailer.index)
            if head.type != ChunkType.INDEX:
                raise Damaged("the trailer does not lead to the index")
            payload = open_payload(head, self.stored(head))
            most = self.size // HEADER_SIZE
            columns = {
                d.field: numbers(d, body, np.uint64, most)
                for d, body in unpack(payload)
                if d.table == 0
            }
            lists = [columns[number].tolist() for number in range(len(INDEX_FIELDS))]
            if len({len(values) for values in lists}) > 1:
                raise Damaged("the index has columns of several lengths")
            entries = [
                Entry(**dict(zip(INDEX_FIELDS, values, strict=True)))
                for values in zip(*lists, strict=True)
            ]
            if any(e.stored > layout.MAX_STORED or e.size > layout.MAX_SIZE for e in entries):
                raise Damaged("the index has values out of range")
        except (Damaged, KeyError) as error:
            self._damaged(self.size, f"{error}; the index was made anew")
            return None
        return entries

    def _scan(self, offset: int) -> Iterator[Entry]:
        """The chunks from `offset` on, by their headers."""
        while offset < self.size:
            try:
                entry = parse_header(self._read(offset, HEADER_SIZE), offset)
                if entry.end > self.size:
                    raise Damaged("a chunk is cut off")
            except Damaged as error:
                if (
                    self._read(max(offset, self.size - TRAILER_SIZE), TRAILER_SIZE).endswith(
                        layout.TRAILER_MAGIC
                    )
                    and offset == self.size - TRAILER_SIZE
                ):
                    return
                self._damaged(offset, str(error))
                following = self._find_chunk(offset + 1)
                if following is None:
                    return
                offset = following
                continue
            if entry.type != ChunkType.INDEX:
                yield entry
            offset = entry.end

    def _find_chunk(self, offset: int) -> int | None:
        """Where the next chunk's magic is, from `offset` on."""
        while offset < self.size:
            data = self._read(offset, _SCAN + len(CHUNK_MAGIC))
            at = data.find(CHUNK_MAGIC)
            if at >= 0:
                return offset + at
            offset += _SCAN
        return None

    def _read_tables(self) -> None:
        for entry in self.entries:
            try:
                kind = ChunkType(entry.type)
            except ValueError:
                continue  # of a newer minor version
            try:
                if kind in ROWS:
                    payload = open_payload(entry, self.stored(entry))
                    self.tables.add(unpack_rows(kind, payload))
                elif kind is ChunkType.FACTS:
                    facts = json.loads(open_payload(entry, self.stored(entry)))
                    if isinstance(facts, dict):
                        self.facts = facts
            except (Damaged, ValueError) as error:
                self._damaged(entry.offset, str(error))
