"""Guest memory in a dump: pieces that are compressed one by one, and read when asked for.

Section "pages" is a table with a row for each piece (offset in section "memory", stored bytes,
CRC-32); a piece of zeros is not stored. So a report reads those few megabytes that it looks at.
"""

from __future__ import annotations

import struct
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator

import zstandard

from wdbg.dump.container import LEVEL, DumpError, unzstd
from wdbg.runtime.memory import GuestFault

PIECE = 256 << 10
"""Bytes of memory in a piece."""
MOST_MEMORY = 4 << 30
_KEPT = 256
"""Pieces that a reader keeps."""
_ROW = struct.Struct("<QII")
_ZEROS = bytes(PIECE)


def pack_memory(view: memoryview, write: Callable[[bytes], object]) -> bytes:
    """Write all pieces; returns the table."""
    compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=False)
    table = bytearray()
    offset = 0
    for start in range(0, len(view), PIECE):
        piece = bytes(view[start : start + PIECE])  # views are compared item by item
        if piece == _ZEROS[: len(piece)]:
            table += _ROW.pack(0, 0, 0)
            continue
        stored = compressor.compress(piece)
        table += _ROW.pack(offset, len(stored), zlib.crc32(stored))
        write(stored)
        offset += len(stored)
    return bytes(table)

UNREADABLE = (GuestFault, DumpError)
"""What reading a snapshot's memory raises."""


class DumpMemory:
    """See `wdbg.dump.state.Memory`. A damaged piece cannot be read, the others can."""

    def __init__(
        self, size: int, table: bytes, stored: int, read: Callable[[int, int], bytes]
    ) -> None:
        """`read(offset, length)` is of section "memory", which has `stored` bytes. ValueError
        for a table of another size."""
        count = -(-size // PIECE)
        if not 0 <= size <= MOST_MEMORY or len(table) != count * _ROW.size:
            raise ValueError("the table of memory's pieces has another size")
        self._size = size
        self._rows = list(_ROW.iter_unpack(table))
        self._stored = stored
        self._read = read
        self._kept: OrderedDict[int, bytes] = OrderedDict()
        self._last = (-1, b"")
        self.damaged: set[int] = set()
        """Addresses of pieces that could not be read."""

    def size(self) -> int:
        """Bytes."""
        return self._size

    def read(self, address: int, length: int) -> bytes:
        """Exactly that much. GuestFault outside, DumpError where the file is damaged."""
        if address < 0 or length < 0 or address + length > self._size:
            raise GuestFault(address, length)
        if not length:
            return b""
        first, start = divmod(address, PIECE)
        if start + length <= PIECE:
            piece = self._last[1] if self._last[0] == first else self._piece(first)
            return piece[start : start + length]
        end = address + length
        parts = []
        for number in range(first, -(-end // PIECE)):
            low, high = max(address - number * PIECE, 0), min(end - number * PIECE, PIECE)
            parts.append(self._piece(number)[low:high])
        return b"".join(parts)

    def pieces(self) -> Iterator[tuple[int, bytes]]:
        """(address, contents) of those that are not zeros, as far as they can be read."""
        for number, (_, stored, _) in enumerate(self._rows):
            if stored:
                try:
                    yield number * PIECE, self._piece(number)
                except DumpError:
                    continue

    def _piece(self, number: int) -> bytes:
        found = self._kept.get(number)
        if found is None:
            found = self._unpack(number)
            self._kept[number] = found
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(number)
        self._last = number, found
        return found

    def _unpack(self, number: int) -> bytes:
        offset, stored, crc = self._rows[number]
        size = min(PIECE, self._size - number * PIECE)
        if not stored:
            return _ZEROS[:size]
        found = None
        if stored <= 2 * PIECE and offset + stored <= self._stored:
            raw = self._read(offset, stored)
            found = unzstd(raw, size) if zlib.crc32(raw) == crc else None
        if found is None:
            self.damaged.add(number * PIECE)
            raise DumpError(f"the dump's memory is damaged at {number * PIECE:#x}")
        return found
