"""The file of a module that LLDB reads: the original with three things changed in place.

LLDB 22 reads modules in ways that are wrong for ours, so it gets a copy where it cannot err:

* It counts imported functions wrongly when other things are imported before them, and then
  finds every symbol at another function's address: a breakpoint by name gets a second location
  at a stranger. The copy imports functions only.
* It takes the file offsets of passive data segments for guest addresses. The copy has none.
* A program finds its data through a global of its instance, and LLDB asks for the global of the
  *selected frame*, which may be the kernel's. In the copy such an index says whose global it is
  (see `tagged_global`).

Nothing moves: code offsets, file offsets and all else in the DWARF are those of the original.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
from pathlib import Path

from symbols.errors import SymbolsError
from symbols.wasm.container import SectionId, write_name
from symbols.wasm.leb import encode_unsigned
from symbols.wasm.module import Module
from symbols.wasm.types import Kind
from wdbg.errors import BadInput, WdbgError

_FORMAT = 1
"""Part of the cache key: raise it when the changes change."""

_TAG = 1 << 29
_INDEX_BITS = 12
_MOST_MODULES = 1 << 16

# DW_OP_WASM_location, kind 3 (a global), its index in 4 bytes; DW_OP_addr, its operand; DW_OP_plus.
_BASE_PLUS_ADDRESS = re.compile(rb"\xed\x03(..\0\0)(?=\x03.{4}\x22)", re.DOTALL)


def tagged_global(module: int, index: int) -> int:
    """A number that stands for a global of a certain module in LLDB's requests."""
    return _TAG | module << _INDEX_BITS | index


def split_global(index: int) -> tuple[int, int] | None:
    """(module, global) of a tagged number; None if it is a plain index."""
    if not index & _TAG:
        return None
    return index >> _INDEX_BITS & _MOST_MODULES - 1, index & (1 << _INDEX_BITS) - 1


def changed(data: bytes, number: int) -> bytes:
    """The copy of a module's file for LLDB; `number` is the module's. Where the module is
    malformed it stays as it is."""
    out = bytearray(data)
    try:
        module = Module(data)
        imports = module.section(SectionId.IMPORT)
        if imports is not None:
            functions = module.imported(Kind.FUNCTION)
            contents = encode_unsigned(len(functions)) + b"".join(
                write_name(entry.module) + write_name(entry.name) + data[slice(*entry.descriptor)]
                for entry in functions
            )
            size = imports.end - imports.start
            out[imports.start : imports.end] = contents[:size].ljust(size, b"\0")
        segments = module.section(SectionId.DATA)
        if segments is not None:
            out[segments.start : segments.end] = bytes(segments.end - segments.start)
        if number:
            for name in (".debug_info", ".debug_loc", ".debug_loclists"):
                section = module.dwarf.get(name)
                if section is not None:
                    _tag_globals(out, section.start, section.end, number)
    except SymbolsError:
        return bytes(out)
    return bytes(out)


def _tag_globals(out: bytearray, start: int, end: int, number: int) -> None:
    """Say whose global it is, where the DWARF adds one to an address."""

    def tag(match: re.Match[bytes]) -> bytes:
        (index,) = struct.unpack("<I", match[1])
        if index >> _INDEX_BITS or number >= _MOST_MODULES:
            return match[0]
        return match[0][:2] + struct.pack("<I", tagged_global(number, index))

    out[start:end] = _BASE_PLUS_ADDRESS.sub(tag, bytes(out[start:end]))


def view_of(path: Path, number: int, cache: Path) -> Path:
    """Path of the copy of the module file `path`, made unless `cache` has it.

    The file keeps its name, for LLDB shows it. BadInput if the original cannot be read, WdbgError
    if the cache cannot be written.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror or error}") from error
    digest = hashlib.sha256(b"%d %d " % (_FORMAT, number))
    digest.update(data)
    view = cache / digest.hexdigest()[:32] / path.name
    try:
        if view.is_file() and view.stat().st_size == len(data):
            return view
        view.parent.mkdir(parents=True, exist_ok=True)
        temporary = view.with_name(f".{view.name}.{os.getpid()}")
        temporary.write_bytes(changed(data, number))
        temporary.replace(view)
    except OSError as error:
        where = error.filename or view
        raise WdbgError(f"cannot write {where}: {error.strerror or error}") from error
    return view
