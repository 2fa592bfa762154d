"""GDB's packets, by hand, to the dialect over a fake guest."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symbols.shadow.addresses import HOST_RETURN, KERNEL_BASE, PROGRAM_BASE
from symbols.shadow.frames import (
    CALLER_EBP,
    CALLER_PC,
    CFA_FROM_EBP,
    frame_cfa,
    frame_registers,
)
from tests.gdbstub.fake import CAT, IDLE, INIT, FakeDebugger
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
from wdbg.gdbstub.gdb.dialect import GdbDialect

U32 = 4


class FakeSession:
    def __init__(self) -> None:
        self.debugger = FakeDebugger()
        self.sent: list[bytes] = []
        self.quiet = self.left = self.killed = False

    def send(self, payload: bytes) -> None:
        self.sent.append(payload)

    def end_acknowledgements(self) -> None:
        self.quiet = True

    def resume(self, actions: dict[int, Action], default: Action) -> None:
        self.debugger.resume(actions, default)

    def detach(self) -> None:
        self.left = True

    def kill(self) -> None:
        self.killed = True


class Rig:
    def __init__(self) -> None:
        self.session = FakeSession()
        self.debugger = self.session.debugger
        self.shadows: dict[int, Path] = {}
        self.dialect = GdbDialect(self.session, self._shadow)

    def _shadow(self, module: ModuleInfo) -> Path | None:
        return self.shadows.get(module.number)

    def ask(self, packet: str | bytes) -> bytes | None:
        packet = packet.encode("latin-1") if isinstance(packet, str) else packet
        try:
            return self.dialect.handle(packet)
        except DebugError as error:
            return self.dialect.error(str(error))

    def text(self, packet: str) -> str:
        reply = self.ask(packet)
        assert reply is not None
        return reply.decode("ascii")

    def memory(self, address: int, length: int) -> bytes | None:
        reply = self.text(f"m{address:x},{length:x}")
        return None if reply.startswith("E") else bytes.fromhex(reply)

    def word(self, address: int) -> int | None:
        data = self.memory(address, U32)
        return None if data is None else int.from_bytes(data, "little")

    def register(self, number: int) -> int:
        return int.from_bytes(bytes.fromhex(self.text(f"p{number:x}")), "little")

    def stop(self, event: StopEvent) -> str:
        self.debugger.event = event
        self.debugger.running = False
        return self.dialect.stopped(event).decode("ascii")


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_handshake(rig: Rig) -> None:
    features = rig.text("qSupported:multiprocess+;swbreak+;hwbreak+;xmlRegisters=i386").split(";")
    assert "PacketSize=20000" in features
    words = {"swbreak+", "vContSupported+", "ConditionalBreakpoints+"}
    assert words | {"ReverseStep+", "ReverseContinue+"} <= set(features)
    assert "multiprocess+" not in features
    assert rig.text("vMustReplyEmpty") == ""
    assert rig.text("QStartNoAckMode") == "OK"
    assert rig.session.quiet
    assert rig.text("!") == ""
    assert rig.text("Hg0") == "OK"
    assert rig.text("qTStatus") == ""
    assert rig.text("qC") == "QC1"
    assert rig.text("qAttached") == "1"
    assert rig.text("vCont?").startswith("vCont;c;C;s;S;r")
    assert rig.text("qOffsets") == "Text=0;Data=0;Bss=0"
    assert rig.text("qSymbol::") == "OK"
    assert rig.text("QNonStop:1") == ""
    assert rig.text("R00") == ""


def test_threads(rig: Rig) -> None:
    assert rig.text("qfThreadInfo") == f"m1,2a,{IDLE:x}"
    assert rig.text("qsThreadInfo") == "l"
    rig.debugger.event = replace(rig.debugger.event, tid=CAT)
    assert rig.text("qfThreadInfo").startswith("m2a,1,")
    document = rig.text("qXfer:threads:read::0,1000")
    assert document.startswith('l<threads>\n<thread id="2a" name="cat">pid 42, S (sleeping)<')
    assert '<thread id="1" core="0" name="init">pid 1, on CPU 0, running</thread>' in document
    assert "idle task of CPU 0" in document
    title = bytes.fromhex(rig.text("qThreadExtraInfo,2a")).decode()
    assert title == "cat: pid 42, S (sleeping)"
    assert rig.text("T2a") == "OK"
    assert rig.text("T2b").startswith("E")
    assert rig.text("Hg2b").startswith("E.")
    assert rig.text("Hgp1.1").startswith("E.")
    assert rig.text("qThreadExtraInfo,2b").startswith("E")


def test_a_name_is_whatever_a_program_says(rig: Rig) -> None:
    rig.debugger.tasks[1] = replace(rig.debugger.tasks[1], name='<"&\x01\xe9', detail="<&")
    assert "name='&lt;\"&amp;??'" in rig.text("qXfer:threads:read::0,1000")


def test_transfers_come_in_pieces(rig: Rig) -> None:
    whole = rig.text("qXfer:features:read:target.xml:0,20000")
    assert whole.startswith("l<?xml")
    text, offset = "", 0
    while True:
        piece = rig.text(f"qXfer:features:read:target.xml:{offset:x},100")
        text, offset = text + piece[1:], offset + len(piece) - 1
        if piece[0] == "l":
            break
    assert text == whole[1:]
    assert rig.text("qXfer:features:read:other.xml:0,100") == "E00"
    assert rig.text("qXfer:features:read:target.xml:fffff,100").startswith("E")
    assert rig.text("qXfer:features:read:target.xml:0").startswith("E")
    assert rig.text("qXfer:nonsense:read::0,100") == ""
    assert rig.text("qXfer:features:write:target.xml:0,100") == ""


def test_files_of_modules(rig: Rig, tmp_path: Path) -> None:
    assert rig.text("qXfer:libraries:read::0,1000") == "l<library-list>\n</library-list>"
    assert rig.text("qXfer:exec-file:read::0,1000") == "E00"
    rig.shadows = {0: tmp_path / "vmlinux.elf", 1: tmp_path / "cat.elf"}
    assert rig.text("qXfer:exec-file:read:1:0,1000") == f"l{tmp_path}/vmlinux.elf"
    assert f'<library name="{tmp_path}/cat.elf">' in rig.text("qXfer:libraries:read::0,1000")


def test_registers(rig: Rig) -> None:
    reply = rig.text("g")
    assert len(reply) == 2 * 308
    assert rig.register(8) == KERNEL_BASE + 0x120
    assert reply[64:72] == (KERNEL_BASE + 0x120).to_bytes(4, "little").hex()
    assert rig.text("p0") == "x" * 8
    rig.debugger.returns[INIT] = 0x1122334455667788
    assert rig.register(0) == 0x55667788
    assert rig.register(2) == 0x11223344
    assert rig.register(41) == 0
    assert rig.register(42) == 0x120
    assert rig.register(43) == 0x3F80
    assert rig.text("p2c").startswith("E.")
    assert rig.text("pffffffffffffffff").startswith("E.")
    assert rig.text("G00").startswith("E.")
    assert rig.text("P8=00000000").startswith("E.")


def test_a_stack_unwinds_by_its_records(rig: Rig) -> None:
    """What the shadow ELF's call-frame information tells GDB to do."""
    assert rig.text("Hg1") == "OK"
    pc, ebp = rig.register(8), rig.register(5)
    chain = [pc]
    while True:
        cfa = ebp + CFA_FROM_EBP
        pc, caller = rig.word(cfa - CALLER_PC), rig.word(cfa - CALLER_EBP)
        assert pc is not None
        assert caller is not None
        chain.append(pc)
        if pc == HOST_RETURN:
            break
        assert caller > ebp
        ebp = caller
    assert chain == [KERNEL_BASE + 0x120, KERNEL_BASE + 0x230, PROGRAM_BASE + 0x40, HOST_RETURN]


