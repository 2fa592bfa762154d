"""The index of a module's symbols: opens in milliseconds, answers from the disk.

All addresses are code-section offsets, but those of variables, which are guest addresses.
"""

from __future__ import annotations

import hashlib
import os
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from symbols.dwarf.build import Progress, build
from symbols.dwarf.constants import Tag
from symbols.dwarf.lines import END_SEQUENCE, PROLOGUE_END, STATEMENT
from symbols.dwarf.records import NONE, NameKind, VariableFlag
from symbols.dwarf.scopes import LocalVariable, Scopes
from symbols.dwarf.sections import Sections
from symbols.dwarf.store import Store, StoreError, tidy, write
from symbols.dwarf.types import Type, TypeKind, Types
from symbols.errors import SymbolsError
from symbols.wasm import Module

VERSION = 5
"""Changes whenever what `build` writes does: older files are built anew."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function that has a body."""

    name: str
    """The source's name; the linker's if DWARF does not know the function."""
    link_name: str
    low: int
    high: int
    """The body: [low, high) starts with the locals declarations."""
    file: str
    line: int
    """Of the declaration; "" and 0 if not known."""
    index: int
    """Function index in the module."""
    entry: int | None
    """Its entry in .debug_info."""


@dataclass(frozen=True, slots=True)
class InlinedCall:
    """A call that the compiler replaced by the callee's code."""

    name: str
    """The callee's."""
    file: str
    line: int
    """Of the call."""
    ranges: tuple[tuple[int, int], ...]
    """Code of the callee, [low, high) each."""
    depth: int
    """0: called by the function itself, n: by an inlined call of depth n - 1."""
    entry: int

    @property
    def low(self) -> int:
        """Where it is entered, as far as the compiler says: its lowest address."""
        return min(low for low, _ in self.ranges)


@dataclass(frozen=True, slots=True)
class SourceFrame:
    """One level of the source's calls at an address."""

    name: str
    file: str
    line: int
    inlined: bool


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable with static storage."""

    name: str
    address: int
    """In guest memory; of a `relative` one: from where the module's data starts."""
    relative: bool
    external: bool
    local: bool
    """Static inside a function."""
    file: str
    line: int
    type: Type


