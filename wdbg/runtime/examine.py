"""What a kernel module is, without running it: the facts behind `wdbg doctor`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from symbols.errors import SymbolsError
from symbols.wasm import Module
from symbols.wasm.dataplan import DataRange, data_ranges, overlaps
from symbols.wasm.decode import instructions
from symbols.wasm.readers import read_locals
from symbols.wasm.types import Kind
from wdbg.errors import BadInput
from wdbg.runtime.abi.interface import IMPORTS, NEEDED_EXPORTS, OUR_EXPORTS, OUR_IMPORTS
from wdbg.runtime.kernel import read_module

_BANNER = re.compile(rb"Linux version ([0-9][^\s\0]{0,64})")
_SYSCALL = "sys_"


@dataclass(frozen=True, slots=True)
class Examination:
    """Facts about one module."""

    path: Path
    size: int
    """Bytes of the file."""
    port: str | None
    """The port whose host interface it has, or None if wdbg knows none."""
    version: str | None
    """Kernel release from its banner string."""
    functions: int
    code_size: int
    memory: tuple[int, int | None, bool] | None
    """(minimum, maximum) in 64 KiB pages, shared."""
    dwarf_version: int | None
    dwarf_size: int
    unknown_imports: tuple[str, ...]
    unconfigured: int
    """Imported `sys_*` functions: system calls that the kernel leaves to the host to refuse."""
    missing_exports: tuple[str, ...]
    extras: tuple[str, ...]
    """Parts of the interface that only our guest has."""
    atomic_accesses: int
    plain_accesses: int
    fences: int
    static_data: tuple[DataRange, ...]
    overlapping: tuple[tuple[DataRange, DataRange], ...]

    @property
    def runnable(self) -> bool:
        """`wdbg run` can boot it."""
        return self.port is not None and not self.problems()

    def problems(self) -> list[str]:
        """What stands in the way of running it, a line each."""
        found = []
        if self.memory is None:
            found.append("imports no memory: a kernel's memory must come from the host")
        elif not self.memory[2]:
            found.append("its memory is not shared: SMP needs one memory for all instances")
        if self.unknown_imports:
            found.append(f"asks for unknown functions: {', '.join(self.unknown_imports)}")
        if self.missing_exports:
            found.append(f"does not export {', '.join(self.missing_exports)}")
        return found

    def warnings(self) -> list[str]:
        """What works, but not as one would wish."""
        found = [
            f"{left.name} [{left.start:#x}, {left.end:#x}) and {right.name} "
            f"[{right.start:#x}, {right.end:#x}) overlap: one destroys the other's initial value"
            for left, right in self.overlapping
        ]
        if not self.dwarf_size:
            found.append("no DWARF: backtraces have function names at most, no source lines")
        if not self.atomic_accesses:
            found.append("no atomic instruction: its locks cannot work with more than one CPU")
        return found


def examine(path: Path) -> Examination:
    """Read a module; BadInput if it is not one."""
    data = read_module(path)
    try:
        return _examine(path, data)
    except SymbolsError as error:
        raise BadInput(f"{path}: {error}") from None


def _examine(path: Path, data: bytes) -> Examination:
    module = Module(data)
    exports = set(module.exports)
    functions = {f"{i.module}.{i.name}" for i in module.imported(Kind.FUNCTION)}
    calls = {name.removeprefix("env.") for name in functions}
    unconfigured = {name for name in calls if name.startswith(_SYSCALL)}
    unknown = sorted(calls - unconfigured - IMPORTS - OUR_IMPORTS)
    missing = sorted(NEEDED_EXPORTS - exports)
    atomic, plain, fences = _count_accesses(module)
    ranges = data_ranges(module)
    memories = module.imported(Kind.MEMORY)
    limits = module.memories[0] if memories else None
    banner = _BANNER.search(data)
    return Examination(
        path=path,
        size=len(data),
        port="linux-wasm" if calls & IMPORTS and not unknown else None,
        version=banner[1].decode("ascii", "replace") if banner else None,
        functions=len(module.bodies),
        code_size=len(data[module.code_base :]) if not module.bodies else _code_size(module),
        memory=(limits.minimum, limits.maximum, limits.shared) if limits else None,
        dwarf_version=_dwarf_version(module),
        dwarf_size=sum(s.end - s.start for s in module.dwarf.values()),
        unknown_imports=tuple(unknown),
        unconfigured=len(unconfigured),
        missing_exports=tuple(missing),
        extras=tuple(sorted((calls & OUR_IMPORTS) | (exports & OUR_EXPORTS))),
        atomic_accesses=atomic,
        plain_accesses=plain,
        fences=fences,
        static_data=tuple(ranges),
        overlapping=tuple(overlaps(ranges)),
    )


def _code_size(module: Module) -> int:
    return module.bodies[-1][2] - module.code_base


def _dwarf_version(module: Module) -> int | None:
    """Version field of the first unit in .debug_info (DWARF 5 section 7.5.1)."""
    section = module.dwarf.get(".debug_info")
    if section is None or section.end - section.start < 6:
        return None
    return int.from_bytes(module.data[section.start + 4 : section.start + 6], "little")


def _count_accesses(module: Module) -> tuple[int, int, int]:
    """(atomic, plain, fences): memory instructions in the code."""
    atomic = plain = fences = 0
    for _, start, end in module.bodies:
        _, code = read_locals(module.data, start, end)
        for instruction in instructions(module.data, code, end):
            opcode = instruction.opcode
            if opcode.prefix == 0xFE:
                if opcode.name == "atomic.fence":
                    fences += 1
                else:
                    atomic += 1
            elif not opcode.prefix and 0x28 <= opcode.code <= 0x3E:
                plain += 1
    return atomic, plain, fences
