"""One GDB at the other end: which packet means what."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from symbols.shadow.addresses import code_place, is_host
from wdbg.debugger.model import (
    Action,
    DebugError,
    ModuleInfo,
    Place,
    Resume,
    StopEvent,
    StopReason,
    WatchKind,
)
from wdbg.gdbstub.dialect import DialectFactory, Session
from wdbg.gdbstub.gdb import conditions, resume
from wdbg.gdbstub.gdb.entries import Entries
from wdbg.gdbstub.gdb.memory import Memory
from wdbg.gdbstub.gdb.monitor import monitor
from wdbg.gdbstub.gdb.registers import RegisterFile
from wdbg.gdbstub.gdb.stacks import Stacks
from wdbg.gdbstub.gdb.text import (
    BAD_ADDRESS,
    NOT_UNDERSTOOD,
    OK,
    BadPacket,
    error,
    hex_bytes,
    number,
    numbers,
    printable,
    to_hex,
)
from wdbg.gdbstub.gdb.threads import ANY, ordered, stop_reply, thread_id, title
from wdbg.gdbstub.gdb.transfers import Shadow, Transfers
from wdbg.gdbstub.points import Points
from wdbg.gdbstub.rsp import PACKET_SIZE

_WATCH_KINDS = {b"2": WatchKind.WRITE, b"3": WatchKind.READ, b"4": WatchKind.ACCESS}
_READ_LIMIT = PACKET_SIZE // 2 - 8
_TOLD = (
    StopReason.PANIC,
    StopReason.TRAP,
    StopReason.HANG,
    StopReason.EXITED,
    StopReason.HISTORY,
)
"""Stops whose message is printed on the client's console before its stop reply."""


def gdb_dialect(shadow: Shadow) -> DialectFactory:
    """A maker of dialects; `shadow` finds a module's shadow ELF, which may take a while, and is
    asked once."""
    known: dict[ModuleInfo, Path | None] = {}

    def find(module: ModuleInfo) -> Path | None:
        if module not in known:
            known[module] = shadow(module)
        return known[module]

    return lambda session: GdbDialect(session, find)


