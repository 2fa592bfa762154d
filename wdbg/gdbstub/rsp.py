"""Framing of the GDB remote serial protocol: bytes to packets and back. Pure: no sockets.

A packet is `$payload#cc` with cc the sum of the payload's bytes, modulo 256, in hex. In the
payload `}` escapes a byte (xor 0x20), and `x*n` repeats x another n - 29 times. Outside of
packets there are acknowledgements (`+`, `-`) and the interrupt request (byte 3). The rules are
those of "Remote Serial Protocol: Overview" in the GDB manual.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

PACKET_SIZE = 0x20000
"""Longest payload in bytes that we take; clients are told so."""

_ESCAPED = re.compile(rb"[#$}*]")
_SPECIAL = re.compile(rb"[}*]")
_END = re.compile(rb"[$#]")
_START = re.compile(rb"[$+\-\x03]")
_HEX = frozenset(b"0123456789abcdefABCDEF")
_REPEAT_BIAS = 29
_REPEAT_LEAST, _REPEAT_MOST = 0x20, 0x7E


class Signal(enum.Enum):
    """What a peer says outside of packets, or by a packet that is none."""

    ACK = "ack"
    NAK = "nak"
    INTERRUPT = "interrupt"
    GARBLED = "garbled"
    """A packet with a wrong checksum or a wrong escape."""
    TOO_LONG = "too long"
    """A packet over the limit, with its end seen; its contents are gone."""


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet's payload with escapes and repetitions undone."""

    payload: bytes


Item = Packet | Signal


def frame(payload: bytes) -> bytes:
    """The packet that carries `payload`, escaped where it has to be."""
    body = _ESCAPED.sub(lambda match: bytes((0x7D, match[0][0] ^ 0x20)), payload)
    return b"$%b#%02x" % (body, sum(body) & 0xFF)


class Parser:
    """Takes bytes as they come and gives the items that are whole.

    It holds at most one packet's bytes: what exceeds `limit` is dropped as it comes.
    """

    def __init__(self, limit: int = PACKET_SIZE) -> None:
        self._limit = limit
        self._rest = bytearray()
        self._inside = False
        self._sum = 0
        self._too_long = False

    @property
    def pending(self) -> int:
        """Bytes held of a packet that has begun."""
        return len(self._rest)

    def feed(self, data: bytes) -> list[Item]:
        """All items that end in `data`."""
        items: list[Item] = []
        self._rest += data
        while self._rest:
            item = self._inside_packet() if self._inside else self._between_packets()
            if item is None:
                break
            if isinstance(item, (Packet, Signal)):
                items.append(item)
        return items

    def _between_packets(self) -> Item | bool | None:
        """The next item that is no packet, True at a packet's start, None when all is read."""
        match = _START.search(self._rest)
        if match is None:
            self._rest.clear()
            return None
        first = match[0]
        del self._rest[: match.end()]
        if first == b"$":
            self._begin()
            return True
        if first == b"+":
            return Signal.ACK
        return Signal.NAK if first == b"-" else Signal.INTERRUPT

    def _begin(self) -> None:
        self._inside, self._too_long = True, False
        self._sum = 0

    def _inside_packet(self) -> Item | bool | None:
        """The packet if its end is there, True if another starts in its middle, else None."""
        match = _END.search(self._rest)
        if match is None:
            self._drop_excess(len(self._rest))
            return None
        end = match.start()
        if match[0] == b"$":  # the sender gave up and starts again
            del self._rest[: end + 1]
            self._begin()
            return True
        if len(self._rest) < end + 3:
            self._drop_excess(end)
            return None
        body = bytes(self._rest[:end])
        digits = bytes(self._rest[end + 1 : end + 3])
        del self._rest[: end + 3]
        self._inside = False
        if not _HEX.issuperset(digits) or (self._sum + sum(body)) & 0xFF != int(digits, 16):
            return Signal.GARBLED
        if self._too_long or len(body) > self._limit:
            return Signal.TOO_LONG
        return self._expanded(body)

    def _drop_excess(self, length: int) -> None:
        """Keep no more than `limit` bytes of a packet's payload, but its sum."""
        if length > self._limit or (self._too_long and length):
            self._too_long = True
            self._sum += sum(self._rest[:length])
            del self._rest[:length]

    def _expanded(self, body: bytes) -> Item:
        if _SPECIAL.search(body) is None:
            return Packet(body)
        out = bytearray()
        position = 0
        while (match := _SPECIAL.search(body, position)) is not None:
            out += body[position : match.start()]
            operand = body[match.end() : match.end() + 1]
            position = match.end() + 1
            if not operand:
                return Signal.GARBLED
            if match[0] == b"}":
                out.append(operand[0] ^ 0x20)
            elif out and _REPEAT_LEAST <= operand[0] <= _REPEAT_MOST:
                out += out[-1:] * (operand[0] - _REPEAT_BIAS)
            else:
                return Signal.GARBLED
            if len(out) > self._limit:
                return Signal.TOO_LONG
        out += body[position:]
        return Packet(bytes(out)) if len(out) <= self._limit else Signal.TOO_LONG
