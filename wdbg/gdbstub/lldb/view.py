"""The files that LLDB reads in place of a module's, kept in the cache: see `symbols.lldb.image`
and `padding`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from symbols.errors import SymbolsError
from symbols.lldb.image import image
from symbols.lldb.table import Table
from symbols.wasm.module import Module
from wdbg.errors import BadInput, WdbgError
from wdbg.gdbstub.lldb.padding import pad_calls

_FORMAT = 3
"""Part of the cache key: raise it when what `image` makes changes."""
_TABLE = ".registers"
_KEEP = 24
"""Views in the cache; a kernel's has 20 MB."""


@dataclass(frozen=True, slots=True)
class View:
    """A module as LLDB sees it."""

    path: Path
    """It has the original's name, for LLDB shows that."""
    table: Table


def view_of(path: Path, number: int, cache: Path) -> View:
    """The view of the module file `path`, made unless `cache` has it: a second for a kernel.

    BadInput if the original cannot be read, WdbgError if the cache cannot be written.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror or error}") from error
    digest = hashlib.sha256(b"%d %d " % (_FORMAT, number))
    digest.update(data)
    copy = cache / digest.hexdigest()[:32] / path.name
    registers = copy.with_name(copy.name + _TABLE)
    try:
        if copy.stat().st_size == len(data):
            os.utime(copy.parent)
            return View(copy, Table.unpack(registers.read_bytes()))
    except (OSError, SymbolsError):
        pass  # not there, or not whole
    changed, table = _changed(data, number)
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        _store(registers, table.pack())
        _store(copy, changed)
    except OSError as error:
        where = error.filename or copy
        raise WdbgError(f"cannot write {where}: {error.strerror or error}") from error
    _tidy(cache)
    return View(copy, table)


def _changed(data: bytes, number: int) -> tuple[bytes, Table]:
    copy, table = image(data, number)
    out = bytearray(copy)
    try:
        pad_calls(Module(data), out)
    except SymbolsError:
        return copy, table
    return bytes(out), table


def _tidy(cache: Path) -> None:
    """Remove the views that were not used for longest, down to _KEEP."""
    try:
        views = sorted(
            (path for path in cache.iterdir() if path.is_dir()),
            key=lambda path: path.stat().st_mtime,
            reverse=True,
        )
    except OSError:
        return  # another process tidies as well
    for path in views[_KEEP:]:
        shutil.rmtree(path, ignore_errors=True)


def _store(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(data)
    temporary.replace(path)
