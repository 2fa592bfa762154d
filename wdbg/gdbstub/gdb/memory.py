"""GDB's 4 GiB: guest memory at its own addresses, code, frame records.

All code reads as one instruction, because the shadow ELF's code is none: GDB looks at bytes around
the pc for i386 prologues and epilogues, and must find neither.
"""

from __future__ import annotations

from symbols.shadow.addresses import CODE_BYTE, MEMORY_LIMIT, code_place, frame_slot, is_host
from wdbg.debugger.model import DebugError, Debugger
from wdbg.gdbstub.gdb.stacks import Stacks

_CHUNK = 1 << 20
_CRC_LIMIT = 16 << 20
_CRC_POLYNOMIAL = 0x04C1_1DB7


class Memory:
    """Reads and writes by GDB's addresses."""

    def __init__(self, debugger: Debugger, stacks: Stacks) -> None:
        self._debugger = debugger
        self._stacks = stacks

    def read(self, address: int, length: int) -> bytes:
        """Up to `length` bytes; DebugError if there is none at `address`."""
        if frame_slot(address) is not None:
            data = self._stacks.read(address, length)
        elif is_host(address) or self._code_left(address):
            data = CODE_BYTE * min(length, self._code_left(address) or 1)
        elif address < MEMORY_LIMIT:
            data = self._debugger.read_memory(address, min(length, MEMORY_LIMIT - address))
        else:
            data = b""
        if not data and length:
            raise DebugError(f"no memory at {address:#x}")
        return data

    def _code_left(self, address: int) -> int:
        """Bytes of code from an address on; 0: it is no code."""
        place = code_place(address)
        if place is None:
            return 0
        for module in self._debugger.modules():
            if module.number == place[0]:
                return max(0, module.code_size - place[1])
        return 0

    def write(self, address: int, data: bytes) -> None:
        """DebugError for code and for what does not exist."""
        if frame_slot(address) is not None:
            self._stacks.write(address, data)
        elif address + len(data) <= MEMORY_LIMIT:
            self._debugger.write_memory(address, data)
        else:
            raise DebugError(f"memory at {address:#x} cannot be written")

    def search(self, address: int, length: int, pattern: bytes) -> int | None:
        """Address of the pattern's first occurrence; None also where memory ends before."""
        end = address + length
        while address + len(pattern) <= end:
            try:
                data = self.read(address, min(_CHUNK + len(pattern), end - address))
            except DebugError:
                return None
            found = data.find(pattern)
            if found >= 0:
                return address + found
            if len(data) < len(pattern):
                return None
            address += len(data) - len(pattern) + 1
        return None

    def crc(self, address: int, length: int) -> int:
        """CRC-32 of a range, most significant bit first, starting with all ones, as `qCRC`
        wants it. DebugError if some of it cannot be read, or it is absurdly long."""
        if length > _CRC_LIMIT:
            raise DebugError(f"range is longer than {_CRC_LIMIT} bytes")
        crc = 0xFFFF_FFFF
        while length:
            data = self.read(address, min(length, _CHUNK))
            for byte in data:
                crc = (crc << 8 & 0xFFFF_FFFF) ^ _CRC_TABLE[crc >> 24 ^ byte]
            address, length = address + len(data), length - len(data)
        return crc


def _crc_entry(index: int) -> int:
    crc = index << 24
    for _ in range(8):
        crc = crc << 1 ^ (_CRC_POLYNOMIAL if crc & 0x8000_0000 else 0)
    return crc & 0xFFFF_FFFF


_CRC_TABLE = tuple(_crc_entry(index) for index in range(256))
