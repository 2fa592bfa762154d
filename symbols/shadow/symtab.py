"""Symbols of the shadow ELF: functions, static data, and indices of the function table.

Kernel code calls through the function table: a pointer to a function is a small number. Symbols
`name[tbl]` at those numbers let GDB print such pointers by name.
"""

from __future__ import annotations

from symbols.dwarf.constants import At
from symbols.errors import SymbolsError
from symbols.shadow.elf import Symbol, SymbolType
from symbols.shadow.info import Info
from symbols.wasm.decode import instructions
from symbols.wasm.module import Module


def function_symbols(module: Module, base: int, section: int) -> list[Symbol]:
    """All functions with code."""
    names = module.names.functions
    first = module.function_imports
    found = []
    for number, (_, start, end) in enumerate(module.bodies, first):
        name = names.get(number, f"wasm_function_{number}")
        address = base + start - module.code_base
        found.append(Symbol(_plain(name), address, end - start, SymbolType.FUNCTION, section))
    return found


def table_symbols(module: Module, section: int, limit: int) -> list[Symbol]:
    """Functions by their index in table 0, as far as the indices are below `limit`."""
    names = module.names.functions
    found = []
    for element in module.elements:
        if element.mode != "active" or element.table or element.functions is None:
            continue
        if element.offset is None:
            continue
        first = next(instructions(module.data, *element.offset))
        if first.opcode.name != "i32.const" or not isinstance(first.operands[0], int):
            continue  # a program's: its process decides where they go
        start = first.operands[0] & 0xFFFF_FFFF
        for number, function in enumerate(element.functions, start):
            if 0 < number < limit:
                name = names.get(function, f"wasm_function_{function}")
                found.append(
                    Symbol(_plain(name) + b"[tbl]", number, 1, SymbolType.OBJECT, section, True)
                )
    return found


def data_symbols(info: Info, section: int, limit: int) -> list[Symbol]:
    """Variables that DWARF places at fixed addresses below `limit`, declared ones with a name."""
    found = {}
    for variable in info.variables:
        try:
            attributes = info.attributes(variable)
        except SymbolsError:
            continue
        name = info.dies.variable_name(variable.unit, attributes)
        if not name or not 0 < variable.address < limit or b"\0" in name:
            continue
        size = info.dies.variable_size(variable.unit, attributes) or 0
        local = At.EXTERNAL not in attributes
        symbol = Symbol(
            name, variable.address, min(size, limit - variable.address), SymbolType.OBJECT,
            section, local,
        )  # fmt: skip
        found[variable.address, name] = symbol
    return list(found.values())


def _plain(name: str) -> bytes:
    return name.replace("\0", "?").encode()
