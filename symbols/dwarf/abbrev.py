"""Abbreviations, compiled to plans that read or skip a debugging information entry quickly.

A kernel has an abbreviation table per unit, 10^5 declarations in all, but only some thousand
different ones: each is compiled once. Entries of fixed size that nobody wants cost one list
access; those with wanted attributes of fixed size one `struct` call.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from symbols.dwarf.constants import At, Form
from symbols.dwarf.sections import integer, signed, text, unsigned
from symbols.errors import SymbolsError

_FIXED = {
    Form.DATA2: "H",
    Form.DATA4: "I",
    Form.DATA8: "Q",
    Form.DATA1: "B",
    Form.FLAG: "B",
    Form.REF1: "B",
    Form.REF2: "H",
    Form.REF4: "I",
    Form.REF8: "Q",
    Form.REF_SUP4: "I",
    Form.DATA16: "16s",
    Form.REF_SIG8: "Q",
    Form.REF_SUP8: "Q",
    Form.STRX1: "B",
    Form.STRX2: "H",
    Form.STRX3: "3s",
    Form.STRX4: "I",
    Form.ADDRX1: "B",
    Form.ADDRX2: "H",
    Form.ADDRX3: "3s",
    Form.ADDRX4: "I",
}
_OFFSETS = frozenset(
    {
        Form.STRP,
        Form.SEC_OFFSET,
        Form.STRP_SUP,
        Form.LINE_STRP,
        Form.REF_ADDR,
        Form.GNU_REF_ALT,
        Form.GNU_STRP_ALT,
    }
)
_UNSIGNED = frozenset(
    {
        Form.UDATA,
        Form.REF_UDATA,
        Form.STRX,
        Form.ADDRX,
        Form.LOCLISTX,
        Form.RNGLISTX,
        Form.GNU_ADDR_INDEX,
        Form.GNU_STR_INDEX,
    }
)
_BLOCK_SIZES = {Form.BLOCK1: 1, Form.BLOCK2: 2, Form.BLOCK4: 4, Form.BLOCK: 0, Form.EXPRLOC: 0}
_VARIABLE = _UNSIGNED | _BLOCK_SIZES.keys() | {Form.SDATA, Form.STRING}
_LISTS = frozenset({At.LOCATION, At.FRAME_BASE, At.RANGES, At.STMT_LIST})

MAX_ATTRIBUTES = 256
"""Most attributes of one abbreviation; compilers write up to about 25."""

Value = int | bytes | str
Wanted = Mapping[int, frozenset[int]]
"""Attributes that a scan wants to see, by tag. Entries of other tags are not reported."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """What the size of some forms depends on."""

    version: int
    address_size: int
    offset_size: int


@dataclass(slots=True)
class Plan:
    """How to read one kind of entry."""

    tag: int
    children: bool
    wanted: bool
    size: int
    """Bytes of the entry without its code, -1 if that varies."""
    steps: tuple[struct.Struct | tuple[int, bool], ...]
    """In order: a layout for a run of fixed size, or (form, wanted) for one attribute."""
    forms: dict[int, int]
    """Wanted attributes and their forms."""
    slots: dict[int, int]
    """Where a wanted attribute's value is in what `read` returns."""
    constants: dict[int, int]
    """Values that are the abbreviation's, not the entry's (implicit_const, flag_present)."""

    def read(self, info: bytes, pos: int) -> tuple[tuple[Value, ...], int]:
        """The wanted values of the entry whose attributes start at `pos`, and its end."""
        steps = self.steps
        if self.size >= 0:
            if not steps:
                return (), pos
            layout = steps[0]
            assert isinstance(layout, struct.Struct)
            return layout.unpack_from(info, pos), pos + self.size
        values: list[Value] = []
        for step in steps:
            if isinstance(step, struct.Struct):
                values += step.unpack_from(info, pos)
                pos += step.size
            else:
                value, pos = read_variable(step[0], info, pos)
                if step[1]:
                    values.append(value)
        return tuple(values), pos

    def get(self, values: tuple[Value, ...], attribute: int) -> Value | None:
        """Value of an attribute, None if the entry has none."""
        slot = self.slots.get(attribute)
        if slot is None:
            return self.constants.get(attribute)
        value = values[slot]
        if value.__class__ is bytes and self.forms[attribute] in (Form.STRX3, Form.ADDRX3):
            return int.from_bytes(value, "little")
        return value


def read_variable(form: int, info: bytes, pos: int) -> tuple[Value, int]:
    """One attribute of varying size: (value, next position)."""
    if form in _BLOCK_SIZES:
        width = _BLOCK_SIZES[form]
        if width:
            size = integer(info, pos, width)
            pos += width
        else:
            size, pos = unsigned(info, pos)
        if size > len(info) - pos:
            raise SymbolsError(f"DWARF block claims {size} bytes", pos)
        return info[pos : pos + size], pos + size
    if form in _UNSIGNED:
        return unsigned(info, pos)
    if form == Form.SDATA:
        return signed(info, pos)
    if form == Form.STRING:
        value = text(info, pos)
        return value, info.index(b"\0", pos) + 1
    raise SymbolsError(f"unknown DWARF form {form:#x}", pos)


