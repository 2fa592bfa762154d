"""A client of a stub, one packet at a time, and a server that turns under the test's hand."""

import socket
from collections.abc import Callable

from wdbg.gdbstub.rsp import Packet, Parser, Signal, frame
from wdbg.gdbstub.server import Server

DEADLINE = 20.0


class Peer:
    """A socket with framing. `turn` is called while it waits for the server."""

    def __init__(self, port: int, turn: Callable[[], None]) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), DEADLINE)
        self.socket.setblocking(False)
        self.parser = Parser()
        self.items: list[Packet | Signal] = []
        self.ended = False
        self._turn = turn

    def raw(self, data: bytes) -> None:
        self.socket.setblocking(True)
        self.socket.sendall(data)
        self.socket.setblocking(False)

    def send(self, payload: bytes) -> None:
        self.raw(frame(payload))

    def read(self) -> None:
        """What is there now."""
        try:
            data = self.socket.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self.ended = self.ended or not data
        self.items += self.parser.feed(data)

    def next(self) -> Packet | Signal:
        """The next item that the server sends."""
        for _ in range(20_000):
            self.read()
            if self.items:
                return self.items.pop(0)
            if self.ended:
                raise EOFError
            self._turn()
        raise TimeoutError

    def reply(self) -> bytes:
        """The next packet's payload."""
        while True:
            item = self.next()
            if isinstance(item, Packet):
                self.raw(b"+")
                return item.payload

    def ask(self, payload: bytes | str) -> bytes:
        self.send(payload.encode() if isinstance(payload, str) else payload)
        return self.reply()

    def close(self) -> None:
        self.socket.close()


def turn_once(server: Server) -> Callable[[], None]:
    """A `turn` that never blocks: what a waiting peer calls."""

    def turn() -> None:
        server.turn(patience=0.01)

    return turn
