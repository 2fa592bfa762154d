# SPDX-License-Identifier: GPL-2.0 OR MIT
"""What the build needs to know of Wasm files: sections, stripping, rules for programs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

CUSTOM, IMPORT, EXPORT, DATA = 0, 2, 7, 11  # section numbers
SEGMENT_INFO = 5  # subsection of "linking" in an object file
EXTERNALS = (  # what every host gives a program
    r"env\.(memory|__memory_base|__table_base|__stack_pointer|__indirect_function_table|"
    r"__wasm_syscall_[0-6])"
)
WITH_ADDEND = {3, 4, 5, 8, 9, 11, 14, 15, 16, 17, 21, 22, 23, 25}  # relocation types
ENTRIES = {"_start", "__libc_clone_callback", "__libc_handle_signal", "__set_tls_base"}


class RuleBroken(Exception):
    """A program or object file that would not work; the message says why."""


@dataclass(frozen=True, slots=True)
class Section:
    """One section: its number, a custom section's name, and where it lies in the file."""

    kind: int
    name: str
    start: int
    body: int  # after the size, and after the name
    end: int


class Cursor:
    """Reads the container's primitive encodings one after the other."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data = data
        self.at = at

    def byte(self) -> int:
        """The next byte."""
        self.at += 1
        return self.data[self.at - 1]

    def leb(self) -> int:
        """Unsigned LEB128, or the low bits of a signed one."""
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return value

    def name(self) -> str:
        """A string with its length before it."""
        length = self.leb()
        self.at += length
        return self.data[self.at - length : self.at].decode()


def encode_leb(value: int) -> bytes:
    """Unsigned LEB128."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode_custom(name: str, text: str) -> bytes:
    """A custom section that holds one string."""
    body = b"".join(encode_leb(len(s)) + s for s in (name.encode(), text.encode()))
    return b"\0" + encode_leb(len(body)) + body


def sections(wasm: bytes) -> Iterator[Section]:
    """All sections in file order."""
    at = 8
    while at < len(wasm):
        start = at
        cursor = Cursor(wasm, at + 1)
        size = cursor.leb()
        at = cursor.at + size
        name = cursor.name() if wasm[start] == CUSTOM else ""
        yield Section(wasm[start], name, start, cursor.at, at)


def strip(wasm: bytes, debug_file: str) -> bytes:
    """Without DWARF, but with the name of the file that has it; code offsets stay as they are."""
    kept = (wasm[s.start : s.end] for s in sections(wasm) if not s.name.startswith(".debug_"))
    return wasm[:8] + b"".join(kept) + encode_custom("external_debug_info", debug_file)


def imports(wasm: bytes) -> Iterator[str]:
    """Names of all imports, "module.name"."""
    for section in sections(wasm):
        if section.kind != IMPORT:
            continue
        cursor = Cursor(wasm, section.body)
        for _ in range(cursor.leb()):
            yield f"{cursor.name()}.{cursor.name()}"
            kind = cursor.byte()
            if kind == 0:  # function: its type
                cursor.leb()
            elif kind == 3:  # global: its type, mutable or not
                cursor.at += 2
            else:  # table: reference type first; then limits
                cursor.at += kind == 1
                for _ in range(1 + (cursor.byte() & 1)):
                    cursor.leb()


def exports(wasm: bytes) -> Iterator[str]:
    """Names of all exports."""
    for section in sections(wasm):
        if section.kind != EXPORT:
            continue
        cursor = Cursor(wasm, section.body)
        for _ in range(cursor.leb()):
            yield cursor.name()
            cursor.byte()
            cursor.leb()


def check_program(wasm: bytes) -> None:
    """Raise RuleBroken unless every host can load the program."""
    unknown = sorted(i for i in imports(wasm) if not re.fullmatch(EXTERNALS, i))
    if unknown:
        raise RuleBroken(f"imports that no host offers: {', '.join(unknown)}")
    missing = sorted(ENTRIES - set(exports(wasm)))
    if missing:
        raise RuleBroken(f"no export {', '.join(missing)}")


def check_object(wasm: bytes) -> None:
    """Raise RuleBroken if a variable, as opposed to a constant, is initialised with an address.

    Hosts may relocate data in each new instance, a clone's too, and would reset such a variable.
    """
    segments: list[tuple[int, int]] = []  # offsets of the data in the section
    names: list[str] = []
    for section in sections(wasm):
        cursor = Cursor(wasm, section.body)
        if section.kind == DATA:
            for _ in range(cursor.leb()):
                if cursor.byte() == 0:  # active: i32.const OFFSET end
                    cursor.byte()
                    cursor.leb()
                    cursor.byte()
                size = cursor.leb()
                segments.append((cursor.at - section.body, size))
                cursor.at += size
        elif section.name == "linking":
            cursor.leb()
            while cursor.at < section.end:
                kind, size = cursor.byte(), cursor.leb()
                after = cursor.at + size
                if kind == SEGMENT_INFO:
                    for _ in range(cursor.leb()):
                        names.append(cursor.name())
                        cursor.leb()
                        cursor.leb()
                cursor.at = after
        elif section.name == "reloc.DATA":
            cursor.leb()
            for _ in range(cursor.leb()):
                kind, offset = cursor.byte(), cursor.leb()
                cursor.leb()
                if kind in WITH_ADDEND:
                    cursor.leb()
                for (start, size), name in zip(segments, names, strict=True):
                    if start <= offset < start + size and not name.startswith(
                        (".rodata", ".data.rel.ro")
                    ):
                        raise RuleBroken(f"the variable of {name} is initialised with an address")
