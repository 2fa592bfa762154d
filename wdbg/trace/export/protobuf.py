"""Protocol-buffer messages of one shape for many events at once.

All messages of an array have the same size: numbers are varints of fixed width, which may be longer
than need be (a decoder does not mind), so every length in them is a constant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

VARINT, FIXED64, BYTES = 0, 1, 2
"""Wire types."""


@dataclass(frozen=True, slots=True)
class Varint:
    """A number an event, as a varint of `width` bytes (at most 10)."""

    values: npt.NDArray[np.integer]
    width: int


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes an event, all of one length."""

    rows: npt.NDArray[np.uint8]


Part = bytes | Varint | Blob


def varint(number: int, width: int = 0) -> bytes:
    """A varint, padded to `width` bytes if that is more."""
    out = bytearray()
    while number > 0x7F or len(out) + 1 < width:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def tag(field: int, wire: int) -> bytes:
    """What stands before a field."""
    return varint(field << 3 | wire)


def number(field: int, value: int) -> bytes:
    """A field with a constant number."""
    return tag(field, VARINT) + varint(value)


def text(field: int, value: str | bytes) -> bytes:
    """A field with constant bytes."""
    data = value.encode("utf-8", "replace") if isinstance(value, str) else value
    return tag(field, BYTES) + varint(len(data)) + data


def size(parts: Sequence[Part]) -> int:
    """Bytes of the parts of one event."""
    return sum(_width(part) for part in parts)


def nested(field: int, parts: Sequence[Part]) -> list[Part]:
    """The parts as a message in a field."""
    return [tag(field, BYTES) + varint(size(parts)), *parts]


def assemble(events: int, parts: Sequence[Part]) -> npt.NDArray[np.uint8]:
    """The messages, a row each."""
    out = np.empty((events, size(parts)), np.uint8)
    at = 0
    for part in parts:
        width = _width(part)
        if isinstance(part, bytes):
            out[:, at : at + width] = np.frombuffer(part, np.uint8)
        elif isinstance(part, Blob):
            out[:, at : at + width] = part.rows
        else:
            _put(out, at, part)
        at += width
    return out


def _put(out: npt.NDArray[np.uint8], at: int, part: Varint) -> None:
    values = part.values.astype(np.uint64)
    for place in range(part.width):
        byte = values.astype(np.uint8)
        if place + 1 < part.width:
            byte |= np.uint8(0x80)
            values >>= np.uint64(7)
        else:
            byte &= np.uint8(0x7F)
        out[:, at + place] = byte


def _width(part: Part) -> int:
    if isinstance(part, bytes):
        return len(part)
    return part.width if isinstance(part, Varint) else part.rows.shape[1]
