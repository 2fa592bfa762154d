"""Agent expressions: GDB's bytecode for conditions, evaluated here so that a condition that does
not hold costs no packet. Opcodes as in "The GDB Agent Expression Mechanism" in the GDB manual;
those for tracepoints are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from wdbg.debugger.model import DebugError

MOST_BYTES: Final = 4096
MOST_STEPS: Final = 10_000
MOST_STACK: Final = 256
_MASK: Final = 0xFFFF_FFFF_FFFF_FFFF
_SIGN: Final = 1 << 63


class AgentError(DebugError):
    """An expression that is malformed, runs too long or cannot be evaluated here."""


Reader = Callable[[int, int], bytes]
"""(address, length) to exactly that many bytes, or DebugError."""
Registers = Callable[[int], int]
"""Number to value, or DebugError."""


def _signed(value: int) -> int:
    return value - (1 << 64) if value & _SIGN else value


def _divide(a: int, b: int) -> int:
    """C's division: towards zero."""
    if b == 0:
        raise AgentError("division by zero")
    quotient = abs(a) // abs(b)
    return -quotient if (a < 0) != (b < 0) else quotient


def _shift(count: int) -> int:
    return min(count, 64)


_BINARY: Final[dict[int, Callable[[int, int], int]]] = {
    0x02: lambda a, b: a + b,
    0x03: lambda a, b: a - b,
    0x04: lambda a, b: a * b,
    0x05: lambda a, b: _divide(_signed(a), _signed(b)),
    0x06: _divide,
    0x07: lambda a, b: _signed(a) - _signed(b) * _divide(_signed(a), _signed(b)),
    0x08: lambda a, b: a - b * _divide(a, b),
    0x09: lambda a, b: a << _shift(b),
    0x0A: lambda a, b: _signed(a) >> _shift(b),
    0x0B: lambda a, b: a >> _shift(b),
    0x0F: lambda a, b: a & b,
    0x10: lambda a, b: a | b,
    0x11: lambda a, b: a ^ b,
    0x13: lambda a, b: int(a == b),
    0x14: lambda a, b: int(_signed(a) < _signed(b)),
    0x15: lambda a, b: int(a < b),
}
_REFS: Final = {0x17: 1, 0x18: 2, 0x19: 4, 0x1A: 8}
_CONSTANTS: Final = {0x22: 1, 0x23: 2, 0x24: 4, 0x25: 8}
_LOG_NOT, _BIT_NOT, _EXT, _ZERO_EXT = 0x0E, 0x12, 0x16, 0x2A
_IF_GOTO, _GOTO, _REG, _END = 0x20, 0x21, 0x26, 0x27
_DUP, _POP, _SWAP, _PICK, _ROT = 0x28, 0x29, 0x2B, 0x32, 0x33


def evaluate(code: bytes, registers: Registers, read: Reader) -> int:
    """The value (unsigned, 64 bits) on top of the stack at the end. AgentError for what cannot
    be evaluated; whatever `registers` and `read` raise."""
    if len(code) > MOST_BYTES:
        raise AgentError("expression is too long")
    stack: list[int] = []
    try:
        return _run(code, stack, registers, read)
    except IndexError:
        raise AgentError("expression leaves its code or its stack") from None


def _run(code: bytes, stack: list[int], registers: Registers, read: Reader) -> int:
    at = 0
    for _ in range(MOST_STEPS):
        op = code[at]
        at += 1
        if op in _BINARY:
            b = stack.pop()
            stack[-1] = _BINARY[op](stack[-1], b) & _MASK
        elif op in _CONSTANTS:
            stack.append(_operand(code, at, _CONSTANTS[op]))
            at += _CONSTANTS[op]
        elif op in _REFS:
            stack[-1] = _load(read, stack[-1], _REFS[op])
        elif op == _REG:
            stack.append(registers(_operand(code, at, 2)) & _MASK)
            at += 2
        elif op == _END:
            return stack[-1]
        elif op == _IF_GOTO:
            at = _operand(code, at, 2) if stack.pop() else at + 2
        elif op == _GOTO:
            at = _operand(code, at, 2)
        elif op in (_EXT, _ZERO_EXT):
            stack[-1] = _extended(stack[-1], code[at], signed=op == _EXT)
            at += 1
        elif op == _PICK:
            stack.append(stack[-1 - code[at]])
            at += 1
        else:
            _shuffle(op, stack)
        if len(stack) > MOST_STACK:
            raise AgentError("expression needs too much stack")
    raise AgentError("expression runs too long")


def _shuffle(op: int, stack: list[int]) -> None:
    if op == _LOG_NOT:
        stack[-1] = int(not stack[-1])
    elif op == _BIT_NOT:
        stack[-1] = ~stack[-1] & _MASK
    elif op == _DUP:
        stack.append(stack[-1])
    elif op == _POP:
        stack.pop()
    elif op == _SWAP:
        stack[-1], stack[-2] = stack[-2], stack[-1]
    elif op == _ROT:  # a b c => c a b, with c on top before
        stack[-3], stack[-2], stack[-1] = stack[-1], stack[-3], stack[-2]
    else:
        raise AgentError(f"opcode {op:#04x} is not supported")


def _operand(code: bytes, at: int, size: int) -> int:
    """Operands are big-endian."""
    if at + size > len(code):
        raise IndexError
    return int.from_bytes(code[at : at + size], "big")


def _load(read: Reader, address: int, size: int) -> int:
    data = read(address & 0xFFFF_FFFF, size)
    if len(data) != size:
        raise AgentError(f"no memory at {address:#x}")
    return int.from_bytes(data, "little")


def _extended(value: int, bits: int, *, signed: bool) -> int:
    if not 0 < bits <= 64:
        return value
    value &= (1 << bits) - 1
    if signed and value >> (bits - 1):
        value -= 1 << bits
    return value & _MASK
