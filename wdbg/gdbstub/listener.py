"""A port where one client at a time may attach."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass

from wdbg.errors import BadInput
from wdbg.gdbstub.connection import Connection
from wdbg.gdbstub.dialect import DialectFactory

LOOPBACK = "127.0.0.1"
REFUSAL_SECONDS = 5.0
_REFUSED_AT_ONCE = 16
_BACKLOG = 8


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen; port 0 lets the system choose one."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """`[HOST:]PORT`: loopback unless a host is named. BadInput for anything else."""
        host, _, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not port.isascii() or not port.isdigit() or int(port) > 0xFFFF:
            raise BadInput(f"{text!r} is no [HOST:]PORT", "for example 1234 or 127.0.0.1:1234")
        return cls(host or LOOPBACK, int(port))


class Listener:
    """A listening socket, the dialect that is spoken there, and the peers that were refused."""

    def __init__(self, name: str, address: Address, factory: DialectFactory) -> None:
        """Reserve the port; BadInput if that cannot be. Nobody can connect before `listen`, and
        GDB tries again for a while: better than a connection where nobody answers yet."""
        self.name = name
        self.factory = factory
        self.refused: list[tuple[Connection, float]] = []
        """Peers that are told so, with the time when they are dropped at the latest."""
        try:
            family, _, _, _, place = socket.getaddrinfo(
                address.host, address.port, type=socket.SOCK_STREAM
            )[0]
            self._socket = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:
            raise _cannot(address, error) from error
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            self._socket.bind(place)
        except OSError as error:
            self._socket.close()
            raise _cannot(address, error) from error
        self._socket.setblocking(False)

    def listen(self) -> None:
        """Let peers come. BadInput if somebody else has been faster."""
        try:
            self._socket.listen(_BACKLOG)
        except OSError as error:
            raise _cannot(self.address, error) from error

    @property
    def address(self) -> Address:
        """Where it really listens."""
        host, port = self._socket.getsockname()[:2]
        return Address(host, port)

    def fileno(self) -> int:
        """For poll."""
        return self._socket.fileno()

    def accept(self) -> socket.socket | None:
        """A peer that has come, if it is still there."""
        try:
            sock, _ = self._socket.accept()
        except OSError:
            return None
        return sock

    def refuse(self, sock: socket.socket) -> None:
        """Say why in the first reply, then wait for the peer to close: closing at once would
        lose the reply, since unread input makes the kernel reset the connection."""
        connection = Connection(sock)
        if len(self.refused) >= _REFUSED_AT_ONCE:
            connection.close()
            return
        connection.acknowledge()  # GDB overlooks a packet that comes before
        connection.send(b"E.another client is attached to this port")
        connection.finish()
        self.refused.append((connection, time.monotonic() + REFUSAL_SECONDS))

    def drop_refused(self) -> None:
        """Forget those who left, and whom we have waited for long enough."""
        now = time.monotonic()
        for connection, deadline in self.refused:
            connection.items.clear()
            if now > deadline:
                connection.close()
        self.refused = [pair for pair in self.refused if not pair[0].closed]

    def close(self) -> None:
        """Close all sockets."""
        for connection, _ in self.refused:
            connection.close()
        self._socket.close()


def _cannot(address: Address, error: OSError) -> BadInput:
    where = f"{address.host}:{address.port}"
    return BadInput(f"cannot listen on {where}: {error.strerror or error}")
