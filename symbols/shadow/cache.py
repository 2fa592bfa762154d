"""The ELF files on disk: made once for each module, and again when this package has changed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from symbols.dwarf.index import cache_directory
from symbols.errors import SymbolsError
from symbols.shadow.build import shadow
from symbols.shadow.gdbindex import gdb_index
from symbols.wasm.module import Module

KEEP = 24
"""ELF files that stay; the ones not used for longest go."""

_PREFIX = "elf-"


_DAMAGE = "damage"


def cached_elf(
    path: Path,
    number: int = 0,
    cache: Path | None = None,
    damaged: Callable[[str], None] = lambda _: None,
    *,
    index: bool = True,
) -> Path:
    """The ELF of the module in file `path`, which the guest loaded as number `number` (0: the
    kernel, programs from 1), in a directory of its own; `cache` is the directory of all. It has the
    module's name without the suffix: scripts of the kernel look for "vmlinux".

    With `index` it has GDB's own index, if there is a GDB to make one: GDB starts sooner by most
    of a second. If the DWARF is malformed, `damaged` is told how, and the file has names only.

    SymbolsError if the file is no module; OSError if it cannot be read or the cache cannot be
    written.
    """
    data = path.read_bytes()
    root = cache or cache_directory()
    key = hashlib.sha256(hashlib.sha256(data).digest() + _version() + bytes((number & 0xFF, index)))
    place = root / f"{_PREFIX}{key.hexdigest()[:40]}"
    elf = place / path.stem
    if elf.is_file():
        with contextlib.suppress(OSError):
            os.utime(place)
        with contextlib.suppress(FileNotFoundError):
            damaged((place / _DAMAGE).read_text())
        return elf
    module = Module(data)
    place.mkdir(parents=True, exist_ok=True)
    try:
        parts = shadow(module, number)
    except SymbolsError as error:
        parts = shadow(module, number, dwarf=False)
        damaged(str(error))
        write_whole(place / _DAMAGE, str(error).encode())
    contents = parts.write()
    if index:
        contents = parts.write(gdb_index(contents, place))
    write_whole(elf, contents)
    _tidy(root)
    return elf


def write_whole(path: Path, contents: bytes) -> None:
    """Write a file so that nobody ever sees half of it; OSError if that cannot be done."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(contents)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@lru_cache(maxsize=1)
def _version() -> bytes:
    """Digest of the sources that decide what the file looks like."""
    digest = hashlib.sha256()
    here = Path(__file__).resolve().parent
    for directory in (here, here.parent / "wasm"):
        for source in sorted(directory.glob("*.py")):
            digest.update(source.name.encode() + b"\0" + source.read_bytes())
    return digest.digest()


def _tidy(root: Path) -> None:
    entries = []
    for entry in root.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            entries.append((entry.stat().st_mtime, entry))
    for _, entry in sorted(entries, reverse=True)[KEEP:]:
        shutil.rmtree(entry, ignore_errors=True)
