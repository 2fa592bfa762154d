"""Threads and stop replies. A thread is a guest task; its id is the task's pid."""

from __future__ import annotations

from collections.abc import Callable
from xml.sax.saxutils import quoteattr

from wdbg.debugger.model import (
    IDLE_TID,
    Debugger,
    Place,
    StopEvent,
    StopReason,
    TaskState,
    Thread,
    WatchKind,
)
from wdbg.gdbstub.gdb.registers import EBP, EIP, ESP, RegisterFile
from wdbg.gdbstub.gdb.text import BadPacket, number

SIGINT, SIGTRAP, SIGABRT, SIGSEGV = 2, 5, 6, 11
_SIGNALS = {
    StopReason.INTERRUPT: SIGINT,
    StopReason.PANIC: SIGABRT,
    StopReason.HANG: SIGABRT,
    StopReason.TRAP: SIGSEGV,
}
_WATCHES = {
    WatchKind.WRITE: b"watch",
    WatchKind.READ: b"rwatch",
    WatchKind.ACCESS: b"awatch",
}
ANY = 0
ALL = -1


def thread_id(text: bytes) -> int:
    """A thread id as packets spell it: hex, `0` for any and `-1` for all; BadPacket."""
    if text.startswith(b"p"):
        raise BadPacket("there is one process only")
    return ALL if text == b"-1" else number(text)


def ordered(debugger: Debugger) -> list[Thread]:
    """All threads, the one that caused the stop first: clients select the first one."""
    tid = debugger.stop_event().tid
    return sorted(debugger.threads(), key=lambda thread: thread.tid != tid)


def title(thread: Thread) -> str:
    """What a client shows beside the thread's name."""
    if thread.tid >= IDLE_TID:
        return f"idle task of CPU {thread.tid - IDLE_TID}"
    words = [f"pid {thread.pid}"]
    if thread.tgid != thread.pid:
        words.append(f"of process {thread.tgid}")
    if thread.cpu is not None:
        words.append(f"on CPU {thread.cpu}")
    # On a CPU or not matters more than the guest's word for it, which is then "running".
    detail = thread.detail if thread.state is TaskState.ASLEEP else ""
    return ", ".join([*words, detail or thread.state.value])


def document(threads: list[Thread]) -> str:
    """The thread list for `qXfer:threads:read`."""
    lines = ["<threads>"]
    for thread in threads:
        core = "" if thread.cpu is None else f' core="{thread.cpu}"'
        name = quoteattr(_visible(thread.name))
        text = _visible(title(thread)).replace("&", "&amp;").replace("<", "&lt;")
        lines.append(f'<thread id="{thread.tid:x}"{core} name={name}>{text}</thread>')
    return "\n".join([*lines, "</threads>"])


def _visible(text: str) -> str:
    """comm is whatever a program has called itself; XML takes no control characters."""
    return "".join(c if " " <= c <= "~" else "?" for c in text)


def stop_reply(
    event: StopEvent,
    registers: RegisterFile,
    thread: Thread | None,
    is_breakpoint: Callable[[Place], bool],
) -> bytes:
    """The packet that tells of a stop. Only the thread that caused it has a signal."""
    if event.reason is StopReason.EXITED:
        return b"W%02x" % (event.exit_status & 0xFF)
    fields: list[bytes] = []
    if event.reason is StopReason.WATCHPOINT and event.hit is not None:
        hit = event.hit
        inside = hit.address <= hit.accessed < hit.address + hit.length
        where = hit.accessed if inside else hit.address
        fields.append(b"%b:%x" % (_WATCHES[hit.kind], where))
    elif event.reason is StopReason.MODULES:
        fields.append(b"library:")
    elif event.reason is StopReason.HISTORY:
        fields.append(b"replaylog:end" if event.end else b"replaylog:begin")
    elif (
        event.reason is StopReason.BREAKPOINT
        and event.place is not None
        and is_breakpoint(event.place)
    ):
        fields.append(b"swbreak:")
    if thread is not None:
        fields += [
            b"%02x:%b" % (register, registers.one(event.tid, register))
            for register in (EBP, ESP, EIP)
        ]
        fields.append(b"thread:%x" % event.tid)
        if thread.cpu is not None:
            fields.append(b"core:%x" % thread.cpu)
    signal = _SIGNALS.get(event.reason, SIGTRAP)
    return b"T%02x" % signal + b"".join(field + b";" for field in fields)
