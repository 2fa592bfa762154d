"""The registers of LLDB's view of a guest: variables are registers there.

LLDB asks for a wasm local by the frame's level and forgets to say of which thread, and it looks
a location list up at the innermost frame's pc, whatever frame it shows. Registers it asks for
with the thread. So in its copy of a module each variable's location is a register of its own, and
where the variable really is, is worked out here. A register says which variable, not in which
frame; the frame is the one whose function has the variable.

    0                    pc
    1 .. 63              where the data of program 1 .. 63 begins
    64 .. 16383          variables: those of a function, its frame base first, have consecutive
                         numbers, modulo their count
"""

from __future__ import annotations

from typing import Final

PC: Final = 0
MOST_PROGRAMS: Final = 63
FIRST_VARIABLE: Final = 64
COUNT: Final = 1 << 14
"""All numbers are below: two bytes of LEB128 are what there is room for."""
VARIABLES: Final = COUNT - FIRST_VARIABLE
SIZE: Final = 8
"""Bytes of a register."""


def register(slot: int) -> int:
    """Register of a variable by its place in the sequence of a module's variables."""
    return FIRST_VARIABLE + slot % VARIABLES


def operand(number: int) -> bytes:
    """A register's number in exactly two bytes of LEB128."""
    return bytes((number & 0x7F | 0x80, number >> 7))


def name(number: int) -> str:
    """What a register is called."""
    if number == PC:
        return "pc"
    return f"base{number}" if number <= MOST_PROGRAMS else f"v{number}"
