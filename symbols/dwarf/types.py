"""C types, read from .debug_info when somebody asks for one."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property

from symbols.dwarf.abbrev import Abbreviations, Plan, Value
from symbols.dwarf.constants import UNIT_REFERENCES, At, Form, Tag
from symbols.dwarf.notes import Notes
from symbols.dwarf.sections import DAMAGE, Sections, unsigned
from symbols.dwarf.units import UNIT_WANTED, Unit, read_headers, read_unit, string, walk
from symbols.errors import SymbolsError

MAX_HOPS = 64
"""Longest chain of typedefs, qualifiers, arrays or anonymous members."""
MAX_MEMBERS = 100_000
"""Most members, enumerators or parameters of a type."""
MAX_SIZE = 1 << 64
"""Largest array, bytes."""
MAX_WORDS = 200
"""Types that are spelled out to spell one; what is left shows as "..."."""


class TypeKind(Enum):
    """What a type is; the value is how C spells it, where it does."""

    VOID = "void"
    BASE = "base"
    POINTER = "pointer"
    STRUCT = "struct"
    UNION = "union"
    ENUM = "enum"
    TYPEDEF = "typedef"
    ARRAY = "array"
    FUNCTION = "function"
    CONST = "const"
    VOLATILE = "volatile"
    RESTRICT = "restrict"
    ATOMIC = "_Atomic"
    OTHER = "other"


_KINDS = {
    Tag.BASE_TYPE: TypeKind.BASE,
    Tag.POINTER_TYPE: TypeKind.POINTER,
    Tag.REFERENCE_TYPE: TypeKind.POINTER,
    Tag.RVALUE_REFERENCE_TYPE: TypeKind.POINTER,
    Tag.STRUCTURE_TYPE: TypeKind.STRUCT,
    Tag.CLASS_TYPE: TypeKind.STRUCT,
    Tag.UNION_TYPE: TypeKind.UNION,
    Tag.ENUMERATION_TYPE: TypeKind.ENUM,
    Tag.TYPEDEF: TypeKind.TYPEDEF,
    Tag.ARRAY_TYPE: TypeKind.ARRAY,
    Tag.SUBROUTINE_TYPE: TypeKind.FUNCTION,
    Tag.SUBPROGRAM: TypeKind.FUNCTION,
    Tag.CONST_TYPE: TypeKind.CONST,
    Tag.VOLATILE_TYPE: TypeKind.VOLATILE,
    Tag.RESTRICT_TYPE: TypeKind.RESTRICT,
    Tag.ATOMIC_TYPE: TypeKind.ATOMIC,
}
QUALIFIERS = frozenset({TypeKind.CONST, TypeKind.VOLATILE, TypeKind.RESTRICT, TypeKind.ATOMIC})
_TYPE = frozenset({At.NAME, At.BYTE_SIZE, At.TYPE, At.ENCODING, At.DECLARATION})
_WANTED = {
    **UNIT_WANTED,
    **dict.fromkeys(_KINDS, _TYPE),
    Tag.MEMBER: frozenset(
        {
            At.NAME,
            At.TYPE,
            At.DATA_MEMBER_LOCATION,
            At.DATA_BIT_OFFSET,
            At.BIT_OFFSET,
            At.BIT_SIZE,
            At.BYTE_SIZE,
        }
    ),
    Tag.ENUMERATOR: frozenset({At.NAME, At.CONST_VALUE}),
    Tag.SUBRANGE_TYPE: frozenset({At.COUNT, At.UPPER_BOUND}),
    Tag.FORMAL_PARAMETER: frozenset({At.NAME, At.TYPE}),
    Tag.VARIABLE: frozenset({At.NAME, At.TYPE, At.SPECIFICATION, At.ABSTRACT_ORIGIN}),
}


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a struct or union."""

    name: str
    """"" for an anonymous struct or union; dotted never."""
    offset: int
    """Bytes from the start of the type; of a bit field: of the storage unit that it starts in."""
    type: Type
    bit_offset: int | None = None
    """Of a bit field: bits from the least significant bit of the byte at `offset`, else None."""
    bit_size: int | None = None

    @property
    def size(self) -> int:
        """Bytes of its type, 0 if not known."""
        return self.type.size


