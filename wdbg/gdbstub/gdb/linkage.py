"""The wasm globals that a position-independent program is linked by: where its static data and
its stack are. Their indices are those of its imports."""

from __future__ import annotations

from symbols.errors import SymbolsError
from symbols.wasm import Module
from symbols.wasm.types import Kind
from wdbg.debugger.model import Debugger, ModuleInfo

MEMORY_BASE = "__memory_base"
STACK_POINTER = "__stack_pointer"
_KERNEL = {STACK_POINTER: 0}
"""LLVM's linker makes it the first global of a static module."""
_SIZE_LIMIT = 64 << 20


class Linkage:
    """Values of those globals, by task and module."""

    def __init__(self, debugger: Debugger) -> None:
        self._debugger = debugger
        self._indices: dict[int, dict[str, int]] = {0: _KERNEL}

    def value(self, tid: int, module: int, name: str) -> int | None:
        """What the global called `name` holds in a task; None if that is not known."""
        if module not in self._indices:
            infos = {info.number: info for info in self._debugger.modules()}
            self._indices[module] = _imported(infos[module]) if module in infos else {}
        index = self._indices[module].get(name)
        return None if index is None else self._debugger.global_value(tid, module, index)


def _imported(info: ModuleInfo) -> dict[str, int]:
    if info.path is None:
        return {}
    try:
        with info.path.open("rb") as file:
            module = Module(file.read(_SIZE_LIMIT))
        names = [entry.name for entry in module.imported(Kind.GLOBAL)]
    except (OSError, SymbolsError):
        return {}
    return {name: index for index, name in enumerate(names)}
