"""LLDB's packets by hand: handshake, threads, stacks, values, breakpoints, running, errors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from symbols.wasm.container import SectionId, write_module, write_name, write_vector
from symbols.wasm.leb import encode_unsigned
from tests.gdbstub.fake import CAT, IDLE, INIT, FakeDebugger, frame
from tests.gdbstub.peer import Peer, turn_once
from wdbg.debugger.model import (
    Action,
    DebugError,
    Hit,
    ModuleInfo,
    Place,
    Resume,
    StopEvent,
    StopReason,
    WatchKind,
)
from wdbg.gdbstub.listener import Address, Listener
from wdbg.gdbstub.lldb.dialect import Lldb, lldb_dialect
from wdbg.gdbstub.lldb.modules import HOST_PC, Modules
from wdbg.gdbstub.server import Server

CODE = 0x4000000000000000
CONTINUE = Action(Resume.CONTINUE)
STEP = Action(Resume.STEP)

# Two functions: (i32, i64) with a local of each type, and one without locals.
BODIES = (
    b"\x02\x01\x7d\x01\x7e" + b"\x20\x00\x1a" * 3 + b"\x0b",
    b"\x00" + b"\x01" * 6 + b"\x0b",
)


def module_file() -> tuple[bytes, int]:
    """A module's file, and the offset of its code."""
    imports = [
        write_name("env") + write_name("memory") + b"\x02\x00\x01",
        write_name("env") + write_name("__stack_pointer") + b"\x03\x7f\x01",
        write_name("env") + write_name("park") + b"\x00\x01",
    ]
    names = write_vector(
        [encode_unsigned(i) + write_name(n) for i, n in enumerate(("park", "one", "two"))]
    )
    data = write_module(
        [
            (SectionId.TYPE, "", write_vector([b"\x60\x02\x7f\x7e\x00", b"\x60\x00\x00"])),
            (SectionId.IMPORT, "", write_vector(imports)),
            (SectionId.FUNCTION, "", write_vector([b"\x00", b"\x01"])),
            (SectionId.CODE, "", write_vector([encode_unsigned(len(b)) + b for b in BODIES])),
            (SectionId.CUSTOM, "name", b"\x01" + encode_unsigned(len(names)) + names),
        ]
    )
    code = data.index(b"\x02" + encode_unsigned(len(BODIES[0])) + BODIES[0])
    return data, code


HEADER_ONE, FIRST_ONE = 2, 7
END_ONE = 2 + len(BODIES[0])
HEADER_TWO, FIRST_TWO = END_ONE + 1, END_ONE + 2


class Rig:
    def __init__(self, folder: Path) -> None:
        data, self.base = module_file()
        path = folder / "k.wasm"
        path.write_bytes(data)
        self.debugger = FakeDebugger()
        size = END_ONE + 1 + len(BODIES[1])
        self.debugger.loaded = [
            ModuleInfo(0, "k", path, self.base, size, 0, 0),
            ModuleInfo(1, "prog", None, 0x100, 0x2000, 0x8000, 100),
        ]
        self.debugger.stacks = {
            INIT: [
                frame(0, 1, FIRST_ONE, HEADER_ONE),
                frame(1, 0, FIRST_TWO + 3, HEADER_TWO),
            ],
            CAT: [frame(0, 0, FIRST_ONE, HEADER_ONE)],
            IDLE: [],
        }
        self.debugger.event = StopEvent(StopReason.ATTACH, INIT, Place(0, FIRST_ONE))
        modules = Modules(folder / "cache")
        listener = Listener("lldb", Address("127.0.0.1", 0), lambda s: Lldb(s, modules))
        self.server = Server(self.debugger, [listener], wait=True)
        self.peer = Peer(listener.address.port, turn_once(self.server))
        self.ask = self.peer.ask

    def code(self, offset: int, module: int = 0) -> int:
        return CODE | module << 32 | (self.base + offset if not module else 0x100 + offset)

    def pc(self, offset: int) -> bytes:
        return self.code(offset).to_bytes(8, "little").hex().encode()

    def text(self, packet: str) -> str:
        """The text of an error."""
        code, _, digits = self.ask(packet).partition(b";")
        assert code == b"E01"
        return bytes.fromhex(digits.decode()).decode()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    rig.ask("QEnableErrorStrings")
    yield rig
    rig.peer.close()
    rig.server.close()