def test_locals(rig: Rig) -> None:
    ebp = rig.register(5)
    assert rig.word(ebp + 56) == 7
    assert rig.memory(ebp + 48, 8) == (0x1122334455667788).to_bytes(8, "little")
    assert rig.word(ebp + 40) is None, "a local without a value is no zero"
    assert rig.memory(ebp + 40, 16) is None
    assert rig.memory(rig.register(4), 8) == (5).to_bytes(8, "little")
    caller = rig.word(ebp + 72)
    assert caller is not None
    assert rig.word(caller + 56 - 24) == 0xDEAD
    rig.text("Hg2a")
    assert rig.word(rig.register(5) + 56) == 99


def test_writing_locals(rig: Rig) -> None:
    ebp = rig.register(5)
    assert rig.text(f"M{ebp + 56:x},4:efbeadde") == "OK"
    assert rig.debugger.locals[INIT, 0, 0] == 0xDEADBEEF
    assert rig.ask(b"X%x,2:\xaa\xbb" % (ebp + 50)) == b"OK"
    assert rig.debugger.locals[INIT, 0, 1] == 0x11223344BBAA7788
    assert rig.text(f"M{ebp + 40:x},4:00000000").startswith("E.")
    assert rig.text(f"M{ebp + 76:x},4:00000000").startswith("E.")
    assert rig.text(f"M{frame_cfa(400, 0):x},4:00000000").startswith("E.")


