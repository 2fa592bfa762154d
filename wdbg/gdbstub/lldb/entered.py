"""A step that has gone further than LLDB meant: into a function.

A task's step ends at a stop point, and between the instruction where LLDB steps and the next stop
point there may be a call: then the task stands at the callee's first instruction. LLDB, which
steps a plain instruction and has no frame addresses for WebAssembly, would take the callee for a
caller and lose its way. Nothing of the callee has run yet. So LLDB is shown the caller, about to
make the call, until it steps the call itself or lets the task go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wdbg.debugger.model import Debugger, Frame, Place, StopEvent, StopReason
from wdbg.gdbstub.lldb.modules import Modules

_CALLS = b"\x10\x11"


@dataclass(slots=True)
class Entered:
    """A task at the first instruction of a function that LLDB does not know of yet."""

    tid: int
    shown: Place
    """Where LLDB is told that the task is: the nops before the call, or the call."""
    call: Place
    """The call as LLDB disassembles it, see `padding`."""


@dataclass(frozen=True, slots=True)
class Start:
    """Where a task was when LLDB let it do one step."""

    tid: int
    depth: int
    function_start: int
    at_call: bool
    """LLDB knows that this step goes into a function."""


def start_of(debugger: Debugger, modules: Modules, tid: int, place: Place) -> Start | None:
    """`place` is where LLDB believes the task to be. None for a task without a stack."""
    frames = debugger.frames(tid)
    if not frames:
        return None
    address = modules.address(debugger, place)
    at_call = modules.read(debugger, address, 1) in (_CALLS[:1], _CALLS[1:])
    return Start(tid, frames[0].depth, frames[0].function_start, at_call)


def entered(
    debugger: Debugger, modules: Modules, start: Start | None, event: StopEvent
) -> Entered | None:
    """Whether the step that began at `start` and ended with `event` went into a function unasked
    for."""
    if start is None or start.at_call or event.tid != start.tid:
        return None
    if event.reason is not StopReason.STEP:
        return None
    frames = debugger.frames(event.tid)
    if len(frames) < 2 or frames[0].depth != start.depth + 1:
        return None
    caller = frames[1]
    if caller.function_start != start.function_start:
        return None
    call = modules.code(debugger, caller.place.module).call_before(
        caller.function_start, caller.place.offset
    )
    if call is None:
        return None
    first, opcode = (Place(caller.place.module, offset) for offset in call)
    return Entered(event.tid, first, opcode)


def shown_frames(frames: Sequence[Frame], hidden: Entered | None, tid: int) -> Sequence[Frame]:
    """A task's frames without the function that LLDB does not know of."""
    return frames[1:] if hidden is not None and hidden.tid == tid else frames
