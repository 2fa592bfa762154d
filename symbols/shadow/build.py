"""The shadow ELF as a whole."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from symbols.errors import SymbolsError
from symbols.shadow.addresses import (
    HOST_BASE,
    HOST_SIZE,
    MEMORY_LIMIT,
    code_base,
    code_limit,
)
from symbols.shadow.callframes import debug_frame
from symbols.shadow.elf import (
    Flag,
    Section,
    SectionType,
    Symbol,
    SymbolType,
    build_id_note,
    write_elf,
)
from symbols.shadow.expressions import Globals, Rewriter
from symbols.shadow.info import Info
from symbols.shadow.lines import Entries, rewrite_line
from symbols.shadow.loclists import rewrite_loc, rewrite_loclists
from symbols.shadow.ranges import rewrite_addr, rewrite_ranges, rewrite_rnglists
from symbols.shadow.strings import separate_strings
from symbols.shadow.symtab import data_symbols, function_symbols, table_symbols
from symbols.wasm.container import SectionId
from symbols.wasm.dataplan import data_ranges
from symbols.wasm.module import Module
from symbols.wasm.types import Kind

HOST_NAME: Final = b"__host__"
"""What GDB calls the caller of outermost frames."""

_TEXT, _DATA, _HOST = 1, 2, 3
"""Section indices that symbols refer to."""
_UNCHANGED = (".debug_abbrev", ".debug_str", ".debug_line_str", ".debug_str_offsets")
"""Of the string sections the last one is changed after all, see `separate_strings`."""
_STRINGS = frozenset({".debug_str", ".debug_line_str"})


@dataclass(frozen=True, slots=True)
class Shadow:
    """The parts of a shadow ELF."""

    sections: tuple[Section, ...]
    symbols: tuple[Symbol, ...]
    base: int
    """Address of the code."""

    def write(self, index: bytes = b"") -> bytes:
        """The file, with GDB's index of it if there is one."""
        extra = [_section(INDEX, index)] if index else []
        return write_elf([*self.sections, *extra], self.symbols, self.base)


INDEX: Final = ".gdb_index"


def shadow_elf(module: Module, number: int = 0, *, dwarf: bool = True) -> bytes:
    """The ELF for GDB of module `number` (0: the kernel, programs from 1).

    Raises SymbolsError if the module or its DWARF is malformed, or has no room in GDB's address
    space. A module without DWARF has symbols only, as has one whose DWARF is not asked for.
    """
    return shadow(module, number, dwarf=dwarf).write()


def shadow(module: Module, number: int = 0, *, dwarf: bool = True) -> Shadow:
    """The same in parts."""
    base = code_base(number)
    section = module.section(SectionId.CODE)
    if section is None:
        raise SymbolsError("the module has no code")
    size = section.end - section.start
    if base is None or size > code_limit(number):
        raise SymbolsError(f"GDB's address space has no room for module {number}")
    code = Flag.ALLOC | Flag.EXECUTE
    sections = [Section(".text", SectionType.NOBITS, code, address=base, size=size)]
    symbols = function_symbols(module, base, _TEXT)
    limit = 0
    if not number:
        # not from 0 on: GDB takes address 0 for that of code and data left out by the linker
        limit = min(max((r.end for r in data_ranges(module)), default=0x1_0000), MEMORY_LIMIT)
        flags = Flag.ALLOC | Flag.WRITE
        sections.append(Section(".data", SectionType.NOBITS, flags, address=1, size=limit - 1))
        sections.append(
            Section(".host", SectionType.NOBITS, code, address=HOST_BASE, size=HOST_SIZE)
        )
        symbols.append(Symbol(HOST_NAME, HOST_BASE, HOST_SIZE, SymbolType.FUNCTION, _HOST))
        symbols += table_symbols(module, _DATA, limit)
    contents = {name: module.contents(s) for name, s in module.dwarf.items()}
    frame = debug_frame(base, size, host=not number)
    sections.append(Section(".debug_frame", SectionType.PROGBITS, data=frame, alignment=4))
    if dwarf and contents.get(".debug_info"):
        info, rewritten = _dwarf(module, contents, number, base, size)
        if not number:
            symbols += data_symbols(info, _DATA, limit)
        sections += rewritten
        identity = hashlib.sha1(usedforsecurity=False)
        for part in sections:
            identity.update(part.name.encode() + b"\0" + part.data)
        note = build_id_note(identity.digest())
        sections.append(Section(".note.gnu.build-id", SectionType.NOTE, data=note, alignment=4))
    return Shadow(tuple(sections), tuple(symbols), base)


def _dwarf(
    module: Module, contents: dict[str, bytes], number: int, base: int, size: int
) -> tuple[Info, list[Section]]:
    rewriter = Rewriter(_globals(module, number))
    info = Info(contents, rewriter, base, size)
    done: dict[str, Callable[[bytes], bytes]] = {
        ".debug_loc": lambda data: rewrite_loc(data, info, rewriter, base, size),
        ".debug_loclists": lambda data: rewrite_loclists(data, info, rewriter, base, size),
        ".debug_ranges": lambda data: rewrite_ranges(data, info, base, size),
        ".debug_rnglists": lambda data: rewrite_rnglists(data, base, size),
        ".debug_line": lambda data: rewrite_line(data, info, Entries(module), base, size),
        # after all that may refer to its entries
        ".debug_addr": lambda data: rewrite_addr(data, info, base, size),
    }
    made = {name: rewrite(contents[name]) for name, rewrite in done.items() if name in contents}
    made |= {name: contents[name] for name in _UNCHANGED if name in contents}
    made[".debug_info"] = bytes(info.data)
    if ".debug_str_offsets" in made:
        strings, offsets = made.get(".debug_str", b""), made[".debug_str_offsets"]
        made[".debug_str"], made[".debug_str_offsets"] = separate_strings(strings, offsets)
    return info, [_section(name, data) for name, data in sorted(made.items())]


def _section(name: str, data: bytes) -> Section:
    if name in _STRINGS:
        flags = Flag.MERGE | Flag.STRINGS
        return Section(name, SectionType.PROGBITS, flags, data, entry_size=1)
    return Section(name, SectionType.PROGBITS, data=data)


def _globals(module: Module, number: int) -> Globals:
    """Indices of the globals that DWARF refers to."""
    imports = module.imported(Kind.GLOBAL)
    found = {entry.name: index for index, entry in enumerate(imports)}
    names = {name: index for index, name in module.names.globals.items()} | found
    base = found.get("__memory_base") if number else None
    return Globals(names.get("__stack_pointer", 0), base, number)
