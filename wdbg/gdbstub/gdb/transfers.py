"""`qXfer`: documents that GDB reads piece by piece."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from xml.sax.saxutils import quoteattr

from symbols.shadow.addresses import code_base
from wdbg.debugger.model import Debugger, ModuleInfo
from wdbg.gdbstub.gdb.registers import description
from wdbg.gdbstub.gdb.text import BAD_PACKET, numbers
from wdbg.gdbstub.gdb.threads import document, ordered

KERNEL = 0
_EHDR = struct.Struct("<28xI10xHH6x")
"""Elf32_Ehdr: e_phoff, e_phentsize, e_phnum."""
_PHDR = struct.Struct("<I4xI")
"""Start of Elf32_Phdr: p_type, p_vaddr."""
_PT_LOAD = 1

Shadow = Callable[[ModuleInfo], Path | None]
"""The shadow ELF of a module, None if there is none."""


class Transfers:
    """The documents of one client. They are made anew when it reads from the start."""

    def __init__(self, debugger: Debugger, shadow: Shadow) -> None:
        self._debugger = debugger
        self._shadow = shadow
        self._documents: dict[tuple[bytes, bytes], bytes] = {}
        self._makers: dict[bytes, Callable[[bytes], str | None]] = {
            b"features": lambda annex: description() if annex == b"target.xml" else None,
            b"threads": lambda annex: None if annex else document(ordered(self._debugger)),
            b"libraries": lambda annex: None if annex else self._libraries(),
            b"exec-file": lambda annex: self._executable(),
        }

    @property
    def objects(self) -> list[bytes]:
        """What can be read."""
        return list(self._makers)

    def read(self, text: bytes) -> bytes:
        """Answer what follows `qXfer:`: OBJECT:read:ANNEX:OFFSET,LENGTH. BadPacket."""
        parts = text.split(b":")
        if len(parts) < 4 or parts[1] != b"read" or parts[0] not in self._makers:
            return b""
        kind, annex = parts[0], b":".join(parts[2:-1])
        offset, length = numbers(parts[-1], 2)
        key = kind, annex
        if offset == 0 or key not in self._documents:
            made = self._makers[kind](annex)
            if made is None:
                return b"E00"
            self._documents = {key: made.encode("utf-8", "surrogateescape")}
        whole = self._documents[key]
        if offset > len(whole) or not length:
            return BAD_PACKET
        piece = whole[offset : offset + length]
        return (b"l" if offset + length >= len(whole) else b"m") + piece

    def _executable(self) -> str | None:
        for module in self._debugger.modules():
            if module.number == KERNEL:
                path = self._shadow(module)
                return None if path is None else str(path)
        return None

    def _libraries(self) -> str:
        """User programs, with the address of their code. Their shadow ELFs are made for the
        addresses where they are, so GDB must not move anything."""
        lines = ["<library-list>"]
        for module in self._debugger.modules():
            if module.number == KERNEL or code_base(module.number) is None:
                continue
            path = self._shadow(module)
            if path is not None:
                name, base = quoteattr(str(path)), first_segment(path)
                lines.append(f'<library name={name}><segment address="{base:#x}"/></library>')
        return "\n".join([*lines, "</library-list>"])


def first_segment(path: Path) -> int:
    """Address of the first loadable segment of an ELF32 file: where GDB takes it to be linked.
    0 if there is none, or no such file."""
    try:
        with path.open("rb") as file:
            head = file.read(_EHDR.size)
            if len(head) < _EHDR.size or head[:4] != b"\x7fELF":
                return 0
            table, size, count = _EHDR.unpack(head)
            file.seek(table)
            data = file.read(size * count)
    except OSError:
        return 0
    for start in range(0, len(data) - _PHDR.size + 1, max(size, _PHDR.size)):
        kind, address = _PHDR.unpack_from(data, start)
        if kind == _PT_LOAD:
            return int(address)
    return 0
