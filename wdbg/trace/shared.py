"""Memory that the guest's process shares with the one that writes its trace.

It holds the ring that rewritten code fills, and what a flight recorder keeps. Who is killed,
however hard, leaves it to the other one: the writer takes what it has not been handed (`left`).

    page 0   the page of the debug memory that has the ring's fill, a u32, as its first word
    page 1   `Control`
    then     the ring, `ring_size` bytes, and `keep` bytes that are used round and round

Positions are bytes of records since the start of the recording. The order of the writes matters:
records first, then the word that says that they are there.
"""

from __future__ import annotations

import ctypes
import mmap
import os

PAGE = 4096
_HEAD_PAGE, _CONTROL, _RING = 0, PAGE, 2 * PAGE
POPULATED = 64 << 20
"""Most bytes of kept records for which there is memory from the start: faults are slow."""


class Control(ctypes.Structure):
    """What both sides know of the ring; the guest's process writes."""

    _fields_ = (("base", ctypes.c_uint64), ("claimed", ctypes.c_uint64), ("kept", ctypes.c_uint64))
    base: int
    """Position of the ring's first byte."""
    claimed: int
    """A flight recorder may be overwriting what is `keep` bytes before this position."""
    kept: int
    """Position behind what a flight recorder has kept."""


class SharedRing:
    """The memory, in either process."""

    def __init__(self, ring_size: int, keep: int, file: int | None = None) -> None:
        """`ring_size` and `keep` in bytes, the first one of whole pages; `file` is the descriptor
        in the writer. OSError if there is no memory."""
        self.ring_size = ring_size
        self.keep = keep
        self.file = os.memfd_create("wdbg-ring", os.MFD_CLOEXEC) if file is None else file
        size = _RING + ring_size + keep
        populate = 0
        if file is None:
            os.ftruncate(self.file, size)
            populate = getattr(mmap, "MAP_POPULATE", 0) if keep <= POPULATED else 0
        self._memory = mmap.mmap(self.file, size, flags=mmap.MAP_SHARED | populate)
        self.control = Control.from_buffer(self._memory, _CONTROL)
        self._head = ctypes.c_uint32.from_buffer(self._memory, _HEAD_PAGE)
        self.view = memoryview(self._memory)

    def lay_under(self, head_page: int, ring: int) -> None:
        """Have this memory be the debug memory's, at these addresses of the process, both of whole
        pages. A forked child gets a copy (`copy_under`)."""
        self._map(head_page, PAGE, self.file, _HEAD_PAGE)
        self._map(ring, self.ring_size, self.file, _RING)

    def copy_under(self, head_page: int, ring: int) -> None:
        """Undo `lay_under` in a forked child, which must not write into its parent's ring."""
        for address, size in ((head_page, PAGE), (ring, self.ring_size)):
            used = PAGE if address == head_page else self._head.value
            content = ctypes.string_at(address, used)
            self._map(address, size, -1, 0)
            ctypes.memmove(address, content, used)

    @staticmethod
    def _map(address: int, size: int, file: int, offset: int) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mmap.restype = ctypes.c_void_p
        shared = mmap.MAP_SHARED if file >= 0 else mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        found = libc.mmap(
            ctypes.c_void_p(address), ctypes.c_size_t(size), mmap.PROT_READ | mmap.PROT_WRITE,
            shared | _MAP_FIXED, file, ctypes.c_long(offset),
        )  # fmt: skip
        if found != address:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def put(self, records: memoryview) -> None:
        """Keep a copy of these records, which overwrites the oldest ones. At most `keep` bytes."""
        size, control, first = len(records), self.control, _RING + self.ring_size
        position = control.kept
        control.claimed = position + size
        at = position % self.keep
        part = min(size, self.keep - at)
        self.view[first + at : first + at + part] = records[:part]
        self.view[first : first + size - part] = records[part:]
        control.kept = position + size

    def kept(self, position: int) -> tuple[int, list[memoryview]]:
        """Position of the oldest record that is kept, `position` at the least, and all from there
        on in order. It may begin within a record."""
        control, first = self.control, _RING + self.ring_size
        start = max(position, control.claimed - self.keep, 0)
        size = control.kept - start
        if size <= 0:
            return control.kept, []
        at = start % self.keep
        part = min(size, self.keep - at)
        return start, [
            self.view[first + at : first + at + part], self.view[first : first + size - part]
        ]  # fmt: skip

    def left(self, position: int) -> tuple[int, bytes]:
        """What a killed process has left behind `position`: where that begins, and the records."""
        start, parts = self.kept(position) if self.keep else (position, [])
        data = b"".join(parts)
        handed = max(start + len(data) - self.control.base, 0)
        ring = bytes(self.view[_RING + handed : _RING + max(self._head.value, handed)])
        return start, data + ring


_MAP_FIXED = 0x10
