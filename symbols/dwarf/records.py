"""What a scan of a module's DWARF collects: the rows of the index before they are sorted."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag

from symbols.dwarf.bodies import Bodies
from symbols.dwarf.lines import Programs
from symbols.dwarf.lists import Lists, Ranges
from symbols.dwarf.notes import Notes
from symbols.dwarf.sections import Sections
from symbols.errors import SymbolsError
from symbols.wasm import Module

NONE = 0xFFFFFFFF
"""No entry of .debug_info."""

MAX_RECORDS = 5_000_000
"""Most rows, or names, of a module; a kernel has 10^5 of each."""
MAX_RANGES = 1_000_000
"""Most ranges of inlined calls; a kernel has 10^5."""
MAX_LETTERS = 1 << 28
"""Most characters of all names together, with repetitions; a kernel has 10^7."""


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
    """An inlined call; `parent` is the number, in its body, of the one that it is in, or -1."""

    entry: int
    origin: int
    ranges: Ranges
    parent: int
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
    programs: Programs
    bodies: Bodies
    notes: Notes = field(default_factory=Notes)
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
    letters: int = 0
    """Characters of names so far."""
    ranges: int = 0
    """Ranges of inlined calls so far."""
    covered: set[int] = field(default_factory=set)
    """Bodies whose rows cover them to their ends."""
    doubtful: dict[int, list[tuple[int, int, int, int]]] = field(default_factory=dict)
    """Rows that do not cover the body they start in, by body."""

    def count(self, name: str) -> str:
        """The name itself; SymbolsError if there are too many."""
        self.letters += len(name)
        if self.letters > MAX_LETTERS:
            raise SymbolsError("DWARF with an absurd amount of names")
        return name

    def file(self, path: str) -> int:
        """Number of a source file."""
        if not path:
            return 0
        number = self.files.get(path)
        if number is None:
            number = self.files[path] = len(self.files) + 1
        return number
