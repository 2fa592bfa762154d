"""The layout of a recording's file: chunks of a type, each with its own checksum.

docs/recording-format.md has it in words.
"""

from __future__ import annotations

import enum
import zlib
from collections.abc import Iterator
from typing import Any

import zstandard
from construct import (
    Byte,
    Bytes,
    Const,
    Construct,
    ConstructError,
    Int16ul,
    Int32ul,
    PascalString,
    Prefixed,
    PrefixedArray,
    Struct,
    Switch,
    VarInt,
    ZigZag,
    this,
)
from construct import GreedyBytes as Rest

MAGIC = b"\x89WDR\r\n\x1a\n"
MAJOR, MINOR = 1, 0
MAX_CHUNK = 64 << 20
"""Bytes of a chunk's payload at most."""


class ChunkType(enum.IntEnum):
    """What a chunk holds."""

    HEADER = 1
    INPUT = 2
    INTERVENTION = 3
    CHECKS = 4
    SCHEDULE = 5
    END = 6
    CUT = 7


TEXT = PascalString(VarInt, "utf8")
DATA = Prefixed(VarInt, Rest)
MOMENT = Struct("ticks" / VarInt, "quanta" / VarInt, "skipped" / VarInt)

START = Struct("magic" / Const(MAGIC), "major" / Int16ul, "minor" / Int16ul)
CHUNK = Struct(
    "type" / Byte,
    "packed" / Byte,
    "stored" / Int32ul,
    "size" / Int32ul,
    "crc" / Int32ul,
)
"""`packed`: 1 if the payload is a zstd frame; `crc`: CRC-32 of the ten bytes before and of the
payload as stored."""

HEADER = Struct(
    "kernel" / Bytes(32),
    "initrd" / Bytes(32),
    "kernel_path" / TEXT,
    "initrd_path" / TEXT,
    "command_line" / TEXT,
    "cpus" / VarInt,
    "memory" / VarInt,
    "seed" / VarInt,
    "schedule" / TEXT,
    "policy" / PrefixedArray(VarInt, Struct("name" / TEXT, "value" / ZigZag)),
    "needs" / PrefixedArray(VarInt, TEXT),
    "frozen_clock" / Byte,
    "wdbg" / TEXT,
    "engine" / TEXT,
)
"""`initrd` is all zeros if there is none; `seed` is one more than the seed, 0 for none."""

KEYS, RESIZE = 0, 1
INPUT = Struct(
    "kind" / Byte,
    "moment" / MOMENT,
    "body"
    / Switch(
        this.kind,
        {
            KEYS: Struct("idle" / Byte, "data" / DATA),
            RESIZE: Struct("rows" / VarInt, "columns" / VarInt),
        },
    ),
)

POINT = Struct("switch" / VarInt, "ticks" / VarInt, "cpu" / VarInt, "task" / VarInt)
CHECKS = Struct(
    "first" / VarInt,
    "checks" / DATA,
    "points" / PrefixedArray(VarInt, POINT),
    "reached" / MOMENT,
)

SCHEDULE = PrefixedArray(VarInt, Struct("tick" / VarInt, "access" / ZigZag, "cpu" / VarInt))

END = Struct(
    "kind" / TEXT,
    "message" / TEXT,
    "status" / ZigZag,
    "moment" / MOMENT,
    "digest" / Bytes(16),
)

CUT = Struct("inputs" / VarInt, "interventions" / VarInt, "switches" / VarInt)


class Damaged(Exception):
    """Bytes that are no recording, or no longer."""


def chunk(kind: ChunkType, payload: bytes) -> bytes:
    """A chunk's bytes."""
    packed = 0
    stored = payload
    if len(payload) > 64:
        smaller = zstandard.ZstdCompressor(level=9, write_content_size=True).compress(payload)
        if len(smaller) < len(payload):
            packed, stored = 1, smaller
    fields = {
        "type": int(kind), "packed": packed, "stored": len(stored), "size": len(payload), "crc": 0,
    }  # fmt: skip
    head = bytes(CHUNK.build(fields))[:-4]
    return head + (zlib.crc32(stored, zlib.crc32(head))).to_bytes(4, "little") + stored


def chunks(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(type, payload) of each whole chunk behind the file's start. Damaged for one in the middle;
    a last one that is cut off, or has a wrong checksum, is left out: its writer was killed."""
    head_size = int(CHUNK.sizeof())
    at = int(START.sizeof())
    while at + head_size <= len(data):
        head = CHUNK.parse(data[at : at + head_size])
        end = at + head_size + head.stored
        if end > len(data):
            return
        stored = data[at + head_size : end]
        if zlib.crc32(stored, zlib.crc32(data[at : at + head_size - 4])) != head.crc:
            if end >= len(data):
                return
            raise Damaged(f"the chunk at byte {at} has a wrong checksum")
        if head.size > MAX_CHUNK:
            raise Damaged(f"the chunk at byte {at} is too large")
        payload = stored
        if head.packed:
            try:
                payload = zstandard.ZstdDecompressor().decompress(
                    stored, max_output_size=head.size
                )
            except zstandard.ZstdError:
                raise Damaged(f"the chunk at byte {at} does not decompress") from None
        if len(payload) != head.size:
            raise Damaged(f"the chunk at byte {at} has another size than its header says")
        yield head.type, payload
        at = end


def parse(layout: Construct[Any, Any], payload: bytes) -> Any:
    """A payload's fields. Damaged if it has none."""
    try:
        return layout.parse(payload)
    except (ConstructError, UnicodeDecodeError) as error:
        raise Damaged(f"a chunk does not hold what it should: {error}") from None