class Index:
    """Symbols of one module."""

    def __init__(self, path: Path, module: Module, store: Store) -> None:
        self.path = path
        self.module = module
        self._store = store
        notes = store.facts.get("notes")
        self.notes: tuple[str, ...] = tuple(map(str, notes)) if isinstance(notes, list) else ()
        """What of the DWARF is damaged and was left out."""
        self.has_dwarf = bool(len(store.column("units.offset")))
        """False: there are names of functions only."""

    @classmethod
    def open(cls, path: Path, progress: Progress | None = None, cache: Path | None = None) -> Index:
        """The index of the module at `path`, built if the cache has none that is whole.

        `progress` is called while it is built, and not at all if it need not be. SymbolsError if
        the file is no module; OSError if it cannot be read or the cache cannot be written.
        """
        module = Module(path.read_bytes())
        place = _place(module, cache)
        found = cls._cached(path, module, place)
        if found is not None:
            return found
        columns, notes = build(module, progress)
        write(place, {"version": VERSION, "notes": notes}, columns)
        tidy(place.parent)
        try:
            return cls(path, module, _load(place))
        except StoreError as error:
            raise OSError(f"the index reads back differently: {error}") from None

    @classmethod
    def cached(cls, path: Path, cache: Path | None = None) -> Index | None:
        """The index if the cache has it; raises like `open`."""
        module = Module(path.read_bytes())
        return cls._cached(path, module, _place(module, cache))

    @classmethod
    def _cached(cls, path: Path, module: Module, place: Path) -> Index | None:
        try:
            index = cls(path, module, _load(place))
        except StoreError:
            return None
        try:
            os.utime(place)  # what was used last is kept longest
        except OSError:
            pass  # a cache that cannot be written still serves
        return index

    # ---- code

    def function_at(self, address: int) -> Function | None:
        """The function whose body holds an address."""
        body = self._body(address)
        return None if body < 0 else self._function(body)

    def functions(self) -> Iterator[Function]:
        """All of them, in address order."""
        return map(self._function, range(len(self._lows)))

    def line_at(self, address: int) -> tuple[str, int] | None:
        """(file, line) of an address; None for code of no line."""
        row = self._row(address)
        if row < 0 or not self._lines[row]:
            return None
        return self._path(self._line_files[row]), self._lines[row]

    def inlined_at(self, address: int) -> tuple[InlinedCall, ...]:
        """The inlined calls that an address is in, innermost first."""
        parents = self._column("inlined.parent")
        found = []
        number = self._innermost(address)
        while number:
            found.append(self._inlined(number - 1))
            number = parents[number - 1]
        return tuple(found)

    def frames_at(self, address: int) -> tuple[SourceFrame, ...]:
        """The source's calls at an address, innermost first; () outside of all functions."""
        function = self.function_at(address)
        if function is None:
            return ()
        file, line = self.line_at(address) or ("", 0)
        frames = []
        for call in self.inlined_at(address):
            frames.append(SourceFrame(call.name, file, line, True))
            file, line = call.file, call.line
        frames.append(SourceFrame(function.name, file, line, False))
        return tuple(frames)

    def find_function(self, name: str) -> list[Function]:
        """All functions of a name, the source's or the linker's; several if they are static."""
        return [self._function(ref) for ref in self._named(name, NameKind.FUNCTION)]

    def inlined_calls(self, name: str) -> list[InlinedCall]:
        """All places where the function of that name has been inlined."""
        return [self._inlined(ref) for ref in self._named(name, NameKind.INLINED)]

    def after_prologue(self, function: Function) -> int:
        """Where a breakpoint on a function goes: the row that ends its prologue, or else its
        second statement as debuggers have it, or its start if it has no lines."""
        addresses, flags = self._addresses, self._column("lines.flags")
        first = bisect_left(addresses, function.low)
        last = bisect_left(addresses, function.high)
        for row in range(first, last):
            if flags[row] & PROLOGUE_END:
                return addresses[row]
        starts = [row for row in range(first, last) if flags[row] & STATEMENT and self._lines[row]]
        for row in starts[1:]:
            if self._lines[row] != self._lines[starts[0]]:
                return addresses[row]
        return addresses[starts[0]] if starts else function.low

    def find_line(self, file: str, line: int) -> list[int]:
        """Where a breakpoint on a line goes: the lowest address of the line's statements in each
        function and each inlined call of one, sorted. If the file has no code for the line, the
        next line that has some counts. `file` is a path or the end of one; if several files end
        so, those count that have code for the line, or for the nearest line after it. Instead of
        a function's first address there is the one after its prologue."""
        spans = [(number, self._span(number, line)) for number in self._matching(file)]
        statements = self._column("statements.row")
        nearest = [
            (self._lines[statements[at]], at)
            for number, at in spans
            if at < len(statements) and self._line_files[statements[at]] == number
        ]
        best = min(nearest, default=(0, 0))[0]
        found: set[int] = set()
        for actual, at in nearest:
            if actual == best:
                found.update(map(self._past_entry, self._lowest(at)))
        return sorted(found)

    def lines_of(self, file: str) -> list[int]:
        """The lines of a file that have code."""
        lines: set[int] = set()
        statements = self._column("statements.row")
        for number in self._matching(file):
            start, end = self._span(number, 0), self._span(number + 1, 0)
            lines.update(self._lines[statements[at]] for at in range(start, end))
        return sorted(lines)

    def names(self) -> Iterator[str]:
        """All names that can be asked for, sorted by their UTF-8; some come several times."""
        return map(self._text, self._column("names.name"))

    def files(self) -> list[str]:
        """Paths of all source files, sorted."""
        return sorted(self._paths[1:])

    # ---- data and types

    def variable(self, name: str) -> Variable | None:
        """The variable of a name; of several an external one, or one at file level."""
        found = self.variables(name)
        return min(found, key=lambda v: (not v.external, v.local), default=None)

    def variables(self, name: str) -> list[Variable]:
        """All variables of a name."""
        return [self._variable(ref) for ref in self._named(name, NameKind.VARIABLE)]

    def all_variables(self) -> Iterator[Variable]:
        """All variables that are not relative, by address."""
        return (self._variable(row) for _, row in self._by_address)

    def variable_at(self, address: int) -> Variable | None:
        """The variable that holds a guest address."""
        row = bisect_right(self._by_address, (address, NONE)) - 1
        if row < 0:
            return None
        found = self._variable(self._by_address[row][1])
        try:
            inside = address < found.address + max(found.type.size, 1)
        except SymbolsError:
            return None
        return found if inside else None

    def pointer_variables(self) -> Iterator[Variable]:
        """Variables with static storage that are pointers, at fixed addresses."""
        for number in range(len(self._column("variables.address"))):
            try:
                found = self._variable(number)
                if not found.relative and found.type.bare.kind is TypeKind.POINTER:
                    yield found
            except SymbolsError:
                continue

    def struct(self, name: str) -> Type | None:
        """The struct or union of a name or typedef."""
        for entry, tag in self._types_of(name):
            if tag in (Tag.STRUCTURE_TYPE, Tag.UNION_TYPE):
                return self.types.at(entry)
        return self._through_typedef(name, "struct", "union")

    def enum(self, name: str) -> dict[str, int] | None:
        """Values by name of the enum of a name or typedef."""
        for entry, tag in self._types_of(name):
            if tag == Tag.ENUMERATION_TYPE:
                return self.types.at(entry).enumerators
        found = self._through_typedef(name, "enum")
        return None if found is None else found.enumerators

    def typedef(self, name: str) -> Type | None:
        """What a typedef stands for."""
        for entry, tag in self._types_of(name):
            if tag == Tag.TYPEDEF:
                return self.types.at(entry).target
        return None

    def type(self, name: str) -> Type | None:
        """Any type by its name as C spells it: "struct list_head", "pid_t", "long"."""
        words = name.split()
        tags = {
            "struct": (Tag.STRUCTURE_TYPE,),
            "union": (Tag.UNION_TYPE,),
            "enum": (Tag.ENUMERATION_TYPE,),
        }.get(words[0] if len(words) == 2 else "")
        for entry, tag in self._types_of(words[1] if tags else name):
            if tags is None or tag in tags:
                return self.types.at(entry)
        return None

    @cached_property
    def types(self) -> Types:
        """Reader of types by their entries."""
        return Types(Sections.of(self.module), self._column("units.offset"))

    # ---- reading the columns

    @cached_property
    def scopes(self) -> Scopes:
        """Reader of functions' variables."""
        return Scopes(Sections.of(self.module), self.types)

    def variables_in_scope(self, address: int) -> Sequence[LocalVariable]:
        """Parameters and local variables at an address of code; () if DWARF says nothing of it.
        SymbolsError if it is damaged there."""
        function = self.function_at(address)
        if function is None or function.entry is None:
            return ()
        return self.scopes.at(function.entry, address)

    def _column(self, name: str) -> memoryview[int]:
        return self._store.column(name)

    @cached_property
    def _lows(self) -> memoryview[int]:
        return self._column("functions.low")

    @cached_property
    def _addresses(self) -> memoryview[int]:
        return self._column("lines.address")

    @cached_property
    def _lines(self) -> memoryview[int]:
        return self._column("lines.line")

    @cached_property
    def _line_files(self) -> memoryview[int]:
        return self._column("lines.file")

    @cached_property
    def _paths(self) -> list[str]:
        return [self._text(name) for name in self._column("files.name")]

    @cached_property
    def _by_address(self) -> list[tuple[int, int]]:
        flags = self._column("variables.flags")
        addresses = self._column("variables.address")
        return sorted(
            (address, row)
            for row, address in enumerate(addresses)
            if not flags[row] & VariableFlag.RELATIVE
        )

    def _path(self, number: int) -> str:
        return self._paths[number]

    def _text(self, offset: int) -> str:
        return self._store.bytes_at("strings", offset).decode(errors="replace")

    def _body(self, address: int) -> int:
        body = bisect_right(self._lows, address) - 1
        return body if body >= 0 and address < self._column("functions.high")[body] else -1

    def _function(self, body: int) -> Function:
        entry = self._column("functions.entry")[body]
        return Function(
            self._text(self._column("functions.name")[body]),
            self._text(self._column("functions.link")[body]),
            self._lows[body],
            self._column("functions.high")[body],
            self._path(self._column("functions.file")[body]),
            self._column("functions.line")[body],
            self.module.function_imports + body,
            None if entry == NONE else entry,
        )

    def _innermost(self, address: int) -> int:
        """Number + 1 of the innermost inlined call at an address, 0 if there is none."""
        span = bisect_right(self._column("spans.low"), address) - 1
        return self._column("spans.call")[span] if span >= 0 else 0

    def _ranges(self, number: int) -> list[tuple[int, int]]:
        first = self._column("inlined.first")
        lows, highs = self._column("ranges.low"), self._column("ranges.high")
        return [(lows[at], highs[at]) for at in range(first[number], first[number + 1])]

    def _inlined(self, number: int) -> InlinedCall:
        return InlinedCall(
            self._text(self._column("inlined.name")[number]),
            self._path(self._column("inlined.file")[number]),
            self._column("inlined.line")[number],
            tuple(self._ranges(number)),
            self._column("inlined.depth")[number],
            self._column("inlined.entry")[number],
        )

    def _variable(self, number: int) -> Variable:
        flags = self._column("variables.flags")[number]
        return Variable(
            self._text(self._column("variables.name")[number]),
            self._column("variables.address")[number],
            bool(flags & VariableFlag.RELATIVE),
            bool(flags & VariableFlag.EXTERNAL),
            bool(flags & VariableFlag.LOCAL),
            self._path(self._column("variables.file")[number]),
            self._column("variables.line")[number],
            self.types.type_of(self._column("variables.entry")[number]),
        )

    def _row(self, address: int) -> int:
        """The row that an address belongs to, -1 if there is none: of several at one address the
        last one, but rather a statement than none."""
        row = bisect_right(self._addresses, address) - 1
        if row < 0:
            return row
        flags = self._column("lines.flags")
        start = self._addresses[row]
        back = row
        while back >= 0 and self._addresses[back] == start and not flags[back] & END_SEQUENCE:
            if flags[back] & STATEMENT and self._lines[back]:
                return back
            back -= 1
        return row

    def _named(self, name: str, kind: NameKind) -> list[int]:
        """References of a name in the table of its kind."""
        raw = name.encode(errors="replace")
        names, kinds = self._column("names.name"), self._column("names.kind")
        bytes_at = self._store.bytes_at
        at = bisect_left(names, raw, key=lambda offset: bytes_at("strings", offset))
        found = []
        refs = self._column("names.ref")
        while at < len(names) and bytes_at("strings", names[at]) == raw:
            if kinds[at] == kind:
                found.append(refs[at])
            at += 1
        return found

    def _types_of(self, name: str) -> list[tuple[int, int]]:
        entries, tags = self._column("types.entry"), self._column("types.kind")
        return [(entries[ref], tags[ref]) for ref in self._named(name, NameKind.TYPE)]

    def _through_typedef(self, name: str, *kinds: str) -> Type | None:
        target = self.typedef(name)
        bare = target.bare if target is not None else None
        return bare if bare is not None and bare.kind.value in kinds else None

    def _matching(self, file: str) -> list[int]:
        """Numbers of the files whose path ends with `file`, whole components only."""
        suffix = "/" + file.lstrip("/")
        if file.startswith("/"):
            exact = [n for n, path in enumerate(self._paths) if path == file]
            if exact:
                return exact
        return [n for n, path in enumerate(self._paths) if n and ("/" + path).endswith(suffix)]

    def _span(self, file: int, line: int) -> int:
        """Position in `statements` of the first one at or after a line of a file."""
        files, lines = self._line_files, self._lines
        return bisect_left(
            self._column("statements.row"),
            (file, line),
            key=lambda row: (files[row], lines[row]),
        )

    def _past_entry(self, address: int) -> int:
        """`address`, or where the prologue ends if it is a function's first one with a line."""
        body = self._body(address)
        first = bisect_left(self._addresses, self._lows[body])
        if self._addresses[first] < address:
            return address
        return self.after_prologue(self._function(body))

    def _lowest(self, at: int) -> list[int]:
        """The lowest address in each function and inlined call of the line of statement `at`."""
        statements = self._column("statements.row")
        file, actual = self._line_files[statements[at]], self._lines[statements[at]]
        lowest: dict[tuple[int, int], int] = {}
        while at < len(statements):
            row = statements[at]
            if self._line_files[row] != file or self._lines[row] != actual:
                break
            address = self._addresses[row]
            body = self._body(address)
            if body >= 0:
                key = body, self._innermost(address)
                lowest[key] = min(address, lowest.get(key, address))
            at += 1
        return list(lowest.values())


def cache_directory() -> Path:
    """$XDG_CACHE_HOME/wdbg/symbols or ~/.cache/wdbg/symbols; OSError if there is no home."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(base):
        return Path(base) / "wdbg" / "symbols"
    try:
        return Path.home() / ".cache" / "wdbg" / "symbols"
    except RuntimeError:
        raise OSError("no home directory to keep the index of symbols in") from None


def _place(module: Module, cache: Path | None) -> Path:
    """The file of a module's index."""
    return (cache or cache_directory()) / f"{hashlib.sha256(module.data).hexdigest()}.idx"


def _load(place: Path) -> Store:
    store = Store(place)
    if store.facts.get("version") != VERSION:
        raise StoreError("made by another version")
    for name in ("strings", "units.offset", "spans.call", "names.ref", "statements.row"):
        store.column(name)
    return store


__all__ = [
    "Function",
    "Index",
    "InlinedCall",
    "SourceFrame",
    "SymbolsError",
    "Type",
    "Variable",
    "cache_directory",
]
