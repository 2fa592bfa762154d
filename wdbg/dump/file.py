"""Snapshots as files: `write_dump` and `read_dump`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from symbols.dwarf.index import Index, cache_directory
from symbols.shadow.cache import write_whole
from wdbg.dump.container import DumpError, Reader, Writer, replacing
from wdbg.dump.encode import Malformed, decode, encode
from wdbg.dump.pages import DumpMemory, pack_memory
from wdbg.dump.snapshot import Snapshot
from wdbg.dump.state import Memory, ModuleState
from wdbg.errors import WdbgError
from wdbg.runtime.guest import guest_root
from wdbg.runtime.memory import GuestMemory
from wdbg.runtime.symbolindex import open_index

CONSOLE_LIMIT = 64 << 10
"""Bytes of the console that are kept."""
PROGRAM_LIMIT = 16 << 20
"""Largest program whose file goes into a dump; the kernel's never does."""
TRACE_LIMIT = 64 << 20
_TEXT_LIMIT = 64 << 20
_CORE = frozenset({"state", "pages", "memory", "console"})


def write_dump(path: Path, snapshot: Snapshot, parts: Mapping[str, bytes] | None = None) -> None:
    """Write a snapshot; `parts` are further sections. WdbgError if that cannot be done: there is
    no file then, or the old one."""
    with replacing(path) as file:
        writer = Writer(file)
        writer.add("state", encode(snapshot))
        table = writer.stream("memory", lambda put: pack_memory(_view(snapshot.memory), put))
        writer.add("pages", table)
        writer.add("console", snapshot.console[-CONSOLE_LIMIT:])
        for module in snapshot.modules[1:]:
            data = _file(module)
            if data:
                writer.add(f"module{module.number}", data)
        for name, data in {**snapshot.sections, **(parts or {})}.items():
            if not name.startswith("module"):
                writer.add(name, data, packed=name != "trace")
        writer.finish()


def _view(memory: Memory) -> memoryview:
    if isinstance(memory, GuestMemory):
        return memory.view()
    return memoryview(memory.read(0, memory.size()))


def _file(module: ModuleState) -> bytes:
    """A program's file, if it is small and still what it was."""
    if module.path is None or not 0 < module.size <= PROGRAM_LIMIT:
        return b""
    try:
        data = module.path.read_bytes()
    except OSError:
        return b""
    return data if hashlib.sha256(data).hexdigest() == module.digest else b""


def read_dump(path: Path, kernel: Path | None = None) -> Snapshot:
    """The snapshot in a file; `kernel` is the file with the kernel's symbols if it is not where
    it was. What is damaged but not needed is left out, with a note.

    BadInput if there is no such file; DumpError if it is no dump, or its state is damaged.
    """
    reader = Reader(path)
    try:
        fields, size = decode(reader.read("state", _TEXT_LIMIT))
        table = reader.read("pages")
        section = reader.sections.get("memory")
        if section is None:
            raise Malformed("the dump has no memory")
        base = section.offset
        memory = DumpMemory(
            size, table, section.stored, lambda offset, n: reader.at(base + offset, n)
        )
    except (Malformed, ValueError) as error:
        raise DumpError(f"{path}: {error}") from None
    notes = list(fields.pop("notes"))
    parts: dict[str, bytes] = {}
    for name in reader.sections:
        if name not in _CORE - {"console"}:
            try:
                parts[name] = reader.read(name, TRACE_LIMIT if name == "trace" else PROGRAM_LIMIT)
            except DumpError as error:
                notes.append(error.message)
    modules, index = _modules(fields.pop("modules"), parts, kernel, notes)
    return Snapshot(
        memory=memory,
        modules=modules,
        console=parts.pop("console", b""),
        index=index,
        notes=tuple(notes),
        sections=parts,
        **fields,
    )


# ---- symbols


def _modules(
    found: tuple[ModuleState, ...],
    parts: Mapping[str, bytes],
    kernel: Path | None,
    notes: list[str],
) -> tuple[tuple[ModuleState, ...], Index | None]:
    """The modules with paths that are right here and now, and the kernel's index."""
    modules = []
    index = None
    for module in found:
        path = _find(module, parts.get(f"module{module.number}", b""), kernel)
        if path is None and module.number == 0:
            what = module.digest[:12] or module.name
            notes.append(
                f"the kernel {what} is not here: no types and lines (--kernel FILE names it)"
            )
        modules.append(replace(module, path=path))
        if module.number == 0 and path is not None:
            try:
                index = open_index(path)
            except WdbgError as error:
                notes.append(error.message)
    return tuple(modules), index


def _find(module: ModuleState, contents: bytes, kernel: Path | None) -> Path | None:
    """Where a module's file is: where it was, among the built guests, or unpacked."""
    if not module.digest:
        return None
    wanted = [module.path] if module.path is not None else []
    if module.number == 0:
        wanted = [kernel] if kernel is not None else wanted
        wanted += sorted(guest_root().glob("*/vmlinux.wasm"))
    for path in wanted:
        if _is(path, module):
            return path
    if not contents or hashlib.sha256(contents).hexdigest() != module.digest:
        return None
    # The digest is that of the contents: it is hexadecimal, and names no other place.
    place = cache_directory() / "programs" / module.digest / f"{_safe(module.name)}.wasm"
    try:
        if not _is(place, module):
            place.parent.mkdir(parents=True, exist_ok=True)
            write_whole(place, contents)
    except OSError:
        return None
    return place


def _safe(name: str) -> str:
    return "".join(c for c in name if c.isascii() and (c.isalnum() or c in "-_"))[:40] or "program"


def _is(path: Path, module: ModuleState) -> bool:
    try:
        if not path.is_file() or path.stat().st_size != module.size:
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == module.digest
    except (OSError, ValueError):
        return False
