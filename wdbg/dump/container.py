"""The file of a dump: a directory of named sections, each compressed and with a checksum.

docs/dump-format.md describes it. A file is written under another name and renamed when it is
whole. Nothing that is read is believed: sizes are bounded before anything is allocated.
"""

from __future__ import annotations

import enum
import os
import weakref
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import zstandard
from construct import (
    Array,
    Bytes,
    Const,
    ConstructError,
    Int16ul,
    Int32ul,
    Int64ul,
    PaddedString,
    Struct,
)

from wdbg.errors import BadInput, WdbgError

MAGIC = b"wdbgdmp\n"
MAJOR, MINOR = 1, 0
"""A reader takes files of its major version; a minor one adds sections and fields."""
MOST_SECTIONS = 64
MOST_BYTES = 256 << 20
"""Largest section but memory, bytes uncompressed."""
LEVEL = 1
"""Of zstd: higher ones take longer than a crash may hold the machine up."""

START = Struct(
    "magic" / Const(MAGIC),
    "major" / Int16ul,
    "minor" / Int16ul,
    "sections" / Int32ul,
    "directory" / Int64ul,
    "crc" / Int32ul,
    "reserved" / Bytes(4),
)
"""The first bytes; `crc` is of the bytes before it, `directory` the offset of the last part."""
SECTION = Struct(
    "name" / PaddedString(16, "ascii"),
    "codec" / Int32ul,
    "crc" / Int32ul,
    "offset" / Int64ul,
    "stored" / Int64ul,
    "size" / Int64ul,
)
START_SIZE, SECTION_SIZE = int(START.sizeof()), int(SECTION.sizeof())


class Codec(enum.IntEnum):
    """How a section is stored."""

    NONE = 0
    ZSTD = 1


@dataclass(frozen=True, slots=True)
class Section:
    """A row of the directory."""

    name: str
    codec: int
    crc: int
    """CRC-32 of the stored bytes."""
    offset: int
    stored: int
    size: int
    """Bytes after unpacking."""


class DumpError(BadInput):
    """A file is no dump, or too damaged to be one."""


def is_dump(path: Path) -> bool:
    """Whether a file starts like one. BadInput if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None


class Writer:
    """Appends sections to a file; see `writing`."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._sections: list[Section] = []
        self._zstd = zstandard.ZstdCompressor(level=LEVEL, write_checksum=False)
        file.write(bytes(START_SIZE))

    def add(self, name: str, data: bytes, *, packed: bool = True) -> None:
        """A section; `packed`: compress it if that makes it smaller."""
        stored, codec = data, Codec.NONE
        if packed:
            smaller = self._zstd.compress(data)
            if len(smaller) < len(data):
                stored, codec = smaller, Codec.ZSTD
        offset = self._file.tell()
        self._file.write(stored)
        self._sections.append(
            Section(name, codec, zlib.crc32(stored), offset, len(stored), len(data))
        )

    def stream(self, name: str, fill: Callable[[Callable[[bytes], object]], bytes]) -> bytes:
        """A section whose parts `fill` gives to the function that it gets; returns what that
        returns. The checksum is left to the parts."""
        offset = self._file.tell()
        result = fill(self._file.write)
        size = self._file.tell() - offset
        self._sections.append(Section(name, Codec.NONE, 0, offset, size, size))
        return result

    def finish(self) -> None:
        """The directory, and the start that points to it."""
        directory = self._file.tell()
        rows = [
            {name: getattr(section, name) for name in Section.__slots__}
            for section in self._sections
        ]
        built = bytes(Array(len(rows), SECTION).build(rows))
        self._file.write(built + zlib.crc32(built).to_bytes(4, "little"))
        fields = {
            "magic": MAGIC, "major": MAJOR, "minor": MINOR, "sections": len(rows),
            "directory": directory, "crc": 0, "reserved": bytes(4),
        }  # fmt: skip
        start = bytes(START.build(fields))
        crc = zlib.crc32(start[: START_SIZE - 8])
        self._file.seek(0)
        self._file.write(start[: START_SIZE - 8] + crc.to_bytes(4, "little") + bytes(4))


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file that takes the place of `path` when the block ends; if it fails there is
    nothing. WdbgError if it cannot be written."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        try:
            with temporary.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError as error:
            raise WdbgError(f"cannot write {path}: {error.strerror or error}") from None
    finally:
        temporary.unlink(missing_ok=True)


