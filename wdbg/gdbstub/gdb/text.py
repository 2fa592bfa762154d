"""Numbers, ranges and errors as packets spell them. All input is hostile."""

from __future__ import annotations

from wdbg.debugger.model import DebugError

NOT_UNDERSTOOD = b""
OK = b"OK"
BAD_PACKET = b"E16"
"""EINVAL, in hex."""
BAD_ADDRESS = b"E0e"
"""EFAULT: for `m`, whose errors may have no text, since text may be data there."""

_HEX = frozenset(b"0123456789abcdefABCDEF")
_MOST_DIGITS = 16


class BadPacket(DebugError):
    """A packet that is no sentence of the protocol."""


def number(text: bytes) -> int:
    """An unsigned hex number of at most 64 bits; BadPacket."""
    if not 1 <= len(text) <= _MOST_DIGITS or not _HEX.issuperset(text):
        raise BadPacket("not a number in hex")
    return int(text, 16)


def numbers(text: bytes, count: int) -> list[int]:
    """`count` hex numbers with commas between them; BadPacket."""
    parts = text.split(b",")
    if len(parts) != count:
        raise BadPacket(f"not {count} numbers")
    return [number(part) for part in parts]


def hex_bytes(text: bytes) -> bytes:
    """Bytes, two hex digits each; BadPacket."""
    if len(text) % 2 or not _HEX.issuperset(text):
        raise BadPacket("not bytes in hex")
    return bytes.fromhex(text.decode("ascii"))


def to_hex(data: bytes) -> bytes:
    """Two hex digits a byte."""
    return data.hex().encode("ascii")


def printable(text: str) -> bytes:
    """ASCII for a client's terminal: one line, no control characters."""
    return "".join(c if " " <= c <= "~" else "?" for c in text).encode("ascii")


def error(message: str) -> bytes:
    """An error with text. GDB shows it for registers, resuming and the like; for memory and
    breakpoints it only sees that there is one."""
    return b"E." + printable(message)
