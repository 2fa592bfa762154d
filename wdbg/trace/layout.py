"""The file, declared: header, chunks, index, trailer (docs/trace-format.md tells it in words).

All numbers are little-endian. Checksums are CRC-32 (that of zlib).
"""

from __future__ import annotations

import enum
import zlib

from construct import (
    Bytes,
    Const,
    GreedyBytes,
    Int8ul,
    Int16ul,
    Int32ul,
    Int64sl,
    Int64ul,
    PascalString,
    Struct,
)

MAJOR = 1
"""A reader refuses files with another major version."""
MINOR = 0
"""Raised when something is added that older readers can leave out."""

MAGIC = b"\x89WDT\r\n\x1a\n"
CHUNK_MAGIC = b"\x93WDC"
TRAILER_MAGIC = b"WDTEND\r\n"

START = Struct(
    "magic" / Const(MAGIC),
    "major" / Int16ul,
    "minor" / Int16ul,
    "size" / Int32ul,  # of the header's body
    "crc" / Int32ul,  # of the body
)
"""The first bytes of a file; the header's body follows, then the first chunk."""

_TEXT = PascalString(Int32ul, "utf8")

HEADER = Struct(
    "kernel_hash" / _TEXT,
    "kernel" / _TEXT,
    "seed" / Int64sl,
    "cpus" / Int32ul,
    "ns_per_tick" / Int64ul,
    "command_line" / _TEXT,
    "events" / _TEXT,
    "banner" / _TEXT,
    "more" / GreedyBytes,  # fields of newer minor versions
)
"""The header's body."""


class ChunkType(enum.IntEnum):
    """What the payload of a chunk holds. Readers skip types that they don't know."""

    EVENTS = 1
    FUNCTIONS = 2
    TASKS = 3
    CLASSES = 4
    STRINGS = 5
    FACTS = 6
    """JSON object: what is known at the end."""
    INDEX = 7


class Compression(enum.IntEnum):
    """How a payload is stored."""

    NONE = 0
    ZSTD = 1


CHUNK = Struct(
    "magic" / Const(CHUNK_MAGIC),
    "type" / Int8ul,
    "compression" / Int8ul,
    "reserved" / Bytes(2),
    "sequence" / Int32ul,  # 0, 1, 2 ... in a file
    "stored" / Int32ul,  # bytes of the payload in the file
    "size" / Int32ul,  # bytes of the payload, decompressed
    "crc" / Int32ul,  # of the payload as stored
    "events" / Int32ul,
    "lost" / Int32ul,  # events that the recorder could not keep, sum of the LOST events
    "kinds" / Int64ul,  # bit k: there are events of kind k
    "first_tick" / Int64ul,
    "last_tick" / Int64ul,
    "first_time" / Int64ul,  # virtual nanoseconds
    "last_time" / Int64ul,
    "header_crc" / Int32ul,  # of the bytes before
)
"""What stands before a payload. The fields from `kinds` on are 0 unless the type is EVENTS."""

TRAILER = Struct(
    "index" / Int64ul,  # offset of the INDEX chunk
    "crc" / Int32ul,  # of that offset's eight bytes
    "magic" / Const(TRAILER_MAGIC),
)
"""The last bytes of a file that was closed."""

MAX_STORED = 128 << 20
MAX_SIZE = 256 << 20
"""Bytes: a chunk that claims more is damaged."""
MAX_EVENTS = 1 << 24
MAX_HEADER = 1 << 20
MAX_CPUS = 1 << 12

# Fields of table 0 in the payload of EVENTS: what all events have.
FIELD_KIND = 0
FIELD_TICK = 1
"""Tick less the tick of the event before; the first less `first_tick`."""
FIELD_RUN_START = 2
FIELD_RUN_CPU = 3
FIELD_RUN_TASK = 4
FIELD_RUN_SKIPPED = 5
FIELD_TICK_SIGNED = 6
"""Instead of FIELD_TICK, ZIGZAG_DELTA of the ticks themselves, if they ever go backwards."""


def crc(data: bytes | memoryview) -> int:
    """The checksum of this format."""
    return zlib.crc32(data)
