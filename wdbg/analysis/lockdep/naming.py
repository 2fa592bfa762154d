"""Names for what the engine knows by number: classes, places in the code, tasks."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np

from symbols.dwarf.index import Index
from symbols.errors import SymbolsError
from wdbg.analysis.findings import printable
from wdbg.analysis.lockdep.model import Acquisition, LockClass, Source
from wdbg.errors import BadInput
from wdbg.runtime.symbolindex import open_index
from wdbg.trace.events import LockKind
from wdbg.trace.names import Names
from wdbg.trace.tables import Tables


class Naming:
    """Looks names up in a trace's tables, and in the kernel's symbols if they can be read."""

    def __init__(self, tables: Tables, kernel: Path | None) -> None:
        self._names = Names(tables)
        self._texts = {row.number: row.name for row in tables.classes}
        self._index: Index | None = None
        if kernel is not None:
            try:
                self._index = open_index(kernel)
            except (BadInput, SymbolsError):
                pass  # a trace's own tables do

    def lock_class(self, found: LockClass, at: Acquisition | None = None) -> str:
        """A class's name; `at` is one of its acquisitions, for classes that have none."""
        name = self._plain_name(found, at)
        return printable(f"{name}/{found.subclass}" if found.subclass else name)

    def _plain_name(self, found: LockClass, at: Acquisition | None) -> str:
        if found.kind is LockKind.RCU and not found.lock:
            return "rcu_read_lock"
        for number in (found.name, found.key if found.source is Source.KEY else 0):
            if number and self._texts.get(number):
                return self._texts[number]
        if found.source is Source.STATIC and (name := self._variable(found.lock)):
            return name
        if found.initialised_at and (name := self._texts.get(found.initialised_at, "")):
            return f"{found.kind.name.lower()} of {name}"
        kind = "lock" if found.kind is LockKind.UNKNOWN else found.kind.name.lower()
        if at is not None and (function := self.function(at.position)):
            return f"{kind} taken in {function}"
        return kind

    def _variable(self, address: int) -> str:
        if self._index is None:
            return ""
        found = self._index.variable_at(address)
        if found is None:
            return ""
        offset = address - found.address
        return found.name + (f"+{offset:#x}" if offset else "")

    def function(self, position: int) -> str:
        """The function that a position is in, "" if that is not known."""
        row = int(self._names.position_rows(np.array([position], np.uint32))[0])
        return printable(self._names.function_names[row].decode("utf-8", "replace")) if row else ""

    def place(self, position: int) -> str:
        """A line for a position: function, file and line."""
        function = self.function(position)
        if not function:
            return ""
        line = None
        if self._index is not None:
            try:
                line = self._index.line_at(position)
            except SymbolsError:
                line = None
        return f"{function} ({PurePosixPath(line[0]).name}:{line[1]})" if line else function

    def task(self, number: int, tick: int) -> str:
        """comm-pid."""
        life = int(self._names.life(np.array([number], np.uint32), np.array([tick], np.uint64))[0])
        comm = printable(self._names.comms[life].decode("utf-8", "replace"))
        return f"{comm}-{int(self._names.pids[life])}"

    def pid(self, number: int, tick: int) -> int:
        """The pid of a task."""
        life = int(self._names.life(np.array([number], np.uint32), np.array([tick], np.uint64))[0])
        return int(self._names.pids[life])

    def address(self, number: int) -> int:
        """Guest address of a task's task_struct, 0 if not known."""
        return next((life.address for life in self._names.lives if life.number == number), 0)

    def text(self, pointer: int) -> str:
        """A text of the kernel's static data that the trace has."""
        return printable(self._texts.get(pointer, ""))

    def has_function(self, name: str) -> bool:
        """Whether the kernel has such a function."""
        return any(row.name == name for row in self._names.tables.functions)
