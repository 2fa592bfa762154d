"""What GDB loads to debug a guest: the kernel's shadow ELF, and commands that set GDB up."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from symbols.errors import SymbolsError
from symbols.shadow.build import shadow_elf
from symbols.shadow.cache import cached_elf, write_whole
from symbols.shadow.gdbscript import gdb_script
from symbols.wasm.module import Module
from wdbg.errors import BadInput
from wdbg.runtime.sources import PROGRAM_PREFIX, SOURCE_PREFIX, kernel_source

_SCRIPTS = Path(__file__).resolve().parent / "scripts"


@dataclass(frozen=True, slots=True)
class GdbFiles:
    """Files for one kernel."""

    elf: Path
    script: Path
    """Commands: `gdb -x SCRIPT -ex 'target remote :PORT'` is all that a session needs."""


def gdb_files(kernel: Path) -> GdbFiles:
    """The ELF and the commands for a kernel, made if the cache lacks them.

    Malformed DWARF is told on standard error, and left out. BadInput if the file is no module, or
    the cache cannot be written.
    """
    try:
        elf = cached_elf(kernel, damaged=_warning(kernel))
        return GdbFiles(elf, write_script(kernel, elf))
    except SymbolsError as error:
        raise BadInput(f"{kernel}: {error}") from None
    except OSError as error:
        hint = "set XDG_CACHE_HOME to a directory that can be written"
        raise BadInput(f"cannot make GDB's files for {kernel}: {error}", hint) from None


def program_elf(program: Path, number: int) -> Path:
    """The ELF of a user program which the guest loaded as module `number`; raises like
    `gdb_files`."""
    try:
        return cached_elf(program, number, damaged=_warning(program))
    except SymbolsError as error:
        raise BadInput(f"{program}: {error}") from None
    except OSError as error:
        raise BadInput(f"cannot make GDB's file for {program}: {error}") from None


def write_elf(kernel: Path, out: Path) -> GdbFiles:
    """Write the ELF of a kernel to `out`, and the commands beside it. BadInput also for malformed
    DWARF."""
    try:
        write_whole(out, shadow_elf(Module(kernel.read_bytes())))
        return GdbFiles(out, write_script(kernel, out))
    except SymbolsError as error:
        raise BadInput(f"{kernel}: {error}") from None
    except OSError as error:
        raise BadInput(f"cannot write {out}: {error}") from None


def _warning(module: Path) -> Callable[[str], None]:
    def warn(problem: str) -> None:
        print(f"wdbg: {module.name}: GDB gets names only: {problem}", file=sys.stderr)

    return warn


def script_of(elf: Path) -> Path:
    """Where an ELF's commands are."""
    return elf.with_name(f"{elf.name}.gdb")


def write_script(kernel: Path, elf: Path) -> Path:
    """Write the commands for a kernel beside its ELF, as the ELF's name and ".gdb". OSError if that
    cannot be done."""
    kernel, elf = kernel.resolve(), elf.resolve()
    guest = kernel.parent
    sources = {}
    source = kernel_source(guest)
    if source is not None:
        sources[SOURCE_PREFIX] = source
        sources[PROGRAM_PREFIX] = source
    programs = guest / "sources"
    entry = guest / "gdb" / "vmlinux-gdb.py"
    scripts = [entry, _SCRIPTS / "wdbg_gdb.py"] if entry.is_file() else []
    try:
        text = gdb_script(
            elf=elf,
            sources=sources,
            directories=[programs] if programs.is_dir() else [],
            scripts=scripts,
        )
    except ValueError as error:
        raise BadInput(str(error)) from None
    script = script_of(elf)
    write_whole(script, text.encode())
    return script


def core_script(kernel: Path, programs: Sequence[tuple[Path, int]], core: Path) -> Path:
    """Write GDB's commands for a core file beside it: its ELF files, the kernel's commands, the
    core. Raises like `gdb_files`."""
    files = gdb_files(kernel)
    lines = [f"file {files.elf}", f"source {files.script}"]
    lines += ["set osabi GNU/Linux", "set confirm off"]  # GDB knows i386 cores of that one only
    lines += [f"add-symbol-file {program_elf(path, number)}" for path, number in programs]
    lines += ["set confirm on", f"core-file {core.resolve()}"]
    script = core.with_name(f"{core.name}.gdb")
    if any(not line.isprintable() for line in lines):
        raise BadInput(f"{core}: GDB cannot be given such a path")
    try:
        write_whole(script, "".join(f"{line}\n" for line in lines).encode())
    except OSError as error:
        raise BadInput(f"cannot write {script}: {error}") from None
    return script
