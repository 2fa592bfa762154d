"""The 32-bit address space that GDB sees: where code, guest memory and stack frames lie.

    0x00000000  guest memory at its own addresses (so at most `MEMORY_LIMIT` bytes of it)
    0xBFFFF000  the host: return address of every outermost frame
    0xC0000000  the kernel's code: address = base + code offset
    0xD0000000  programs' code, 16 MiB for each of at most `MOST_PROGRAMS` modules
    0xE0000000  frame records, 1 MiB for each thread slot (see `symbols.shadow.frames`)

A *code offset* counts from the contents of the module's code section, as DWARF does. GDB's own
i386 support works on byte addresses and needs no plug-in, which is why the shadow ELF is i386.
"""

from __future__ import annotations

from typing import Final

MEMORY_LIMIT: Final = 0xBFFF_0000
"""Guest memory must end below; a guest with more cannot be shown to GDB."""

HOST_BASE: Final = 0xBFFF_F000
HOST_SIZE: Final = 0x100
HOST_RETURN: Final = HOST_BASE + 4
"""Caller pc of an outermost frame: code that is the host's, where unwinding ends."""

CODE_BYTE: Final = b"\xf4"
"""What every byte of code reads as (hlt). GDB looks at them for i386 prologues and epilogues, and
skips any number of NOPs in search of one."""

KERNEL_BASE: Final = 0xC000_0000
KERNEL_LIMIT: Final = 0x1000_0000

PROGRAM_BASE: Final = 0xD000_0000
PROGRAM_LIMIT: Final = 0x0100_0000
MOST_PROGRAMS: Final = 16

FRAME_BASE: Final = 0xE000_0000
FRAME_AREA: Final = 0x0010_0000
"""Bytes of address space for one thread's frames."""
MOST_SLOTS: Final = (0x1_0000_0000 - FRAME_BASE) // FRAME_AREA


def code_base(module: int) -> int | None:
    """GDB address of code offset 0 of a module (0: kernel, programs from 1); None if the address
    space has no room for it."""
    if module == 0:
        return KERNEL_BASE
    if 1 <= module <= MOST_PROGRAMS:
        return PROGRAM_BASE + (module - 1) * PROGRAM_LIMIT
    return None


def code_limit(module: int) -> int:
    """Most bytes of code that a module can have."""
    return PROGRAM_LIMIT if module else KERNEL_LIMIT


def code_address(module: int, offset: int) -> int | None:
    """GDB address of a code offset; None if the address space has no room for it."""
    base = code_base(module)
    if base is None or not 0 <= offset < code_limit(module):
        return None
    return base + offset


def code_place(address: int) -> tuple[int, int] | None:
    """(module, code offset) of a GDB address; None if no module's code can lie there."""
    if KERNEL_BASE <= address < KERNEL_BASE + KERNEL_LIMIT:
        return 0, address - KERNEL_BASE
    if PROGRAM_BASE <= address < PROGRAM_BASE + MOST_PROGRAMS * PROGRAM_LIMIT:
        number, offset = divmod(address - PROGRAM_BASE, PROGRAM_LIMIT)
        return number + 1, offset
    return None


def is_host(address: int) -> bool:
    """Whether it is code of the host, which has no contents and no lines."""
    return HOST_BASE <= address < HOST_BASE + HOST_SIZE


def frame_area(slot: int) -> tuple[int, int]:
    """[start, end) of a thread slot's frame area; ValueError for a slot that does not exist."""
    if not 0 <= slot < MOST_SLOTS:
        raise ValueError(f"slot {slot}: there are {MOST_SLOTS}")
    start = FRAME_BASE + slot * FRAME_AREA
    return start, start + FRAME_AREA


def frame_slot(address: int) -> int | None:
    """The thread slot whose frame area holds an address."""
    if FRAME_BASE <= address < FRAME_BASE + MOST_SLOTS * FRAME_AREA:
        return (address - FRAME_BASE) // FRAME_AREA
    return None
