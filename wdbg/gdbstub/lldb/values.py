"""Wasm locals, globals and operands of frames, as LLDB's wasm plug-in asks for them.

LLDB 22 does not say of which thread a frame is. It is the one that was last named in a packet
about a stack or a register; LLDB names a thread when it first shows it after a stop.
"""

from __future__ import annotations

from wdbg.debugger.model import DebugError, Debugger, Frame
from wdbg.gdbstub.lldb.address import little_endian
from wdbg.gdbstub.lldb.modules import Modules
from wdbg.gdbstub.lldb.view import split_global

_MOST = 1 << 32


def value(debugger: Debugger, modules: Modules, tid: int, request: str) -> str:
    """Answer to qWasmLocal:F;I, qWasmStackValue:F;I and qWasmGlobal:F;I, where F is a frame's
    level and I an index, and to qWasmGlobal:I;instance:M of later versions.

    DebugError where the value is not known: LLDB then says so, rather than showing a wrong one.
    """
    kind, _, operands = request.partition(":")
    first, _, rest = operands.partition(";")
    if kind == "qWasmGlobal" and rest.startswith("instance:"):
        module = _number(rest.removeprefix("instance:").rstrip(";"))
        owner = split_global(_number(first)) or (module, _number(first))
        return _global(debugger, modules, tid, *owner, None)
    frame = _frame(debugger, tid, _number(first))
    index = _number(rest.rstrip(";"))
    module = frame.place.module
    if kind == "qWasmLocal":
        found = debugger.local(tid, frame.level, index)
        width = modules.code(debugger, module).local_width(frame.function_start, index)
        return _answer(found, width, f"local {index}")
    if kind == "qWasmStackValue":
        return _answer(debugger.operand(tid, frame.level, index), 8, f"operand {index}")
    tagged = split_global(index)
    if tagged is not None:
        return _global(debugger, modules, tid, *tagged, None)
    return _global(debugger, modules, tid, module, index, frame)


def _global(
    debugger: Debugger, modules: Modules, tid: int, module: int, index: int, frame: Frame | None
) -> str:
    code = modules.code(debugger, module)
    if frame is not None and index == code.stack_pointer:
        # The global has the innermost frame's value; DWARF means this frame's.
        found = frame.stack_pointer or None
        if found is None and frame.level == 0:
            found = debugger.global_value(tid, module, index)
    else:
        found = debugger.global_value(tid, module, index)
    return _answer(found, code.global_width(index), f"global {index}")


def _answer(found: int | None, width: int, what: str) -> str:
    if found is None:
        raise DebugError(f"{what} is not available at this place")
    return little_endian(found, width)


def _frame(debugger: Debugger, tid: int, level: int) -> Frame:
    frames = debugger.frames(tid)
    if level >= len(frames):
        raise DebugError(f"thread {tid:#x} has no frame {level}")
    return frames[level]


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) < _MOST):
        raise DebugError(f"{text[:40]!r} is no index")
    return int(text)
