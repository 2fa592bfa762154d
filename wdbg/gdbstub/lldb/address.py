"""Addresses as LLDB's wasm plug-in sees them.

Bits 63 and 62 say what an address is of: 0 guest memory, 1 code. In a code address bits 61 to 32
are the module's number, and the lower half is an offset in the module's *file*, which is the code
offset plus the module's `code_base`. Guest memory has one address space for all modules.
"""

from __future__ import annotations

from typing import Final

CODE: Final = 0x4000_0000_0000_0000
"""File offset 0 of module 0."""
MOST_MODULES: Final = 1 << 30
_OFFSET: Final = 0xFFFF_FFFF


def module_address(module: int, file_offset: int = 0) -> int:
    """Address of a byte of a module's file."""
    return CODE | module << 32 | (file_offset & _OFFSET)


def split_address(address: int) -> tuple[int, int] | None:
    """(module number, file offset) of a code address; None for any other address."""
    if address >> 62 != 1:
        return None
    return address >> 32 & MOST_MODULES - 1, address & _OFFSET


def is_memory(address: int) -> bool:
    """Whether it is an address in the guest's memory."""
    return address >> 32 == 0


def little_endian(value: int, width: int = 8) -> str:
    """Hex digits of `width` bytes, the lowest byte first, as registers and stacks are sent."""
    return (value & (1 << 8 * width) - 1).to_bytes(width, "little").hex()
