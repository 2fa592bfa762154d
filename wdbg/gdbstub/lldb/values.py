"""Wasm locals, globals and operands of frames, as LLDB's wasm plug-in asks for them.

This is for what `registers` has not changed in the DWARF. LLDB 22 does not say of which thread a
frame is: it is taken to be the one that was last named in a packet about a stack or a register.
"""

from __future__ import annotations

from wdbg.debugger.model import DebugError, Debugger, Frame
from wdbg.gdbstub.lldb.address import little_endian
from wdbg.gdbstub.lldb.modules import Modules

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
        index = _number(first)
        found = debugger.global_value(tid, module, index)
        return _answer(found, modules.code(debugger, module).global_width(index), "global", index)
    frame = _frame(debugger, tid, _number(first))
    index = _number(rest.rstrip(";"))
    code = modules.code(debugger, frame.place.module)
    if kind == "qWasmLocal":
        found = debugger.local(tid, frame.level, index)
        return _answer(found, code.local_width(frame.function_start, index), "local", index)
    if kind == "qWasmStackValue":
        return _answer(debugger.operand(tid, frame.level, index), 8, "operand", index)
    found = modules.global_value(debugger, tid, frame, index)
    return _answer(found, code.global_width(index), "global", index)


def _answer(found: int | None, width: int, what: str, index: int) -> str:
    if found is None:
        raise DebugError(f"{what} {index} is not available at this place")
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
