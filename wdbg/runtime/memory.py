"""The guest's linear memory as the host reads and writes it: bounded, little-endian.

Addresses come from the guest and are not trusted: whatever leaves the memory raises `GuestFault`,
which the machine turns into a guest error, never into a host crash.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

from wdbg.runtime.engine import SharedMemory


class GuestFault(Exception):
    """The guest named memory that it does not have."""

    def __init__(self, address: int, length: int) -> None:
        super().__init__(f"guest address {address:#x}, {length} bytes: outside of its memory")


class GuestMemory:
    """Bounds-checked access; `words` is the unchecked hot path for addresses checked before."""

    def __init__(self, memory: SharedMemory, maximum: int) -> None:
        """`maximum`: bytes that the memory can grow to (reserved from the start)."""
        self.shared = memory
        self._base = memory.address
        self._size = memory.size()
        self.on_write: Callable[[int, int], None] | None = None
        """Called before the host writes (address, length)."""
        self.words = (ctypes.c_uint32 * (maximum // 4)).from_address(self._base)
        """u32 at byte address 4*i; touch only what `check` has seen."""

    def size(self) -> int:
        """Present size in bytes (the guest can grow it)."""
        self._size = self.shared.size()
        return self._size

    def check(self, address: int, length: int) -> None:
        """Raise `GuestFault` unless `length` bytes at `address` exist."""
        if address < 0 or length < 0:
            raise GuestFault(address, length)
        if address + length > self._size and address + length > self.size():
            raise GuestFault(address, length)

    def read(self, address: int, length: int) -> bytes:
        """`length` bytes at `address`."""
        self.check(address, length)
        return ctypes.string_at(self._base + address, length)

    def write(self, address: int, data: bytes) -> None:
        """Store `data` at `address`."""
        self.check(address, len(data))
        if self.on_write is not None:
            self.on_write(address, len(data))
        ctypes.memmove(self._base + address, data, len(data))

    def read_u32(self, address: int) -> int:
        """The u32 at `address` (any alignment)."""
        return int.from_bytes(self.read(address, 4), "little")

    def write_u32(self, address: int, value: int) -> None:
        """Store a u32 at `address` (any alignment)."""
        self.write(address, (value & 0xFFFFFFFF).to_bytes(4, "little"))

    def read_string(self, address: int, limit: int = 4096) -> str:
        """The C string at `address`, cut after `limit` bytes; undecodable bytes are escaped."""
        self.check(address, 0)
        room = min(limit, max(0, self.size() - address))
        raw = self.read(address, room)
        return raw.split(b"\0", 1)[0].decode("utf-8", "backslashreplace")

    def view(self) -> memoryview:
        """All present bytes, without a copy; valid as long as the machine lives."""
        return memoryview((ctypes.c_ubyte * self.size()).from_address(self._base))
