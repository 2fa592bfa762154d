"""Where a debugger may want to stop in a module, and which wasm values it will ask for there.

This is what the rewriter needs of DWARF, and nothing else, so that a whole kernel takes seconds.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from symbols.dwarf.abbrev import Abbreviations, Plan, Value
from symbols.dwarf.bodies import Bodies
from symbols.dwarf.constants import BLOCK_FORMS, At, Form, Tag
from symbols.dwarf.expressions import wasm_locations
from symbols.dwarf.lines import (
    END_SEQUENCE,
    PROLOGUE_END,
    STATEMENT,
    Programs,
    Rows,
    run,
    sequences,
)
from symbols.dwarf.lists import Lists, Ranges
from symbols.dwarf.notes import Notes
from symbols.dwarf.sections import DAMAGE, Sections
from symbols.dwarf.units import UNIT_WANTED, Unit, address, read_headers, read_unit, walk
from symbols.errors import SymbolsError
from symbols.wasm import Module

T = TypeVar("T")
_SCOPE = frozenset({At.LOW_PC, At.HIGH_PC, At.RANGES})
_WANTED = {
    **UNIT_WANTED,
    Tag.SUBPROGRAM: _SCOPE | {At.FRAME_BASE},
    Tag.INLINED_SUBROUTINE: _SCOPE,
    Tag.LEXICAL_BLOCK: _SCOPE,
    Tag.VARIABLE: frozenset({At.LOCATION}),
    Tag.FORMAL_PARAMETER: frozenset({At.LOCATION}),
}

MAX_LIVE = 5_000_000
"""Most live ranges of a unit, and of a module, before they are merged; a kernel has 10^5."""

Live = tuple[int, int, int, int]
"""(start, end, kind, index): from address start up to, not including, end, some variable or frame
base is in the wasm local (kind 0), global (1 and 3) or operand-stack slot (2) of that index."""


@dataclass(frozen=True, slots=True)
class CodeInfo:
    """What DWARF says about a module's code. All addresses are code-section offsets."""

    rows: array[int]
    """Type code I, sorted, no duplicates: starts of statements. A row that repeats the file and
    line of the row before it in its sequence is left out, unless it ends a prologue; so are rows
    of line 0, which stand for code of no line. A function's first row may be anywhere between
    its locals declarations and its first instruction."""
    live: list[Live]
    """Sorted; ranges of the same value do not touch each other."""
    notes: tuple[str, ...]
    """Damage: what has been left out and why, for people."""


def read_stops(module: Module) -> CodeInfo:
    """Rows and live ranges of a module; both are empty if it has no DWARF.

    SymbolsError only if the module itself is malformed. Damaged units are left out, see `notes`.
    """
    sections = Sections.of(module)
    notes = Notes()
    bodies = Bodies(module)
    lists = Lists(sections)
    abbreviations = Abbreviations(sections.abbrev, _WANTED)
    live: Claims[Live] = Claims()
    rows: Claims[int] = Claims()
    programs = Programs(sections)
    done: set[int] = set()
    for header in read_headers(sections.info, notes):
        try:
            unit = read_unit(sections, header, abbreviations)
        except DAMAGE as error:
            notes.left_out(f"unit at {header.offset:#x}", error)
            continue
        found: Claims[Live] = Claims()
        try:
            _collect(sections, lists, bodies, unit, found)
        except DAMAGE as error:
            # Half of a unit's live values would show the other half as available.
            notes.left_out(f"variables of {unit.name or hex(unit.offset)}", error)
        else:
            live.update(found)
        if len(live.certain) > MAX_LIVE:
            raise SymbolsError(f"more than {MAX_LIVE} location ranges")
        if unit.statements >= 0 and unit.statements not in done:
            done.add(unit.statements)
            try:
                program = programs.read(unit.statements)
                table = run(sections.line, program, sections.code_size)
                for first, end in sequences(table):
                    body = bodies.at(table.address[first])
                    certain = bodies.covers(body, table.address[end - 1])
                    rows.of(body, certain).update(statements(table, first, end))
            except DAMAGE as error:
                notes.left_out(f"lines of {unit.name or hex(unit.offset)}", error)
    return CodeInfo(array("I", sorted(rows.all())), merge(live.all()), tuple(notes.lines))


class Claims(Generic[T]):
    """What DWARF says of code, with what claims that may be false (see `bodies`) apart."""

    def __init__(self) -> None:
        self.certain: set[T] = set()
        self._covered: set[int] = set()
        self._others: dict[int, set[T]] = {}

    def of(self, body: int, certain: bool) -> set[T]:
        """The set for what one claim on a body says."""
        if not certain:
            return self._others.setdefault(body, set())
        self._covered.add(body)
        return self.certain

    def update(self, other: Claims[T]) -> None:
        """Take over another unit's."""
        self.certain |= other.certain
        self._covered |= other._covered
        for body, items in other._others.items():
            self._others.setdefault(body, set()).update(items)

    def all(self) -> set[T]:
        """What counts."""
        return self.certain.union(
            *(items for body, items in self._others.items() if body not in self._covered)
        )


