"""Writes a trace file: header, chunks as they come, index and trailer at the end."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from wdbg.errors import BadInput
from wdbg.trace import layout
from wdbg.trace.batch import Batch
from wdbg.trace.chunk import HEADER_SIZE, Compressor, Entry, pack_events, parse_header
from wdbg.trace.columns import Written, pack
from wdbg.trace.feed import TraceHeader
from wdbg.trace.layout import ChunkType
from wdbg.trace.tables import ROWS, Row, pack_rows

INDEX_FIELDS = (
    "offset", "type", "stored", "size", "events", "lost", "kinds", "first_tick", "last_tick",
    "first_time", "last_time", "compression", "crc", "sequence",
)  # fmt: skip
"""Columns of the INDEX chunk, numbered in order, of table 0."""

_TYPE_OF = {row: kind for kind, row in ROWS.items()}


class TraceFile:
    """A file that grows chunk by chunk. Every write is one system call: what has been written
    stays whole if this process is killed."""

    def __init__(self, path: Path, header: TraceHeader, compressor: Compressor) -> None:
        """Create the file, or empty it. Raises BadInput if that is not possible."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        try:
            self._file = os.open(path, flags, 0o666)
        except OSError as error:
            raise BadInput(f"{path}: {error.strerror}") from None
        self._path = path
        self._compressor = compressor
        self._entries: list[Entry] = []
        self._end = 0
        self._write(build_start(header))

    def chunk(self, data: bytes) -> None:
        """Append a chunk, giving it the next sequence number."""
        data = renumber(data, len(self._entries))
        self._entries.append(parse_header(data, self._end))
        self._write(data)

    def close(self, facts: Mapping[str, object]) -> None:
        """Append facts, index and trailer."""
        text = json.dumps(dict(facts)).encode()
        self.chunk(self._compressor.chunk(ChunkType.FACTS, 0, text))
        start = self._end
        payload = pack_index(self._entries)
        self._write(self._compressor.chunk(ChunkType.INDEX, len(self._entries), payload))
        offset = start.to_bytes(8, "little")
        trailer = {"index": start, "crc": layout.crc(offset), "magic": layout.TRAILER_MAGIC}
        self._write(layout.TRAILER.build(trailer))
        os.close(self._file)

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._file, rest) :]
            except OSError as error:
                raise BadInput(f"{self._path}: {error.strerror}") from None
        self._end += len(data)


class TraceWriter:
    """Turns batches and table rows into a file's chunks."""

    def __init__(self, file: TraceFile, header: TraceHeader, compressor: Compressor) -> None:
        self._file = file
        self._ns_per_tick = header.ns_per_tick
        self._compressor = compressor

    def rows(self, rows: Sequence[Row]) -> None:
        """Rows of one table; they have to be there before the end, in any order."""
        if rows:
            payload = pack_rows(rows)
            self._file.chunk(self._compressor.chunk(_TYPE_OF[type(rows[0])], 0, payload))

    def events(self, batch: Batch) -> None:
        """Events that follow those written before."""
        if len(batch):
            payload, facts = pack_events(batch, self._ns_per_tick)
            self._file.chunk(self._compressor.chunk(ChunkType.EVENTS, 0, payload, **facts))

    def close(self, facts: Mapping[str, object]) -> None:
        """Finish."""
        self._file.close(facts)


def build_start(header: TraceHeader) -> bytes:
    """The bytes of a file before its first chunk."""
    names = ("kernel_hash", "kernel", "seed", "cpus", "ns_per_tick", "command_line", "events")
    fields = {name: getattr(header, name) for name in (*names, "banner")} | {"more": b""}
    body = layout.HEADER.build(fields)
    start = {
        "magic": layout.MAGIC, "major": layout.MAJOR, "minor": layout.MINOR, "size": len(body),
        "crc": layout.crc(body),
    }  # fmt: skip
    return bytes(layout.START.build(start)) + bytes(body)


def renumber(data: bytes, sequence: int) -> bytes:
    """A chunk with another sequence number."""
    head = layout.CHUNK.parse(data[:HEADER_SIZE])
    head.sequence = sequence
    built = bytes(layout.CHUNK.build(head))[:-4]
    return built + layout.crc(built).to_bytes(4, "little") + data[HEADER_SIZE:]


def pack_index(entries: Sequence[Entry]) -> bytes:
    """Payload of the INDEX chunk."""
    return pack(
        Written(0, number, np.array([getattr(entry, name) for entry in entries], np.uint64))
        for number, name in enumerate(INDEX_FIELDS)
    )