def test_handshake(rig: Rig) -> None:
    assert rig.ask("QStartNoAckMode") == b"OK"
    supported = rig.ask("qSupported:xmlRegisters=i386;multiprocess+").split(b";")
    assert b"qXfer:libraries:read+" in supported
    assert b"PacketSize=20000" in supported
    host = dict(field.split(b":", 1) for field in rig.ask("qHostInfo").rstrip(b";").split(b";"))
    assert bytes.fromhex(host[b"triple"].decode()) == b"wasm32-unknown-unknown-wasm"
    assert host[b"watchpoint_exceptions_received"] == b"after"
    assert b"pid:1;" in rig.ask("qProcessInfo")
    assert rig.ask("vCont?") == b"vCont;c;C;s;S;t"
    assert b"name:pc;" in rig.ask("qRegisterInfo0")
    assert rig.ask("qRegisterInfo1") == b"E45"
    assert rig.ask("qC") == b"QC1"
    for unknown in ("qShlibInfoAddr", "qModuleInfo:61;62", "jFoo", "x0,0", "vFile:open:", "!"):
        assert rig.ask(unknown) == b""


def test_libraries_are_files_for_lldb(rig: Rig) -> None:
    answer = rig.ask("qXfer:libraries:read::0,fff").decode()
    assert answer.startswith("l<library-list>")
    path = Path(answer.split('name="')[1].split('"')[0])
    assert path.name == "k.wasm"
    assert path.is_file()
    assert 'name="prog"><section address="0x4000000100000000"/>' in answer
    whole = rig.ask("qXfer:libraries:read::0,10") + rig.ask("qXfer:libraries:read::10,fff")[1:]
    assert whole == b"m" + answer.encode()[1:]


def test_registers_are_described(rig: Rig) -> None:
    text, offset = b"", 0
    while True:
        part = rig.ask(f"qXfer:features:read:target.xml:{offset:x},1ffff")
        text += part[1:]
        offset += len(part) - 1
        if part[:1] == b"l":
            break
    assert text.startswith(b"<?xml")
    assert text.count(b"<reg ") == 1 << 14


def test_stop_reply_names_all_threads_the_stopped_one_first(rig: Rig) -> None:
    rig.debugger.event = StopEvent(StopReason.BREAKPOINT, CAT, Place(0, FIRST_ONE))
    rig.debugger.script.append(rig.debugger.event)
    rig.ask(f"Z0,{rig.code(FIRST_ONE):x},4")
    reply = rig.ask("c").decode()
    assert reply.startswith(f"T05thread:2a;hexname:{b'cat/42'.hex()};threads:2a,1,3b9aca00;")
    assert "reason:breakpoint;" in reply
    assert f"00:{rig.pc(FIRST_ONE).decode()};" in reply


def test_passive_threads_have_no_signal(rig: Rig) -> None:
    assert rig.ask("qThreadStopInfo2a").startswith(b"T00thread:2a;hexname:6361742f3432;")
    assert b"reason" not in rig.ask("qThreadStopInfo2a")
    rows = json.loads(rig.ask("jThreadsInfo"))
    assert [row["tid"] for row in rows] == [INIT, CAT, IDLE]
    assert [row["signal"] for row in rows] == [5, 0, 0]
    assert [row["name"] for row in rows] == ["init/1", "cat/42", "swapper/0/0"]
    assert ["registers" in row for row in rows] == [True, False, False]
    assert rig.ask("qfThreadInfo") == b"m1,2a,3b9aca00"
    assert rig.ask("qsThreadInfo") == b"l"


