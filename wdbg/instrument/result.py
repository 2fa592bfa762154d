"""What rewriting hands to the runtime, and its form on disk."""

from __future__ import annotations

import json
from array import array
from bisect import bisect_right
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from symbols.errors import SymbolsError
from wdbg.instrument.layout import CALL_IMPORT
from wdbg.instrument.offsets import OffsetMap
from wdbg.instrument.stops import StopTable


@dataclass(frozen=True, slots=True)
class HostCall:
    """An imported function of the original module. ``params`` and ``results`` are type names:
    i32, i64, f32 or f64."""

    name: str
    module: str
    params: tuple[str, ...]
    results: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MemoryImport:
    """The guest memory as the module wants it; sizes in 64 KiB pages."""

    module: str
    name: str
    minimum: int
    maximum: int | None
    shared: bool


@dataclass(frozen=True, slots=True)
class TableImport:
    """An imported table; sizes in elements."""

    module: str
    name: str
    element: str
    minimum: int
    maximum: int | None


@dataclass(frozen=True, slots=True)
class GlobalImport:
    """An imported global of the original module."""

    module: str
    name: str
    type: str
    mutable: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """What a loader must know, so that nobody parses the module again."""

    module_name: str
    """Name of the rewritten module in trap frames: the start of the original's SHA-256."""
    variant: str
    code_base: int
    """File offset, in the rewritten module, of the code section's contents."""
    original_code_base: int
    function_imports: int
    """Imported functions of the original module."""
    functions: int
    """Functions of the original module, imports included."""
    function_shift: int
    """Original function i >= ``function_imports`` has index i + shift in the rewritten module."""
    calls: tuple[HostCall, ...]
    memory: MemoryImport | None
    tables: tuple[TableImport, ...]
    globals: tuple[GlobalImport, ...]
    exports: tuple[tuple[str, str, int], ...]
    """(name, kind, original index) of each export of the original module; kind is "function",
    "table", "memory", "global" or "tag"."""
    stack_pointer: bool
    """The stack pointer was found: interrupts can be injected, ``__wdbg_sp`` is exported."""
    injects_kernel: bool
    injects_user: bool
    """Ticks of kernel / user code can take interrupts."""
    stops: int
    """Stop points; 0 in variants without probes."""
    start: str | None
    """Export to call before anything else in a fresh instance (a program's start function)."""


class FunctionTable:
    """Names and places of the original module's functions, by original index."""

    def __init__(
        self, imports: int, code_size: int, starts: array[int], names: list[bytes]
    ) -> None:
        """``starts`` holds the original code offset of each defined function's body (at its
        locals, where DWARF's low_pc points), ``names`` the UTF-8 name of every function,
        ``code_size`` is the size of the original code section's contents."""
        self._imports = imports
        self._code_size = code_size
        self._starts = starts
        self._names = names

    def __len__(self) -> int:
        return len(self._names)

    def name(self, index: int) -> str:
        """Name of a function; ``function[i]`` if it has none."""
        if 0 <= index < len(self._names) and self._names[index]:
            return self._names[index].decode("utf-8", "replace")
        return f"function[{index}]"

    @cached_property
    def _indices(self) -> dict[bytes, int]:
        table: dict[bytes, int] = {}
        for index, name in enumerate(self._names):
            table.setdefault(name, index)
        return table

    def index(self, name: str) -> int | None:
        """Index of the first function of that name."""
        return self._indices.get(name.encode()) if name else None

    def at(self, offset: int) -> int | None:
        """Index of the function that holds original code offset ``offset``."""
        if offset >= self._code_size:
            return None
        i = bisect_right(self._starts, offset)
        return self._imports + i - 1 if i else None

    def start(self, index: int) -> int | None:
        """Original code offset of a function's body, None for imported ones."""
        i = index - self._imports
        return self._starts[i] if 0 <= i < len(self._starts) else None

    def size(self, index: int) -> int:
        """Bytes from a function's body to the next one's, or to the end of the code; the next
        one's size field is counted in. 0 for imported functions."""
        i = index - self._imports
        if not 0 <= i < len(self._starts):
            return 0
        after = self._starts[i + 1] if i + 1 < len(self._starts) else self._code_size
        return after - self._starts[i]

    def to_bytes(self) -> bytes:
        """File form: four counts, the starts, the lengths of the names, the names."""
        lengths = array("I", map(len, self._names))
        head = array("I", (self._imports, self._code_size, len(self._starts), len(self._names)))
        return b"".join((head.tobytes(), self._starts.tobytes(), lengths.tobytes(), *self._names))

    @classmethod
    def from_bytes(cls, data: bytes) -> FunctionTable:
        """Inverse of ``to_bytes``; SymbolsError if the bytes are damaged."""
        if len(data) < 16:
            raise SymbolsError("truncated function table", len(data))
        imports, code_size, defined, named = array("I", data[:16])
        middle = 16 + 4 * defined
        pos = middle + 4 * named
        if pos > len(data) or imports + defined != named:
            raise SymbolsError("damaged function table", 0)
        names = []
        for size in array("I", data[middle:pos]):
            names.append(data[pos : pos + size])
            pos += size
        if pos != len(data):
            raise SymbolsError("damaged function table", pos)
        return cls(imports, code_size, array("I", data[16:middle]), names)


