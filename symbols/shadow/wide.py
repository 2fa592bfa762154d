"""Numbers of 64 bits for GDB, which computes in 32 bits unless it is told a type.

They are made of halves, because other consumers of the file do not know DW_OP_deref_type and
DW_OP_const_type.
"""

from __future__ import annotations

from symbols.shadow.operations import OP_CONVERT
from symbols.wasm.leb import encode_unsigned

_CONST1U, _CONSTU, _NEG, _OR, _SHL = 0x08, 0x10, 0x1F, 0x21, 0x24


def converted(kind: int) -> bytes:
    """An operation that converts to the base type at offset `kind` of the unit."""
    return bytes((OP_CONVERT,)) + encode_unsigned(kind)


def joined(low: bytes, high: bytes, wide: int, half: int) -> bytes:
    """A number of type `wide` from expressions for its halves."""
    shift = bytes((_CONST1U, 32)) + converted(wide) + bytes((_SHL, _OR))
    return low + converted(half) + converted(wide) + high + converted(wide) + shift


def wide_constant(value: int, wide: int, half: int) -> bytes:
    """A number of type `wide`, in a way that does not ask how 32-bit ones are extended."""
    if value < 0:
        return wide_constant(-value, wide, half) + bytes((_NEG,))
    low, high = value & 0xFFFF_FFFF, value >> 32 & 0xFFFF_FFFF
    if not high:
        return _unsigned(low) + converted(half) + converted(wide)
    return joined(_unsigned(low), _unsigned(high), wide, half)


def _unsigned(value: int) -> bytes:
    return bytes((_CONSTU,)) + encode_unsigned(value)
