"""Finds the file with the DWARF of a program that the guest executes without.

Stripping takes custom sections away and leaves the code as it is: equal code sections make two
files the same program.
"""

from __future__ import annotations

from pathlib import Path

from symbols.errors import SymbolsError
from symbols.wasm.container import SectionId, read_sections

LIMIT = 256 << 20
"""Largest debug file that is looked at, bytes."""


def _code(wasm: bytes) -> bytes | None:
    """The contents of the code section."""
    try:
        for section in read_sections(wasm):
            if section.id is SectionId.CODE:
                return wasm[section.start : section.end]
    except SymbolsError:
        pass
    return None


def find_debug_file(directory: Path, wasm: bytes) -> Path | None:
    """The file in `directory` that is the program `wasm` with debugging sections."""
    wanted = _code(wasm)
    if not wanted:
        return None
    for path in sorted(directory.glob("*.wasm")):
        try:
            if len(wanted) < path.stat().st_size <= LIMIT and _code(path.read_bytes()) == wanted:
                return path
        except OSError:
            continue
    return None
