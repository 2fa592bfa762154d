"""Location expressions, as far as one must know which wasm values they read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from symbols.dwarf.sections import integer, signed, unsigned
from symbols.errors import SymbolsError

OP_ADDR: Final = 0x03
OP_FBREG: Final = 0x91
OP_STACK_VALUE: Final = 0x9F
OP_ADDRX: Final = 0xA1
OP_ENTRY_VALUE: Final = 0xA3
OP_WASM_LOCATION: Final = 0xED
OP_GNU_ENTRY_VALUE: Final = 0xF3

MAX_EXPRESSION: Final = 1 << 16
"""Longest expression that is read, bytes."""

# Operands by operation: A address, digits fixed sizes, u/s LEB128, b block with a LEB128 length,
# c block with a one-byte length, w WASM_location. Operations that are not listed have none.
_OPERANDS: Final = {
    0x03: "A",
    0x08: "1",
    0x09: "1",
    0x0A: "2",
    0x0B: "2",
    0x0C: "4",
    0x0D: "4",
    0x0E: "8",
    0x0F: "8",
    0x10: "u",
    0x11: "s",
    0x15: "1",
    0x23: "u",
    0x28: "2",
    0x2F: "2",
    **dict.fromkeys(range(0x70, 0x90), "s"),
    0x90: "u",
    0x91: "s",
    0x92: "us",
    0x93: "u",
    0x94: "1",
    0x95: "1",
    0x98: "2",
    0x99: "4",
    0x9A: "4",
    0x9D: "uu",
    0x9E: "b",
    0xA0: "4s",
    0xA1: "u",
    0xA2: "u",
    0xA3: "b",
    0xA4: "uc",
    0xA5: "uu",
    0xA6: "1u",
    0xA7: "1u",
    0xA8: "u",
    0xA9: "u",
    0xED: "w",
    0xF3: "b",
}

Operation = tuple[int, tuple[int | bytes, ...]]


def operations(expression: bytes, address_size: int = 4) -> Iterator[Operation]:
    """The operations of an expression in order: (opcode, operands). A WASM_location has the
    operands (kind, index)."""
    if len(expression) > MAX_EXPRESSION:
        raise SymbolsError(f"location expression of {len(expression)} bytes")
    pos, end = 0, len(expression)
    while pos < end:
        opcode = expression[pos]
        pos += 1
        operands: list[int | bytes] = []
        for kind in _OPERANDS.get(opcode, ""):
            value: int | bytes
            if kind == "u":
                value, pos = unsigned(expression, pos)
            elif kind == "s":
                value, pos = signed(expression, pos)
            elif kind == "w":
                where = integer(expression, pos, 1)
                operands.append(where)
                if where == 3:
                    value, pos = integer(expression, pos + 1, 4), pos + 5
                else:
                    value, pos = unsigned(expression, pos + 1)
            elif kind in "bc":
                if kind == "b":
                    size, pos = unsigned(expression, pos)
                else:
                    size, pos = integer(expression, pos, 1), pos + 1
                if size > end - pos:
                    raise SymbolsError("truncated location expression")
                value, pos = expression[pos : pos + size], pos + size
            else:
                size = address_size if kind == "A" else int(kind)
                value, pos = integer(expression, pos, size), pos + size
            operands.append(value)
        yield opcode, tuple(operands)


def wasm_locations(expression: bytes, address_size: int = 4) -> tuple[tuple[int, int], ...]:
    """(kind, index) of each wasm value that the expression reads at the present pc: kind 0 a
    local, 1 and 3 a global, 2 a slot of the operand stack. What an entry_value asks for is the
    value at the function's entry and does not count."""
    if OP_WASM_LOCATION not in expression:
        return ()
    found: dict[tuple[int, int], None] = {}
    for opcode, operands in operations(expression, address_size):
        if opcode == OP_WASM_LOCATION:
            kind, index = operands
            if isinstance(kind, int) and isinstance(index, int) and kind <= 3 and index < 1 << 32:
                found[kind, index] = None
    return tuple(found)
