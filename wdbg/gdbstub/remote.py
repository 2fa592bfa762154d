"""The other side of the protocol: reads the memory of a guest at whose GDB port it is attached."""

from __future__ import annotations

import socket

from wdbg.errors import BadInput, WdbgError
from wdbg.gdbstub.listener import Address
from wdbg.gdbstub.rsp import Packet, Parser, frame

_SECONDS = 20.0
_PIECE = 0x8000


class Remote:
    """A connection; the guest stands still as long as it lasts. BadInput if nobody listens."""

    def __init__(self, address: Address) -> None:
        self._parser = Parser()
        try:
            self._socket = socket.create_connection((address.host, address.port), _SECONDS)
        except OSError as error:
            where = f"{address.host}:{address.port}"
            raise BadInput(f"cannot connect to {where}: {error.strerror or error}") from None
        reply = self.ask(b"qSupported:swbreak+;hwbreak+")
        if not reply.startswith(b"PacketSize="):
            raise BadInput(f"that is no GDB port of wdbg: {reply[:60]!r}")
        self.ask(b"?")

    def ask(self, payload: bytes) -> bytes:
        """The reply to a packet. WdbgError if there is none."""
        try:
            self._socket.sendall(frame(payload))
            while True:
                data = self._socket.recv(1 << 16)
                if not data:
                    raise WdbgError("the guest has ended")
                for item in self._parser.feed(data):
                    if isinstance(item, Packet):
                        self._socket.sendall(b"+")
                        return item.payload
        except OSError as error:
            raise WdbgError(f"the guest does not answer: {error}") from None

    def read(self, address: int, length: int) -> bytes:
        """Guest memory. LookupError if there is none."""
        found = bytearray()
        while len(found) < length:
            count = min(length - len(found), _PIECE)
            reply = self.ask(b"m%x,%x" % (address + len(found), count))
            try:
                piece = bytes.fromhex(reply.decode("ascii"))
            except ValueError:
                piece = b""
            if not piece or reply.startswith(b"E"):
                raise LookupError(f"no memory at {address + len(found):#x}")
            found += piece
        return bytes(found)

    def size(self) -> int:
        """Bytes of guest memory, to a page."""
        low, high = 0, 0xBFFF_0000 >> 12
        while low < high:
            middle = (low + high + 1) // 2
            try:
                self.read((middle << 12) - 1, 1)
                low = middle
            except LookupError:
                high = middle - 1
        return low << 12

    def close(self) -> None:
        """Let the guest go on."""
        try:
            self.ask(b"D")
        except WdbgError:
            pass  # it has ended
        self._socket.close()
