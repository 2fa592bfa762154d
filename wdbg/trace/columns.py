"""The payload of a chunk: named columns, each coded on its own, made to be compressed.

A payload is a u32 number of columns, their descriptors (`Descriptor`), and their bytes in the same
order. Numbers are coded by the smallest number of bytes that holds the largest one, a byte plane
after the other (all lowest bytes, then all second ones ...): zstd makes nothing of planes that are
zero nearly everywhere, and NumPy takes planes apart and together at memory speed.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.unsignedinteger]
AnyColumn = npt.NDArray[np.generic] | list[str]


class Damaged(Exception):
    """Bytes that no writer of this format has written; the argument says what is wrong."""


class Coding(enum.IntEnum):
    """How a column's bytes are to be read."""

    PLAIN = 0
    """Unsigned numbers in `width` byte planes; width 0: all are 0."""
    ZIGZAG_DELTA = 1
    """As PLAIN, of differences: each number less the one before it (the first less 0), modulo
    2^64, sign in the lowest bit (0, -1, 1, -2 ... are 0, 1, 2, 3)."""
    TEXT = 2
    """UTF-8 texts, each followed by a NUL."""


class DescriptorError(Damaged):
    """A descriptor that cannot be right."""


_DESCRIPTOR = struct.Struct("<BBBBII")
_COUNT = struct.Struct("<I")
MAX_COLUMNS = 4096


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What stands before the bytes of a column: u8 table, u8 field, u8 coding, u8 width, u32 values
    in it, u32 bytes. `table` is 0 for columns that are not of an event table."""

    table: int
    field: int
    coding: Coding
    width: int
    count: int
    size: int


@dataclass(frozen=True, slots=True)
class Written:
    """A column before it is coded."""

    table: int
    field: int
    values: AnyColumn
    coding: Coding = Coding.PLAIN


def pack(columns: Iterable[Written]) -> bytes:
    """A payload."""
    heads, bodies = [], []
    for column in columns:
        width, body = _encode(column)
        heads.append(
            _DESCRIPTOR.pack(
                column.table, column.field, column.coding, width, len(column.values), len(body)
            )
        )
        bodies.append(body)
    return b"".join([_COUNT.pack(len(heads)), *heads, *bodies])


def _encode(column: Written) -> tuple[int, bytes]:
    if column.coding is Coding.TEXT:
        texts = [str(text).replace("\0", "�") + "\0" for text in column.values]
        return 0, "".join(texts).encode("utf-8", "replace")
    values = np.asarray(column.values)
    if values.dtype.kind == "i":
        values = values.view(f"u{values.dtype.itemsize}")
    if column.coding is Coding.ZIGZAG_DELTA:
        wide = values.astype(np.uint64, copy=False)
        delta = np.diff(wide, prepend=np.uint64(0)).view(np.int64)
        values = ((delta << 1) ^ (delta >> 63)).view(np.uint64)
    return planes(values)


def planes(values: npt.NDArray[np.generic]) -> tuple[int, bytes]:
    """Width, and the byte planes of unsigned numbers."""
    top = int(values.max()) if len(values) else 0
    width = (top.bit_length() + 7) // 8
    if width == 0:
        return 0, b""
    size = values.dtype.itemsize
    if size == 1:
        return 1, values.tobytes()
    parts = np.ascontiguousarray(values).view(np.uint8).reshape(-1, size)
    return width, b"".join(parts[:, plane].tobytes() for plane in range(width))


def unpack(payload: bytes | memoryview) -> Iterable[tuple[Descriptor, memoryview]]:
    """The columns of a payload and their bytes. Raises Damaged."""
    view = memoryview(payload)
    if len(view) < _COUNT.size:
        raise Damaged("no columns")
    (count,) = _COUNT.unpack_from(view)
    if count > MAX_COLUMNS or _COUNT.size + count * _DESCRIPTOR.size > len(view):
        raise Damaged(f"{count} columns do not fit")
    at = _COUNT.size + count * _DESCRIPTOR.size
    for number in range(count):
        fields = _DESCRIPTOR.unpack_from(view, _COUNT.size + number * _DESCRIPTOR.size)
        table, field, coding, width, values, size = fields
        if at + size > len(view):
            raise Damaged("a column ends behind the payload")
        if coding in (Coding.PLAIN, Coding.ZIGZAG_DELTA) and (width > 8 or size != width * values):
            raise DescriptorError(f"{values} numbers of {width} bytes in {size}")
        if coding <= Coding.TEXT:  # columns coded in a newer way are left out
            yield (
                Descriptor(table, field, Coding(coding), width, values, size),
                view[at : at + size],
            )
        at += size


def numbers(
    head: Descriptor, body: memoryview, dtype: npt.DTypeLike, most: int
) -> npt.NDArray[np.unsignedinteger]:
    """The values of a column of numbers, as unsigned `dtype`; at most `most` of them."""
    if head.coding is Coding.TEXT:
        raise Damaged("text where numbers belong")
    if head.count > most:
        raise Damaged(f"{head.count} values where at most {most} belong")
    target = np.dtype(dtype)
    kind = np.dtype(np.uint64) if head.coding is Coding.ZIGZAG_DELTA else target
    if head.width > kind.itemsize:
        raise Damaged(f"numbers of {head.width} bytes where {kind.itemsize} belong")
    values = _join_planes(head, body, kind)
    if head.coding is Coding.ZIGZAG_DELTA:
        signed = (values >> np.uint64(1)) ^ (np.uint64(0) - (values & np.uint64(1)))
        values = np.cumsum(signed, dtype=np.uint64).astype(target, copy=False)
    return values


def _join_planes(head: Descriptor, body: memoryview, kind: np.dtype[np.generic]) -> Numbers:
    if head.width == 0:
        return np.zeros(head.count, kind)
    raw = np.frombuffer(body, np.uint8).reshape(head.width, head.count)
    if head.width == 1:
        single: Numbers = raw[0].astype(kind)
        return single
    if head.width <= 4:  # mostly two
        joined: Numbers = raw[0].astype(kind)
        for plane in range(1, head.width):
            joined |= raw[plane].astype(kind) << kind.type(8 * plane)
        return joined
    parts = np.zeros((head.count, kind.itemsize), np.uint8)
    for plane in range(head.width):  # faster than one transposing assignment
        parts[:, plane] = raw[plane]
    values: Numbers = parts.view(kind)[:, 0]
    return values


def texts(head: Descriptor, body: memoryview) -> list[str]:
    """The values of a column of texts."""
    if head.coding is not Coding.TEXT:
        raise Damaged("numbers where text belongs")
    found = bytes(body).decode("utf-8", "replace").split("\0")
    if len(found) != head.count + 1:
        raise Damaged(f"{len(found) - 1} texts where {head.count} belong")
    return found[:-1]