def test_call_stack_is_of_file_offsets(rig: Rig) -> None:
    assert rig.ask("qWasmCallStack:1") == rig.pc(FIRST_ONE) + rig.pc(FIRST_TWO + 3)
    assert rig.ask("p0;thread:002a;") == rig.pc(FIRST_ONE)
    # A task whose stack is not known has one frame, in code of the stub's own.
    assert rig.ask(f"qWasmCallStack:{IDLE:x}") == HOST_PC.to_bytes(8, "little").hex().encode()
    assert rig.text("qWasmCallStack:77") == "no thread 0x77"


def test_wasm_values_have_their_width(rig: Rig) -> None:
    rig.debugger.locals = {(INIT, 0, i): 0x1122334455667788 for i in range(4)}
    rig.ask("qWasmCallStack:1")
    assert rig.ask("qWasmLocal:0;0") == b"88776655"
    assert rig.ask("qWasmLocal:0;1") == b"8877665544332211"
    assert rig.ask("qWasmLocal:0;2") == b"88776655"
    assert rig.ask("qWasmLocal:0;3") == b"8877665544332211"
    assert rig.ask("qWasmStackValue:0;0") == b"0500000000000000"


def test_values_that_are_not_known_are_errors(rig: Rig) -> None:
    rig.ask("qWasmCallStack:1")
    assert rig.text("qWasmLocal:0;9") == "local 9 is not available at this place"
    assert rig.text("qWasmStackValue:1;0") == "operand 0 is not available at this place"
    assert rig.text("qWasmLocal:5;0") == "thread 0x1 has no frame 5"
    assert rig.text("qWasmGlobal:0;3") == "global 3 is not available at this place"


def test_the_stack_pointer_is_the_frames(rig: Rig) -> None:
    rig.ask("qWasmCallStack:1")
    assert rig.ask("qWasmGlobal:0;0") == (0x4000 - 64).to_bytes(4, "little").hex().encode()
    assert rig.ask("qWasmGlobal:1;0") == (0x4000).to_bytes(4, "little").hex().encode()
    # Later versions name the module instead of a frame.
    assert rig.ask("qWasmGlobal:0;instance:0;") == b"803f0000"


def test_frames_are_of_the_thread_named_last(rig: Rig) -> None:
    rig.debugger.locals = {(INIT, 0, 0): 1, (CAT, 0, 0): 2}
    rig.ask("qWasmCallStack:2a")
    assert rig.ask("qWasmLocal:0;0") == b"02000000"
    rig.ask("p0;thread:0001;")
    assert rig.ask("qWasmLocal:0;0") == b"01000000"
    rig.ask("Hg2a")
    assert rig.ask("qWasmLocal:0;0") == b"02000000"


def test_memory(rig: Rig) -> None:
    assert rig.ask("m10,4") == b"10111213"
    assert rig.ask("M10,2:aabb") == b"OK"
    assert rig.ask(b"X12,3:\x01}\x03") == b"OK"
    assert rig.ask("m10,6") == b"aabb017d0315"
    assert rig.ask("mffff,10") == b"ff"
    assert rig.text("m20000,4") == "no memory at 0x20000"
    assert rig.text("M10,2:aa") == "2 bytes announced, 1 came"
    assert rig.text(f"M{CODE:x},1:aa") == "code cannot be written"
    assert rig.ask(f"m{CODE:x},4") == b"0061736d"
    assert rig.text(f"m{CODE | 5 << 32:x},4") == "nothing at 0x4000000500000000"
    assert rig.text("m8000000000000000,4") == "nothing at 0x8000000000000000"


def test_memory_regions(rig: Rig) -> None:
    assert rig.ask("qMemoryRegionInfo:100").startswith(b"start:0;size:10000;permissions:rw;")
    assert rig.ask("qMemoryRegionInfo:20000").startswith(b"start:10000;size:")
    assert rig.ask(f"qMemoryRegionInfo:{CODE:x}").startswith(b"start:4000000000000000;size:")
    assert b"permissions:rx" in rig.ask(f"qMemoryRegionInfo:{CODE:x}")
    assert b"permissions" not in rig.ask(f"qMemoryRegionInfo:{CODE | 0xF0000000:x}")


