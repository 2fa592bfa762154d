"""A core file that stock GDB opens beside the shadow ELF: an i386 one that never was.

GDB sees the same address space as at the stub (`symbols.shadow.addresses`): guest memory, code
that reads as one byte, and frame records. A part of a record that nobody knows is in no segment,
so that GDB says that it cannot access it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from symbols.shadow.addresses import (
    CODE_BYTE,
    HOST_BASE,
    HOST_SIZE,
    MEMORY_LIMIT,
    code_base,
    frame_area,
    frame_slot,
)
from symbols.shadow.frames import RECORD_SIZE, Slot, position
from wdbg.debugger.model import DebugError, Debugger
from wdbg.errors import BadInput
from wdbg.gdbstub.gdb.entries import Entries
from wdbg.gdbstub.gdb.registers import EBP, EBX, EDI, EFLAGS, EIP, ESI, ESP, RegisterFile
from wdbg.gdbstub.gdb.stacks import Stacks
from wdbg.gdbstub.gdb.threads import ordered
from wdbg.gdbstub.points import Points

_HEADER = struct.Struct("<16sHHIIIIIHHHHHH")
_SEGMENT = struct.Struct("<IIIIIIII")
_PRSTATUS = struct.Struct("<iiihHIIiiii32s17II")
_ET_CORE, _EM_386, _PT_LOAD, _PT_NOTE, _NT_PRSTATUS = 4, 3, 1, 4, 1
_MOST_SEGMENTS = 0xFFFE
_PIECE = 1 << 20
_ABORT = 6


@dataclass(frozen=True, slots=True)
class _Part:
    """A segment that is held in memory."""

    address: int
    data: bytes


def write_core(debugger: Debugger, memory_size: int, file: BinaryIO) -> None:
    """Write the core of a guest that stands still. BadInput if GDB's space has no room for it."""
    if memory_size > MEMORY_LIMIT:
        raise BadInput(f"GDB's address space has room for {MEMORY_LIMIT >> 20} MiB of memory")
    stacks = Stacks(debugger, Entries(debugger, Points(debugger)))
    registers = RegisterFile(debugger, stacks)
    notes = b"".join(_note(_status(registers, thread.tid)) for thread in ordered(debugger))
    parts = [_Part(HOST_BASE, CODE_BYTE * HOST_SIZE)]
    for module in debugger.modules():
        base = code_base(module.number)
        if base is not None and module.code_size:
            parts.append(_Part(base, CODE_BYTE * module.code_size))
    for thread in debugger.threads():
        parts += _frames(stacks, thread.tid)
    count = len(parts) + 2
    if count > _MOST_SEGMENTS:
        raise BadInput("too many frames for a core file")
    offset = _HEADER.size + count * _SEGMENT.size
    rows = [_SEGMENT.pack(_PT_NOTE, offset, 0, 0, len(notes), 0, 4, 4)]
    offset += len(notes)
    for part in parts:
        size = len(part.data)
        rows.append(_SEGMENT.pack(_PT_LOAD, offset, part.address, 0, size, size, 7, 1))
        offset += size
    offset = -(-offset // 4096) * 4096
    rows.append(_SEGMENT.pack(_PT_LOAD, offset, 0, 0, memory_size, memory_size, 6, 1))
    identity = b"\x7fELF\1\1\1".ljust(16, b"\0")
    file.write(
        _HEADER.pack(
            identity, _ET_CORE, _EM_386, 1, 0, _HEADER.size, 0, 0, _HEADER.size, _SEGMENT.size,
            count, 0, 0, 0,
        )
    )  # fmt: skip
    file.write(b"".join(rows) + notes + b"".join(part.data for part in parts))
    _memory(debugger, memory_size, offset, file)


def _memory(debugger: Debugger, size: int, offset: int, file: BinaryIO) -> None:
    """Guest memory at a file offset; what is zero, or damaged, is a hole."""
    for address in range(0, size, _PIECE):
        try:
            data = debugger.read_memory(address, min(_PIECE, size - address))
        except DebugError:
            continue
        if data.count(0) < len(data):
            file.seek(offset + address)
            file.write(data)
    file.truncate(offset + size)


def _note(description: bytes) -> bytes:
    head = struct.pack("<III", 5, len(description), _NT_PRSTATUS)
    return head + b"CORE\0\0\0\0" + description + bytes(-len(description) % 4)


def _status(registers: RegisterFile, tid: int) -> bytes:
    """struct elf_prstatus of i386."""

    def value(number: int) -> int:
        return registers.value(tid, number) or 0

    words = [
        value(EBX), 0, 0, value(ESI), value(EDI), value(EBP), 0, 0, 0, 0, 0, 0xFFFF_FFFF,
        value(EIP), 0, value(EFLAGS), value(ESP), 0,
    ]  # fmt: skip
    return _PRSTATUS.pack(_ABORT, 0, 0, _ABORT, 0, 0, 0, tid, 1, 1, 1, bytes(32), *words, 0)


def _frames(stacks: Stacks, tid: int) -> Iterator[_Part]:
    """The known parts of a task's frame records."""
    frames = stacks.frames(tid)
    inner = stacks.registers(tid).ebp
    slot = frame_slot(inner) if frames else None
    if slot is None:
        return
    address, end = inner - inner % RECORD_SIZE - RECORD_SIZE, frame_area(slot)[1]
    start, held = address, b""
    while address < end:
        data = stacks.read(address, end - address)
        if data:
            held = held + data if held else data
            address += len(data)
            continue
        if held:
            yield _Part(start, held)
            held = b""
        where = position(address)
        is_value = where is not None and where.slot in (Slot.LOCAL, Slot.OPERAND)
        address += 8 - where.byte if is_value and where is not None else 4
        start = address
    if held:
        yield _Part(start, held)
