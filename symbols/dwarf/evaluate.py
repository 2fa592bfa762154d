"""Works out where a variable is: DWARF's location expressions over a frame's wasm values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from symbols.dwarf.expressions import operations
from symbols.errors import SymbolsError


class NotKnown(Exception):
    """A value that the expression needs is not known, or the expression is not understood."""


_MASK: Final = (1 << 64) - 1
_MOST_STEPS: Final = 1000
_PIECE, _STACK_VALUE, _ADDR, _FBREG, _WASM = 0x93, 0x9F, 0x03, 0x91, 0xED
_CONSTANTS: Final = {0x08: 1, 0x0A: 2, 0x0C: 4, 0x0E: 8, 0x10: 0, 0x11: 0}
_SIGNED: Final = {0x09: 1, 0x0B: 2, 0x0D: 4, 0x0F: 8}


def _signed(value: int) -> int:
    value &= _MASK
    return value - (1 << 64) if value >> 63 else value


def _divide(left: int, right: int) -> int:
    a, b = _signed(left), _signed(right)
    if not b:
        raise NotKnown("the location divides by zero")
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def _remainder(left: int, right: int) -> int:
    if not right:
        raise NotKnown("the location divides by zero")
    return left % right


_BINARY: Final[dict[int, Callable[[int, int], int]]] = {
    0x1A: lambda a, b: a & b,
    0x1B: _divide,
    0x1C: lambda a, b: a - b,
    0x1D: _remainder,
    0x1E: lambda a, b: a * b,
    0x21: lambda a, b: a | b,
    0x22: lambda a, b: a + b,
    0x24: lambda a, b: a << b if b < 64 else 0,
    0x25: lambda a, b: a >> b if b < 64 else 0,
    0x26: lambda a, b: _signed(a) >> min(b, 63),
    0x27: lambda a, b: a ^ b,
    0x29: lambda a, b: int(a == b),
    0x2A: lambda a, b: int(_signed(a) >= _signed(b)),
    0x2B: lambda a, b: int(_signed(a) > _signed(b)),
    0x2C: lambda a, b: int(_signed(a) <= _signed(b)),
    0x2D: lambda a, b: int(_signed(a) < _signed(b)),
    0x2E: lambda a, b: int(a != b),
}
_UNARY: Final[dict[int, Callable[[int], int]]] = {
    0x19: lambda a: abs(_signed(a)),
    0x1F: lambda a: -a,
    0x20: lambda a: ~a,
}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an expression may refer to."""

    wasm: Callable[[int, int], int]
    """Value of (kind, index); NotKnown where it is not known."""
    frame_base: Callable[[], int]
    memory: Callable[[int, int], bytes]
    """Bytes at (address, length)."""


@dataclass(frozen=True, slots=True)
class Location:
    """What an expression says: a value, or the address of one in memory."""

    value: int
    in_memory: bool
    local: int | None = None
    """The wasm local that holds it, if it is nothing else."""


def evaluate(expression: bytes, around: Surroundings) -> Location:
    """The variable's location. A variable in pieces of at most 8 bytes together is a value.

    NotKnown where something is not known, and for operations that are not understood.
    """
    try:
        return _Machine(around).run(expression)
    except (SymbolsError, IndexError):
        raise NotKnown("the variable's location is malformed") from None


class _Machine:
    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._stack: list[int] = []
        self._pieces: list[bytes] = []

    def run(self, expression: bytes) -> Location:
        ops = list(operations(expression))
        if len(ops) > _MOST_STEPS:
            raise NotKnown("the variable's location is too long")
        in_memory = True
        for opcode, operands in ops:
            if opcode == _STACK_VALUE:
                in_memory = False
            elif opcode == _PIECE:
                self._piece(int(operands[0]), in_memory)
                in_memory = True
            else:
                self._step(opcode, operands)
        if self._pieces:
            return Location(int.from_bytes(b"".join(self._pieces), "little"), False)
        local = None
        if len(ops) == 2 and ops[0][0] == _WASM and not in_memory and ops[0][1][0] == 0:
            local = int(ops[0][1][1])
        return Location(self._stack[-1] & _MASK, in_memory, local)

    def _piece(self, size: int, in_memory: bool) -> None:
        if not self._stack:
            raise NotKnown("a part of it is not available")
        value = self._stack.pop() & _MASK
        if size + sum(map(len, self._pieces)) > 8:
            raise NotKnown("it is in parts that are longer than a register")
        raw = self._around.memory(value, size) if in_memory else value.to_bytes(8, "little")
        self._pieces.append(raw[:size])

    def _step(self, opcode: int, operands: tuple[int | bytes, ...]) -> None:
        stack = self._stack
        numbers = [operand for operand in operands if isinstance(operand, int)]
        if opcode == _WASM:
            stack.append(self._around.wasm(numbers[0], numbers[1]))
        elif 0x30 <= opcode <= 0x4F:
            stack.append(opcode - 0x30)
        elif opcode in _CONSTANTS or opcode == _ADDR:
            stack.append(numbers[0])
        elif opcode in _SIGNED:
            top = 1 << 8 * _SIGNED[opcode] - 1
            stack.append((numbers[0] ^ top) - top)
        elif opcode == _FBREG:
            stack.append(self._around.frame_base() + numbers[0])
        elif opcode == 0x23:  # plus_uconst
            stack.append(stack.pop() + numbers[0])
        elif opcode in _BINARY:
            right = stack.pop() & _MASK
            stack.append(_BINARY[opcode](stack.pop() & _MASK, right))
        elif opcode in _UNARY:
            stack.append(_UNARY[opcode](stack.pop()))
        elif opcode in (0x06, 0x94):  # deref, deref_size
            size = numbers[0] if numbers else 4
            if not 1 <= size <= 8:
                raise NotKnown("the variable's location is malformed")
            raw = self._around.memory(stack.pop() & 0xFFFF_FFFF, size)
            stack.append(int.from_bytes(raw, "little"))
        elif opcode == 0x12:  # dup
            stack.append(stack[-1])
        elif opcode == 0x13:  # drop
            stack.pop()
        elif opcode == 0x14:  # over
            stack.append(stack[-2])
        elif opcode == 0x15:  # pick
            stack.append(stack[-1 - numbers[0]])
        elif opcode == 0x16:  # swap
            stack[-1], stack[-2] = stack[-2], stack[-1]
        elif opcode != 0x96:  # nop
            raise NotKnown(f"DWARF operation {opcode:#x} is not understood")
