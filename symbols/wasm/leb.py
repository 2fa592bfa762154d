"""LEB128 integers as WebAssembly restricts them (core specification 5.2.2).

Decoders take ``(data, offset, end)`` and return ``(value, next offset)``; they never read at or
beyond ``end`` and raise SymbolsError for truncated, overlong or out-of-range encodings.
"""

from __future__ import annotations

from symbols.errors import SymbolsError

_ONE_BYTE = tuple(bytes((value,)) for value in range(0x80))


def encode_unsigned(value: int) -> bytes:
    """Shortest unsigned encoding of ``value`` (>= 0)."""
    if 0 <= value < 0x80:
        return _ONE_BYTE[value]
    if value < 0:
        raise ValueError("negative value in an unsigned field")
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode_signed(value: int) -> bytes:
    """Shortest signed encoding of ``value``."""
    out = bytearray()
    while not -0x40 <= value < 0x40:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value & 0x7F)
    return bytes(out)


def encode_padded(value: int, width: int) -> bytes:
    """Unsigned encoding in exactly ``width`` bytes if it fits, else the shortest one.

    Used to replace an index in place: linkers write five-byte indices that need no room.
    """
    if value >> (7 * width):
        return encode_unsigned(value)
    out = bytearray()
    for _ in range(width - 1):
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def decode_u32(data: bytes, offset: int, end: int) -> tuple[int, int]:
    """Unsigned integer of at most 32 bits."""
    if offset < end:
        value = data[offset]
        if value < 0x80:
            return value, offset + 1
    return _unsigned(data, offset, end, 32)


def decode_u64(data: bytes, offset: int, end: int) -> tuple[int, int]:
    """Unsigned integer of at most 64 bits."""
    return _unsigned(data, offset, end, 64)


def _unsigned(data: bytes, offset: int, end: int, bits: int) -> tuple[int, int]:
    value = shift = 0
    start = offset
    while True:
        if offset >= end:
            raise SymbolsError("truncated integer", start)
        byte = data[offset]
        offset += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
        if shift >= bits:
            raise SymbolsError(f"integer longer than {bits} bits", start)
    if value >> bits:
        raise SymbolsError(f"integer larger than {bits} bits", start)
    return value, offset


def decode_s32(data: bytes, offset: int, end: int) -> tuple[int, int]:
    """Signed integer of 32 bits."""
    return _signed(data, offset, end, 32)


def decode_s33(data: bytes, offset: int, end: int) -> tuple[int, int]:
    """Signed integer of 33 bits: block and heap types."""
    return _signed(data, offset, end, 33)


def decode_s64(data: bytes, offset: int, end: int) -> tuple[int, int]:
    """Signed integer of 64 bits."""
    return _signed(data, offset, end, 64)


def _signed(data: bytes, offset: int, end: int, bits: int) -> tuple[int, int]:
    value = shift = 0
    start = offset
    while True:
        if offset >= end:
            raise SymbolsError("truncated integer", start)
        byte = data[offset]
        offset += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
        if shift >= bits:
            raise SymbolsError(f"integer longer than {bits} bits", start)
    if byte & 0x40:
        value -= 1 << shift
    if not -(1 << (bits - 1)) <= value < 1 << (bits - 1):
        raise SymbolsError(f"integer larger than {bits} bits", start)
    return value, offset
