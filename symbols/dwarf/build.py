"""Makes an index: one pass over a module's DWARF, with plain arrays as its result."""

from __future__ import annotations

from collections.abc import Callable

from symbols.dwarf.abbrev import Abbreviations
from symbols.dwarf.bodies import Bodies
from symbols.dwarf.lines import Programs
from symbols.dwarf.lists import Lists
from symbols.dwarf.records import MAX_RECORDS, Records
from symbols.dwarf.scan import WANTED, Files, scan_lines, scan_unit
from symbols.dwarf.sections import DAMAGE, Sections
from symbols.dwarf.store import Column
from symbols.dwarf.tables import columns
from symbols.dwarf.units import read_headers, read_unit
from symbols.errors import SymbolsError
from symbols.wasm import Module

Progress = Callable[[float], None]
"""Is told the part of the work that is done, 0 to 1."""


def build(module: Module, progress: Progress | None = None) -> tuple[dict[str, Column], list[str]]:
    """Columns of the index of a module, and notes on what of its DWARF is damaged.

    SymbolsError only if the module itself is malformed. A module without DWARF has functions with
    the names of its name section.
    """
    sections = Sections.of(module)
    records = Records(module, sections, Lists(sections), Programs(sections), Bodies(module))
    abbreviations = Abbreviations(sections.abbrev, WANTED)
    programs: dict[int, Files] = {}
    total = len(sections.info) or 1
    for header in read_headers(sections.info, records.notes):
        try:
            unit = read_unit(sections, header, abbreviations)
        except DAMAGE as error:
            records.notes.left_out(f"unit at {header.offset:#x}", error)
            continue
        records.units.append(unit.offset)
        files = programs.get(unit.statements)
        if files is None:
            files = programs[unit.statements] = scan_lines(records, unit)
        try:
            scan_unit(records, unit, files)
        except DAMAGE as error:
            records.notes.left_out(f"part of {unit.name or hex(unit.offset)}", error)
        if len(records.rows) > MAX_RECORDS or len(records.named) > MAX_RECORDS:
            raise SymbolsError("DWARF with an absurd number of lines or names")
        if progress is not None:
            progress(0.85 * unit.end / total)
    done = columns(records)
    if progress is not None:
        progress(1.0)
    return done, records.notes.lines
