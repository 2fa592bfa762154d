"""What a trace's writer is told of a kernel: its functions, and its lock classes.

Both take a second or so to find out and depend on the kernel alone: they are kept in the cache.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path

from symbols.dwarf.index import Index
from symbols.errors import SymbolsError
from symbols.wasm.leb import decode_s32
from symbols.wasm.module import Module
from wdbg.errors import BadInput
from wdbg.instrument.cache import cache_root
from wdbg.instrument.result import FunctionTable
from wdbg.linux.lockclasses import lock_classes
from wdbg.trace.feed import FunctionRow, LockClassRow

TABLE_VERSION = 1
"""Of the tables in the cache: raise it when they change."""


def function_table(
    digest: str, module: bytes, functions: FunctionTable, index: Index | None
) -> Path:
    """The JSON file with all functions that a trace's writer copies. ``digest`` is the module's,
    hexadecimal. BadInput if it cannot be kept."""
    path = _place("functions", digest)
    if not path.is_file():
        _store(path, [asdict(row) for row in _function_rows(module, functions, index)])
    return path


def class_rows(digest: str, module: bytes, index: Index | None) -> list[LockClassRow]:
    """The places where locks are initialised. BadInput if they cannot be kept."""
    path = _place("classes", digest)
    try:
        return [LockClassRow(**row) for row in json.loads(path.read_bytes())]
    except (OSError, ValueError, TypeError):
        pass  # not there yet, or damaged
    rows = lock_classes(module, index)
    _store(path, [asdict(row) for row in rows])
    return rows


def _place(what: str, digest: str) -> Path:
    return cache_root() / "trace" / f"{what}-{digest[:32]}-{TABLE_VERSION}.json"


def _store(path: Path, value: object) -> None:
    """Write a file of the cache: it is whole or absent."""
    text = json.dumps(value)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as new:
            new.write(text)
        os.replace(new.name, path)
    except OSError as error:
        hint = "set XDG_CACHE_HOME to a directory that can be written"
        raise BadInput(f"cannot write {path}: {error.strerror}", hint) from None


def _function_rows(
    module: bytes, functions: FunctionTable, index: Index | None
) -> list[FunctionRow]:
    pointers = _table_indices(module)
    sources: dict[int, tuple[str, int]] = {}
    if index is not None:
        sources = {f.index: (f.file, f.line) for f in index.functions()}
    rows = []
    for number in range(len(functions)):
        start = functions.start(number)
        if start is not None:
            file, line = sources.get(number, ("", 0))
            name, size = functions.name(number), functions.size(number)
            rows.append(FunctionRow(number, name, file, line, start, size, pointers.get(number, 0)))
    return rows


def _table_indices(data: bytes) -> dict[int, int]:
    """Index in the first table of each function that the element segments put there."""
    found: dict[int, int] = {}
    try:
        for element in Module(data).elements:
            if element.offset is None or element.table or element.functions is None:
                continue
            start, end = element.offset
            if data[start] == 0x41:  # i32.const
                base, _ = decode_s32(data, start + 1, end)
                for at, function in enumerate(element.functions):
                    found.setdefault(function, base + at)
    except SymbolsError:
        pass  # a module without readable tables: pointers stay numbers
    return found
