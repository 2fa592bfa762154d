"""Types on the operand stack at given instructions of a body.

The validation algorithm of the core specification (appendix "Validation Algorithm") without the
checks: it follows heights and types of well-formed code. Vector, table and reference instructions
are not followed; a body that has one is given up.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from symbols.errors import SymbolsError
from symbols.wasm.decode import Instruction, instructions
from symbols.wasm.module import Module
from symbols.wasm.opcodes import OPCODES, Shape
from symbols.wasm.types import FuncType, ValueType

I32 = ValueType.I32
_SCALARS = {t.text: t for t in (I32, ValueType.I64, ValueType.F32, ValueType.F64)}
_UNARY = ("clz", "ctz", "popcnt", "abs", "neg", "ceil", "floor", "trunc", "nearest", "sqrt",
          "extend", "wrap", "convert", "demote", "promote", "reinterpret")  # fmt: skip
_TESTS = ("eq", "ne", "lt", "gt", "le", "ge")

Effect = tuple[int, ValueType | None]
"""How many operands an instruction takes, and the type of its result (None: it has none)."""


def _effect(name: str) -> Effect | None:
    """Of an instruction whose effect does not depend on its immediates."""
    fixed: dict[str, Effect] = {
        "nop": (0, None), "drop": (1, None), "atomic.fence": (0, None), "data.drop": (0, None),
        "memory.size": (0, I32), "memory.grow": (1, I32), "memory.copy": (3, None),
        "memory.fill": (3, None), "memory.init": (3, None), "memory.atomic.notify": (2, I32),
        "memory.atomic.wait32": (3, I32), "memory.atomic.wait64": (3, I32),
    }  # fmt: skip
    if name in fixed:
        return fixed[name]
    kind, _, what = name.partition(".")
    result = _SCALARS.get(kind)
    if result is None or not what:
        return None
    what = what.removeprefix("atomic.")
    if what == "const":
        return 0, result
    if what.startswith("load"):
        return 1, result
    if what.startswith("store"):
        return 2, None
    if what.startswith("rmw"):
        return (3 if "cmpxchg" in what else 2), result
    if what == "eqz":
        return 1, I32
    if what.split("_")[0] in _TESTS:
        return 2, I32
    return (1 if what.startswith(_UNARY) else 2), result


_EFFECTS = {o.name: _effect(o.name) for o in OPCODES.values() if o.shape is not Shape.CATCHES}


@dataclass(slots=True)
class _Frame:
    """A block that is open: what its label takes is not followed, only what it leaves."""

    name: str
    kind: FuncType
    height: int
    """Of the operand stack below the block's parameters."""
    dead: bool = False
    """The rest of it cannot be reached: the stack is polymorphic."""


class _Walk:
    def __init__(self, module: Module, locals_: list[ValueType], signature: FuncType) -> None:
        self._module = module
        self._locals = locals_
        self.stack: list[ValueType | None] = []
        self.frames = [_Frame("function", FuncType((), signature.results), 0)]

    def _pop(self, count: int) -> None:
        frame = self.frames[-1]
        left = len(self.stack) - count
        if left < frame.height and not frame.dead:
            raise SymbolsError("operand stack underflow")
        del self.stack[max(left, frame.height) :]

    def _apply(self, kind: FuncType) -> None:
        self._pop(len(kind.params))
        self.stack += kind.results

    def _unreachable(self) -> None:
        frame = self.frames[-1]
        del self.stack[frame.height :]
        frame.dead = True

    def _block_type(self, value: object) -> FuncType:
        assert isinstance(value, int)
        if value >= 0:
            return self._module.types[value]
        if value == -64:
            return FuncType((), ())
        return FuncType((), (ValueType(value & 0x7F),))

    def _open(self, name: str, kind: FuncType) -> None:
        self._pop(len(kind.params))
        self.frames.append(_Frame(name, kind, len(self.stack)))
        self.stack += kind.params

    def step(self, instruction: Instruction) -> None:
        name, operands = instruction.opcode.name, instruction.operands
        effect = _EFFECTS.get(name)
        if effect is not None:
            self._pop(effect[0])
            if effect[1] is not None:
                self.stack.append(effect[1])
            return
        first = operands[0] if operands else 0
        if name in ("local.get", "local.set", "local.tee"):
            assert isinstance(first, int)
            if name != "local.get":
                self._pop(1)
            if name != "local.set":
                self.stack.append(self._locals[first])
        elif name in ("global.get", "global.set"):
            assert isinstance(first, int)
            if name == "global.set":
                self._pop(1)
            else:
                self.stack.append(self._module.globals[first].value)
        elif name in ("select", "select_t"):
            self._pop(2)
        elif name in ("block", "loop"):
            self._open(name, self._block_type(first))
        elif name == "if":
            self._pop(1)
            self._open(name, self._block_type(first))
        elif name == "else":
            frame = self.frames[-1]
            del self.stack[frame.height :]
            frame.dead = False
            self.stack += frame.kind.params
        elif name == "end":
            frame = self.frames.pop()
            del self.stack[frame.height :]
            self.stack += frame.kind.results
        elif name == "br_if":
            self._pop(1)
        elif name in ("br", "br_table", "return", "unreachable", "throw"):
            self._unreachable()
        elif name == "call":
            assert isinstance(first, int)
            self._apply(self._module.types[self._module.function_types[first]])
        elif name == "call_indirect":
            assert isinstance(first, int)
            self._pop(1)
            self._apply(self._module.types[first])
        else:
            raise SymbolsError(f"{name} is not followed", instruction.start)


def operand_types(
    module: Module,
    code: int,
    end: int,
    locals_: list[ValueType],
    signature: FuncType,
    wanted: Collection[tuple[int, int]],
) -> dict[tuple[int, int], ValueType]:
    """Type of each wanted (file offset of an instruction, slot): what lies in that slot of the
    operand stack (0 = bottom) before the instruction, if it is the topmost one there.

    Slots that are not on top, not there, or in code that cannot be reached are left out. Empty if
    the body has an instruction that is not followed.
    """
    found: dict[tuple[int, int], ValueType] = {}
    slots: dict[int, list[int]] = {}
    for offset, slot in wanted:
        slots.setdefault(offset, []).append(slot)
    walk = _Walk(module, locals_, signature)
    look: Callable[[int], list[int] | None] = slots.get
    try:
        for instruction in instructions(module.data, code, end):
            for slot in look(instruction.start) or ():
                frame = walk.frames[-1]
                if len(walk.stack) != slot + 1 or slot < frame.height or frame.dead:
                    continue  # a block's code does not reach what lies below it
                kind = walk.stack[-1]
                if kind is not None:
                    found[instruction.start, slot] = kind
            walk.step(instruction)
            if not walk.frames:
                break
    except (SymbolsError, IndexError):
        return {}
    return found
