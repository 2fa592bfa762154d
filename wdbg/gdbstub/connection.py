"""One client on a non-blocking socket: what it has sent, what it has yet to read."""

from __future__ import annotations

import socket
from collections import deque

from wdbg.gdbstub.rsp import Item, Packet, Parser, Signal, frame

OUTBOX_LIMIT = 1 << 20
"""Bytes that wait for a slow reader before we stop reading what it sends."""
BACKLOG_LIMIT = 1024
"""Items read and not yet handled before we stop reading."""
_CHUNK = 1 << 16
_KEEPALIVE = (  # a peer whose machine is gone is noticed after about a minute
    ("TCP_KEEPIDLE", 30),
    ("TCP_KEEPINTVL", 10),
    ("TCP_KEEPCNT", 3),
)


class Connection:
    """A client's socket with its parser and outbox. Never blocks and never raises for what the
    peer does: `closed` becomes true instead."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._parser = Parser()
        self._outbox = bytearray()
        self._last = b""
        self.items: deque[Packet | Signal] = deque()
        """Packets and signals that nobody has handled yet; ACK and NAK are dealt with here."""
        self.acknowledges = True
        """False in no-ack mode."""
        self.closed = False
        sock.setblocking(False)
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for name, value in _KEEPALIVE:
                if hasattr(socket, name):
                    sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)

    def fileno(self) -> int:
        """For poll; -1 when closed."""
        return self._socket.fileno()

    @property
    def wants_read(self) -> bool:
        """False while the peer owes us reading: it is not read from either."""
        return len(self._outbox) < OUTBOX_LIMIT and len(self.items) < BACKLOG_LIMIT

    @property
    def wants_write(self) -> bool:
        """Whether bytes wait for the peer to read."""
        return bool(self._outbox)

    def receive(self) -> None:
        """Read what is there, one chunk; acknowledge packets."""
        try:
            data = self._socket.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        if not data:
            self.close()
            return
        for item in self._parser.feed(data):
            self._take(item)
        self.flush()

    def _take(self, item: Item) -> None:
        if item is Signal.ACK:
            return
        if item is Signal.NAK:
            # Without a bound on repeats a peer could fill our memory with one-byte requests.
            if self.acknowledges and len(self._outbox) < OUTBOX_LIMIT:
                self._outbox += self._last
            return
        if item is Signal.GARBLED:
            if self.acknowledges:
                self._outbox += b"-"
                return
        elif item is not Signal.INTERRUPT and self.acknowledges:
            self._outbox += b"+"
        self.items.append(item)

    def acknowledge(self) -> None:
        """Acknowledge a packet that will not be read."""
        self._outbox += b"+"

    def send(self, payload: bytes) -> None:
        """Queue a packet, and write what can be written now."""
        if self.closed:
            return
        self._last = frame(payload)
        self._outbox += self._last
        self.flush()

    def flush(self) -> None:
        """Write as much as the peer takes now."""
        while self._outbox and not self.closed:
            try:
                written = self._socket.send(self._outbox[:_CHUNK])
            except BlockingIOError:
                return
            except OSError:
                self.close()
                return
            del self._outbox[:written]

    def finish(self) -> None:
        """Nothing more to send: the peer sees the end once it has read what was sent."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.close()

    def close(self) -> None:
        """End it. Items that were read stay, the outbox is lost."""
        if self.closed:
            return
        self.closed = True
        self._outbox.clear()
        # A forked child of the guest may hold the socket as well: closing alone would not do.
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._socket.close()