def test_breakpoint_in_a_header_is_hit_where_it_was_asked_for(rig: Rig) -> None:
    assert rig.ask(f"Z0,{rig.code(HEADER_ONE):x},4") == b"OK"
    assert rig.debugger.breakpoints == {Place(0, HEADER_ONE): 1}
    rig.debugger.script.append(StopEvent(StopReason.BREAKPOINT, INIT, Place(0, FIRST_ONE)))
    reply = rig.ask("c")
    assert b"reason:breakpoint;" in reply
    assert b"00:" + rig.pc(HEADER_ONE) in reply
    assert rig.ask("qWasmCallStack:1").startswith(rig.pc(HEADER_ONE))
    # Nothing but the innermost frame moves.
    assert rig.ask("qWasmCallStack:1").endswith(rig.pc(FIRST_TWO + 3))
    assert rig.ask(f"z0,{rig.code(HEADER_ONE):x},4") == b"OK"
    assert not +rig.debugger.breakpoints
    assert rig.ask("qWasmCallStack:1").startswith(rig.pc(FIRST_ONE))


def test_breakpoint_at_the_end_is_a_return(rig: Rig) -> None:
    asked: list[tuple[Place, bool]] = []
    add = rig.debugger.add_breakpoint

    def note(place: Place, *, at_return: bool = False) -> None:
        asked.append((place, at_return))
        add(place, at_return=at_return)

    rig.debugger.add_breakpoint = note
    assert rig.ask(f"Z0,{rig.code(END_ONE):x},4") == b"OK"
    assert rig.ask(f"Z0,{rig.code(HEADER_TWO):x},4") == b"OK"
    assert asked == [(Place(0, END_ONE), True), (Place(0, HEADER_TWO), False)]
    rig.debugger.script.append(StopEvent(StopReason.STEP, INIT, Place(0, FIRST_TWO + 3)))
    assert b"reason:trace;" in rig.ask("c")


def test_breakpoints_elsewhere_are_refused(rig: Rig) -> None:
    assert rig.text("Z0,1000,4") == "no code at 0x1000"
    assert rig.text(f"Z0,{rig.code(0x5000):x},4").startswith("no code at 0x4000")
    assert rig.text(f"Z0,{rig.code(0, 9):x},4").startswith("no code at 0x4000000900000")
    assert rig.ask(f"Z0,{rig.code(0x10, 1):x},4") == b"OK"
    assert rig.debugger.breakpoints[Place(1, 0x10)] == 1
    assert rig.ask("Z7,10,4") == b""


def test_watchpoints(rig: Rig) -> None:
    assert rig.ask("qWatchpointSupportInfo:").startswith(b"num:")
    for letter, kind in (("2", WatchKind.WRITE), ("3", WatchKind.READ), ("4", WatchKind.ACCESS)):
        assert rig.ask(f"Z{letter},1000,8") == b"OK"
        assert rig.debugger.watchpoints[kind, 0x1000, 8] == 1
        assert rig.ask(f"z{letter},1000,8") == b"OK"
        assert not +rig.debugger.watchpoints
    rig.ask("Z2,1000,8")
    hit = Hit(WatchKind.WRITE, 0x1000, 8, 0x1004, bytes(8), bytes(8))
    rig.debugger.script.append(StopEvent(StopReason.WATCHPOINT, CAT, Place(0, FIRST_ONE), hit))
    reply = rig.ask("c").decode()
    assert "reason:watchpoint;" in reply
    digits = reply.split("description:")[1].split(";")[0]
    assert bytes.fromhex(digits) == b"4096 0 4100"


