"""Files of named columns: what an index is on disk.

Layout, little endian: 8 bytes magic, u32 format, u32 CRC-32 of all that follows, u32 length of a
JSON directory {"facts": {...}, "columns": {name: [type code, offset, bytes]}}, that directory,
then the columns, each at a multiple of 8 bytes from the start of the file. A column is a plain
array that is used in place (mmap), so that opening costs one pass of the checksum. The checksum
guards against accidents, not against someone who can write to the user's cache.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
import sys
import zlib
from array import array
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

MAGIC = b"wdbgsym\n"
FORMAT = 1
_HEAD = struct.Struct("<8sIII")
_TYPES = {"B": 1, "I": 4}

KEEP = 24
"""Index files that stay in the cache directory; the ones not used for longest go."""


class StoreError(Exception):
    """The file is damaged, of another format, or cannot be read."""


Column: TypeAlias = "array[int] | bytes | bytearray"


def write(path: Path, facts: Mapping[str, object], columns: Mapping[str, Column]) -> None:
    """Write a file atomically; its directory is made. OSError if that cannot be done."""
    places: dict[str, list[str | int]] = {}
    contents: list[bytes] = []
    # Offsets in the directory count from its end, since its own length depends on them.
    offset = 0
    for name, column in columns.items():
        code = column.typecode if isinstance(column, array) else "B"
        if isinstance(column, array) and sys.byteorder == "big":
            column = array(code, column)
            column.byteswap()
        data = bytes(memoryview(column).cast("B")) if len(column) else b""
        places[name] = [code, offset, len(data)]
        contents.append(data + bytes(-len(data) % 8))
        offset += len(contents[-1])
    directory = json.dumps({"facts": facts, "columns": places}).encode()
    directory += b" " * (-(_HEAD.size + len(directory)) % 8)
    crc = zlib.crc32(directory)
    for data in contents:
        crc = zlib.crc32(data, crc)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}")
    try:
        with open(temporary, "wb") as file:
            file.write(_HEAD.pack(MAGIC, FORMAT, crc, len(directory)))
            file.write(directory)
            file.writelines(contents)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


class Store:
    """An open file. The columns are views into it and live as long as the object."""

    def __init__(self, path: Path) -> None:
        """StoreError if the file is not there or not whole."""
        try:
            with open(path, "rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise StoreError(str(error)) from None
        view = memoryview(self._map)
        try:
            magic, version, crc, size = _HEAD.unpack_from(view)
            if magic != MAGIC or version != FORMAT:
                raise StoreError("not an index of this version")
            if zlib.crc32(view[_HEAD.size :]) != crc:
                raise StoreError("wrong checksum")
            start = _HEAD.size + size
            directory = json.loads(bytes(view[_HEAD.size : start]))
            self.facts: dict[str, object] = directory["facts"]
            self._columns = {
                name: view[start + offset : start + offset + length].cast(code)
                for name, (code, offset, length) in directory["columns"].items()
                if code in _TYPES
            }
        except (struct.error, ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreError(f"malformed: {error}") from None

    def column(self, name: str) -> memoryview[int]:
        """A column; StoreError if the file has none of that name."""
        try:
            return self._columns[name]
        except KeyError:
            raise StoreError(f"no column {name}") from None

    def bytes_at(self, name: str, start: int) -> bytes:
        """NUL-terminated bytes at `start` of a column of bytes, without the NUL."""
        view = self._columns[name]
        end = start
        while end < len(view):
            piece = bytes(view[end : end + 64])
            zero = piece.find(0)
            if zero >= 0:
                return bytes(view[start : end + zero])
            end += 64
        raise StoreError("string without an end")


def tidy(directory: Path, keep: int = KEEP) -> None:
    """Remove the files of a cache directory that were not used for longest, down to `keep`, and
    what killed writers left a day ago."""
    try:
        files = sorted(
            ((entry.stat().st_mtime, Path(entry.path)) for entry in os.scandir(directory)),
            reverse=True,
        )
    except OSError:
        return
    newest = files[0][0] if files else 0.0
    whole = [path for _, path in files if not path.name.startswith(".")]
    stale = [path for when, path in files if path.name.startswith(".") and when < newest - 86400]
    for path in whole[keep:] + stale:
        try:
            path.unlink()
        except OSError:
            pass  # somebody else was faster
