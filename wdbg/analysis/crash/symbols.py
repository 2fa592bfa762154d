"""Names for what a snapshot holds: code, lines of source, functions behind pointers, data."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from symbols.dwarf.index import Index, SourceFrame
from symbols.errors import SymbolsError
from symbols.wasm.leb import decode_s64
from symbols.wasm.module import Module
from symbols.wasm.types import FuncType
from wdbg.dump.snapshot import Snapshot
from wdbg.errors import WdbgError
from wdbg.linux.image import Corrupt, Unknown
from wdbg.linux.percpu import per_cpu_offsets
from wdbg.linux.slab import SlabObject, Slabs, open_slabs
from wdbg.runtime.sources import source_map
from wdbg.runtime.symbolindex import open_index

NULL_PAGE = 4096
"""Addresses that are taken for NULL with a member's offset."""
LINES_AROUND = 5
"""Lines of source shown before and after the one that counts."""
_SOURCE_LIMIT = 4 << 20
_MOST_TABLE = 1 << 20


class Names:
    """What is known of one snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._programs: dict[int, Index | None] = {0: snapshot.index}
        self._files: dict[str, list[str]] = {}

    # ---- code

    def index(self, module: int) -> Index | None:
        """Symbols of a module; None if they are not known."""
        if module not in self._programs:
            found = next((m for m in self.snapshot.modules if m.number == module), None)
            index = None
            if found is not None and found.path is not None:
                try:
                    index = open_index(found.path)
                except WdbgError:
                    index = None
            self._programs[module] = index
        return self._programs[module]

    def source_frames(self, module: int, address: int) -> Sequence[SourceFrame]:
        """The source's calls at an address, innermost first; () if they are not known."""
        index = self.index(module)
        return index.frames_at(address) if index is not None and index.has_dwarf else ()

    @cached_property
    def _sources(self) -> dict[str, Path]:
        kernel = self.snapshot.modules[0].path if self.snapshot.modules else None
        return source_map(kernel) if kernel is not None else {}

    def short(self, file: str) -> str:
        """A source file's path without the directory of all sources."""
        for prefix in self._sources:
            if prefix != "." and file.startswith(prefix + "/"):
                return file[len(prefix) + 1 :]
        return file

    def lines(self, file: str, line: int) -> list[tuple[int, str]]:
        """The source around a line, with numbers; [] if the file is not here."""
        if line <= 0:
            return []
        if file not in self._files:
            self._files[file] = self._read(file)
        text = self._files[file]
        first = max(1, line - LINES_AROUND)
        return [
            (number, text[number - 1])
            for number in range(first, line + LINES_AROUND + 1)
            if number <= len(text)
        ]

    def _read(self, file: str) -> list[str]:
        for prefix, directory in self._sources.items():
            if prefix == "." and not file.startswith("/"):
                path = directory / file
            elif file.startswith(prefix + "/"):
                path = directory / file[len(prefix) + 1 :]
            else:
                continue
            try:
                # A dump may name any file: only what lies under the sources is shown.
                if path.resolve().is_relative_to(directory.resolve()):
                    with path.open("rb") as source:
                        raw = source.read(_SOURCE_LIMIT)
                    return raw.decode("utf-8", "replace").splitlines()
            except OSError:
                continue
        return []

    @cached_property
    def module(self) -> Module | None:
        """The kernel's module."""
        return self.snapshot.index.module if self.snapshot.index is not None else None

    @cached_property
    def _table(self) -> dict[int, int]:
        """Function by index of the kernel's table."""
        module = self.module
        found: dict[int, int] = {}
        if module is None:
            return found
        for element in module.elements:
            if element.mode != "active" or element.functions is None or element.offset is None:
                continue
            start, end = element.offset
            code = module.data[start:end]
            if len(code) < 2 or code[0] != 0x41:  # i32.const
                continue
            first = decode_s64(code, 1, len(code))[0]
            for number, function in enumerate(element.functions[:_MOST_TABLE]):
                found[first + number] = function
        return found

    @property
    def table_size(self) -> int:
        """Entries of the kernel's table that are known, from 0."""
        return max(self._table, default=-1) + 1

    def function_at_index(self, number: int) -> tuple[str, FuncType] | None:
        """Name and signature of what a function pointer of the kernel calls."""
        module = self.module
        function = self._table.get(number)
        if module is None or function is None:
            return None
        try:
            kind = module.types[module.function_types[function]]
        except (IndexError, SymbolsError):
            return None
        name = module.names.functions.get(function, f"function {function}")
        return name, kind

    def code_name(self, number: int) -> str:
        """Name of what a function pointer calls; "" if there is none."""
        found = self.function_at_index(number)
        return found[0] if found is not None else ""

    # ---- data

    @cached_property
    def slabs(self) -> Slabs | None:
        """The slab caches."""
        image = self.snapshot.image
        return open_slabs(image) if image is not None else None

    def slab_object(self, address: int) -> SlabObject | None:
        """The slab object at an address."""
        if self.slabs is None:
            return None
        try:
            return self.slabs.find(address)
        except (Corrupt, Unknown):
            return None

    @cached_property
    def _per_cpu(self) -> list[int]:
        image = self.snapshot.image
        try:
            return per_cpu_offsets(image) if image is not None else []
        except (Corrupt, Unknown):
            return []

    @cached_property
    def _stacks(self) -> list[tuple[int, int, int]]:
        """(start, end, task) of the tasks' kernel stacks."""
        image = self.snapshot.image
        found = []
        if image is not None:
            size = thread_size(self.snapshot)
            for address in self.snapshot.facts:
                try:
                    start = image.field(address, "task_struct", "stack")
                except (Corrupt, Unknown):
                    continue
                if start:
                    found.append((start, start + size, address))
        return found

    def task_name(self, address: int) -> str:
        """comm[pid] of a task."""
        facts = self.snapshot.facts.get(address)
        if facts is not None:
            return f"{facts.comm}[{facts.pid}]"
        state = self.snapshot.tasks.get(address)
        return state.name if state is not None else f"task {address:#x}"

    def data_name(self, address: int) -> str:
        """What lies at an address of memory, in words; "" if that is not known."""
        if 0 <= address < NULL_PAGE:
            return "NULL" if not address else f"NULL + {address:#x}"
        if address in self.snapshot.facts:
            return self.task_name(address)
        static = self._static(address)
        if static:
            return static
        for start, end, task in self._stacks:
            if start <= address < end:
                return f"stack of {self.task_name(task)}"
        found = self.slab_object(address)
        if found is not None:
            inside = address - found.start
            where = f"+{inside:#x}" if inside else ""
            state = "" if found.allocated else ", FREE"
            return f"{found.cache.name} {found.start:#x}{where}{state}"
        return ""

    def _static(self, address: int) -> str:
        index = self.snapshot.index
        if index is None:
            return ""
        for cpu, offset in enumerate((0, *self._per_cpu)):
            there = address - offset
            found = index.variable_at(there) if there > 0 else None
            if found is not None and not found.relative:
                inside = there - found.address
                which = f" of CPU {cpu - 1}" if cpu else ""
                return f"{found.name}{f'+{inside:#x}' if inside else ''}{which}"
        return ""


def thread_size(snapshot: Snapshot) -> int:
    """Bytes of a kernel stack."""
    image = snapshot.image
    try:
        return image.size("thread_union") if image is not None else 16384
    except Unknown:
        return 16384