def test_another_clients_stops_are_not_ours(rig: Rig) -> None:
    rig.ask(f"Z0,{rig.code(FIRST_ONE):x},4")
    foreign = StopEvent(StopReason.BREAKPOINT, CAT, Place(0, FIRST_TWO))
    hit = Hit(WatchKind.READ, 0x1000, 8, 0x1004, bytes(8), bytes(8))
    watched = StopEvent(StopReason.WATCHPOINT, CAT, Place(0, FIRST_TWO), hit)
    mine = StopEvent(StopReason.BREAKPOINT, INIT, Place(0, FIRST_ONE))
    rig.debugger.script += [foreign, watched, mine]
    assert rig.ask("c").startswith(b"T05thread:1;")
    assert len(rig.debugger.resumes) == 3


@pytest.mark.parametrize(
    ("packet", "actions", "default"),
    [
        ("c", {}, CONTINUE),
        ("C05", {}, CONTINUE),
        ("s", {INIT: STEP}, CONTINUE),
        ("vCont;c", {}, CONTINUE),
        ("vCont;s:2a", {CAT: STEP}, CONTINUE),
        ("vCont;c:1;s:2a", {INIT: CONTINUE, CAT: STEP}, CONTINUE),
        ("vCont;C05:1;c", {INIT: CONTINUE}, CONTINUE),
        ("vCont;c:2a", {CAT: CONTINUE}, Action(Resume.STOPPED)),
        ("vCont;s", {INIT: STEP}, CONTINUE),
        ("vCont;t:1;s:2a", {INIT: Action(Resume.STOPPED), CAT: STEP}, CONTINUE),
        ("bc", {}, Action(Resume.CONTINUE, reverse=True)),
    ],
)
def test_running(rig: Rig, packet: str, actions: dict[int, Action], default: Action) -> None:
    rig.debugger.script.append(StopEvent(StopReason.STEP, INIT, Place(0, FIRST_ONE)))
    assert b"reason:trace;" in rig.ask(packet)
    assert rig.debugger.resumes == [(actions, default)]


def test_malformed_running(rig: Rig) -> None:
    assert rig.text("vCont;x:1") == "vCont action 'x' is not known"
    assert rig.text("vCont;s:zz") == "'zz' is no thread"
    assert not rig.debugger.resumes


@pytest.mark.parametrize(
    ("reason", "signal", "expected"),
    [
        (StopReason.INTERRUPT, "02", "reason:signal;"),
        (StopReason.STEP, "05", "reason:trace;"),
        (StopReason.HISTORY, "05", "replaylog:begin;"),
        (StopReason.PANIC, "06", "reason:exception;description:" + b"panic: oh".hex()),
        (StopReason.HANG, "06", "reason:exception;"),
        (StopReason.MODULES, "00", "library:1;"),
    ],
)
def test_reasons(rig: Rig, reason: StopReason, signal: str, expected: str) -> None:
    rig.debugger.script.append(StopEvent(reason, CAT, Place(0, FIRST_ONE), message="oh"))
    reply = rig.ask("c").decode()
    assert reply.startswith(f"T{signal}thread:2a;")
    assert expected in reply
    assert ("reason:" in reply) == (reason is not StopReason.MODULES)


def test_programs_that_another_client_saw_are_announced(rig: Rig) -> None:
    rig.ask("qXfer:libraries:read::0,fff")
    assert b"library" not in rig.ask("?")
    rig.debugger.loaded.append(ModuleInfo(2, "other", None, 0x100, 0x2000, 0x8000, 100))
    assert b"library:1;" in rig.ask("?")
    # It would miss the program's breakpoints if it went on now.
    reply = rig.ask("c")
    assert reply.startswith(b"T00thread:1;")
    assert reply.endswith(b"library:1;")
    assert not rig.debugger.resumes
    rig.ask("qXfer:libraries:read::0,fff")
    assert b"library" not in rig.ask("?")