def test_slots_stay_from_stop_to_stop(rig: Rig) -> None:
    rig.text("Hg2a")
    before = rig.register(5)
    rig.ask("vCont;c")
    rig.stop(StopEvent(StopReason.STEP, INIT))
    rig.text("Hg1")
    rig.register(5)
    rig.text("Hg2a")
    assert rig.register(5) == before


def test_memory(rig: Rig) -> None:
    assert rig.memory(0x100, 4) == b"\0\1\2\3"
    assert rig.text("M100,4:a1a2a3a4") == "OK"
    assert rig.memory(0x100, 5) == b"\xa1\xa2\xa3\xa4\x04"
    assert rig.ask(b"X100,3:}#$") == b"OK"
    assert rig.memory(0x100, 3) == b"}#$"
    assert rig.text("X100,0:") == "OK"
    assert rig.memory(len(rig.debugger.memory) - 2, 8) == b"\xfe\xff"
    assert rig.memory(KERNEL_BASE + 0x120, 4) == b"\xf4" * 4
    assert rig.memory(PROGRAM_BASE + 0x10, 4) == b"\xf4" * 4
    assert rig.memory(HOST_RETURN, 4) is not None
    end = len(rig.debugger.memory)
    for address in (end, 0xBFFEFFFF, KERNEL_BASE + 0x10000, 0xDF000000, 0xFFFFFFFF, 1 << 63):
        assert rig.text(f"m{address:x},4") == "E0e", hex(address)
        assert rig.text(f"M{address:x},1:00").startswith("E"), hex(address)
    assert rig.text(f"M{end - 1:x},2:0000").startswith("E")


def test_search_and_checksum(rig: Rig) -> None:
    assert rig.ask(b"qSearch:memory:0;10000;\x05\x06") == b"1,5"
    assert rig.ask(b"qSearch:memory:6;10000;\x05\x06") == b"1,105"
    assert rig.ask(b"qSearch:memory:0;10000;\x06\x05") == b"0"
    assert rig.ask(b"qSearch:memory:0;ffffffffff;\x06\x05") == b"0"
    assert rig.text("qSearch:memory:0;10").startswith("E")
    rig.debugger.memory[0:9] = b"123456789"
    assert rig.text("qCRC:0,9") == "C0376e6e7"
    assert rig.text("qCRC:0,fffffff").startswith("E")


def test_breakpoints(rig: Rig) -> None:
    place = Place(0, 0x123)
    assert rig.text(f"Z0,{KERNEL_BASE + 0x123:x},1") == "OK"
    assert rig.text(f"Z0,{KERNEL_BASE + 0x123:x},1") == "OK"
    assert rig.text(f"Z1,{PROGRAM_BASE + 0x10:x},1") == "OK"
    assert rig.debugger.breakpoints == {place: 1, Place(1, 0x10): 1}
    assert rig.text(f"z0,{KERNEL_BASE + 0x123:x},1") == "OK"
    assert rig.text(f"z0,{KERNEL_BASE + 0x123:x},1") == "OK"
    assert rig.debugger.breakpoints == {Place(1, 0x10): 1}
    assert rig.text(f"Z0,{HOST_RETURN:x},1") == "OK"
    for address in ("1000", "e0000000", "ffffffff", "cfffffff", "dfffffff"):
        assert rig.text(f"Z0,{address},1").startswith("E."), address
    for packet in ("Z", "Z0", "Z0,", "Z0,x,1", "Z0,1", "Z0,1,2,3", "z0,-1,1"):
        assert rig.text(packet).startswith("E"), packet
    assert rig.text("Z5,0,1") == ""
    rig.dialect.closed()
    assert not rig.debugger.breakpoints


