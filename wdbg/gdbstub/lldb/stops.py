"""What LLDB is told of threads and of why they stopped."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from wdbg.debugger.model import Hit, StopEvent, StopReason, Thread
from wdbg.gdbstub.lldb.address import little_endian

SIGNAL = {
    StopReason.ATTACH: 5,
    StopReason.INTERRUPT: 2,
    StopReason.PANIC: 6,
    StopReason.TRAP: 6,
    StopReason.HANG: 6,
}
"""Numbers of the remote protocol; SIGTRAP for every other reason."""
TRAP = 5


@dataclass(frozen=True, slots=True)
class Cause:
    """A stop in LLDB's terms: `reason` is one of its words, `description` what goes with it."""

    signal: int
    reason: str
    description: str = ""


NOTHING = Cause(0, "")
"""Of a thread that stands still only because another one stopped. LLDB selects the first thread
with a signal, and would take this one for the cause if it had any."""


def cause_of(event: StopEvent, *, here: bool) -> Cause:
    """Why the thread `event.tid` stopped. `here`: one of this client's breakpoints is where it
    stands; without one LLDB must not be told of a breakpoint."""
    signal = SIGNAL.get(event.reason, TRAP)
    match event.reason:
        case StopReason.BREAKPOINT:
            return Cause(signal, "breakpoint" if here else "trace")
        case StopReason.MODULES:
            # Without any reason LLDB reads the list of libraries, and goes on by itself.
            return NOTHING
        case StopReason.STEP:
            return Cause(signal, "trace")
        case StopReason.HISTORY:
            return Cause(signal, "history boundary", event.message)
        case StopReason.WATCHPOINT:
            assert event.hit is not None
            return Cause(signal, "watchpoint", _watchpoint(event.hit))
        case StopReason.PANIC | StopReason.TRAP | StopReason.HANG:
            text = f"{event.reason.value}: {event.message}" if event.message else event.reason.value
            return Cause(signal, "exception", text)
        case _:
            return Cause(signal, "signal")


def _watchpoint(hit: Hit) -> str:
    # LLDB looks for the watchpoint by an address in it; 0 is its number among the "registers".
    return f"{hit.address} 0 {hit.accessed}"


def thread_name(thread: Thread) -> str:
    """comm/pid. The guest chooses its names, and LLDB prints them on a terminal."""
    name = "".join(c if c.isprintable() else "?" for c in thread.name)
    return f"{name}/{thread.pid}"


def stop_reply(
    thread: Thread | None, tid: int, cause: Cause, pc: int, others: Sequence[int] = ()
) -> str:
    """A `T` packet about one thread; `others`: all threads, the one that stopped first."""
    fields = [f"thread:{tid:x}"]
    if thread is not None:
        fields.append(f"hexname:{thread_name(thread).encode().hex()}")
    if others:
        fields.append("threads:" + ",".join(f"{other:x}" for other in others))
    fields.append(f"00:{little_endian(pc)}")
    if cause.reason:
        fields.append(f"reason:{cause.reason}")
    if cause.description:
        fields.append(f"description:{cause.description.encode().hex()}")
    return f"T{cause.signal:02x}" + "".join(f"{field};" for field in fields)


def threads_json(rows: Sequence[tuple[Thread, Cause, int | None]]) -> bytes:
    """Answer to jThreadsInfo: threads with causes, and pcs where they are to be had for nothing."""
    out = []
    for thread, cause, pc in rows:
        row: dict[str, object] = {"tid": thread.tid, "name": thread_name(thread)}
        if cause.reason:
            row["reason"] = cause.reason
        if cause.description:
            row["description"] = cause.description
        row["signal"] = cause.signal
        if pc is not None:
            row["registers"] = {"0": little_endian(pc)}
        out.append(row)
    return json.dumps(out, separators=(",", ":")).encode()
