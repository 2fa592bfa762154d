"""Peers that no debugger would be, at both ports of the real guest: it runs on, and the next
debugger can attach."""

import random
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.clients.live import LiveGuest, live_guest
from wdbg.gdbstub.rsp import Packet, Parser, frame
from wdbg.runtime.guest import Guest

pytestmark = pytest.mark.guest

DEADLINE = 60.0
BREAK = b"\x03"


@pytest.fixture(scope="module")
def shell(guest: Guest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveGuest]:
    """A guest at its prompt, running."""
    place = tmp_path_factory.mktemp("peers")
    with live_guest(place, "--gdb", "0", "--lldb", "0") as found:
        found.process.expect_exact("# ")
        yield found


class Raw:
    """A socket; each reading ends at the deadline."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), DEADLINE)
        self.parser = Parser(1 << 20)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def reply(self) -> bytes:
        while True:
            data = self.socket.recv(1 << 16)
            assert data, "closed"
            packets = [i.payload for i in self.parser.feed(data) if isinstance(i, Packet)]
            if packets:
                self.send(b"+" * len(packets))
                return packets[0]

    def ask(self, payload: bytes) -> bytes:
        self.send(frame(payload))
        return self.reply()

    def close(self) -> None:
        self.socket.close()


def vanish_in_a_packet(peer: Raw) -> None:
    peer.send(b"$m1000,4")


def shut_one_side(peer: Raw) -> None:
    peer.send(frame(b"qSupported"))
    peer.socket.shutdown(socket.SHUT_WR)
    while peer.socket.recv(1 << 16):
        pass


def reset(peer: Raw) -> None:
    peer.send(frame(b"vCont;c") + frame(b"?"))
    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def vanish_while_it_runs(peer: Raw) -> None:
    assert peer.ask(b"?").startswith(b"T")
    peer.send(frame(b"vCont;c"))


def wrong_checksums(peer: Raw) -> None:
    peer.send(b"$g#00" * 500)
    assert peer.ask(b"qAttached") in (b"1", b"")


def a_mebibyte(peer: Raw) -> None:
    peer.send(frame(b"X1000,100000:" + bytes(1 << 20)))
    assert peer.reply().startswith(b"E")


def thousands_without_reading(peer: Raw) -> None:
    peer.socket.settimeout(2)
    try:
        peer.send(frame(b"m1000,4000") * 20_000)
    except TimeoutError:
        pass


def nonsense(peer: Raw) -> None:
    chance = random.Random(3)
    words = [b"g", b"m", b"M", b"Z0,", b"z2,", b"qXfer:", b"vCont;", b"Hg", b"T", b"p", b"X"]
    words += [b"qWasmLocal:", b"qWasmCallStack:", b"jThreadsInfo", b"QSaveRegisterState", b"x"]
    for _ in range(300):
        rest = bytes(chance.choices(b"0123456789abcdef,;:-", k=chance.randrange(12)))
        peer.send(frame(chance.choice(words) + rest))
    peer.send(BREAK)
    peer.send(bytes(chance.randrange(256) for _ in range(5000)))


def what_does_not_exist(peer: Raw) -> None:
    assert peer.ask(b"mfffffff0,10").startswith(b"E")
    assert peer.ask(b"Mfffffff0,1:00").startswith(b"E")
    assert peer.ask(b"Hg7fffffff") != b""
    for packet in (b"T7fffffff", b"Z0,1000,1", b"Z2,fffffff0,4", b"vCont;c:7fffffff"):
        assert peer.ask(packet).startswith(b"E"), packet


PEERS: list[Callable[[Raw], None]] = [
    vanish_in_a_packet,
    shut_one_side,
    reset,
    vanish_while_it_runs,
    wrong_checksums,
    a_mebibyte,
    thousands_without_reading,
    nonsense,
    what_does_not_exist,
]


@pytest.mark.parametrize("port", ["gdb", "lldb"])
@pytest.mark.parametrize("misbehave", PEERS)
def test_the_next_client_can_attach(
    shell: LiveGuest, port: str, misbehave: Callable[[Raw], None]
) -> None:
    peer = Raw(shell.ports[port])
    misbehave(peer)
    peer.close()
    following = attached(shell.ports[port])
    assert following.ask(b"?").startswith(b"T")
    assert following.ask(b"D") == b"OK"
    following.close()
    shell.process.sendline("echo alive$((40 + 2))")
    shell.process.expect_exact("alive42", timeout=DEADLINE)


def attached(port: int) -> Raw:
    """The next client; the one before may still have to be noticed gone."""
    deadline = time.monotonic() + DEADLINE
    while True:
        peer = Raw(port)
        if not peer.ask(b"qSupported").startswith(b"E.another"):
            return peer
        peer.close()
        assert time.monotonic() < deadline


def test_a_second_client_is_refused(shell: LiveGuest) -> None:
    first = attached(shell.ports["gdb"])
    second = Raw(shell.ports["gdb"])
    assert second.ask(b"qSupported").startswith(b"E.another client")
    assert first.ask(b"?").startswith(b"T")
    first.close()
    second.close()


def test_a_debugger_after_all_of_them(shell: LiveGuest, tmp_path: Path) -> None:
    seen = shell.gdb("bt", "info threads", "detach")
    assert '"swapper/0"' in seen["info threads"]
    assert seen["bt"].startswith("#0 ")
