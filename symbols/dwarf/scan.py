"""Collects one unit's lines, functions, inlined calls, variables and types."""

from __future__ import annotations

import posixpath

from symbols.dwarf.abbrev import Plan, Value
from symbols.dwarf.constants import BLOCK_FORMS, UNIT_REFERENCES, At, Tag
from symbols.dwarf.expressions import OP_ADDR, OP_ADDRX, OP_WASM_LOCATION, operations
from symbols.dwarf.lines import END_SEQUENCE, STATEMENT, Program, run, sequences
from symbols.dwarf.records import (
    MAX_RANGES,
    NONE,
    Function,
    Inlined,
    Named,
    Records,
    Variable,
    VariableFlag,
)
from symbols.dwarf.sections import DAMAGE, Sections
from symbols.dwarf.stops import scope_ranges
from symbols.dwarf.units import UNIT_WANTED, Unit, indexed_address, string, walk
from symbols.errors import SymbolsError

_DECLARED = frozenset({At.NAME, At.DECL_FILE, At.DECL_LINE, At.DECLARATION, At.BYTE_SIZE})
_CODE = frozenset({At.LOW_PC, At.HIGH_PC, At.RANGES, At.ABSTRACT_ORIGIN})
WANTED = {
    **UNIT_WANTED,
    Tag.SUBPROGRAM: _DECLARED | _CODE | {At.SPECIFICATION, At.LINKAGE_NAME},
    Tag.INLINED_SUBROUTINE: _CODE | {At.CALL_FILE, At.CALL_LINE},
    Tag.VARIABLE: _DECLARED
    | {At.LOCATION, At.EXTERNAL, At.SPECIFICATION, At.ABSTRACT_ORIGIN, At.LINKAGE_NAME},
    **dict.fromkeys(
        (
            Tag.STRUCTURE_TYPE,
            Tag.UNION_TYPE,
            Tag.CLASS_TYPE,
            Tag.ENUMERATION_TYPE,
            Tag.TYPEDEF,
            Tag.BASE_TYPE,
        ),
        _DECLARED,
    ),
}

_STATIC = tuple(bytes((op,)) for op in (OP_ADDR, OP_ADDRX, OP_WASM_LOCATION))
"""How the location of a variable with static storage starts."""


class Files:
    """File numbers of one line program, translated to those of the index when asked for."""

    __slots__ = ("_builder", "_directory", "_known", "_program")

    def __init__(self, records: Records, program: Program | None, directory: str) -> None:
        self._builder = records
        self._program = program
        self._directory = directory
        self._known: dict[int, int] = {}

    def __getitem__(self, number: int) -> int:
        known = self._known.get(number)
        if known is None:
            path = self._program.path(number, self._directory) if self._program else ""
            known = self._builder.file(posixpath.normpath(path) if path else "")
            self._known[number] = known
        return known


def scan_lines(records: Records, unit: Unit) -> Files:
    """Add the rows of a unit's line program; its files."""
    if unit.statements < 0:
        return Files(records, None, "")
    sections = records.sections
    files = Files(records, None, "")
    try:
        program = records.programs.read(unit.statements)
        files = Files(records, program, unit.directory)
        rows = run(sections.line, program, sections.code_size)
    except DAMAGE as error:
        records.notes.left_out(f"lines of {unit.name or hex(unit.offset)}", error)
        return files
    for first, end in sequences(rows):
        body = records.bodies.at(rows.address[first])
        certain = records.bodies.covers(body, rows.address[end - 1])
        if certain:
            if body in records.covered:
                continue  # one of several copies of which the linker kept one
            records.covered.add(body)
        add = (records.rows if certain else records.doubtful.setdefault(body, [])).append
        last = (-1, -1, -1)
        for at in range(first, end):
            line, flags = rows.line[at], rows.flags[at]
            if flags & END_SEQUENCE:
                add((rows.address[at], 0, 0, flags))
                break
            # A row that says nothing new is of no use; statements are.
            row = (rows.file[at], line, flags & STATEMENT)
            if row != last or flags & ~STATEMENT:
                add((rows.address[at], files[rows.file[at]] if line else 0, line, flags))
            last = row
    return files


