"""What a scan of a module's DWARF collects: the rows of the index before they are sorted."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag

from symbols.dwarf.bodies import Bodies
from symbols.dwarf.lists import Lists, Ranges
from symbols.dwarf.sections import Sections
from symbols.wasm import Module

NONE = 0xFFFFFFFF
"""No entry of .debug_info."""

MAX_RECORDS = 20_000_000
"""Most rows, inlined calls or names of a module; a kernel has 10^5 of each."""


class NameKind(IntEnum):
    """What a name in the index stands for, and which table its reference counts in."""

    FUNCTION = 1
    INLINED = 2
    VARIABLE = 3
    TYPE = 4


class VariableFlag(IntFlag):
    """Facts about a variable."""

    EXTERNAL = 1
    LOCAL = 2
    """Static inside a function."""
    RELATIVE = 4
    """Its address counts from where the module's data is loaded (position-independent code)."""


@dataclass(slots=True)
class Named:
    """Name and declaration of an entry that others refer to."""

    name: str
    file: int
    line: int
    origin: int


@dataclass(slots=True)
class Function:
    """An entry that claims a body; see `bodies` for what `certain` means."""

    entry: int
    certain: bool


@dataclass(slots=True)
class Inlined:
    """An inlined call. `parent` is the number of the inlined call that it is in, -1 if none."""

    entry: int
    origin: int
    ranges: Ranges
    depth: int
    file: int
    line: int


@dataclass(slots=True)
class Variable:
    entry: int
    address: int
    flags: int


@dataclass(slots=True)
class Records:
    """The tables while they grow; files are numbered from 1, 0 is no file."""

    module: Module
    sections: Sections
    lists: Lists
    bodies: Bodies
    notes: list[str] = field(default_factory=list)
    files: dict[str, int] = field(default_factory=dict)
    named: dict[int, Named] = field(default_factory=dict)
    functions: dict[int, Function] = field(default_factory=dict)
    """By index of the body."""
    inlined: dict[int, list[Inlined]] = field(default_factory=dict)
    """By index of the body, callers before callees."""
    variables: list[Variable] = field(default_factory=list)
    types: dict[tuple[int, str, int, int, int], int] = field(default_factory=dict)
    """Entry by (tag, name, size, file, line): a header's types are in every unit."""
    units: array[int] = field(default_factory=lambda: array("I"))
    rows: list[tuple[int, int, int, int]] = field(default_factory=list)
    covered: set[int] = field(default_factory=set)
    """Bodies whose rows cover them to their ends."""
    doubtful: dict[int, list[tuple[int, int, int, int]]] = field(default_factory=dict)
    """Rows that do not cover the body they start in, by body."""

    def file(self, path: str) -> int:
        """Number of a source file."""
        if not path:
            return 0
        number = self.files.get(path)
        if number is None:
            number = self.files[path] = len(self.files) + 1
        return number
