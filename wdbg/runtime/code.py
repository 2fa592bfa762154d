"""A rewritten and compiled module in its cache entry."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from wdbg.instrument.result import Facts, Instrumented
from wdbg.runtime.engine import Module

_MACHINE_CODE = "module.cwasm"


def store_code(directory: Path, module: Module, instrumented: Instrumented) -> None:
    """Write a cache entry: native code, and what the instrumenter knows."""
    (directory / _MACHINE_CODE).write_bytes(module.serialize())
    instrumented.write(directory)


class CompiledCode:
    """What lies in a cache entry; the address maps are read when a backtrace needs them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.machine_code = directory / _MACHINE_CODE
        self.facts: Facts = Instrumented.read_facts(directory)

    @cached_property
    def instrumented(self) -> Instrumented:
        """Offset map and function names."""
        return Instrumented.read(self._directory)

    def locate(self, file_offset: int) -> tuple[str, int, int, int] | None:
        """(name, original code offset, offset in the function, function size) of a frame.

        `file_offset` is the rewritten module's; None for generated functions.
        """
        place = self.instrumented.locate(file_offset)
        if place is None:
            return None
        functions = self.instrumented.functions
        start = functions.start(place.function) or 0
        return place.name, place.offset, place.offset - start, functions.size(place.function)