class Table:
    """One abbreviation table for one encoding."""

    __slots__ = ("plans", "skips")

    def __init__(self, plans: dict[int, Plan]) -> None:
        self.plans = plans
        self.skips = [0] * 256
        """By an entry's first byte: its size with its one-byte code if it has no children and
        nothing wanted, 0 if it needs a closer look."""
        for code, plan in plans.items():
            if code < 0x80 and not plan.wanted and not plan.children and plan.size >= 0:
                self.skips[code] = plan.size + 1


class Abbreviations:
    """All tables of a module, compiled when a unit asks for them."""

    def __init__(self, data: bytes, wanted: Wanted) -> None:
        self._data = data
        self._wanted = wanted
        self._tables: dict[tuple[int, Encoding], Table] = {}
        self._plans: dict[tuple[bytes, Encoding], Plan] = {}
        # Tables of honest files do not overlap: hostile ones must not cost quadratic time.
        self._budget = 4 * len(data) + 4096

    def table(self, offset: int, encoding: Encoding) -> Table:
        """The table at `offset` of .debug_abbrev."""
        table = self._tables.get((offset, encoding))
        if table is None:
            table = self._tables[offset, encoding] = self._compile(offset, encoding)
        return table

    def _compile(self, offset: int, encoding: Encoding) -> Table:
        data = self._data
        pos = offset
        plans: dict[int, Plan] = {}
        while True:
            if pos >= len(data):
                raise SymbolsError("abbreviation table outside of .debug_abbrev", offset)
            code, start = unsigned(data, pos)
            if not code:
                break
            if code in plans:
                raise SymbolsError(f"abbreviation {code} declared twice", pos)
            plans[code], end = self._declaration(start, encoding)
            self._budget -= end - pos
            if self._budget < 0:
                raise SymbolsError("abbreviation tables overlap", offset)
            pos = end
        return Table(plans)

    def _declaration(self, start: int, encoding: Encoding) -> tuple[Plan, int]:
        # Up to the first two zeros after the children flag: the whole declaration unless a
        # constant in it is zero, and then it is not remembered.
        data = self._data
        likely = data.find(b"\0\0", start + 2) + 2
        key = (data[start:likely], encoding)
        plan = self._plans.get(key)
        if plan is not None:
            return plan, likely
        tag, pos = unsigned(data, start)
        children = data[pos]
        pos += 1
        attributes: list[tuple[int, int, int]] = []
        while True:
            attribute, pos = unsigned(data, pos)
            form, pos = unsigned(data, pos)
            constant = 0
            if form == Form.IMPLICIT_CONST:
                constant, pos = signed(data, pos)
            if not attribute and not form:
                break
            attributes.append((attribute, form, constant))
            if len(attributes) > MAX_ATTRIBUTES:
                raise SymbolsError("abbreviation with too many attributes", start)
        plan = make_plan(tag, bool(children), attributes, encoding, self._wanted)
        if pos == likely:
            self._plans[key] = plan
        return plan, pos


def make_plan(
    tag: int,
    children: bool,
    attributes: list[tuple[int, int, int]],
    encoding: Encoding,
    wanted: Wanted,
) -> Plan:
    """Compile a declaration: `attributes` are (attribute, form, implicit constant)."""
    interest = wanted.get(tag)
    steps: list[struct.Struct | tuple[int, bool]] = []
    run = ""
    forms: dict[int, int] = {}
    slots: dict[int, int] = {}
    constants: dict[int, int] = {}
    for attribute, declared, constant in attributes:
        form = declared
        want = interest is not None and attribute in interest and attribute not in forms
        if encoding.version < 4 and attribute in _LISTS and form in (Form.DATA4, Form.DATA8):
            form = Form.SEC_OFFSET
        if want:
            forms[attribute] = form
        if form in (Form.FLAG_PRESENT, Form.IMPLICIT_CONST):
            if want:
                constants[attribute] = 1 if form == Form.FLAG_PRESENT else constant
            continue
        letter = _letter(form, encoding)
        if letter is None:
            if form not in _VARIABLE:
                raise SymbolsError(f"unsupported DWARF form {form:#x}")
            if run:
                steps.append(struct.Struct("<" + run))
                run = ""
            steps.append((form, want))
        else:
            run += letter if want else f"{struct.calcsize('<' + letter)}x"
        if want:
            slots[attribute] = len(slots)
    if run:
        steps.append(struct.Struct("<" + run))
    size = -1
    if all(isinstance(step, struct.Struct) for step in steps):
        size = steps[0].size if steps and isinstance(steps[0], struct.Struct) else 0
    return Plan(tag, children, interest is not None, size, tuple(steps), forms, slots, constants)


def _letter(form: int, encoding: Encoding) -> str | None:
    """`struct` code of a form of fixed size."""
    if form == Form.ADDR:
        return "I" if encoding.address_size == 4 else "Q"
    if form in _OFFSETS:
        if form == Form.REF_ADDR and encoding.version < 3:
            return "I" if encoding.address_size == 4 else "Q"
        return "I" if encoding.offset_size == 4 else "Q"
    return _FIXED.get(form)
