"""The lines that are printed at start: what to type to attach a debugger."""

from __future__ import annotations

import shlex
from pathlib import Path

from wdbg.gdbstub.listener import LOOPBACK, Address
from wdbg.gdbstub.symbolfiles import script_of
from wdbg.runtime.sources import source_map

_ANY = frozenset({"0.0.0.0", "::"})


def endpoint(address: Address) -> str:
    """`[HOST]:PORT` as GDB and LLDB take it; a stub that listens everywhere is reached locally."""
    if address.host in _ANY or address.host == LOOPBACK:
        return f":{address.port}"
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"{host}:{address.port}"


def gdb_line(address: Address, elf: Path | None) -> str:
    """The command that starts GDB on a guest. With no shadow ELF it has no symbols; commands
    beside the ELF are read."""
    words = ["gdb"]
    if elf is not None:
        words.append(str(elf))
        script = script_of(elf)
        if script.is_file():
            words += ["-ex", f"source {script}"]
    return shlex.join([*words, "-ex", f"target remote {endpoint(address)}"])


def lldb_line(address: Address, kernel: Path | None = None) -> str:
    """The same for LLDB; with the kernel's file it also finds the sources."""
    words = ["lldb-22"]
    sources = source_map(kernel) if kernel is not None else {}
    if sources:
        pairs = shlex.join(str(word) for pair in sources.items() for word in pair)
        words += ["-o", f"settings set target.source-map {pairs}"]
    return shlex.join([*words, "-o", lldb_connect(address)])


def lldb_connect(address: Address) -> str:
    """LLDB's command that attaches it."""
    host = LOOPBACK if address.host in _ANY else address.host
    host = f"[{host}]" if ":" in host else host
    return f"process connect --plugin wasm connect://{host}:{address.port}"
