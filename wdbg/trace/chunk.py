"""One chunk: a batch of events or of table rows, as bytes with a header, and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import zstandard
from construct import ConstructError

from wdbg.trace import layout
from wdbg.trace.batch import RUN, TABLE_BY_KIND, Batch, Column, Columns
from wdbg.trace.columns import Coding, Damaged, Descriptor, Written, numbers, pack, unpack
from wdbg.trace.events import FIELDS, Kind, Table
from wdbg.trace.layout import CHUNK, ChunkType, Compression

HEADER_SIZE = int(CHUNK.sizeof())


@dataclass(frozen=True, slots=True)
class Entry:
    """What the index, or a chunk's own header, says of a chunk."""

    offset: int
    """Of its header, in the file."""
    type: int
    stored: int
    size: int
    events: int = 0
    lost: int = 0
    kinds: int = 0
    first_tick: int = 0
    last_tick: int = 0
    first_time: int = 0
    last_time: int = 0
    compression: int = Compression.ZSTD
    crc: int = 0
    sequence: int = 0

    @property
    def end(self) -> int:
        """Offset behind its payload."""
        return self.offset + HEADER_SIZE + self.stored


class Compressor:
    """zstd with a level; one context for all chunks of a file."""

    def __init__(self, level: int = 3) -> None:
        self._zstd = zstandard.ZstdCompressor(level=level, write_checksum=False)

    def chunk(self, kind: ChunkType, sequence: int, payload: bytes, **facts: int) -> bytes:
        """Header and payload of a chunk; `facts` are header fields that are not 0."""
        stored = self._zstd.compress(payload)
        compression = Compression.ZSTD
        if len(stored) >= len(payload):
            stored, compression = payload, Compression.NONE
        fields = {
            "magic": layout.CHUNK_MAGIC, "type": int(kind), "compression": int(compression),
            "reserved": b"\0\0", "sequence": sequence, "stored": len(stored),
            "size": len(payload), "crc": layout.crc(stored), "events": 0, "lost": 0, "kinds": 0,
            "first_tick": 0, "last_tick": 0, "first_time": 0, "last_time": 0, "header_crc": 0,
        } | facts  # fmt: skip
        head = CHUNK.build(fields)[:-4]
        return bytes(head) + layout.crc(head).to_bytes(4, "little") + stored


def parse_header(data: bytes, offset: int) -> Entry:
    """The entry of the chunk whose header is `data`. Raises Damaged."""
    if len(data) < HEADER_SIZE:
        raise Damaged("a chunk's header is cut off")
    data = data[:HEADER_SIZE]
    if layout.crc(data[:-4]) != int.from_bytes(data[-4:], "little"):
        raise Damaged("a chunk's header has a wrong checksum")
    try:
        head = CHUNK.parse(data)
    except ConstructError:
        raise Damaged("no chunk where one should be") from None
    if (
        head.stored > layout.MAX_STORED
        or head.size > layout.MAX_SIZE
        or head.events > layout.MAX_EVENTS
        or head.compression > max(Compression)
    ):
        raise Damaged("a chunk's header has values out of range")
    return Entry(
        offset, head.type, head.stored, head.size, head.events, head.lost, head.kinds,
        head.first_tick, head.last_tick, head.first_time, head.last_time, head.compression,
        head.crc, head.sequence,
    )  # fmt: skip


def open_payload(entry: Entry, stored: bytes) -> bytes:
    """The payload, decompressed. Raises Damaged."""
    if len(stored) != entry.stored:
        raise Damaged("a chunk is cut off")
    if layout.crc(stored) != entry.crc:
        raise Damaged("a chunk has a wrong checksum")
    if entry.compression == Compression.NONE:
        payload = stored
    else:
        try:
            payload = zstandard.ZstdDecompressor().decompress(stored, max_output_size=entry.size)
        except zstandard.ZstdError:
            raise Damaged("a chunk does not decompress") from None
    if len(payload) != entry.size:
        raise Damaged("a chunk's size is not what its header says")
    return payload


def pack_events(batch: Batch, ns_per_tick: int) -> tuple[bytes, dict[str, int]]:
    """Payload of a batch that is not empty, and its header's facts."""
    runs, tick = batch.runs, batch.tick
    columns = [Written(0, layout.FIELD_KIND, batch.kind)]
    if np.any(tick[1:] < tick[:-1]):
        columns.append(Written(0, layout.FIELD_TICK_SIGNED, tick, Coding.ZIGZAG_DELTA))
    else:
        columns.append(Written(0, layout.FIELD_TICK, np.diff(tick, prepend=tick[:1])))
    columns += [
        Written(0, layout.FIELD_RUN_START, runs["start"]),
        Written(0, layout.FIELD_RUN_CPU, runs["cpu"]),
        Written(0, layout.FIELD_RUN_TASK, runs["task"]),
        Written(0, layout.FIELD_RUN_SKIPPED, runs["skipped"], Coding.ZIGZAG_DELTA),
    ]
    for table, fields in batch.tables.items():
        columns += [
            Written(table, number, fields[item.name]) for number, item in enumerate(FIELDS[table])
        ]
    losses = batch.tables.get(Table.LOST)
    skipped = batch.runs["skipped"]
    present = np.flatnonzero(np.bincount(batch.kind, minlength=1))
    facts = {
        "events": len(batch),
        "lost": min(int(losses["count"].sum(dtype=np.uint64)), 2**32 - 1) if losses else 0,
        "kinds": sum(1 << int(kind) for kind in present if kind < 64),
        "first_tick": int(tick[0]),
        "last_tick": int(tick[-1]),
        "first_time": int(tick[0]) * ns_per_tick + int(skipped[0]),
        "last_time": int(tick[-1]) * ns_per_tick + int(skipped[-1]),
    }
    return pack(columns), facts


