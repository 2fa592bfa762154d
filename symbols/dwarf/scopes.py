"""The variables that are in scope at an address, read from .debug_info when somebody asks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from symbols.dwarf.abbrev import Abbreviations, Plan, Value
from symbols.dwarf.constants import BLOCK_FORMS, At, Form, Tag
from symbols.dwarf.lists import Lists
from symbols.dwarf.notes import Notes
from symbols.dwarf.sections import DAMAGE, Sections, unsigned
from symbols.dwarf.stops import scope_ranges
from symbols.dwarf.types import MAX_HOPS, Type, Types, reference
from symbols.dwarf.units import UNIT_WANTED, Unit, read_headers, read_unit, string, walk
from symbols.errors import SymbolsError

_SCOPE = frozenset({At.LOW_PC, At.HIGH_PC, At.RANGES})
_VARIABLE = frozenset(
    {At.NAME, At.TYPE, At.LOCATION, At.CONST_VALUE, At.ABSTRACT_ORIGIN, At.SPECIFICATION}
)
_WANTED = {
    **UNIT_WANTED,
    Tag.SUBPROGRAM: _SCOPE | {At.FRAME_BASE, At.NAME},
    Tag.INLINED_SUBROUTINE: _SCOPE,
    Tag.LEXICAL_BLOCK: _SCOPE,
    Tag.VARIABLE: _VARIABLE,
    Tag.FORMAL_PARAMETER: _VARIABLE,
}
MOST_VARIABLES = 10_000
"""Of one function."""


@dataclass(frozen=True, slots=True)
class LocalVariable:
    """A parameter or local variable that is in scope."""

    name: str
    type: Type
    parameter: bool
    inlined: int
    """0: of the function itself; n: of the nth inlined call around the address, from outside."""
    expression: bytes | None
    """Where it is at that address; None: the compiler has dropped it."""
    constant: int | bytes | None = None
    """Its value, if that is a constant."""
    frame_base: bytes | None = None
    """Of its function."""


class Scopes:
    """Reader of functions' scopes; `units` are the sorted offsets of all units."""

    def __init__(self, sections: Sections, types: Types) -> None:
        self._sections = sections
        self._types = types
        self._units: dict[int, Unit] = {}

    @cached_property
    def _abbreviations(self) -> Abbreviations:
        return Abbreviations(self._sections.abbrev, _WANTED)

    @cached_property
    def _lists(self) -> Lists:
        return Lists(self._sections)

    def _unit_of(self, entry: int) -> Unit:
        offset = self._types.unit_of(entry).offset
        unit = self._units.get(offset)
        if unit is None:
            header = next(read_headers(self._sections.info, Notes(), offset))
            unit = self._units[offset] = read_unit(self._sections, header, self._abbreviations)
        return unit

    def at(self, function: int, address: int) -> Sequence[LocalVariable]:
        """Variables in scope at an address of the function whose entry is at `function`, in the
        order in which they are declared. SymbolsError if the entries are damaged."""
        try:
            return tuple(self._at(function, address))
        except DAMAGE as error:
            if isinstance(error, SymbolsError):
                raise
            raise SymbolsError("truncated function", function) from None

    def _at(self, function: int, address: int) -> Iterator[LocalVariable]:
        sections, lists = self._sections, self._lists
        unit = self._unit_of(function)
        base: bytes | None = None
        scopes: list[tuple[int, bool, int]] = []  # depth, the address is inside, inlined calls
        count = 0
        for _, depth, _, plan, values in walk(sections.info, unit, function):
            while scopes and scopes[-1][0] >= depth:
                scopes.pop()
            _, inside, inlined = scopes[-1] if scopes else (0, True, 0)
            tag = plan.tag
            if tag not in (Tag.VARIABLE, Tag.FORMAL_PARAMETER):
                if not depth:
                    base = self._expression(unit, plan, values, At.FRAME_BASE, address)
                elif inside:
                    ranges = scope_ranges(sections, lists, unit, plan, values) or ()
                    inside = any(low <= address < high for low, high in ranges)
                    inlined += tag == Tag.INLINED_SUBROUTINE
                scopes.append((depth, inside, inlined))
                continue
            count += 1
            if count > MOST_VARIABLES:
                raise SymbolsError(f"a function with more than {MOST_VARIABLES} variables")
            found = self._declared(unit, plan, values) if inside else None
            if found is not None:
                constant = plan.get(values, At.CONST_VALUE)
                yield LocalVariable(
                    *found,
                    tag == Tag.FORMAL_PARAMETER,
                    inlined,
                    self._expression(unit, plan, values, At.LOCATION, address),
                    constant if isinstance(constant, int | bytes) else None,
                    base,
                )

    def _declared(
        self, unit: Unit, plan: Plan, values: tuple[Value, ...]
    ) -> tuple[str, Type] | None:
        """Name and type, which an inlined call's variables have from their origin."""
        for _ in range(MAX_HOPS):
            name = string(self._sections, unit, plan, values, At.NAME)
            if name:
                target = reference(unit, plan, values, At.TYPE)
                return (name, self._types.at(target)) if target is not None else None
            origin = reference(unit, plan, values, At.ABSTRACT_ORIGIN)
            if origin is None:
                origin = reference(unit, plan, values, At.SPECIFICATION)
            if origin is None:
                return None
            unit = self._unit_of(origin)
            code, pos = unsigned(self._sections.info, origin)
            next_plan = unit.table.plans.get(code)
            if next_plan is None:
                return None
            plan = next_plan
            values, _ = plan.read(self._sections.info, pos)
        return None

    def _expression(
        self, unit: Unit, plan: Plan, values: tuple[Value, ...], attribute: int, address: int
    ) -> bytes | None:
        value = plan.get(values, attribute)
        if isinstance(value, bytes):
            return value if plan.forms[attribute] in BLOCK_FORMS else None
        if not isinstance(value, int):
            return None
        default = None
        indexed = plan.forms[attribute] == Form.LOCLISTX
        for low, high, expression in self._lists.locations(unit, value, indexed):
            if low <= address < high:
                if low:
                    return expression
                default = expression
        return default
