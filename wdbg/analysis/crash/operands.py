"""What an instruction that trapped was given: its operands, worked out from the code before it.

A trap takes the operand stack with it. What lies there comes from the instructions right before,
most of them loads and locals: those in the same straight piece of code are followed with the
frame's locals and with memory. What cannot be known stays unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from symbols.errors import SymbolsError
from symbols.wasm.decode import Instruction, instructions
from symbols.wasm.module import Module
from symbols.wasm.readers import read_locals
from wdbg.dump.pages import UNREADABLE

_MASK = 0xFFFF_FFFF
_LOADS = {
    "i32.load": (4, False), "i32.load8_u": (1, False), "i32.load8_s": (1, True),
    "i32.load16_u": (2, False), "i32.load16_s": (2, True), "i64.load": (8, False),
    "i32.atomic.load": (4, False),
}  # fmt: skip
_STORES = {
    "i32.store": 4, "i32.store8": 1, "i32.store16": 2, "i64.store": 8, "i64.store8": 1,
    "i64.store16": 2, "i64.store32": 4, "f32.store": 4, "f64.store": 8,
}  # fmt: skip
_BINARY: dict[str, Callable[[int, int], int]] = {
    "i32.add": lambda a, b: a + b,
    "i32.sub": lambda a, b: a - b,
    "i32.mul": lambda a, b: a * b,
    "i32.and": lambda a, b: a & b,
    "i32.or": lambda a, b: a | b,
    "i32.shl": lambda a, b: a << (b & 31),
    "i32.shr_u": lambda a, b: a >> (b & 31),
}
_BOUNDARIES = frozenset({"block", "loop", "if", "else", "end", "br", "br_if", "br_table", "return"})


@dataclass(frozen=True, slots=True)
class Operand:
    """A value on the operand stack."""

    value: int | None
    """None: not known."""
    loads: tuple[int, ...] = ()
    """Addresses that it was read through, the first one first."""


_UNKNOWN = Operand(None)


@dataclass(frozen=True, slots=True)
class Trapped:
    """The instruction that trapped."""

    name: str
    address: Operand
    """What it accesses; of an indirect call: what is called, by its index."""
    size: int = 0
    """Bytes of an access."""
    type_index: int = -1
    """Of an indirect call: of the signature that the caller expects."""


def trapped(
    module: Module,
    body: tuple[int, int],
    offset: int,
    locals_: Mapping[int, int],
    read: Callable[[int, int], bytes],
) -> Trapped | None:
    """The instruction at code offset `offset` of the function whose body is the code offsets
    `body`, and its operands; None if there is none. `read` reads memory, and may raise."""
    base = module.code_base
    start, end = base + body[0], base + body[1]
    try:
        _, first = read_locals(module.data, start, end)
        before: list[Instruction] = []
        for item in instructions(module.data, first, end):
            if item.start == base + offset:
                return _describe(item, _follow(module, before, locals_, read))
            before = [] if item.opcode.name in _BOUNDARIES else [*before, item]
    except SymbolsError:
        return None
    return None


def _describe(item: Instruction, stack: list[Operand]) -> Trapped:
    name = item.opcode.name
    numbers = [operand for operand in item.operands if isinstance(operand, int)]
    if name in ("call_indirect", "return_call_indirect"):
        return Trapped(name, stack[-1] if stack else _UNKNOWN, type_index=numbers[0])
    position = 2 if name in _STORES else 1
    address = stack[-position] if len(stack) >= position else _UNKNOWN
    size = _STORES.get(name) or _LOADS.get(name, (0, False))[0]
    if not size or address.value is None or len(numbers) < 3:
        return Trapped(name, _UNKNOWN, size)
    return Trapped(name, Operand(address.value + numbers[2], address.loads), size)


def _follow(
    module: Module,
    code: list[Instruction],
    locals_: Mapping[int, int],
    read: Callable[[int, int], bytes],
) -> list[Operand]:
    """The operand stack after straight code, as far as it is known: its top."""
    written: dict[int, int] = {}
    for item in code:
        if item.opcode.name in ("local.set", "local.tee") and isinstance(item.operands[0], int):
            written[item.operands[0]] = item.start
    known: dict[int, Operand] = {}
    stack: list[Operand] = []

    def pop() -> Operand:
        return stack.pop() if stack else _UNKNOWN

    for item in code:
        name = item.opcode.name
        number = item.operands[0] if item.operands else 0
        if name == "local.get" and isinstance(number, int):
            found = known.get(number)
            if found is None:
                later = written.get(number, -1) > item.start
                value = None if later else locals_.get(number)
                found = Operand(value)
            stack.append(found)
        elif name in ("local.set", "local.tee") and isinstance(number, int):
            found = pop()
            if found.value is None and written.get(number) == item.start:
                found = Operand(locals_.get(number), found.loads)  # the last that it was given
            known[number] = found
            if name == "local.tee":
                stack.append(known[number])
        elif name == "i32.const" and isinstance(number, int):
            stack.append(Operand(number & _MASK))
        elif name in _LOADS and isinstance(item.operands[2], int):
            stack.append(_load(pop(), item.operands[2], *_LOADS[name], read))
        elif name in _BINARY:
            right, left = pop(), pop()
            if left.value is None or right.value is None:
                stack.append(Operand(None, left.loads + right.loads))
            else:
                value = _BINARY[name](left.value, right.value) & _MASK
                stack.append(Operand(value, left.loads + right.loads))
        elif name in _STORES:
            pop()
            pop()
        elif name == "drop":
            pop()
        elif name == "call" and isinstance(number, int):
            _call(module, number, stack)
        elif name == "global.get":
            stack.append(_UNKNOWN)
        elif name == "global.set":
            pop()
        elif name not in ("nop",):
            stack.clear()  # what it takes and gives is not followed
            stack.append(_UNKNOWN)
    return stack


def _call(module: Module, function: int, stack: list[Operand]) -> None:
    kind = module.types[module.function_types[function]]
    for _ in kind.params:
        if stack:
            stack.pop()
    stack += [_UNKNOWN] * len(kind.results)


def _load(
    address: Operand, offset: int, size: int, signed: bool, read: Callable[[int, int], bytes]
) -> Operand:
    if address.value is None:
        return Operand(None, address.loads)
    where = address.value + offset
    loads = (*address.loads, where)
    try:
        raw = read(where, size)
    except UNREADABLE:
        return Operand(None, loads)
    return Operand(int.from_bytes(raw, "little", signed=signed) & (1 << 64) - 1, loads)
