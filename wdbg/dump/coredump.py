"""A dump as a WebAssembly core dump, as the tool conventions describe it (Coredump.md): a module
whose custom sections hold processes, threads, frames and globals, and whose data is the memory.

Written are "core" (the name of what crashed), "coremodules", "coreinstances" and one "corestack"
for each task. Of a frame's values, those that are not known are of the kind "missing".
"""

from __future__ import annotations

from typing import BinaryIO

from symbols.wasm.leb import encode_signed, encode_unsigned
from wdbg.dump.snapshot import Snapshot
from wdbg.dump.state import FrameState, TaskState

_PIECE = 64 << 10
_MISSING, _I32, _I64 = 0x01, 0x7F, 0x7E
_MOST_LOCALS = 1000


def write_coredump(snapshot: Snapshot, file: BinaryIO) -> None:
    """Write the module. Frames of modules that are not known are left out."""
    file.write(b"\0asm\1\0\0\0")
    name = snapshot.modules[0].name if snapshot.modules else "kernel"
    _custom(file, "core", b"\0" + _name(name))
    modules = [b"\0" + _name(_file_name(snapshot, number)) for number in _numbers(snapshot)]
    _custom(file, "coremodules", _vector(modules))
    instances = [
        b"\0" + encode_unsigned(place) + _vector([encode_unsigned(0)]) + _vector([])
        for place, _ in enumerate(_numbers(snapshot))
    ]
    _custom(file, "coreinstances", _vector(instances))
    places = {number: place for place, number in enumerate(_numbers(snapshot))}
    for task in snapshot.tasks.values():
        frames = [
            _frame(snapshot, frame, places[frame.module], outer=level > 0)
            for level, frame in enumerate(task.frames)
            if frame.module in places
        ]
        _custom(file, "corestack", b"\0" + _name(_task_name(snapshot, task)) + _vector(frames))
    pages = -(-snapshot.memory.size() // (64 << 10))
    _section(file, 5, _vector([b"\0" + encode_unsigned(pages)]))
    _data(snapshot, file)


def _numbers(snapshot: Snapshot) -> list[int]:
    return [module.number for module in snapshot.modules]


def _file_name(snapshot: Snapshot, number: int) -> str:
    module = next(m for m in snapshot.modules if m.number == number)
    return str(module.path) if module.path is not None else module.name


def _task_name(snapshot: Snapshot, task: TaskState) -> str:
    facts = snapshot.facts.get(task.address)
    return f"{facts.comm} {facts.pid}" if facts is not None else task.name


def _frame(snapshot: Snapshot, frame: FrameState, instance: int, *, outer: bool) -> bytes:
    """funcidx and offset in the function's code; an outer frame's offset is after its call."""
    index = snapshot.index.function_at(frame.offset - outer) if snapshot.index else None
    function = index.index if index is not None and not frame.module else 0
    known = frame.locals
    count = min(max(known, default=-1) + 1, _MOST_LOCALS)
    locals_ = [_value(known.get(number)) for number in range(count)]
    slots = min(max(frame.operands, default=-1) + 1, _MOST_LOCALS)
    operands = [_value(frame.operands.get(number)) for number in range(slots)]
    offset = max(0, frame.offset - frame.start)
    head = b"\0" + encode_unsigned(instance) + encode_unsigned(function) + encode_unsigned(offset)
    return head + _vector(locals_) + _vector(operands)


def _value(value: int | None) -> bytes:
    """The width is not kept: what needs more than 32 bits is an i64."""
    if value is None:
        return bytes((_MISSING,))
    if value < 1 << 32:
        return bytes((_I32,)) + encode_signed(value - (1 << 32) if value >> 31 else value)
    return bytes((_I64,)) + encode_signed(value - (1 << 64) if value >> 63 else value)


def _data(snapshot: Snapshot, file: BinaryIO) -> None:
    """The data section: an active segment for each piece that is not zero."""
    memory = snapshot.memory
    starts = [
        start
        for start in range(0, memory.size(), _PIECE)
        if any(memory.read(start, min(_PIECE, memory.size() - start)))
    ]
    heads = [b"\0\x41" + encode_signed(_i32(start)) + b"\x0b" for start in starts]
    sizes = [min(_PIECE, memory.size() - start) for start in starts]
    body = sum(
        len(head) + len(encode_unsigned(size)) + size
        for head, size in zip(heads, sizes, strict=True)
    )
    count = encode_unsigned(len(starts))
    file.write(b"\x0b" + encode_unsigned(body + len(count)) + count)
    for start, head, size in zip(starts, heads, sizes, strict=True):
        file.write(head + encode_unsigned(size) + memory.read(start, size))


def _i32(value: int) -> int:
    return value - (1 << 32) if value >> 31 else value


def _vector(items: list[bytes]) -> bytes:
    return encode_unsigned(len(items)) + b"".join(items)


def _name(text: str) -> bytes:
    raw = text.encode("utf-8", "replace")
    return encode_unsigned(len(raw)) + raw


def _section(file: BinaryIO, number: int, contents: bytes) -> None:
    file.write(bytes((number,)) + encode_unsigned(len(contents)) + contents)


def _custom(file: BinaryIO, name: str, contents: bytes) -> None:
    _section(file, 0, _name(name) + contents)
