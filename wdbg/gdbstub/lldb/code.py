"""Where the functions of a module's file begin and end, and how wide their locals are.

LLDB asks for breakpoints at addresses where no instruction begins: a function's start by DWARF
is its declaration of locals, and the end of its last line is one past its end.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property, lru_cache
from itertools import chain, islice, repeat

from symbols.errors import SymbolsError
from symbols.wasm.module import Module
from symbols.wasm.readers import read_locals
from symbols.wasm.types import Kind, ValueType
from wdbg.gdbstub.lldb.original import Original
from wdbg.gdbstub.lldb.padding import calls, padded

_WIDTHS = {
    ValueType.I32: 4,
    ValueType.F32: 4,
    ValueType.I64: 8,
    ValueType.F64: 8,
    ValueType.V128: 16,
}
WIDEST = 8
"""Bytes of a value whose type is not known; LLDB uses as many of them as it needs."""


class Code:
    """The code section of one module. Offsets count from the section's contents.

    A file that lies about itself has no functions here, and values are as wide as can be.
    """

    def __init__(self, data: bytes) -> None:
        """`data`: the module's file."""
        self._data = data
        try:
            module = Module(data)
            self.base = module.code_base
            self._bodies: Sequence[tuple[int, int, int]] = module.bodies
            self._module: Module | None = module
        except SymbolsError:
            self.base, self._bodies, self._module = 0, (), None
        self.original = Original(data, self._module)
        self._starts = [start - self.base for _, start, _ in self._bodies]

    def entry(self, offset: int) -> int | None:
        """First instruction of the function in whose header (the declaration of its locals, and
        the size before it) `offset` lies; None if it does not lie in a header."""
        number = bisect_right(self._starts, offset) - 1
        if number + 1 < len(self._bodies):
            size_field = self._bodies[number + 1][0] - self.base
            if offset > size_field:
                number += 1
        if number < 0:
            return None
        size_field, start, end = self._bodies[number]
        if not size_field - self.base < offset < end - self.base:
            return None
        first = self._first_instruction(start, end)
        return first if offset < first else None

    def is_end(self, offset: int) -> bool:
        """Whether `offset` is one past a function's last instruction."""
        number = bisect_right(self._starts, offset) - 1
        return number >= 0 and offset == self._bodies[number][2] - self.base

    def call_before(self, function_start: int, after: int) -> tuple[int, int] | None:
        """The call that ends at `after`, in the function whose body starts there: its offset,
        and that of its opcode in LLDB's copy of the module. None if there is no such call."""
        number = bisect_right(self._starts, function_start) - 1
        if number < 0 or self._module is None:
            return None
        _, start, end = self._bodies[number]
        try:
            for first, last in calls(self._data, start, end):
                if last - self.base == after:
                    nops = padded(self._data[first:last]).find(self._data[first : first + 1])
                    return first - self.base, first - self.base + nops
        except SymbolsError:
            pass
        return None

    def local_width(self, function_start: int, index: int) -> int:
        """Bytes of a wasm local of the function whose body starts there."""
        types = self._local_types(function_start)
        return _WIDTHS.get(types[index], WIDEST) if index < len(types) else WIDEST

    def global_width(self, index: int) -> int:
        """Bytes of a wasm global."""
        try:
            types = self._module.globals if self._module else []
            return _WIDTHS.get(types[index].value, WIDEST) if index < len(types) else WIDEST
        except SymbolsError:
            return WIDEST

    @cached_property
    def stack_pointer(self) -> int | None:
        """Index of the global `__stack_pointer`; None if the module does not name one."""
        return self._global("__stack_pointer")

    @cached_property
    def data_base(self) -> int | None:
        """Index of the global that says where a program's data is; None if there is none."""
        return self._global("__memory_base")

    def _global(self, name: str) -> int | None:
        try:
            if self._module is None:
                return None
            imported = [entry.name for entry in self._module.imported(Kind.GLOBAL)]
            names = self._module.names.globals | dict(enumerate(imported))
            return next((index for index, other in names.items() if other == name), None)
        except SymbolsError:
            return None

    def _first_instruction(self, start: int, end: int) -> int:
        try:
            return read_locals(self._data, start, end)[1] - self.base
        except SymbolsError:
            return start - self.base

    @lru_cache(maxsize=256)  # noqa: B019 (one object a module, and they live as long as the run)
    def _local_types(self, function_start: int) -> tuple[ValueType, ...]:
        number = bisect_right(self._starts, function_start) - 1
        if number < 0 or self._starts[number] != function_start or self._module is None:
            return ()
        try:
            _, start, end = self._bodies[number]
            signature = self._module.types[
                self._module.function_types[self._module.function_imports + number]
            ]
            groups, _ = read_locals(self._data, start, end)
        except (SymbolsError, IndexError):
            return ()
        declared = chain.from_iterable(repeat(kind, count) for count, kind in groups)
        return signature.params + tuple(islice(declared, 1 << 16))