def test_watchpoints(rig: Rig) -> None:
    assert rig.text("Z2,100,4") == "OK"
    assert rig.text("Z3,100,4") == "OK"
    assert rig.text("Z4,200,100") == "OK"
    assert rig.text("Z2,fffffff,4").startswith("E.")
    assert len(rig.debugger.watchpoints) == 3
    assert rig.text("z3,100,4") == "OK"
    hit = Hit(WatchKind.WRITE, 0x100, 4, 0x102, b"abcd", b"abXd")
    event = StopEvent(StopReason.WATCHPOINT, CAT, Place(0, 0x360), hit)
    rig.ask("vCont;c")
    assert rig.stop(event).startswith("T05watch:102;05:")
    rig.dialect.closed()
    assert not rig.debugger.watchpoints


def stop_at(offset: int, tid: int = INIT) -> StopEvent:
    return StopEvent(StopReason.BREAKPOINT, tid, Place(0, offset))


def test_stop_replies(rig: Rig) -> None:
    rig.text(f"Z0,{KERNEL_BASE + 0x120:x},1")
    registers = frame_registers(frame_cfa(0, 2))
    assert rig.stop(stop_at(0x120)) == (
        f"T05swbreak:;05:{registers.ebp.to_bytes(4, 'little').hex()};"
        f"04:{registers.esp.to_bytes(4, 'little').hex()};"
        f"08:{(KERNEL_BASE + 0x120).to_bytes(4, 'little').hex()};thread:1;core:0;"
    )
    assert "swbreak" not in rig.stop(stop_at(0x121))
    assert rig.stop(StopEvent(StopReason.INTERRUPT, IDLE)).startswith("T02")
    assert f"thread:{IDLE:x};" in rig.text("?")
    assert rig.stop(StopEvent(StopReason.MODULES, CAT)).startswith("T05library:;")
    assert not rig.session.sent
    assert rig.stop(StopEvent(StopReason.PANIC, CAT, message="no init")).startswith("T06")
    assert rig.session.sent.pop() == b"O" + b"wdbg: no init\n".hex().encode()
    assert rig.stop(StopEvent(StopReason.TRAP, CAT, message="x")).startswith("T0b")
    assert rig.stop(StopEvent(StopReason.HISTORY, CAT)).startswith("T05replaylog:begin;")
    assert rig.stop(StopEvent(StopReason.EXITED, 0, exit_status=1)) == "W01"
    rig.debugger.tasks.clear()
    assert rig.stop(StopEvent(StopReason.INTERRUPT, 77)) == "T02"


def test_resume(rig: Rig) -> None:
    def resumed(packet: str) -> tuple[dict[int, Action], Action]:
        assert rig.ask(packet) is None
        rig.debugger.running = False
        return rig.debugger.resumes.pop()

    go, step = Action(Resume.CONTINUE), Action(Resume.STEP)
    stay = Action(Resume.STOPPED)
    span = Action(Resume.RANGE, 0x120, 0x128)
    start, end = KERNEL_BASE + 0x120, KERNEL_BASE + 0x128
    assert resumed("vCont;c") == ({}, go)
    assert resumed("vCont;C05") == ({}, go)
    assert resumed("vCont;c:-1") == ({}, go)
    assert resumed("vCont;s:2a;c") == ({42: step}, go)
    assert resumed("vCont;s:2a") == ({42: step}, stay)
    assert resumed(f"vCont;r{start:x},{end:x}:1;c:-1") == ({1: span}, go)
    assert resumed(f"vCont;r{start:x},{start:x}:1;c") == ({1: step}, go)
    assert resumed(f"vCont;r{start:x},5:1;c") == ({1: step}, go)
    assert resumed("vCont;c:1;s:1;c:2a;s") == ({1: go, 42: go}, step)
    assert resumed("vCont;s;c:1") == ({}, step)
    assert resumed("c") == ({}, go)
    assert resumed("S05") == ({1: step}, go)
    resumes = len(rig.debugger.resumes)
    for wrong in (
        "vCont;",
        "vCont;x",
        "vCont;r1:1",
        "vCont;c:zz",
        "c1000",
        "vCont;C",
    ):
        assert rig.text(wrong).startswith("E"), wrong
    assert rig.text("vContinue") == ""
    assert len(rig.debugger.resumes) == resumes


