"""A module's file for LLDB: the original, with what LLDB gets wrong changed in place.

* LLDB 22 counts imported functions wrongly when other things are imported before them, and then
  finds every symbol at another function's address: a breakpoint by name gets a second location
  at a stranger. The copy imports functions only.
* It takes the file offsets of passive data segments for guest addresses. The copy has none.
* It reads variables in wasm locals of the wrong thread or at the wrong pc: `variables`.

Nothing moves: code offsets, file offsets and all else in the DWARF are those of the original.
"""

from __future__ import annotations

from symbols.errors import SymbolsError
from symbols.lldb.table import Table
from symbols.lldb.variables import change
from symbols.wasm.container import SectionId, write_name
from symbols.wasm.leb import decode_u32, encode_unsigned
from symbols.wasm.module import Module
from symbols.wasm.types import Import, Kind

_KEPT = frozenset(
    {SectionId.CUSTOM, SectionId.TYPE, SectionId.IMPORT, SectionId.FUNCTION, SectionId.CODE}
)
"""All others refer to imports that are not there, or are data."""

_FUNCTION_NAMES, _UNKNOWN_NAMES = 1, 0x7F


def image(data: bytes, number: int) -> tuple[bytes, Table]:
    """The copy of a module's file and the table of its registers; `number` is the module's in
    the guest. What is malformed stays as it is."""
    out = bytearray(data)
    table = Table()
    try:
        module = Module(data)
        _import_functions_only(module, out)
        for section in module.sections:
            if section.id not in _KEPT and section.end > section.start:
                # A custom section without a name: its contents stay, and nobody reads them.
                out[section.header] = SectionId.CUSTOM
                out[section.start] = 0
        names = module.custom("name")
        if names is not None:
            _keep_function_names(module.data, names.start, names.end, out)
        info, abbrev = module.dwarf.get(".debug_info"), module.dwarf.get(".debug_abbrev")
        if info is not None and abbrev is not None:
            entries, kinds = bytearray(module.contents(info)), bytearray(module.contents(abbrev))
            table = change(entries, kinds, number)
            out[info.start : info.end] = entries
            out[abbrev.start : abbrev.end] = kinds
    except SymbolsError:
        pass
    return bytes(out), table


def _import_functions_only(module: Module, out: bytearray) -> None:
    section = module.section(SectionId.IMPORT)
    if section is None:
        return
    functions = module.imported(Kind.FUNCTION)
    contents = encode_unsigned(len(functions))
    for entry in functions[:-1]:
        contents += _entry(module, entry, entry.name)
    for entry in functions[-1:]:
        # Its name takes the room that is left, so that the section is a valid one.
        room = section.end - section.start - len(contents) - len(_entry(module, entry, ""))
        while len(contents) + len(_entry(module, entry, "_" * room)) > section.end - section.start:
            room -= 1
        contents += _entry(module, entry, entry.name.ljust(room, "_")[:room])
    size = section.end - section.start
    out[section.start : section.end] = contents[:size].ljust(size, b"\0")


def _keep_function_names(data: bytes, pos: int, end: int, out: bytearray) -> None:
    """Give all other parts of the name section a number that nobody knows."""
    while pos < end:
        if data[pos] != _FUNCTION_NAMES:
            out[pos] = _UNKNOWN_NAMES
        size, pos = decode_u32(data, pos + 1, end)
        pos += size


def _entry(module: Module, entry: Import, name: str) -> bytes:
    return write_name(entry.module) + write_name(name) + module.data[slice(*entry.descriptor)]
