"""The dialect of LLDB's wasm plug-in (`process connect --plugin wasm`), versions 22 and later.

It is the GDB remote protocol with LLDB's extensions. Code, locals and call stacks are asked for
by packets of their own (`qWasm...`), and LLDB reads the DWARF of the module files itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from symbols.lldb.numbers import PC, SIZE
from wdbg import __version__
from wdbg.debugger.model import Action, DebugError, StopEvent, StopReason, WatchKind
from wdbg.gdbstub.dialect import DialectFactory, Session
from wdbg.gdbstub.lldb import memory, registers, values
from wdbg.gdbstub.lldb.address import little_endian
from wdbg.gdbstub.lldb.breakpoints import Breakpoints
from wdbg.gdbstub.lldb.modules import Modules
from wdbg.gdbstub.lldb.resume import plan_of
from wdbg.gdbstub.lldb.tasks import Tasks
from wdbg.gdbstub.points import Points
from wdbg.gdbstub.rsp import PACKET_SIZE

TRIPLE = b"wasm32-unknown-unknown-wasm".hex()
_ANSWERS = {
    "QThreadSuffixSupported": "OK",
    "QListThreadsInStopReply": "OK",
    "QPassSignals": "OK",
    "qHostInfo": f"triple:{TRIPLE};endian:little;ptrsize:4;watchpoint_exceptions_received:after;"
    f"hostname:{b'wdbg'.hex()};",
    "qProcessInfo": f"pid:1;parent-pid:0;triple:{TRIPLE};endian:little;ptrsize:4;",
    "qGDBServerVersion": f"name:wdbg;version:{__version__};",
    "qRegisterInfo0": "name:pc;alt-name:pc;bitsize:64;offset:0;encoding:uint;format:hex;"
    "set:General Purpose Registers;gcc:0;dwarf:0;generic:pc;",
    "qWatchpointSupportInfo": "num:1024;",
    "qAttached": "1",
    "qSymbol": "OK",
    "vCont?": "vCont;c;C;s;S;t",
}
"""Packets whose answer never changes, by name."""
_WATCHES = {"2": WatchKind.WRITE, "3": WatchKind.READ, "4": WatchKind.ACCESS}
_OUTPUT = PACKET_SIZE // 2 - 16


def lldb_dialect() -> DialectFactory:
    """A factory whose clients share what has been read of the guest's modules."""
    modules = Modules()
    return lambda session: Lldb(session, modules)


