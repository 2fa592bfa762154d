"""The server's loop with a dialect of one letter: who holds the guest, and who is told what."""

from collections.abc import Iterator

import pytest

from tests.gdbstub.fake import FakeDebugger
from tests.gdbstub.peer import Peer, turn_once
from wdbg.debugger.model import Action, DebugError, Place, Resume, StopEvent, StopReason
from wdbg.gdbstub.dialect import Session
from wdbg.gdbstub.listener import Address, Listener
from wdbg.gdbstub.rsp import Packet, Signal
from wdbg.gdbstub.server import CONTINUE, Server

STEP = Action(Resume.STEP)


class Letters:
    """c: continue, D: detach, k: kill, m: memory, !: a defect, e: an error; else echo."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def handle(self, packet: bytes) -> bytes | None:
        if packet == b"c":
            self.session.resume({}, CONTINUE)
            return None
        if packet == b"s":
            self.session.resume({77: STEP}, Action(Resume.STOPPED))
            return None
        if packet == b"D":
            self.session.detach()
            return b"OK"
        if packet == b"k":
            self.session.kill()
            return None
        if packet == b"m":
            return self.session.debugger.read_memory(0, 4)
        if packet == b"!":
            raise ZeroDivisionError
        if packet == b"e":
            raise DebugError("cannot")
        return packet

    def wants(self, event: StopEvent) -> bool:
        return event.message != "unwanted"

    def stopped(self, event: StopEvent) -> bytes:
        return event.reason.value.encode()

    def noticed(self, event: StopEvent) -> None:
        pass

    def error(self, message: str) -> bytes:
        return b"E." + message.encode()

    def closed(self) -> None:
        pass


class Rig:
    def __init__(self, *, wait: bool) -> None:
        self.debugger = FakeDebugger()
        self.listeners = [
            Listener(name, Address("127.0.0.1", 0), Letters) for name in ("one", "two")
        ]
        self.server = Server(self.debugger, self.listeners, wait=wait)
        self.peers: list[Peer] = []

    def attach(self, number: int = 0) -> Peer:
        peer = Peer(self.listeners[number].address.port, turn_once(self.server))
        self.peers.append(peer)
        return peer

    def close(self) -> None:
        self.server.close()
        for peer in self.peers:
            peer.close()

    def turns(self, count: int = 20) -> None:
        for _ in range(count):
            self.server.turn(patience=0.01)


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig(wait=True)
    yield rig
    rig.close()


@pytest.fixture
def running() -> Iterator[Rig]:
    rig = Rig(wait=False)
    yield rig
    rig.close()


def stop(reason: StopReason, message: str = "") -> StopEvent:
    return StopEvent(reason, 1, Place(0, 0x120), message=message)


def test_waits_for_a_client_and_goes_on_after_it(rig: Rig) -> None:
    rig.turns()
    assert rig.debugger.pumps == 0
    peer = rig.attach()
    assert peer.ask("hello") == b"hello"
    assert peer.ask("D") == b"OK"
    rig.turns()
    assert rig.server.running
    assert rig.debugger.detached == 1
    with pytest.raises(EOFError):
        peer.reply()


def test_attaching_stops_a_running_guest(running: Rig) -> None:
    running.turns()
    peer = running.attach()
    assert peer.ask("m") == b"\0\1\2\3"
    running.turns()
    assert not running.server.running


def test_stop_reply_comes_when_it_stops(rig: Rig) -> None:
    rig.debugger.script.append(stop(StopReason.BREAKPOINT))
    assert rig.attach().ask("c") == b"breakpoint"


def test_an_unwanted_stop_does_not_last(rig: Rig) -> None:
    rig.debugger.script += [stop(StopReason.BREAKPOINT, "unwanted"), stop(StopReason.STEP)]
    assert rig.attach().ask("c") == b"step"
    assert len(rig.debugger.resumes) == 2


def test_interrupt(rig: Rig) -> None:
    peer = rig.attach()
    peer.send(b"c")
    rig.turns()
    peer.raw(b"\x03")
    assert peer.reply() == b"interrupt"


def test_interrupt_that_crosses_a_stop_is_dropped(rig: Rig) -> None:
    rig.debugger.script.append(stop(StopReason.BREAKPOINT))
    peer = rig.attach()
    peer.send(b"c")
    peer.raw(b"\x03")
    assert peer.reply() in (b"breakpoint", b"interrupt")
    assert peer.ask("still here") == b"still here"


def test_both_clients_are_told(rig: Rig) -> None:
    one, two = rig.attach(0), rig.attach(1)
    assert one.ask("x") == two.ask("x") == b"x"
    one.send(b"c")
    two.send(b"c")
    rig.turns()
    one.raw(b"\x03")
    assert one.reply() == b"interrupt"
    assert two.reply() == b"interrupt"


def test_a_question_holds_the_guest_for_its_answer_only(rig: Rig) -> None:
    one, two = rig.attach(0), rig.attach(1)
    assert one.ask("x") == two.ask("x") == b"x"
    one.send(b"c")
    rig.turns()
    assert two.ask("m") == b"\0\1\2\3"
    rig.turns()
    assert rig.server.running
    assert not one.items
    one.raw(b"\x03")
    assert one.reply() == b"interrupt"


def test_a_real_stop_while_a_question_holds_it(rig: Rig) -> None:
    one, two = rig.attach(0), rig.attach(1)
    assert one.ask("x") == two.ask("x") == b"x"
    one.send(b"c")
    rig.turns()
    rig.debugger.script.append(stop(StopReason.WATCHPOINT))
    assert two.ask("m") == b"\0\1\2\3"
    assert one.reply() == b"watchpoint"
    assert not rig.server.running


def test_a_client_that_attaches_stops_it_for_the_other(rig: Rig) -> None:
    one = rig.attach(0)
    one.send(b"c")
    rig.turns()
    two = rig.attach(1)
    assert one.reply() == b"interrupt"
    assert two.ask("m") == b"\0\1\2\3"
    rig.turns()
    assert not rig.server.running


def test_one_leaves_the_other_goes_on(rig: Rig) -> None:
    one, two = rig.attach(0), rig.attach(1)
    assert two.ask("x") == b"x"
    one.send(b"c")
    rig.turns()
    two.close()
    rig.turns()
    assert rig.server.running
    assert rig.debugger.detached == 0
    one.close()
    rig.turns()
    assert rig.debugger.detached == 1


def test_a_vanished_client_lets_the_guest_go(rig: Rig) -> None:
    peer = rig.attach()
    peer.raw(b"$m0,4")
    rig.turns()
    peer.close()
    rig.turns()
    assert rig.server.running
    assert rig.attach().ask("m") == b"\0\1\2\3"


def test_second_client_on_a_port_is_refused(rig: Rig) -> None:
    first = rig.attach()
    assert first.ask("x") == b"x"
    second = rig.attach()
    second.send(b"qSupported")
    assert second.reply() == b"E.another client is attached to this port"
    with pytest.raises(EOFError):
        second.reply()
    assert first.ask("y") == b"y"
    first.close()
    rig.turns()
    assert rig.attach().ask("z") == b"z"


def test_a_crowd_of_second_clients(rig: Rig) -> None:
    first = rig.attach()
    assert first.ask("x") == b"x"
    for _ in range(60):
        rig.attach()
        rig.turns(2)
    assert first.ask("y") == b"y"


def test_kill(rig: Rig) -> None:
    peer = rig.attach()
    peer.send(b"k")
    event = rig.server.run()
    assert event.reason is StopReason.EXITED
    assert event.exit_status == 137


def test_exit_is_told_before_the_end(rig: Rig) -> None:
    rig.debugger.script.append(stop(StopReason.EXITED))
    peer = rig.attach()
    peer.send(b"c")
    assert rig.server.run().reason is StopReason.EXITED
    assert peer.reply() == b"exited"


def test_errors_and_defects_are_answers(rig: Rig) -> None:
    peer = rig.attach()
    assert peer.ask("e") == b"E.cannot"
    assert peer.ask("!") == b"E.internal error of wdbg"
    assert peer.ask("x") == b"x"


def test_a_resume_that_moves_nothing(rig: Rig) -> None:
    peer = rig.attach()
    assert peer.ask("s") == b"E.no such thread"
    assert not rig.debugger.resumes


def test_wrong_checksum(rig: Rig) -> None:
    peer = rig.attach()
    peer.raw(b"$m#00")
    assert peer.next() is Signal.NAK
    assert peer.ask("m") == b"\0\1\2\3"


def test_repeat_on_nak(rig: Rig) -> None:
    peer = rig.attach()
    assert peer.ask("hello") == b"hello"
    peer.raw(b"-")
    assert peer.reply() == b"hello"


def test_packet_of_a_mebibyte(rig: Rig) -> None:
    peer = rig.attach()
    for _ in range(3):
        peer.socket.setblocking(False)
        data = b"$" + b"a" * (1 << 20) + b"#%02x" % ((ord("a") << 20) & 0xFF)
        while data:
            try:
                data = data[peer.socket.send(data) :]
            except BlockingIOError:
                rig.turns(1)
        assert peer.reply() == b"E.packet is too long"
    assert peer.ask("m") == b"\0\1\2\3"


def test_thousands_of_packets_without_acknowledgement(rig: Rig) -> None:
    peer = rig.attach()
    assert peer.ask("x") == b"x"
    data = b"$m#6d" * 5000
    while data:
        try:
            data = data[peer.socket.send(data) :]
        except BlockingIOError:
            rig.turns(1)
    answers = 0
    while answers < 5000:
        item = peer.next()
        answers += isinstance(item, Packet)
    assert peer.ask("x") == b"x"


def test_a_client_that_never_reads(rig: Rig) -> None:
    peer = rig.attach()
    sent = 0
    for _ in range(3000):
        try:
            sent += peer.socket.send(b"$" + b"a" * 60000 + b"#%02x" % (60000 * 97 & 0xFF))
        except BlockingIOError:
            if not rig.server.clients or not rig.server.clients[0].connection.wants_read:
                break
        rig.turns(1)
    else:
        pytest.fail("it never stopped reading")
    other = rig.attach(1)
    assert other.ask("m") == b"\0\1\2\3"
    peer.close()


def test_addresses() -> None:
    assert Address.parse("1234") == Address("127.0.0.1", 1234)
    assert Address.parse("0.0.0.0:1") == Address("0.0.0.0", 1)
    assert Address.parse("[::1]:2") == Address("::1", 2)
    for text in ("", "x", "-1", "70000", "a:b", "1:²"):
        with pytest.raises(Exception, match="HOST:"):
            Address.parse(text)
