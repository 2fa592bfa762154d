"""What `wdbg symbols --lookup` prints about an address, a name or a source line."""

from __future__ import annotations

import re
from collections.abc import Iterator

from symbols.dwarf.index import Index, Variable
from symbols.dwarf.types import Member, Type
from symbols.shadow.addresses import code_place

LLDB_CODE = 0x4000_0000_0000_0000
"""LLDB's addresses: this, the module's number from bit 32 on, and an offset in the file."""

_ADDRESS = re.compile(r"0[xX][0-9a-fA-F]+|[0-9]+")
_LINE = re.compile(r"(.+):([0-9]{1,9})")


class Lookup:
    """Queries on one module."""

    def __init__(self, index: Index) -> None:
        self._index = index

    def find(self, query: str) -> list[str]:
        """Lines about `query`; none if it is nothing."""
        if _ADDRESS.fullmatch(query):
            return list(self._address(int(query, 0 if query[:1] == "0" and len(query) > 1 else 10)))
        line = _LINE.fullmatch(query)
        if line:
            return list(self._line(line[1], int(line[2])))
        return list(self._name(query))

    def nothing(self, query: str) -> str:
        """Why `find` found nothing."""
        if _ADDRESS.fullmatch(query):
            return "neither code nor a variable"
        line = _LINE.fullmatch(query)
        if not line:
            return "no such function, variable or type"
        if not self._index.has_dwarf:
            return "without DWARF there are no lines"
        known = self._index.lines_of(line[1])
        if known:
            return f"no code at or after that line: the last one with code is {known[-1]}"
        return "no such source file"

    def _address(self, address: int) -> Iterator[str]:
        index = self._index
        offset = address
        place = code_place(address)
        if place is not None:
            offset = place[1]
        elif address >= LLDB_CODE:
            offset = (address & 0xFFFFFFFF) - index.module.code_base
        function = index.function_at(offset)
        if function is not None:
            where = f"{function.name}+{offset - function.low:#x}"
            yield f"{address:#x}: {where}, function {function.index}, code offset {offset:#x}"
            for level, frame in enumerate(index.frames_at(offset)):
                position = f"{frame.file}:{frame.line}" if frame.line else "no line"
                note = " (inlined)" if frame.inlined else ""
                yield f"  #{level} {frame.name}{note} at {position}"
        found = index.variable_at(address) if address == offset else None
        if found is not None:
            yield f"{address:#x}: {found.name}+{address - found.address:#x} in guest memory"
            yield f"  {self._describe(found)}"

    def _line(self, file: str, line: int) -> Iterator[str]:
        for address in self._index.find_line(file, line):
            function = self._index.function_at(address)
            name = function.name if function else "?"
            calls = "".join(f", in {c.name} (inlined)" for c in self._index.inlined_at(address)[:1])
            # Not line_at: of several rows at one address it tells the last one.
            yield f"{address:#x}: {self._position(address)} in {name}{calls}"

    def _position(self, address: int) -> str:
        file, line = self._index.line_at(address) or ("", 0)
        return f"{file}:{line}" if line else "no line"

    def _name(self, name: str) -> Iterator[str]:
        index = self._index
        for function in index.find_function(name):
            position = f", {function.file}:{function.line}" if function.line else ""
            yield (
                f"{function.name}: function {function.index}, code "
                f"[{function.low:#x}, {function.high:#x}){position}"
            )
            yield f"  breakpoint at {index.after_prologue(function):#x}"
        calls = index.inlined_calls(name)
        if calls:
            times = "once" if len(calls) == 1 else f"{len(calls)} times"
            yield f"{name}: inlined {times}, first at {calls[0].file}:{calls[0].line}"
        for variable in index.variables(name):
            yield f"{name}: variable {self._describe(variable)}"
        kind = index.type(name) or index.struct(name)
        if kind is None and index.enum(name) is not None:
            kind = index.type(f"enum {name}")
        if kind is not None:
            yield from self._type(name, kind)

    def _describe(self, variable: Variable) -> str:
        base = "data start + " if variable.relative else ""
        position = f", {variable.file}:{variable.line}" if variable.line else ""
        scope = ", static in a function" if variable.local else ""
        size = variable.type.size
        return f"{variable.type}, {size} bytes at {base}{variable.address:#x}{scope}{position}"

    def _type(self, name: str, kind: Type) -> Iterator[str]:
        bare = kind.bare
        title = f"{kind}" if kind is bare or str(kind) == str(bare) else f"{kind} = {bare}"
        yield f"{title}: {bare.size} bytes"
        for member in bare.members:
            yield from self._member(member, 0, "  ")
        for label, value in bare.enumerators.items():
            yield f"  {label} = {value}"

    def _member(self, member: Member, base: int, indent: str) -> Iterator[str]:
        bits = ""
        if member.bit_offset is not None:
            bits = f" : {member.bit_size} (bit {member.bit_offset})"
        offset = base + member.offset
        yield f"{indent}{offset:>6} {member.size:>6}  {member.type} {member.name}{bits}".rstrip()
        if not member.name and len(indent) < 20:
            for inner in member.type.members:
                yield from self._member(inner, offset, indent + "  ")
