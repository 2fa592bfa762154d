"""Types, functions, globals, tables, tags and exports that rewriting adds to a module.

Everything is appended behind what the original defines, so that no original index changes.
"""

from __future__ import annotations

from symbols.wasm.container import write_name
from symbols.wasm.leb import encode_unsigned
from symbols.wasm.module import Module
from symbols.wasm.types import FuncType, Kind, ValueType
from wdbg.instrument.emit import END, function, i32_const


class Additions:
    """Collects additions; hands out their indices at once."""

    def __init__(self, module: Module, first_function: int) -> None:
        """``first_function``: index of the first appended function in the new module."""
        self._module = module
        self._first_function = first_function
        self._signatures = {kind: i for i, kind in reversed(list(enumerate(module.types)))}
        self.types: list[bytes] = []
        self.function_types: list[int] = []
        self.bodies: list[bytes] = []
        self.names: dict[int, str] = {}
        self.globals: list[bytes] = []
        self.tables: list[bytes] = []
        self.tags: list[bytes] = []
        self.exports: list[bytes] = []

    def type(self, params: tuple[ValueType, ...], results: tuple[ValueType, ...] = ()) -> int:
        """Index of a signature, an existing one if there is one."""
        kind = FuncType(params, results)
        index = self._signatures.get(kind)
        if index is None:
            index = len(self._module.types) + len(self.types)
            self._signatures[kind] = index
            parts = (b"\x60", *(encode_unsigned(len(t)) + bytes(t) for t in (params, results)))
            self.types.append(b"".join(parts))
        return index

    def function(
        self,
        name: str,
        params: tuple[ValueType, ...],
        results: tuple[ValueType, ...],
        body: bytes,
        local_types: tuple[ValueType, ...] = (),
        export: bool = False,
    ) -> int:
        """Append a function; returns its index."""
        index = self._first_function + len(self.bodies)
        self.function_types.append(self.type(params, results))
        self.bodies.append(function(body, local_types))
        self.names[index] = name
        if export:
            self.export(name, Kind.FUNCTION, index)
        return index

    def i32_global(self, initial: int = 0) -> int:
        """Append a mutable i32 global; returns its index."""
        self.globals.append(bytes((ValueType.I32, 1)) + i32_const(initial) + END)
        return len(self._module.globals) + len(self.globals) - 1

    def funcref_table(self, size: int) -> int:
        """Append a table of null function references; returns its index."""
        limits = b"\x01" + encode_unsigned(size) * 2
        self.tables.append(bytes((ValueType.FUNCREF,)) + limits)
        return len(self._module.tables) + len(self.tables) - 1

    def tag(self) -> int:
        """Append an exception tag without parameters; returns its index."""
        self.tags.append(b"\0" + encode_unsigned(self.type(())))
        return len(self._module.tags) + len(self.tags) - 1

    def export(self, name: str, kind: Kind, index: int) -> None:
        """Append an export; ``index`` is one of the new module."""
        self.exports.append(write_name(name) + bytes((kind,)) + encode_unsigned(index))
