"""Why a guest crashed, in one line and some that explain it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from wdbg.analysis.crash.backtrace import REPORTERS
from wdbg.analysis.crash.operands import Trapped, trapped
from wdbg.analysis.crash.symbols import NULL_PAGE, Names
from wdbg.dump.snapshot import Snapshot
from wdbg.dump.state import FrameState, StopState

_BUG = re.compile(r"kernel BUG at ([^\s:]+):(\d+) in (\w+)\(\)")
_ENGINE = (
    ("unreachable", "unreachable"),
    ("uninitialized element", "null-call"),
    ("indirect call to null", "null-call"),
    ("undefined element", "bad-call"),
    ("indirect call type mismatch", "signature-mismatch"),
    ("out of bounds memory", "out-of-bounds"),
    ("call stack exhausted", "stack-exhausted"),
    ("divide by zero", "arithmetic"),
    ("integer overflow", "arithmetic"),
    ("invalid conversion", "arithmetic"),
)
"""What the engine says of a trap, and what we call it."""
_PANICS = (
    ("kernel BUG at", "bug"),
    ("corrupted stack end", "stack-overflow"),
    ("stack-protector", "stack-overflow"),
    ("hung_task", "hung-task"),
    ("RCU Stall", "rcu-stall"),
    ("Attempted to kill init", "init-died"),
    ("Out of memory", "out-of-memory"),
    ("sysrq triggered crash", "sysrq"),
)
_TITLES = {
    "null-call": "call of a function pointer that is NULL",
    "bad-call": "call of a function pointer that points to no function",
    "signature-mismatch": "call of a function as one of another type",
    "out-of-bounds": "access outside of memory",
    "unreachable": "code that cannot be reached was reached: undefined behaviour, or on purpose",
    "stack-exhausted": "calls nested too deeply: the engine's stack is exhausted",
    "arithmetic": "arithmetic that has no result",
}  # fmt: skip


@dataclass(slots=True)
class Cause:
    """What happened."""

    kind: str
    """"null-call", "bug", "panic", "hang" ... and "none" for a guest that runs."""
    title: str
    task: int
    """Address of the task that it happened in; 0: none."""
    tick: int
    message: str = ""
    """In the kernel's or the engine's words."""
    details: list[str] = field(default_factory=list)
    frames: tuple[FrameState, ...] = ()
    """What that task was doing, innermost first, without those who tell of it."""
    addresses: list[int] = field(default_factory=list)
    """Of memory that has to do with it."""


def find_cause(names: Names) -> Cause:
    """The cause, from how the run stopped and from its traps."""
    snapshot = names.snapshot
    stop = snapshot.stop
    if stop.kind == "trap" or (stop.kind == "panic" and snapshot.traps):
        trap = snapshot.traps[-1] if snapshot.traps else stop
        return _trap(names, trap, stop)
    if stop.kind == "panic":
        return _panic(snapshot, stop)
    cause = Cause("none", "no crash: a guest that runs", snapshot.running, stop.tick)
    if stop.kind in ("hang", "timeout", "limit"):
        cause.kind, cause.title = "hang", f"{stop.kind}: {stop.message}"
    elif stop.kind != "running":
        cause.title = f"no crash: {stop.kind}"
    elif snapshot.traps:
        cause = _trap(names, snapshot.traps[-1], stop)
        cause.details.append("the guest went on after that")
    cause.message = cause.message or stop.message
    if not cause.frames and snapshot.running in snapshot.tasks:
        cause.frames = snapshot.tasks[snapshot.running].frames
    return cause


def _panic(snapshot: Snapshot, stop: StopState) -> Cause:
    kind = next((kind for text, kind in _PANICS if text in stop.message), "panic")
    cause = Cause(kind, f"panic: {stop.message}", snapshot.running, stop.tick, stop.message)
    bug = _BUG.search(stop.message)
    if bug is not None:
        cause.title = f"BUG_ON or BUG at {bug[1]}:{bug[2]} in {bug[3]}()"
    task = snapshot.tasks.get(snapshot.running)
    if task is not None:
        live = [frame for frame in task.frames if not frame.trapped]
        cause.frames = tuple(_without_reporters(live))
    return cause


def _without_reporters(frames: list[FrameState]) -> list[FrameState]:
    last = -1
    for number, frame in enumerate(frames):
        if frame.function in REPORTERS:
            last = number
        elif number - last > 4:
            break
    return frames[last + 1 :] or frames


def _trap(names: Names, trap: StopState, stop: StopState) -> Cause:
    snapshot = names.snapshot
    kind = next((kind for text, kind in _ENGINE if text in trap.message), "trap")
    cause = Cause(
        kind, _TITLES.get(kind, f"trap: {trap.message}"), trap.task, trap.tick, trap.message
    )
    task = snapshot.tasks.get(trap.task)
    if task is not None:
        cause.frames = tuple(frame for frame in task.frames if frame.trapped)
    if not cause.frames:
        cause.frames = tuple(
            FrameState(f.module, f.offset, f.function, f.offset, trapped=True) for f in trap.frames
        )
    if stop is not trap and stop.kind == "panic":
        cause.details.append(f"the kernel panicked then: {stop.message}")
    if cause.frames and not cause.frames[0].module:
        _decode(names, cause)
    return cause


def _decode(names: Names, cause: Cause) -> None:
    """Say what the instruction that trapped was about."""
    module, frame = names.module, cause.frames[0]
    function = names.snapshot.index.function_at(frame.offset) if names.snapshot.index else None
    if module is None or function is None:
        return
    found = trapped(
        module, (function.low, function.high), frame.offset, frame.locals,
        names.snapshot.memory.read,
    )  # fmt: skip
    if found is None:
        return
    if found.type_index >= 0:
        _indirect_call(names, cause, found)
    elif found.size and found.address.value is not None:
        size = names.snapshot.memory.size()
        cause.details.append(
            f"{found.name} of {found.size} bytes at {found.address.value:#x}; "
            f"memory ends at {size:#x}"
        )
        cause.addresses.append(found.address.value)
    _null(cause, found)


def _indirect_call(names: Names, cause: Cause, found: Trapped) -> None:
    module = names.module
    assert module is not None
    expected = "?"
    if found.type_index < len(module.types):
        expected = str(module.types[found.type_index])
    index = found.address.value
    if index is None:
        cause.details.append(f"the caller expects a function of type {expected}")
        return
    callee = names.function_at_index(index)
    if callee is not None:
        cause.details.append(f"the caller expects a function of type {expected}")
        cause.details.append(f"function pointer {index:#x} is {callee[0]}, of type {callee[1]}")
        if cause.kind == "signature-mismatch":
            cause.title = f"{callee[0]} was called as a function of another type"
    else:
        text = index.to_bytes(4, "little")
        spelled = f", which is the text {text.decode('ascii')!r}" if _printable(text) else ""
        cause.details.append(
            f"function pointer {index:#x}{spelled} is no function: there are {names.table_size:#x}"
        )
        cause.details.append(f"the caller expects a function of type {expected}")
    for address in found.address.loads:
        owner = names.data_name(address)
        cause.details.append(f"it was read from {address:#x}{f' ({owner})' if owner else ''}")
        cause.addresses.append(address)


def _null(cause: Cause, found: Trapped) -> None:
    """Something on the way was read through NULL: memory at 0 is memory like any other."""
    addresses = [*found.address.loads]
    if found.size and found.address.value is not None:
        addresses.append(found.address.value)
    through = next((address for address in addresses if address < NULL_PAGE), None)
    if through is not None:
        cause.kind = "null-dereference"
        cause.title = f"NULL pointer dereference: {through:#x} was read through NULL"


def _printable(text: bytes) -> bool:
    return all(32 <= byte < 127 for byte in text)