def test_names_cannot_write_on_the_terminal(rig: Rig) -> None:
    task = rig.debugger.tasks[1]
    rig.debugger.tasks[1] = replace(task, name="a;b:\x1b[31m")
    name = "a;b:?[31m/42"
    assert f"hexname:{name.encode().hex()};".encode() in rig.ask("qThreadStopInfo2a")
    assert json.loads(rig.ask("jThreadsInfo"))[1]["name"] == name


def test_exit(rig: Rig) -> None:
    rig.debugger.script.append(StopEvent(StopReason.EXITED, 0, exit_status=3))
    assert rig.ask("c") == b"W03"


def test_interrupt(rig: Rig) -> None:
    rig.peer.send(b"c")
    for _ in range(3):
        rig.server.turn(patience=0.01)
    rig.peer.raw(b"\x03")
    assert rig.peer.reply().startswith(b"T02thread:1;")


def test_monitor(rig: Rig) -> None:
    rig.peer.send(b"qRcmd," + b"tasks".hex().encode())
    assert rig.peer.reply() == b"O" + b"you said tasks\n".hex().encode()
    assert rig.peer.reply() == b"OK"
    rig.peer.send(b"qRcmd," + b"fail".hex().encode())
    assert rig.peer.reply() == b"O" + b"error: no such command\n".hex().encode()
    assert rig.peer.reply() == b"OK"
    assert rig.text("qRcmd,zz") == "monitor: the command is not text in hex"


def test_errors_without_text_until_asked_for(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    assert rig.ask("m20000,4") == b"E01"
    rig.peer.close()
    rig.server.close()


def test_detach_takes_everything_back(rig: Rig) -> None:
    rig.ask(f"Z0,{rig.code(FIRST_ONE):x},4")
    rig.ask("Z2,1000,8")
    assert rig.text("D1").startswith("the guest runs on")
    assert rig.ask("D") == b"OK"
    for _ in range(3):
        rig.server.turn(patience=0.01)
    assert rig.debugger.detached == 1
    assert not +rig.debugger.breakpoints
    assert not +rig.debugger.watchpoints


def test_kill(rig: Rig) -> None:
    assert rig.ask("k") == b"X09"
    assert rig.debugger.killed


class Nobody:
    """A session without a connection."""

    def __init__(self, debugger: FakeDebugger) -> None:
        self.debugger = debugger

    def send(self, payload: bytes) -> None: ...

    def end_acknowledgements(self) -> None: ...

    def resume(self, actions: object, default: object) -> None: ...

    def detach(self) -> None: ...

    def kill(self) -> None: ...


_STARTS = (
    "?",
    "Z0,",
    "z2,",
    "m",
    "M",
    "X",
    "p",
    "P",
    "g",
    "G",
    "H",
    "T",
    "D",
    "vCont;",
    "qWasmLocal:",
    "qWasmGlobal:",
    "qWasmStackValue:",
    "qWasmCallStack:",
    "qXfer:libraries:read::",
    "qXfer:features:read:target.xml:",
    "qThreadStopInfo",
    "qMemoryRegionInfo:",
    "qRcmd,",
    "qSupported",
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    start=st.sampled_from(_STARTS),
    rest=st.one_of(
        st.binary(max_size=40),
        st.text("0123456789abcdefxz,;:-= ", max_size=40).map(str.encode),
    ),
)
def test_no_packet_breaks_the_dialect(tmp_path: Path, start: str, rest: bytes) -> None:
    data, base = module_file()
    path = tmp_path / "k.wasm"
    if not path.exists():
        path.write_bytes(data)
    debugger = FakeDebugger()
    debugger.loaded = [ModuleInfo(0, "k", path, base, 100, 0, 0)]
    dialect = Lldb(Nobody(debugger), Modules(tmp_path / "cache"))
    try:
        reply = dialect.handle(start.encode() + rest)
    except DebugError:
        return
    assert reply is None or isinstance(reply, bytes)


def test_factory_shares_modules(rig: Rig) -> None:
    factory = lldb_dialect()
    one, two = factory(Nobody(rig.debugger)), factory(Nobody(rig.debugger))
    assert one is not two