class Lldb:
    """One LLDB. See `wdbg.gdbstub.dialect.Dialect`."""

    def __init__(self, session: Session, modules: Modules) -> None:
        self._session = session
        self._debugger = session.debugger
        self._modules = modules
        self._breakpoints = Breakpoints(self._debugger, modules)
        self._points = Points(self._debugger)  # watchpoints
        self._tasks = Tasks(self._debugger, modules, self._breakpoints)
        self._thread = self._tasks.event.tid
        self._text_errors = False
        self._prefixes: tuple[tuple[str, Callable[[str], str | None]], ...] = (
            ("qWasmCallStack:", self._call_stack),
            ("qWasm", self._wasm_value),
            ("qSupported", self._supported),
            ("qXfer:libraries:read::", self._libraries),
            ("qXfer:features:read:target.xml:", self._features),
            ("qThreadStopInfo", lambda rest: self._tasks.stop_of(_hex(rest))),
            ("qMemoryRegionInfo", self._region),
            ("qRegisterInfo", lambda _: "E45"),
            ("qRcmd,", self._monitor),
        )
        self._letters: dict[str, Callable[[str], str | None]] = {
            "?": lambda _: self._tasks.stop(),
            "Z": lambda packet: self._point(packet, insert=True),
            "z": lambda packet: self._point(packet, insert=False),
            "m": self._read,
            "M": self._write,
            "p": self._register,
            "g": self._register,
            "P": self._set_register,
            "G": self._set_register,
            "H": self._select,
            "T": self._alive,
            "D": self._detach,
            "k": self._kill,
        }

    # ---- Dialect

    def handle(self, packet: bytes) -> bytes | None:
        """The reply to a packet."""
        if packet[:1] == b"X":
            return self._write_binary(packet).encode()
        text = packet.decode("latin-1")
        reply = self._answer(text)
        return None if reply is None else reply.encode("latin-1")

    def wants(self, event: StopEvent) -> bool:
        """Not another debugger's breakpoints and watchpoints."""
        if event.reason is StopReason.BREAKPOINT and event.place is not None:
            return self._breakpoints.explains(event.place)
        if event.reason is StopReason.WATCHPOINT and event.hit is not None:
            hit = event.hit
            return (hit.kind, hit.address, hit.length) in self._points.watchpoints
        return True

    def stopped(self, event: StopEvent) -> bytes:
        """The stop reply."""
        self._tasks.moved(event, by_us=True)
        self._thread = event.tid
        return self._tasks.stop().encode()

    def noticed(self, event: StopEvent) -> None:
        """The guest has moved."""
        self._tasks.moved(event, by_us=False)
        self._thread = event.tid

    def error(self, message: str) -> bytes:
        """An error with its text, if LLDB has said that it reads that."""
        return b"E01;" + message.encode().hex().encode() if self._text_errors else b"E01"

    def closed(self) -> None:
        """Take back what is armed."""
        self._breakpoints.clear()
        self._points.clear()

    # ---- packets

    def _answer(self, packet: str) -> str | None:
        name = packet.partition(":")[0]
        if name in _ANSWERS:
            return _ANSWERS[name]
        if packet == "QStartNoAckMode":
            self._session.end_acknowledgements()
            return "OK"
        if packet == "QEnableErrorStrings":
            self._text_errors = True
            return "OK"
        if packet == "qC":
            return f"QC{self._tasks.event.tid:x}"
        if packet == "qfThreadInfo":
            return "m" + ",".join(f"{tid:x}" for tid in self._tasks.tids())
        if packet == "qsThreadInfo":
            return "l"
        if packet == "jThreadsInfo":
            return self._tasks.json().decode()
        plan = plan_of(packet, self._thread)
        if plan is not None:
            return self._resume(*plan)
        for prefix, method in self._prefixes:
            if packet.startswith(prefix):
                return method(packet.removeprefix(prefix) if prefix != "qWasm" else packet)
        method_of_letter = self._letters.get(packet[:1])
        return "" if method_of_letter is None else method_of_letter(packet)

    def _resume(self, actions: Mapping[int, Action], default: Action) -> str | None:
        """Let the guest go on, unless all that happens is that LLDB is shown a bit more."""
        news = self._tasks.news()
        if news is not None:
            return news
        back = any(action.reverse for action in (*actions.values(), default))
        if not back and self._tasks.reveal(actions):
            return self._tasks.stop()
        start = None if back else self._tasks.step_begins(actions)
        self._session.resume(actions, default)
        self._tasks.running(start)
        return None

    def _supported(self, _rest: str) -> str:
        return (
            f"PacketSize={PACKET_SIZE:x};QStartNoAckMode+;QThreadSuffixSupported+;"
            "QListThreadsInStopReply+;qXfer:libraries:read+;qXfer:features:read+;wasm-instance+;"
            "ReverseStep+;ReverseContinue+;"
        )

    def _libraries(self, rest: str) -> str:
        self._tasks.listed = len(self._debugger.modules())
        return _part(self._modules.library_list(self._debugger), rest)

    def _features(self, rest: str) -> str:
        return _part(registers.description(), rest)

    def _monitor(self, rest: str) -> str:
        try:
            command = bytes.fromhex(rest).decode()
        except ValueError:
            raise DebugError("monitor: the command is not text in hex") from None
        try:
            output = self._debugger.monitor(command.strip()).encode()
        except DebugError as error:  # LLDB would show the packets
            output = f"error: {error}\n".encode()
        for start in range(0, len(output), _OUTPUT):
            self._session.send(b"O" + output[start : start + _OUTPUT].hex().encode())
        return "OK"

    # ---- threads

    def _select(self, packet: str) -> str:
        tid = packet[2:]
        if packet[1:2] == "g" and tid not in ("0", "-1"):
            self._thread = self._tasks.known(_hex(tid)).tid
        return "OK"

    def _alive(self, packet: str) -> str:
        self._tasks.known(_hex(packet[1:]))
        return "OK"

    # ---- registers, stacks, values

    def _call_stack(self, rest: str) -> str:
        self._thread = self._tasks.known(_hex(rest)).tid
        return self._tasks.call_stack(self._thread)

    def _wasm_value(self, packet: str) -> str:
        if self._tasks.hides(self._thread):
            raise DebugError("not available in the middle of a step")
        return values.value(self._debugger, self._modules, self._thread, packet)

    def _register(self, packet: str) -> str:
        number, _, thread = packet[1:].partition(";thread:")
        if thread:
            self._thread = self._tasks.known(_hex(thread.rstrip(";"))).tid
        if packet[0] == "g" or _hex(number) == PC:
            return little_endian(self._tasks.pc(self._thread))
        value = registers.read(self._debugger, self._modules, self._thread, _hex(number))
        return little_endian(value)

    def _set_register(self, packet: str) -> str:
        what, _, thread = packet[1:].partition(";thread:")
        number, _, digits = what.partition("=")
        if packet[0] == "G" or len(digits) != 2 * SIZE:
            raise DebugError("registers can be set one by one")
        tid = self._tasks.known(_hex(thread.rstrip(";"))).tid if thread else self._thread
        value = int.from_bytes(_hex(digits).to_bytes(SIZE, "big"), "little")
        registers.write(self._debugger, self._modules, tid, _hex(number), value)
        return "OK"

    # ---- memory

    def _read(self, packet: str) -> str:
        address, length = memory.parse_range(packet[1:])
        return memory.read(self._debugger, self._modules, address, length).hex()

    def _write(self, packet: str) -> str:
        where, _, digits = packet[1:].partition(":")
        try:
            data = bytes.fromhex(digits)
        except ValueError:
            raise DebugError("the bytes to write are not hex") from None
        return self._store(where, data)

    def _write_binary(self, packet: bytes) -> str:
        where, _, data = packet[1:].partition(b":")
        return self._store(where.decode("latin-1"), data)

    def _store(self, where: str, data: bytes) -> str:
        address, length = memory.parse_range(where)
        if length != len(data):
            raise DebugError(f"{length} bytes announced, {len(data)} came")
        memory.write(self._debugger, address, data)
        return "OK"

    def _region(self, rest: str) -> str:
        if rest in ("", ":"):
            return "OK"
        return memory.region(self._debugger, self._modules, _hex(rest.removeprefix(":")))

    # ---- breakpoints, watchpoints

    def _point(self, packet: str, *, insert: bool) -> str:
        kind, _, rest = packet[1:].partition(",")
        address, length = memory.parse_range(rest.partition(";")[0])
        if kind in ("0", "1"):
            (self._breakpoints.add if insert else self._breakpoints.remove)(address)
        elif kind in _WATCHES:
            change = self._points.add_watchpoint if insert else self._points.remove_watchpoint
            change(_WATCHES[kind], address, length)
        else:
            return ""
        return "OK"

    # ---- leaving

    def _detach(self, packet: str) -> str:
        if packet.startswith("D1"):
            raise DebugError("the guest runs on when LLDB leaves: detach without --keep-stopped")
        self._session.detach()
        return "OK"

    def _kill(self, _packet: str) -> str:
        self._session.kill()
        return "X09"


def _part(whole: bytes, rest: str) -> str:
    """The part of an object that a qXfer packet asks for."""
    offset, length = memory.parse_range(rest)
    length = min(length, PACKET_SIZE - 16)
    more = "m" if offset + length < len(whole) else "l"
    return more + whole[offset : offset + length].decode("latin-1")


def _hex(text: str) -> int:
    """A number of at most 64 bits; DebugError for anything else."""
    try:
        value = int(text, 16) if len(text) <= 18 else -1
    except ValueError:
        value = -1
    if not 0 <= value < 1 << 64:
        raise DebugError(f"{text[:40]!r} is no number")
    return value