def test_monitor(rig: Rig) -> None:
    def monitor(command: str) -> str:
        rig.session.sent.clear()
        assert rig.text(f"qRcmd,{command.encode().hex()}") == "OK"
        return b"".join(bytes.fromhex(p[1:].decode()) for p in rig.session.sent).decode()

    assert monitor("tasks") == "you said tasks\n"
    assert monitor("fail") == "no such command\n"
    assert monitor("info version").startswith("wdbg ")
    assert rig.text("qRcmd,abc").startswith("E")


def condition(code: str) -> str:
    data = bytes.fromhex(code)
    return f"X{len(data):x},{data.hex()}"


def test_conditions(rig: Rig) -> None:
    """Local 0 == 7, as GDB compiles it: reg 5; const8 56; add; ref32; const8 7; equal; end."""
    address = KERNEL_BASE + 0x120
    wants = rig.dialect.wants
    for value, expected in ((7, True), (8, False)):
        code = condition(f"26 0005 2238 02 19 22{value:02x} 13 27")
        assert rig.text(f"Z0,{address:x},1;{code}") == "OK"
        assert wants(stop_at(0x120)) is expected
        assert rig.debugger.breakpoints == {Place(0, 0x120): 1}
    false, true = condition("2200 27"), condition("2201 27")
    unknown, wrong = condition("26 0000 27"), condition("ff")
    for conditions, expected in (
        (false, False),
        (false + true, True),
        (unknown, True),
        (wrong, True),
        (false + ";cmds:0,X1,00", False),
    ):
        assert rig.text(f"Z0,{address:x},1;{conditions}") == "OK"
        assert wants(stop_at(0x120)) is expected
    assert rig.text(f"Z0,{address:x},1") == "OK"
    assert wants(stop_at(0x120))
    for malformed in ("X", "X1", "X2,00", "X1,0", "Y", "X1,00Y"):
        assert rig.text(f"Z0,{address:x},1;{malformed}").startswith("E"), malformed


def test_stops_of_others(rig: Rig) -> None:
    assert not rig.dialect.wants(stop_at(0x120))
    assert rig.dialect.wants(StopEvent(StopReason.PANIC, 1))


def test_the_end(rig: Rig) -> None:
    assert rig.text("D;1") == "OK"
    assert rig.session.left
    assert rig.ask("vKill;1") is None
    assert rig.session.sent == [b"OK"]
    assert rig.session.killed


PACKETS = st.one_of(
    st.binary(max_size=40),
    st.builds(
        lambda word, rest: word + rest,
        st.sampled_from(
            b"g p G P m M X Z0, Z1, Z2, z0, Z0,c0000120,1; H Hg T c s C S ? qXfer: vCont; vCont;r"
            b" qXfer:features:read: qXfer:threads:read:: qRcmd, qSearch:memory: qCRC: qSupported"
            b" QPassSignals: qThreadExtraInfo, mc0000000, me00ff000, Me00fff00,4:".split()
        ),
        st.one_of(
            st.binary(max_size=20), st.text("0123456789abcdef,;:-Xr", max_size=30).map(str.encode)
        ),
    ),
)


@settings(max_examples=500, deadline=None)
@given(st.lists(PACKETS, max_size=10))
def test_no_packet_is_a_defect(packets: list[bytes]) -> None:
    rig = Rig()
    for packet in packets:
        if packet.startswith((b"k", b"vKill")):
            continue
        reply = rig.ask(packet)
        assert reply is None or isinstance(reply, bytes)
        rig.debugger.running = False