class GdbDialect:
    """See wdbg.gdbstub.dialect.Dialect."""

    def __init__(self, session: Session, shadow: Shadow) -> None:
        self._session = session
        self._debugger = session.debugger
        self._points = Points(self._debugger)
        self._stacks = Stacks(self._debugger, Entries(self._debugger, self._points))
        self._registers = RegisterFile(self._debugger, self._stacks)
        self._memory = Memory(self._debugger, self._stacks)
        self._transfers = Transfers(self._debugger, shadow)
        self._evaluator = conditions.Conditions(self._debugger)
        self._conditions: dict[Place, tuple[bytes, ...]] = {}
        self._current = self._debugger.stop_event().tid
        self._continuing = ANY
        self._letters: dict[bytes, Callable[[bytes], bytes | None]] = {
            b"?": lambda rest: self._stop_reply(self._debugger.stop_event()),
            b"g": lambda rest: self._registers.all(self._tid()),
            b"p": lambda rest: self._registers.one(self._tid(), number(rest)),
            b"G": lambda rest: error("registers cannot be written"),
            b"P": lambda rest: error("registers cannot be written"),
            b"m": self._read,
            b"M": self._write_hex,
            b"X": self._write_binary,
            b"Z": lambda rest: self._point(rest, add=True),
            b"z": lambda rest: self._point(rest, add=False),
            b"H": self._select,
            b"T": self._is_alive,
            b"c": lambda rest: self._legacy(rest, Resume.CONTINUE),
            b"s": lambda rest: self._legacy(rest, Resume.STEP),
            b"C": lambda rest: self._legacy(rest[2:], Resume.CONTINUE),
            b"S": lambda rest: self._legacy(rest[2:], Resume.STEP),
            b"b": self._backwards,
            b"D": self._detach,
            b"k": lambda rest: self._session.kill(),
        }
        self._words: tuple[tuple[bytes, Callable[[bytes], bytes | None]], ...] = (
            (b"qSupported", self._supported),
            (b"QStartNoAckMode", self._no_ack),
            (b"qXfer:", self._transfers.read),
            (b"qfThreadInfo", lambda rest: self._first_threads()),
            (b"qsThreadInfo", lambda rest: self._more_threads()),
            (b"qThreadExtraInfo,", self._thread_title),
            (b"qAttached", lambda rest: b"1"),
            (b"qC", lambda rest: b"QC%x" % self._tid()),
            (b"qSymbol", lambda rest: OK),
            (b"qOffsets", lambda rest: b"Text=0;Data=0;Bss=0"),
            (b"qRcmd,", self._monitor),
            (b"qSearch:memory:", self._search),
            (b"qCRC:", self._crc),
            (b"QPassSignals:", lambda rest: OK),
            (b"QProgramSignals:", lambda rest: OK),
            (b"vCont?", lambda rest: resume.SUPPORTED),
            (b"vCont;", self._resume),
            (b"vKill", self._kill),
        )
        self._queue: list[int] = []

    # ---- Dialect

    def handle(self, packet: bytes) -> bytes | None:
        """See Dialect. Packets that nobody knows get the empty answer."""
        first = packet[:1]
        if first in b"qQv" and first:
            for word, handler in self._words:
                if packet.startswith(word):
                    # "qC" is no prefix of "qCRC" and others that are longer words.
                    if word[-1:].isalpha() and packet[len(word) : len(word) + 1].isalpha():
                        continue
                    return handler(packet[len(word) :])
            return NOT_UNDERSTOOD
        handler = self._letters.get(first, lambda rest: NOT_UNDERSTOOD)
        return handler(packet[1:])

    def wants(self, event: StopEvent) -> bool:
        """See Dialect."""
        if event.reason is not StopReason.BREAKPOINT or event.place is None:
            return True
        if event.place in self._points.breakpoints:
            return self._evaluator.holds(event, self._conditions.get(event.place, ()))
        # A place that was rounded to one that we did not ask for: GDB sorts it out.
        return bool(self._points.breakpoints)

    def stopped(self, event: StopEvent) -> bytes:
        """See Dialect."""
        self.noticed(event)
        if event.message and event.reason in _TOLD:
            self._print(f"wdbg: {event.message}\n")
        return self._stop_reply(event)

    def noticed(self, event: StopEvent) -> None:
        """See Dialect."""
        self._stacks.forget()
        if event.tid:
            self._current = event.tid

    def error(self, message: str) -> bytes:
        """See Dialect."""
        return error(message)

    def closed(self) -> None:
        """See Dialect."""
        self._points.clear()

    # ---- the session

    def _supported(self, rest: bytes) -> bytes:
        features = [
            b"PacketSize=%x" % PACKET_SIZE,
            b"QStartNoAckMode+",
            b"swbreak+",
            b"hwbreak+",
            b"vContSupported+",
            b"ConditionalBreakpoints+",
            b"QPassSignals+",
            b"ReverseStep+",
            b"ReverseContinue+",
        ]
        features += [b"qXfer:%b:read+" % kind for kind in self._transfers.objects]
        return b";".join(features)

    def _no_ack(self, rest: bytes) -> bytes:
        self._session.end_acknowledgements()
        return OK

    def _detach(self, rest: bytes) -> bytes:
        self._session.detach()
        return OK

    def _kill(self, rest: bytes) -> None:
        self._session.send(OK)
        self._session.kill()

    def _print(self, text: str) -> None:
        """Console output, which GDB takes only while it waits for a stop or a `monitor`."""
        data = text.encode("utf-8", "replace")
        for start in range(0, len(data), _READ_LIMIT):
            self._session.send(b"O" + to_hex(data[start : start + _READ_LIMIT]))

    def _monitor(self, rest: bytes) -> bytes:
        self._print(monitor(self._debugger, hex_bytes(rest)))
        self._stacks.forget()
        return OK

    # ---- threads

    def _tid(self) -> int:
        """The thread that requests are about."""
        return self._current

    def _select(self, rest: bytes) -> bytes:
        tid = thread_id(rest[1:])
        if tid > 0 and self._debugger.thread(tid) is None:
            raise DebugError(f"there is no thread {tid}")
        if rest[:1] == b"g":
            self._current = tid if tid > 0 else self._debugger.stop_event().tid
        elif rest[:1] == b"c":
            self._continuing = tid
        else:
            return NOT_UNDERSTOOD
        return OK

    def _is_alive(self, rest: bytes) -> bytes:
        return OK if self._debugger.thread(thread_id(rest)) is not None else b"E01"

    def _first_threads(self) -> bytes:
        self._queue = [thread.tid for thread in ordered(self._debugger)]
        return self._more_threads()

    def _more_threads(self) -> bytes:
        part, self._queue = self._queue[:1000], self._queue[1000:]
        return b"m" + b",".join(b"%x" % tid for tid in part) if part else b"l"

    def _thread_title(self, rest: bytes) -> bytes:
        thread = self._debugger.thread(thread_id(rest))
        if thread is None:
            return b"E01"
        return to_hex(printable(f"{thread.name}: {title(thread)}"))

    def _stop_reply(self, event: StopEvent) -> bytes:
        thread = self._debugger.thread(event.tid) if event.reason is not StopReason.EXITED else None
        return stop_reply(
            event, self._registers, thread, lambda place: place in self._points.breakpoints
        )

    # ---- memory

    def _read(self, rest: bytes) -> bytes:
        address, length = numbers(rest, 2)
        try:
            return to_hex(self._memory.read(address, min(length, _READ_LIMIT)))
        except DebugError:
            return BAD_ADDRESS

    def _write_hex(self, rest: bytes) -> bytes:
        head, colon, data = rest.partition(b":")
        return self._write(head, hex_bytes(data)) if colon else NOT_UNDERSTOOD

    def _write_binary(self, rest: bytes) -> bytes:
        head, colon, data = rest.partition(b":")
        return self._write(head, data) if colon else NOT_UNDERSTOOD

    def _write(self, head: bytes, data: bytes) -> bytes:
        address, length = numbers(head, 2)
        if length != len(data):
            raise BadPacket("data has another length than it says")
        if data:
            self._memory.write(address, data)
            self._stacks.forget()
        return OK

    def _search(self, rest: bytes) -> bytes:
        parts = rest.split(b";", 2)
        if len(parts) != 3 or not parts[2]:
            raise BadPacket("no range with a pattern")
        found = self._memory.search(number(parts[0]), number(parts[1]), parts[2])
        return b"0" if found is None else b"1,%x" % found

    def _crc(self, rest: bytes) -> bytes:
        address, length = numbers(rest, 2)
        return b"C%08x" % self._memory.crc(address, length)

    # ---- breakpoints and watchpoints

    def _point(self, rest: bytes, *, add: bool) -> bytes:
        head, semicolon, extra = rest.partition(b";")
        kind, _, place = head.partition(b",")
        address, length = numbers(place, 2)
        if kind in (b"0", b"1"):
            return self._breakpoint(address, extra if semicolon else b"", add=add)
        if kind not in _WATCH_KINDS:
            return NOT_UNDERSTOOD
        change = self._points.add_watchpoint if add else self._points.remove_watchpoint
        change(_WATCH_KINDS[kind], address, length)
        return OK

    def _breakpoint(self, address: int, extra: bytes, *, add: bool) -> bytes:
        if is_host(address):
            return OK  # where outermost frames return to: never reached
        found = code_place(address)
        if found is None:
            raise DebugError(f"there is no code at {address:#x}")
        place = Place(*found)
        if add:
            wanted = conditions.parse(extra) if extra else ()
            self._points.add_breakpoint(place)
            self._conditions[place] = wanted
        else:
            self._points.remove_breakpoint(place)
            self._conditions.pop(place, None)
        return OK

    # ---- running

    def _resume(self, rest: bytes) -> bytes | None:
        plan = resume.parse(rest, self._tid())
        self._go(plan)
        return None

    def _legacy(self, rest: bytes, how: Resume) -> bytes | None:
        """`c` and `s`, for clients without vCont: one thread steps, all continue."""
        if rest:
            raise DebugError("cannot go on at another place")
        if how is Resume.CONTINUE:
            self._go(resume.Plan(default=Action(how)))
        else:
            tid = self._continuing if self._continuing > 0 else self._tid()
            self._go(resume.Plan({tid: Action(how)}, Action(Resume.CONTINUE)))
        return None

    def _backwards(self, rest: bytes) -> bytes | None:
        """`bc` and `bs`: one thread steps, whoever ran runs."""
        if rest == b"c":
            self._go(resume.Plan(default=Action(Resume.CONTINUE, reverse=True)))
        elif rest == b"s":
            tid = self._continuing if self._continuing > 0 else self._tid()
            step = Action(Resume.STEP, reverse=True)
            self._go(resume.Plan({tid: step}, Action(Resume.CONTINUE, reverse=True)))
        else:
            return NOT_UNDERSTOOD
        return None

    def _go(self, plan: resume.Plan) -> None:
        self._stacks.forget()
        self._session.resume(plan.actions, plan.default)