class Type:
    """A type. Two objects are equal if they are the same entry of the same module."""

    __slots__ = ("_size", "_types", "dwarf_encoding", "entry", "kind", "name", "target_entry")

    def __init__(
        self,
        types: Types,
        entry: int,
        kind: TypeKind,
        name: str = "",
        size: int | None = None,
        target_entry: int | None = None,
        dwarf_encoding: int = 0,
    ) -> None:
        self._types = types
        self._size = size
        self.entry = entry
        self.kind = kind
        self.name = name
        """Without "struct", "union" or "enum"; "" if it has none."""
        self.target_entry = target_entry
        self.dwarf_encoding = dwarf_encoding
        """DW_ATE_* of a base type."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Type):
            return NotImplemented
        return self._types is other._types and self.entry == other.entry

    def __hash__(self) -> int:
        return hash(self.entry)

    def __repr__(self) -> str:
        return f"<Type {self} at {self.entry:#x}>"

    def __str__(self) -> str:
        """The type as C spells it, near enough for people."""
        return self._spelled([MAX_WORDS])

    @property
    def target(self) -> Type:
        """What it points to, qualifies, names, has elements of or returns; void if nothing."""
        if self.target_entry is None:
            return Type(self._types, -1, TypeKind.VOID, "void", 0)
        return self._types.at(self.target_entry)

    @property
    def bare(self) -> Type:
        """The type without typedefs and qualifiers."""
        found = self
        for _ in range(MAX_HOPS):
            if found.kind is not TypeKind.TYPEDEF and found.kind not in QUALIFIERS:
                return found
            found = found.target
        raise SymbolsError("a type is defined by itself")

    @property
    def size(self) -> int:
        """Bytes, 0 if not known."""
        return self._measured(MAX_HOPS)

    def _measured(self, hops: int) -> int:
        if self._size is not None:
            return self._size
        if not hops:
            raise SymbolsError("a type is defined by itself")
        if self.kind is TypeKind.ARRAY:
            total = self.target._measured(hops - 1)
            for count in self.dimensions:
                total *= count or 0
                if total > MAX_SIZE:
                    raise SymbolsError("an array of an absurd size", self.entry)
            return total
        if self.kind is TypeKind.POINTER:
            return self._types.unit_of(self.entry).encoding.address_size
        if self.kind is TypeKind.TYPEDEF or self.kind in QUALIFIERS:
            return self.target._measured(hops - 1)
        return 0

    @property
    def signed(self) -> bool:
        """Whether a base type's or an enum's values are signed."""
        bare = self.bare
        if bare.kind is TypeKind.ENUM and bare.target_entry is not None:
            bare = bare.target.bare
        return bare.dwarf_encoding in (5, 6)

    @property
    def dimensions(self) -> tuple[int | None, ...]:
        """Element counts of an array, outermost first; None where C says []."""
        return self._types.dimensions(self.entry) if self.kind is TypeKind.ARRAY else ()

    @property
    def members(self) -> tuple[Member, ...]:
        """Members in order; anonymous ones are members without a name."""
        bare = self.bare
        if bare.kind not in (TypeKind.STRUCT, TypeKind.UNION):
            return ()
        return self._types.members(bare.entry)

    @property
    def flat_members(self) -> tuple[Member, ...]:
        """Members, those of anonymous members in their places, with offsets in this type."""
        return tuple(_flatten(self.members, 0, MAX_HOPS, [MAX_MEMBERS]))

    @property
    def enumerators(self) -> dict[str, int]:
        """Values of an enum by name."""
        bare = self.bare
        return self._types.enumerators(bare) if bare.kind is TypeKind.ENUM else {}

    @property
    def parameters(self) -> tuple[Type, ...]:
        """Parameters' types of a function."""
        return self._types.parameters(self.entry) if self.kind is TypeKind.FUNCTION else ()

    def member(self, path: str) -> Member:
        """The member that a dotted path names, through anonymous members, with its offset in
        this type; SymbolsError if there is none."""
        offset, here = 0, self
        found: Member | None = None
        for part in path.split("."):
            found = next((m for m in here.flat_members if m.name == part), None)
            if found is None:
                raise SymbolsError(f"{self} has no member {path}")
            offset += found.offset
            here = found.type
        assert found is not None
        return replace(found, offset=offset)

    def _spelled(self, words: list[int]) -> str:
        """`words` holds the number of types that may still be spelled out."""
        words[0] -= 1
        if words[0] < 0:
            return "..."
        kind = self.kind
        if kind in (TypeKind.STRUCT, TypeKind.UNION, TypeKind.ENUM):
            return f"{kind.value} {self.name or '{...}'}"
        if self.name:
            return self.name
        target = self.target
        inner = target._spelled(words)
        if kind is TypeKind.POINTER:
            if target.kind is TypeKind.FUNCTION:
                return inner.replace("(", "(*)(", 1)
            return f"{inner}*" if inner.endswith("*") else f"{inner} *"
        if kind is TypeKind.ARRAY:
            counts = "".join(f"[{'' if n is None else n}]" for n in self.dimensions)
            return f"{inner} {counts}" if not inner.endswith("*") else f"{inner}{counts}"
        if kind is TypeKind.FUNCTION:
            parameters = ", ".join(p._spelled(words) for p in self.parameters)
            return f"{inner} ({parameters or 'void'})"
        if kind in QUALIFIERS:
            if target.kind is TypeKind.POINTER:
                return f"{inner} {kind.value}" if inner[-1] != "*" else f"{inner}{kind.value}"
            return f"{kind.value} {inner}"
        return str(kind.value)