@dataclass(frozen=True, slots=True)
class Location:
    """A place in original code: ``offset`` from the start of the code section's contents."""

    function: int
    name: str
    offset: int


@dataclass(frozen=True)
class Instrumented:
    """A rewritten module with all that is needed to run it and to translate its addresses.

    ``wasm`` is empty in an object that was read back from a cache.
    """

    wasm: bytes
    facts: Facts
    offsets: OffsetMap
    functions: FunctionTable
    stops: StopTable | None = None
    """In variants with probes."""

    @property
    def calls(self) -> tuple[HostCall, ...]:
        """Call number 16 + i is ``calls[i]``."""
        return self.facts.calls

    @property
    def code_base(self) -> int:
        """See Facts."""
        return self.facts.code_base

    def call(self, number: int) -> HostCall | None:
        """The imported function behind a CALL number, None for the other numbers."""
        i = number - CALL_IMPORT
        return self.facts.calls[i] if 0 <= i < len(self.facts.calls) else None

    def locate(self, module_offset: int) -> Location | None:
        """Translates the module offset of a trap frame (file offset in the rewritten module);
        None for frames of generated functions, which a backtrace leaves out."""
        offset = self.offsets.to_original(module_offset - self.facts.code_base)
        if offset is None:
            return None
        function = self.functions.at(offset)
        if function is None:
            return None
        return Location(function, self.functions.name(function), offset)

    def write(self, directory: Path) -> None:
        """Writes ``facts.json``, ``offsets``, ``functions`` and ``stops``: all but the module."""
        text = json.dumps(asdict(self.facts), separators=(",", ":"))
        (directory / "facts.json").write_text(text + "\n", encoding="utf-8")
        (directory / "offsets").write_bytes(self.offsets.to_bytes())
        (directory / "functions").write_bytes(self.functions.to_bytes())
        if self.stops is not None:
            (directory / "stops").write_bytes(self.stops.to_bytes())

    @classmethod
    def read(cls, directory: Path) -> Instrumented:
        """Reads what ``write`` wrote; the cache has verified the files before."""
        stops = directory / "stops"
        return cls(
            b"",
            cls.read_facts(directory),
            OffsetMap.from_bytes((directory / "offsets").read_bytes()),
            FunctionTable.from_bytes((directory / "functions").read_bytes()),
            StopTable.from_bytes(stops.read_bytes()) if stops.exists() else None,
        )

    @staticmethod
    def read_facts(directory: Path) -> Facts:
        """The facts alone: what starting the module takes."""
        raw = json.loads((directory / "facts.json").read_text(encoding="utf-8"))
        raw["calls"] = tuple(
            HostCall(c["name"], c["module"], tuple(c["params"]), tuple(c["results"]))
            for c in raw["calls"]
        )
        raw["memory"] = MemoryImport(**raw["memory"]) if raw["memory"] else None
        raw["tables"] = tuple(TableImport(**t) for t in raw["tables"])
        raw["globals"] = tuple(GlobalImport(**g) for g in raw["globals"])
        raw["exports"] = tuple((n, k, i) for n, k, i in raw["exports"])
        return Facts(**raw)