def statements(rows: Rows, first: int, end: int) -> Iterator[int]:
    """Addresses of the rows of the sequence [first, end) that `CodeInfo.rows` keeps."""
    last_file = last_line = -1
    for number in range(first, end):
        start, file = rows.address[number], rows.file[number]
        line, flags = rows.line[number], rows.flags[number]
        if flags & END_SEQUENCE:
            break
        repeats = line == last_line and file == last_file and not flags & PROLOGUE_END
        if flags & STATEMENT and line and not repeats:
            yield start
        last_file, last_line = file, line


def merge(live: set[Live]) -> list[Live]:
    """Sorted ranges in which those of one value that overlap or touch have become one."""
    out: list[Live] = []
    last = (-1, -1)
    start = end = 0
    for kind, index, low, high in sorted((k, i, low, high) for low, high, k, i in live):
        if (kind, index) == last and low <= end:
            end = max(end, high)
            continue
        if end:
            out.append((start, end, *last))
        last, start, end = (kind, index), low, high
    if end:
        out.append((start, end, *last))
    out.sort()
    return out


def _collect(
    sections: Sections, lists: Lists, bodies: Bodies, unit: Unit, claims: Claims[Live]
) -> None:
    """Add the live ranges of one unit to `claims`."""
    size = unit.encoding.address_size
    known: dict[bytes, tuple[tuple[int, int], ...]] = {}
    seen: set[tuple[int, bool, int]] = set()
    # Depth, code, offset of the entry, and where what it says belongs.
    scopes: list[tuple[int, Ranges | None, int, set[Live]]] = []
    used: set[tuple[int, int, int]] = set()
    nowhere: set[Live] = set()
    budget = MAX_LIVE

    def values_of(expression: bytes) -> tuple[tuple[int, int], ...]:
        values = known.get(expression)
        if values is None:
            values = known[expression] = wasm_locations(expression, size)
        return values

    for offset, depth, closed, plan, values in walk(sections.info, unit):
        while scopes and scopes[-1][0] >= closed:
            scopes.pop()
        _, scope, number, found = scopes[-1] if scopes else (0, (), 0, nowhere)
        tag = plan.tag
        attribute = At.LOCATION
        if tag != Tag.VARIABLE and tag != Tag.FORMAL_PARAMETER:
            if tag != Tag.SUBPROGRAM and scope is None:
                ranges = None  # inside code that the linker left out
            else:
                ranges = scope_ranges(sections, lists, unit, plan, values)
                if ranges is None and tag != Tag.SUBPROGRAM:
                    ranges = scope
            if tag == Tag.SUBPROGRAM and ranges:
                body = bodies.at(ranges[0][0])
                found = claims.of(body, bodies.covers(body, ranges[-1][1]))
            if plan.children:
                scopes.append((depth, ranges, offset, found))
            if tag != Tag.SUBPROGRAM:
                continue
            scope, number, attribute = ranges, offset, At.FRAME_BASE
        if scope is None:
            continue
        value = plan.get(values, attribute)
        if value is None:
            continue
        if isinstance(value, bytes):
            if plan.forms[attribute] in BLOCK_FORMS:
                for kind, index in values_of(value):
                    if (number, kind, index) not in used:
                        used.add((number, kind, index))
                        budget -= len(scope)
                        if budget < 0:
                            raise SymbolsError(f"more than {MAX_LIVE} location ranges")
                        found.update((low, high, kind, index) for low, high in scope)
            continue
        indexed = plan.forms[attribute] == Form.LOCLISTX
        if isinstance(value, int) and (value, indexed, id(found)) not in seen:
            seen.add((value, indexed, id(found)))
            for low, high, expression in lists.locations(unit, value, indexed):
                if low:
                    for kind, index in values_of(expression):
                        found.add((low, high, kind, index))
                else:  # the default location: wherever the list says nothing else
                    budget -= len(scope)
                    if budget < 0:
                        raise SymbolsError(f"more than {MAX_LIVE} location ranges")
                    for kind, index in values_of(expression):
                        found.update((start, end, kind, index) for start, end in scope)


def scope_ranges(
    sections: Sections, lists: Lists, unit: Unit, plan: Plan, values: tuple[Value, ...]
) -> Ranges | None:
    """Code ranges of an entry; None if it has none or if its code was left out."""
    value = plan.get(values, At.RANGES)
    if isinstance(value, int):
        indexed = plan.forms[At.RANGES] == Form.RNGLISTX
        return lists.ranges(unit, value, indexed) or None
    low = address(sections, unit, plan, values, At.LOW_PC)
    high = plan.get(values, At.HIGH_PC)
    if low is None or not isinstance(high, int):
        return None
    absolute = address(sections, unit, plan, values, At.HIGH_PC)
    end = low + high if absolute is None else absolute
    if not 0 < low < end <= sections.code_size:
        return None
    return ((low, end),)