def _flatten(
    members: Sequence[Member], offset: int, hops: int, budget: list[int]
) -> Iterator[Member]:
    """`budget` holds the number of members, anonymous ones included, that there may still be."""
    if not hops:
        raise SymbolsError("a struct contains itself")
    for member in members:
        budget[0] -= 1
        if budget[0] < 0:
            raise SymbolsError(f"type with more than {MAX_MEMBERS} members")
        kind = member.type.bare.kind
        if not member.name and kind in (TypeKind.STRUCT, TypeKind.UNION):
            yield from _flatten(member.type.members, offset + member.offset, hops - 1, budget)
        else:
            yield replace(member, offset=offset + member.offset)


class Types:
    """Reader of entries by their offset. `units` are the sorted offsets of all units."""

    def __init__(self, sections: Sections, units: Sequence[int]) -> None:
        self._sections = sections
        self._offsets = units
        self._units: dict[int, Unit] = {}
        self._known: dict[int, Type] = {}
        self._members: dict[int, tuple[Member, ...]] = {}

    @cached_property
    def _abbreviations(self) -> Abbreviations:
        return Abbreviations(self._sections.abbrev, _WANTED)

    def unit_of(self, entry: int) -> Unit:
        """The unit that holds an entry."""
        index = bisect_right(self._offsets, entry) - 1
        if index < 0:
            raise SymbolsError("reference outside of all units", entry)
        offset = self._offsets[index]
        unit = self._units.get(offset)
        if unit is None:
            header = next(read_headers(self._sections.info, Notes(), offset), None)
            if header is None or header.offset != offset:
                raise SymbolsError("reference into a damaged unit", entry)
            unit = read_unit(self._sections, header, self._abbreviations)
            self._units[offset] = unit
        if not unit.first <= entry < unit.end:
            raise SymbolsError("reference outside of all units", entry)
        return unit

    def at(self, entry: int) -> Type:
        """The type at an offset; SymbolsError if there is none."""
        known = self._known.get(entry)
        if known is None:
            known = self._known[entry] = self._read(entry)
        return known

    def type_of(self, entry: int) -> Type:
        """The type of a variable, void if it says none."""
        for _ in range(MAX_HOPS):
            unit, plan, values = self._entry(entry)
            target = reference(unit, plan, values, At.TYPE)
            if target is not None:
                return self.at(target)
            other = reference(unit, plan, values, At.ABSTRACT_ORIGIN)
            if other is None:
                other = reference(unit, plan, values, At.SPECIFICATION)
            if other is None:
                break
            entry = other
        return Type(self, -1, TypeKind.VOID, "void", 0)

    def _entry(self, entry: int) -> tuple[Unit, Plan, tuple[Value, ...]]:
        try:
            unit = self.unit_of(entry)
            code, pos = unsigned(self._sections.info, entry)
            plan = unit.table.plans.get(code)
            if plan is None:
                raise SymbolsError("reference to something that is no entry", entry)
            return unit, plan, plan.read(self._sections.info, pos)[0]
        except DAMAGE as error:
            raise _damaged(error, entry) from None

    def _read(self, entry: int) -> Type:
        unit, plan, values = self._entry(entry)
        size = plan.get(values, At.BYTE_SIZE)
        encoding = plan.get(values, At.ENCODING)
        return Type(
            self,
            entry,
            _KINDS.get(plan.tag, TypeKind.OTHER),
            string(self._sections, unit, plan, values, At.NAME) or "",
            size if isinstance(size, int) else None,
            reference(unit, plan, values, At.TYPE),
            encoding if isinstance(encoding, int) else 0,
        )

    def _children(self, entry: int, tag: int) -> Iterator[tuple[Unit, Plan, tuple[Value, ...]]]:
        count = 0
        try:
            unit = self.unit_of(entry)
            for _, depth, _, plan, values in walk(self._sections.info, unit, entry):
                if depth == 1 and plan.tag == tag:
                    count += 1
                    if count > MAX_MEMBERS:
                        raise SymbolsError(f"type with more than {MAX_MEMBERS} members", entry)
                    yield unit, plan, values
        except DAMAGE as error:
            raise _damaged(error, entry) from None

    def members(self, entry: int) -> tuple[Member, ...]:
        """Members of the struct or union at an offset."""
        known = self._members.get(entry)
        if known is None:
            known = self._members[entry] = tuple(
                self._member(*child) for child in self._children(entry, Tag.MEMBER)
            )
        return known

    def _member(self, unit: Unit, plan: Plan, values: tuple[Value, ...]) -> Member:
        def number(attribute: int) -> int | None:
            value = plan.get(values, attribute)
            if isinstance(value, bytes) and len(value) > 1 and value[0] == 0x23:  # plus_uconst
                return unsigned(value, 1)[0]
            return value if isinstance(value, int) else None

        target = reference(unit, plan, values, At.TYPE)
        kind = self.at(target) if target is not None else Type(self, -1, TypeKind.VOID, "void", 0)
        offset = number(At.DATA_MEMBER_LOCATION) or 0
        bits = number(At.BIT_SIZE)
        start: int | None = None
        if bits is not None:
            first = number(At.DATA_BIT_OFFSET)
            if first is None:
                # Version 3's count from the most significant bit of the storage unit.
                storage = number(At.BYTE_SIZE) or kind.size
                first = offset * 8 + storage * 8 - (number(At.BIT_OFFSET) or 0) - bits
            unit_size = kind.size or 1
            offset = first // 8 // unit_size * unit_size
            start = first - offset * 8
        name = string(self._sections, unit, plan, values, At.NAME) or ""
        return Member(name, offset, kind, start, bits)

    def dimensions(self, entry: int) -> tuple[int | None, ...]:
        """Element counts of the array at an offset."""
        counts: list[int | None] = []
        for _, plan, values in self._children(entry, Tag.SUBRANGE_TYPE):
            count = plan.get(values, At.COUNT)
            bound = plan.get(values, At.UPPER_BOUND)
            if isinstance(count, int) and plan.forms[At.COUNT] not in UNIT_REFERENCES:
                counts.append(count)
            elif isinstance(bound, int) and plan.forms[At.UPPER_BOUND] not in UNIT_REFERENCES:
                counts.append(bound + 1 if bound < 0xFFFFFFFF else 0)
            else:
                counts.append(None)
        return tuple(counts)

    def enumerators(self, kind: Type) -> dict[str, int]:
        """Values of an enum by name."""
        found: dict[str, int] = {}
        signed = kind.signed
        for unit, plan, values in self._children(kind.entry, Tag.ENUMERATOR):
            value = plan.get(values, At.CONST_VALUE)
            name = string(self._sections, unit, plan, values, At.NAME)
            if isinstance(value, int) and name:
                width = _DATA_BITS.get(plan.forms[At.CONST_VALUE])
                if signed and width and value >> (width - 1):
                    value -= 1 << width
                found[name] = value
        return found

    def parameters(self, entry: int) -> tuple[Type, ...]:
        """Types of a function's parameters."""
        found = []
        for unit, plan, values in self._children(entry, Tag.FORMAL_PARAMETER):
            target = reference(unit, plan, values, At.TYPE)
            if target is not None:
                found.append(self.at(target))
        return tuple(found)


def _damaged(error: Exception, entry: int) -> SymbolsError:
    return error if isinstance(error, SymbolsError) else SymbolsError("truncated type", entry)


_DATA_BITS = {Form.DATA1: 8, Form.DATA2: 16, Form.DATA4: 32, Form.DATA8: 64}


def reference(unit: Unit, plan: Plan, values: tuple[Value, ...], attribute: int) -> int | None:
    """Offset of the entry that an attribute refers to, None if it refers to none in the file."""
    value = plan.get(values, attribute)
    if not isinstance(value, int):
        return None
    form = plan.forms[attribute]
    if form in UNIT_REFERENCES:
        return unit.offset + value
    return value if form == Form.REF_ADDR else None