def scan_unit(records: Records, unit: Unit, files: Files) -> None:
    """Add the functions, variables and types of one unit."""
    sections, lists = records.sections, records.lists
    named = records.named
    # Enclosing entries that matter: (depth, body's index or -1, inlined call's number or -1).
    scopes: list[tuple[int, int, int]] = []
    for offset, depth, closed, plan, values in walk(sections.info, unit):
        while scopes and scopes[-1][0] >= closed:
            scopes.pop()
        tag = plan.tag
        if tag == Tag.VARIABLE:
            _variable(records, unit, files, offset, plan, values, bool(scopes))
        elif tag == Tag.INLINED_SUBROUTINE:
            body, parent = (scopes[-1][1], scopes[-1][2]) if scopes else (-1, -1)
            if body >= 0:
                ranges = scope_ranges(sections, lists, unit, plan, values)
                if ranges is not None:
                    calls = records.inlined.setdefault(body, [])
                    records.ranges += len(ranges)
                    if records.ranges > MAX_RANGES:
                        raise SymbolsError("DWARF with an absurd number of inlined calls")
                    calls.append(
                        Inlined(
                            offset,
                            _reference(unit, plan, values, At.ABSTRACT_ORIGIN),
                            ranges,
                            parent,
                            files[_number(plan, values, At.CALL_FILE)],
                            _number(plan, values, At.CALL_LINE),
                        )
                    )
                    parent = len(calls) - 1
            if plan.children:
                scopes.append((depth, body, parent))
        elif tag == Tag.SUBPROGRAM:
            named[offset] = _name(records, unit, files, plan, values)
            ranges = scope_ranges(sections, lists, unit, plan, values)
            body = records.bodies.at(ranges[0][0]) if ranges else -1
            if body >= 0 and ranges:
                certain = records.bodies.covers(body, ranges[-1][1])
                known = records.functions.get(body)
                if known is None or (certain and not known.certain):
                    records.functions[body] = Function(offset, certain)
                    records.inlined.pop(body, None)
                else:
                    body = -1
            if plan.children:
                scopes.append((depth, body, -1))
        elif depth and plan.get(values, At.DECLARATION) is None:
            name = string(sections, unit, plan, values, At.NAME)
            if name:
                key = (
                    tag,
                    records.count(name),
                    _number(plan, values, At.BYTE_SIZE),
                    files[_number(plan, values, At.DECL_FILE)],
                    _number(plan, values, At.DECL_LINE),
                )
                records.types.setdefault(key, offset)


def _name(
    records: Records, unit: Unit, files: Files, plan: Plan, values: tuple[Value, ...]
) -> Named:
    origin = _reference(unit, plan, values, At.ABSTRACT_ORIGIN)
    if origin == NONE:
        origin = _reference(unit, plan, values, At.SPECIFICATION)
    return Named(
        records.count(string(records.sections, unit, plan, values, At.NAME) or ""),
        files[_number(plan, values, At.DECL_FILE)],
        _number(plan, values, At.DECL_LINE),
        origin,
    )


def _variable(
    records: Records,
    unit: Unit,
    files: Files,
    offset: int,
    plan: Plan,
    values: tuple[Value, ...],
    local: bool,
) -> None:
    expression = plan.get(values, At.LOCATION)
    address: int | None = None
    relative = False
    if (
        isinstance(expression, bytes)
        and expression[:1] in _STATIC
        and plan.forms[At.LOCATION] in BLOCK_FORMS
    ):
        address, relative = static_address(records.sections, unit, expression)
    if address is None:
        if not local:  # somebody may refer to it
            records.named[offset] = _name(records, unit, files, plan, values)
        return
    records.named[offset] = _name(records, unit, files, plan, values)
    flags = VariableFlag.LOCAL if local else VariableFlag(0)
    if plan.get(values, At.EXTERNAL):
        flags |= VariableFlag.EXTERNAL
    if relative:
        flags |= VariableFlag.RELATIVE
    records.variables.append(Variable(offset, address, flags))


def static_address(sections: Sections, unit: Unit, expression: bytes) -> tuple[int | None, bool]:
    """Address of a variable with static storage: (address, does it count from the data's start).
    None if it has none, or if the linker left the variable out."""
    size = unit.encoding.address_size
    tomb = (1 << (8 * size)) - 2
    address: int | None = None
    relative = False
    for opcode, operands in operations(expression, size):
        value = operands[0] if operands else 0
        if not isinstance(value, int):
            return None, False
        if opcode == OP_ADDR:
            address = value
        elif opcode == OP_ADDRX:
            address = indexed_address(sections, unit, value)
        elif opcode == OP_WASM_LOCATION and value in (1, 3):
            relative = True  # a global of the module: where its data starts
        elif opcode == 0x23 and address is not None:  # plus_uconst
            address += value
        elif opcode != 0x22:  # plus
            return None, False
    if address is None or address >= tomb or (not address and not relative):
        return None, False
    return address, relative


def _number(plan: Plan, values: tuple[Value, ...], attribute: int) -> int:
    value = plan.get(values, attribute)
    return value if isinstance(value, int) and 0 <= value < NONE else 0


def _reference(unit: Unit, plan: Plan, values: tuple[Value, ...], attribute: int) -> int:
    """Offset in .debug_info of the entry that an attribute refers to."""
    value = plan.get(values, attribute)
    if not isinstance(value, int):
        return NONE
    if plan.forms[attribute] in UNIT_REFERENCES:
        value += unit.offset
    return value if value < NONE else NONE
