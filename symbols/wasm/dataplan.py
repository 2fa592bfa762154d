"""Where a module's static data goes: initialised segments and zero-filled ranges.

Active segments say it themselves.  A module for shared memory has passive segments; wasm-ld then
makes a function `__wasm_init_memory` that copies each with memory.init and clears .bss with
memory.fill, all with constant operands: reading that function gives the ranges.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from symbols.wasm.decode import instructions
from symbols.wasm.module import Module

_INIT_FUNCTION = "__wasm_init_memory"


@dataclass(frozen=True, slots=True)
class DataRange:
    """Bytes `[start, end)` of linear memory that the module sets when it starts."""

    name: str
    start: int
    end: int
    zero: bool
    """Cleared, not copied from the file."""
    segment: int = field(default=-1, compare=False)
    """Number of the data segment that it is copied from."""


def data_ranges(module: Module) -> list[DataRange]:
    """All static data of memory 0, by start address.  SymbolsError for malformed code."""
    names = module.names.data
    found = []
    for index, segment in enumerate(module.segments):
        if segment.offset is None or segment.memory:
            continue
        first = next(instructions(module.data, *segment.offset))
        if first.opcode.name == "i32.const" and isinstance(first.operands[0], int):
            start = first.operands[0] & 0xFFFFFFFF
            size = segment.end - segment.start
            label = names.get(index, f"segment {index}")
            found.append(DataRange(label, start, start + size, False, index))
    found += _initialised_by_code(module, names)
    return sorted((r for r in found if r.end > r.start), key=lambda r: (r.start, r.end))


def _initialised_by_code(module: Module, names: dict[int, str]) -> list[DataRange]:
    body = _init_body(module)
    if body is None:
        return []
    found: list[DataRange] = []
    constants: list[int] = []
    for instruction in instructions(module.data, *body):
        name = instruction.opcode.name
        operand = instruction.operands[0] if instruction.operands else None
        if name == "i32.const" and isinstance(operand, int):
            constants = [*constants[-2:], operand & 0xFFFFFFFF]
            continue
        if len(constants) == 3:
            start, _, size = constants
            if name == "memory.init" and isinstance(operand, int):
                label = names.get(operand, f"segment {operand}")
                found.append(DataRange(label, start, start + size, False, operand))
            elif name == "memory.fill":
                found.append(DataRange("zero-filled", start, start + size, True))
        constants = []
    return found


def _init_body(module: Module) -> tuple[int, int] | None:
    """Code of the function that initialises memory, after its locals; None if there is none."""
    from symbols.wasm.readers import read_locals

    index = next((i for i, n in module.names.functions.items() if n == _INIT_FUNCTION), None)
    if index is None:
        index = module.start
    if index is None or index < module.function_imports:
        return None
    number = index - module.function_imports
    if number >= len(module.bodies):
        return None
    _, start, end = module.bodies[number]
    _, code = read_locals(module.data, start, end)
    return code, end


def overlaps(ranges: list[DataRange]) -> list[tuple[DataRange, DataRange]]:
    """Pairs of ranges that share bytes: one of them destroys the other's initial value."""
    found = []
    for number, left in enumerate(ranges):
        for right in ranges[number + 1 :]:
            if right.start >= left.end:
                break
            found.append((left, right))
    return found
