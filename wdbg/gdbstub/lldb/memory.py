"""LLDB's memory packets: guest memory, and the files of modules as memory of their own kind."""

from __future__ import annotations

import re

from wdbg.debugger.model import DebugError, Debugger
from wdbg.gdbstub.lldb.address import CODE, is_memory, module_address, split_address
from wdbg.gdbstub.lldb.modules import Modules
from wdbg.gdbstub.rsp import PACKET_SIZE

LONGEST_READ = PACKET_SIZE // 2 - 16
"""Bytes that fit into one reply, in hex."""
PAGE = 0x10000
_LAST = 1 << 32
_RANGE = re.compile(r"([0-9a-fA-F]{1,16}),([0-9a-fA-F]{1,16})\Z")


def parse_range(text: str) -> tuple[int, int]:
    """`ADDRESS,LENGTH` in hex; DebugError for anything else."""
    match = _RANGE.match(text)
    if match is None:
        raise DebugError(f"{text[:40]!r} is no address and length")
    return int(match[1], 16), int(match[2], 16)


def read(debugger: Debugger, modules: Modules, address: int, length: int) -> bytes:
    """What is there, at most LONGEST_READ bytes; DebugError if nothing is."""
    length = min(length, LONGEST_READ)
    if not length:
        return b""
    if is_memory(address):
        return debugger.read_memory(address, min(length, _LAST - address))
    data = modules.read(debugger, address, length)
    if not data:
        raise DebugError(f"nothing at {address:#x}")
    return data


def write(debugger: Debugger, address: int, data: bytes) -> None:
    """DebugError for what cannot be written."""
    if split_address(address) is not None:
        raise DebugError("code cannot be written")
    if not is_memory(address) or address + len(data) > _LAST:
        raise DebugError(f"nothing at {address:#x}")
    if data:
        debugger.write_memory(address, data)


def region(debugger: Debugger, modules: Modules, address: int) -> str:
    """Answer to qMemoryRegionInfo."""
    if is_memory(address):
        size = memory_size(debugger)
        if address < size:
            return f"start:0;size:{size:x};permissions:rw;name:{b'guest memory'.hex()};"
        return f"start:{size:x};size:{CODE - size:x};"
    parts = split_address(address)
    if parts is not None:
        start, size = module_address(parts[0]), modules.file_size(debugger, parts[0])
        info = modules.info(debugger, parts[0])
        if parts[1] < size and info is not None:
            return f"start:{start:x};size:{size:x};permissions:rx;name:{info.name.encode().hex()};"
        return f"start:{start + size:x};size:{_LAST - size:x};"
    return f"start:{address & 3 << 62:x};size:{1 << 62:x};"


def memory_size(debugger: Debugger) -> int:
    """Bytes of guest memory, to the page: found by trying, since front ends are not told."""
    low, high = 0, _LAST // PAGE  # `low` pages exist, a page number `high` does not
    while low < high:
        middle = (low + high) // 2
        try:
            exists = bool(debugger.read_memory(middle * PAGE, 1))
        except DebugError:
            exists = False
        if exists:
            low = middle + 1
        else:
            high = middle
    return low * PAGE
