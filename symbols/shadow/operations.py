"""DWARF location expressions: their operations, and the bytes that hold them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from symbols.errors import SymbolsError
from symbols.wasm.leb import encode_padded

OP_ADDR: Final = 0x03
OP_DEREF: Final = 0x06
OP_CONST4U: Final = 0x0C
OP_PLUS: Final = 0x22
OP_PLUS_UCONST: Final = 0x23
OP_PIECE: Final = 0x93
OP_NOP: Final = 0x96
OP_BIT_PIECE: Final = 0x9D
OP_IMPLICIT_VALUE: Final = 0x9E
OP_STACK_VALUE: Final = 0x9F
OP_ADDRX: Final = 0xA1
OP_CONSTX: Final = 0xA2
OP_ENTRY_VALUE: Final = 0xA3
OP_DEREF_TYPE: Final = 0xA6
OP_CONVERT: Final = 0xA8
OP_WASM: Final = 0xED
OP_GNU_ENTRY_VALUE: Final = 0xF3
OP_BREG0: Final = 0x70

_OPERANDS: dict[int, str] = {
    0x03: "4", 0x08: "1", 0x09: "b", 0x0A: "2", 0x0B: "h", 0x0C: "4", 0x0D: "w", 0x0E: "8",
    0x0F: "d", 0x10: "u", 0x11: "s", 0x15: "1", 0x23: "u", 0x28: "h", 0x2F: "h", 0x90: "u",
    0x91: "s", 0x92: "us", 0x93: "u", 0x94: "1", 0x95: "1", 0x98: "2", 0x99: "4", 0x9A: "4",
    0x9D: "uu", 0x9E: "B", 0xA0: "4s", 0xA1: "u", 0xA2: "u", 0xA3: "B", 0xA4: "uC", 0xA5: "uu",
    0xA6: "1u", 0xA7: "1u", 0xA8: "u", 0xA9: "u", 0xED: "L", 0xF3: "B",
}  # fmt: skip
"""Operands by opcode: digits unsigned bytes, b h w d signed ones, u s LEB128, B C blocks."""
_OPERANDS |= dict.fromkeys(range(0x70, 0x90), "s")
_WIDTH = {"1": 1, "2": 2, "4": 4, "8": 8, "b": 1, "h": 2, "w": 4, "d": 8}

WASM_LOCAL, WASM_GLOBAL, WASM_OPERAND, WASM_GLOBAL_RELOC = 0, 1, 2, 3
"""Kinds of wasm locations; the last has an index of four bytes."""
_MOST_OPS = 4096

LITERALS: Final = frozenset({*range(0x08, 0x12), *range(0x30, 0x50)})
"""Operations that push their own number."""


@dataclass(frozen=True, slots=True)
class Op:
    """One operation."""

    code: int
    arguments: tuple[int, ...]
    raw: bytes
    block: bytes = b""


def parse(data: bytes) -> list[Op]:
    """Operations of an expression; SymbolsError if it is malformed."""
    ops = []
    pos, end = 0, len(data)
    try:
        while pos < end:
            start, code = pos, data[pos]
            pos += 1
            arguments: list[int] = []
            block = b""
            for kind in _OPERANDS.get(code, ""):
                if kind in "us":
                    value, pos = _leb(data, pos, kind == "s")
                    arguments.append(value)
                elif kind in "BC":
                    if kind == "B":
                        size, pos = _leb(data, pos, False)
                    else:
                        size, pos = data[pos], pos + 1
                    block = data[pos : pos + size]
                    pos += size
                elif kind == "L":
                    arguments.append(data[pos])
                    pos += 1
                    if arguments[0] == WASM_GLOBAL_RELOC:
                        arguments.append(int.from_bytes(data[pos : pos + 4], "little"))
                        pos += 4
                    else:
                        value, pos = _leb(data, pos, False)
                        arguments.append(value)
                else:
                    width = _WIDTH[kind]
                    signed = kind in "bhwd"
                    arguments.append(
                        int.from_bytes(data[pos : pos + width], "little", signed=signed)
                    )
                    pos += width
            ops.append(Op(code, tuple(arguments), data[start:pos], block))
            if len(ops) > _MOST_OPS:
                raise SymbolsError("location expression without end")
    except IndexError:
        raise SymbolsError("truncated location expression") from None
    if pos > end:
        raise SymbolsError("truncated location expression")
    return ops


def _leb(data: bytes, pos: int, signed: bool) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[pos]
        pos += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
        if shift > 70:
            raise SymbolsError("integer without end in a location expression")
    if signed and byte & 0x40:
        value -= 1 << shift
    return value, pos


def constant_of(op: Op) -> int | None:
    """Value of an operation that has one."""
    if 0x30 <= op.code < 0x50:
        return op.code - 0x30
    if op.code in LITERALS or op.code == OP_PLUS_UCONST:
        return op.arguments[0]
    return None


def fold(ops: list[Op]) -> int | None:
    """Value of an expression without variables, in unlimited precision; None if it has some, or
    has operations that are not worth the trouble."""
    stack: list[int] = []
    for op in ops:
        value = constant_of(op)
        try:
            if op.code == OP_PLUS_UCONST and value is not None:
                stack.append(stack.pop() + value)
            elif value is not None:
                stack.append(value)
            elif op.code == 0x20:
                stack.append(~stack.pop())
            elif op.code == 0x1F:
                stack.append(-stack.pop())
            elif op.code in _BINARY:
                right, left = stack.pop(), stack.pop()
                stack.append(_BINARY[op.code](left, right))
            else:
                return None
        except IndexError:
            return None
    return stack[0] if len(stack) == 1 else None


_BINARY: dict[int, Callable[[int, int], int]] = {
    0x1A: lambda a, b: a & b,
    0x1C: lambda a, b: a - b,
    0x1E: lambda a, b: a * b,
    0x21: lambda a, b: a | b,
    0x22: lambda a, b: a + b,
    0x27: lambda a, b: a ^ b,
}


def fill(expression: bytes, room: int, variable: Callable[[], int | None]) -> bytes | None:
    """Length and expression in exactly `room` bytes, None if they need more; `variable` tells
    the variable's size. A length may have leading zeros, which keeps the expression itself as
    short as it is: GDB recognises some."""
    size = len(expression)
    width = room - size
    if width < 1 or (size >= 0x80 and width < 2) or (size >= 0x4000 and width < 3):
        return None
    if width <= 8:
        return encode_padded(size, width) + expression
    if not size:
        # an empty piece: nothing is known of the whole variable (GDB refuses longer pieces)
        piece = bytes((OP_PIECE,)) + encode_padded(variable() or 0x0FFF_FFFF, 4)
        return encode_padded(room - 4, 4) + b"\x96" * (room - 9) + piece
    # not after it: nothing may follow DW_OP_stack_value
    return encode_padded(room - 4, 4) + b"\x96" * (room - 4 - size) + expression