def unpack_events(entry: Entry, payload: bytes) -> Batch:
    """The batch of an EVENTS chunk. Raises Damaged."""
    common: dict[int, tuple[Descriptor, memoryview]] = {}
    tables: dict[Table, Columns] = {}
    for head, body in unpack(payload):
        if head.table == 0:
            common[head.field] = head, body
        elif head.table in FIELDS:
            table = Table(head.table)
            if head.field < len(FIELDS[table]):  # newer fields are left out
                item = FIELDS[table][head.field]
                values = numbers(head, body, np.uint32, entry.events)
                tables.setdefault(table, {})[item.name] = (
                    values.view(np.int32) if item.signed else values.view(np.uint32)
                )
    kind = _common(common, layout.FIELD_KIND, np.uint8, entry.events)
    if len(kind) != entry.events:
        raise Damaged("a chunk has not as many events as its header says")
    batch = Batch(kind, _ticks(common, entry), _runs(common, entry.events), tables)
    _complete(batch)
    return batch


def _common(
    columns: dict[int, tuple[Descriptor, memoryview]], field: int, dtype: type, most: int
) -> np.ndarray:
    if field not in columns:
        raise Damaged(f"a chunk lacks column {field}")
    return numbers(*columns[field], dtype, most)


def _ticks(columns: dict[int, tuple[Descriptor, memoryview]], entry: Entry) -> np.ndarray:
    if layout.FIELD_TICK in columns:
        delta = _common(columns, layout.FIELD_TICK, np.uint64, entry.events)
        if len(delta):
            delta[:1] += np.uint64(entry.first_tick)  # an array wraps around without a warning
        tick = np.cumsum(delta, dtype=np.uint64, out=delta)
    else:
        tick = _common(columns, layout.FIELD_TICK_SIGNED, np.uint64, entry.events)
    if len(tick) != entry.events:
        raise Damaged("a chunk has not a tick for each event")
    return tick


def _runs(columns: dict[int, tuple[Descriptor, memoryview]], events: int) -> np.ndarray:
    start = _common(columns, layout.FIELD_RUN_START, np.uint32, events)
    runs = np.empty(len(start), RUN)
    runs["start"] = start
    for name, field in (
        ("cpu", layout.FIELD_RUN_CPU),
        ("task", layout.FIELD_RUN_TASK),
        ("skipped", layout.FIELD_RUN_SKIPPED),
    ):
        values = _common(columns, field, np.uint64, events)
        if len(values) != len(start):
            raise Damaged("a chunk's runs have columns of several lengths")
        if name == "cpu" and len(values) and int(values.max()) >= layout.MAX_CPUS:
            raise Damaged(f"CPU {int(values.max())}")
        runs[name] = values
    wrong = len(runs) == 0 or start[0] != 0 or np.any(start[1:] <= start[:-1])
    if events and (wrong or start[-1] >= events):
        raise Damaged("a chunk's runs are not in order")
    return runs


def _complete(batch: Batch) -> None:
    """Check that each table has all its columns, with a value an event of its kinds."""
    found = {table: batch.count(table) for table in batch.tables}
    if sum(found.values()) != len(batch.kind):  # of tables without a column, too
        tables = np.zeros(max(Table) + 1, np.int64)
        np.add.at(tables, TABLE_BY_KIND, np.bincount(batch.kind, minlength=256))
        found = {table: int(tables[table]) for table in Table}
    for table, events in found.items():
        fields = FIELDS[table]
        columns = batch.tables.get(table, {})
        if not events and not columns:
            continue
        for item in fields:  # older minor versions had fewer fields
            if item.name not in columns:
                zeros: Column = np.zeros(events, np.uint32)
                columns[item.name] = zeros.view(np.int32) if item.signed else zeros
        if any(len(column) != events for column in columns.values()):
            raise Damaged(f"table {table.name} has not a row for each of its events")
        if events:
            batch.tables[table] = {item.name: columns[item.name] for item in fields}
        else:
            batch.tables.pop(table, None)


def has_kind(entry: Entry, kinds: int) -> bool:
    """Whether the chunk has events of the kinds in this mask (bit k = kind k)."""
    return bool(entry.kinds & kinds)


def mask_of(kinds: list[Kind]) -> int:
    """The mask of kinds for `has_kind`."""
    return sum(1 << kind for kind in set(kinds))