class Reader:
    """An open file. DumpError says what is wrong with it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise BadInput(f"{path}: {error.strerror}") from None
        weakref.finalize(self, os.close, self._file)  # memory is read as long as it is in use
        self._length = os.fstat(self._file).st_size
        self.sections = {section.name: section for section in self._directory()}

    def _bad(self, what: str) -> DumpError:
        return DumpError(f"{self.path}: {what}")

    def _directory(self) -> list[Section]:
        start = self.at(0, min(START_SIZE, self._length))
        if not start.startswith(MAGIC):
            raise self._bad("no dump of wdbg's")
        if len(start) < START_SIZE:
            raise self._bad("the dump is cut off")
        head = START.parse(start)
        if head.crc != zlib.crc32(start[: START_SIZE - 8]):
            raise self._bad("the dump's start is damaged")
        if head.major != MAJOR:
            raise self._bad(f"a dump of version {head.major}, this wdbg reads version {MAJOR}")
        size = head.sections * SECTION_SIZE
        if head.sections > MOST_SECTIONS or head.directory + size + 4 > self._length:
            raise self._bad("the dump is cut off")
        raw = self.at(head.directory, size + 4)
        if zlib.crc32(raw[:size]) != int.from_bytes(raw[size:], "little"):
            raise self._bad("the dump's directory is damaged")
        try:
            rows = Array(head.sections, SECTION).parse(raw[:size])
        except (ConstructError, UnicodeDecodeError):
            raise self._bad("the dump's directory is damaged") from None
        found = [Section(**{name: row[name] for name in Section.__slots__}) for row in rows]
        for section in found:
            if section.offset + section.stored > self._length:
                raise self._bad(f"the dump is cut off in section {section.name}")
        return found

    def at(self, offset: int, length: int) -> bytes:
        """Bytes of the file. DumpError if it ends before."""
        try:
            found = os.pread(self._file, length, offset)
        except (OSError, OverflowError, ValueError) as error:
            raise self._bad(str(error)) from None
        if len(found) != length:
            raise self._bad("the dump is cut off")
        return found

    def read(self, name: str, most: int = MOST_BYTES) -> bytes:
        """A section's contents. DumpError if it is missing, damaged or larger than `most`."""
        section = self.sections.get(name)
        if section is None:
            raise self._bad(f"the dump has no section {name}")
        if max(section.size, section.stored) > most:
            raise self._bad(f"section {name} is too large")
        stored = self.at(section.offset, section.stored)
        if zlib.crc32(stored) != section.crc:
            raise self._bad(f"section {name} is damaged")
        unpack = UNPACK.get(section.codec)
        found = unpack(stored, section.size) if unpack is not None else None
        if found is None:
            raise self._bad(f"section {name} is damaged")
        return found


def unzstd(stored: bytes, size: int) -> bytes | None:
    """A frame's `size` bytes; None if it is damaged or has another size."""
    try:
        if zstandard.frame_content_size(stored) != size:
            return None
        done = zstandard.ZstdDecompressor().decompress(stored, max_output_size=max(size, 1))
    except zstandard.ZstdError:
        return None
    return done if len(done) == size else None


UNPACK: dict[int, Callable[[bytes, int], bytes | None]] = {
    Codec.NONE: lambda stored, size: stored if len(stored) == size else None,
    Codec.ZSTD: unzstd,
}
