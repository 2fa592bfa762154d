"""Value, function, table, memory, global and tag types of a module."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class ValueType(IntEnum):
    """Value types by their encoding; the reference types are the two-byte-free shorthands."""

    I32 = 0x7F
    I64 = 0x7E
    F32 = 0x7D
    F64 = 0x7C
    V128 = 0x7B
    FUNCREF = 0x70
    EXTERNREF = 0x6F
    EXNREF = 0x69
    NULLEXNREF = 0x74

    @property
    def text(self) -> str:
        """Name as in the text format."""
        return self.name.lower()


VALUE_TYPES = {int(t): t for t in ValueType}
REFERENCE_TYPES = frozenset(
    (ValueType.FUNCREF, ValueType.EXTERNREF, ValueType.EXNREF, ValueType.NULLEXNREF)
)


class Kind(IntEnum):
    """What an import or export names, by encoding."""

    FUNCTION = 0
    TABLE = 1
    MEMORY = 2
    GLOBAL = 3
    TAG = 4


@dataclass(frozen=True, slots=True)
class FuncType:
    """Signature of a function, or of a tag (no results)."""

    params: tuple[ValueType, ...]
    results: tuple[ValueType, ...]

    def __str__(self) -> str:
        left = " ".join(t.text for t in self.params)
        right = " ".join(t.text for t in self.results)
        return f"({left}) -> ({right})"


@dataclass(frozen=True, slots=True)
class Limits:
    """Size limits of a memory (64 KiB pages) or table (elements); ``maximum`` None = no limit."""

    minimum: int
    maximum: int | None
    shared: bool = False
    index64: bool = False
    page_log2: int | None = None


@dataclass(frozen=True, slots=True)
class TableType:
    """Table of references; ``initializer`` is the raw constant expression, if the table has one."""

    element: ValueType
    limits: Limits
    initializer: bytes | None = None


@dataclass(frozen=True, slots=True)
class GlobalType:
    """Global variable."""

    value: ValueType
    mutable: bool


@dataclass(frozen=True, slots=True)
class Import:
    """One import; ``type_index`` is set for functions and tags, ``type`` for all other kinds."""

    module: str
    name: str
    kind: Kind
    type_index: int | None
    type: TableType | Limits | GlobalType | None
    descriptor: tuple[int, int]
    """File range of the kind byte and what follows it."""


@dataclass(frozen=True, slots=True)
class Export:
    """One export: the kind, and the index in the index space of that kind."""

    name: str
    kind: Kind
    index: int


@dataclass(frozen=True, slots=True)
class Global:
    """A defined global; ``initializer`` is the file range of its constant expression with end."""

    type: GlobalType
    initializer: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Element:
    """One element segment.

    ``mode`` is "active", "passive" or "declared"; ``offset`` the file range of the constant
    expression (active only). Either ``functions`` holds function indices, or ``expressions`` the
    file ranges of constant expressions.
    """

    mode: str
    table: int
    offset: tuple[int, int] | None
    type: ValueType
    functions: tuple[int, ...] | None
    expressions: tuple[tuple[int, int], ...] | None
    flags: int


@dataclass(frozen=True, slots=True)
class DataSegment:
    """One data segment: file range of its bytes; ``offset`` as in Element, None if passive."""

    memory: int
    offset: tuple[int, int] | None
    start: int
    end: int
    flags: int

    @property
    def active(self) -> bool:
        """True if the engine copies it at instantiation."""
        return self.offset is not None
