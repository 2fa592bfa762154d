"""Call-frame information: one rule for all code, since all frame records look alike."""

from __future__ import annotations

import struct

from symbols.shadow.addresses import HOST_BASE, HOST_SIZE
from symbols.shadow.frames import CALLER_EBP, CALLER_PC, CFA_FROM_EBP, frame_registers
from symbols.shadow.operations import OP_DEREF
from symbols.wasm.leb import encode_unsigned

_EBX, _ESP, _EBP, _ESI, _EDI, _EIP = 3, 4, 5, 6, 7, 8
_DEF_CFA, _VAL_EXPRESSION, _UNDEFINED, _OFFSET = 0x0C, 0x16, 0x07, 0x80
_CONST1U, _MINUS, _CONST2U = 0x08, 0x1C, 0x0A
_DATA_ALIGNMENT = 0x7C
"""-4."""


def debug_frame(base: int, code_size: int, *, host: bool) -> bytes:
    """.debug_frame for code at `base`; with `host` also for the host's return address, where
    unwinding ends."""
    rules = bytes((_DEF_CFA, _EBP)) + encode_unsigned(CFA_FROM_EBP)
    rules += bytes((_OFFSET | _EIP, CALLER_PC // 4, _OFFSET | _EBP, CALLER_EBP // 4))
    frame = frame_registers(1 << 16)
    places = {_ESP: frame.esp, _ESI: frame.esi, _EDI: frame.edi, _EBX: frame.ebx}
    for register, place in places.items():
        # the CFA is on the stack, and ebp below it: the others are at fixed distances from that
        rule = bytes((_CONST1U, CALLER_EBP, _MINUS, OP_DEREF, _CONST2U))
        rule += struct.pack("<H", frame.ebp - place) + bytes((_MINUS,))
        rules += bytes((_VAL_EXPRESSION, register)) + encode_unsigned(len(rule)) + rule
    header = struct.pack("<IBBBBB", 0xFFFF_FFFF, 3, 0, 1, _DATA_ALIGNMENT, _EIP)
    out = _entry(header + rules)
    out += _entry(struct.pack("<III", 0, base, code_size))
    if host:
        out += _entry(struct.pack("<III", 0, HOST_BASE, HOST_SIZE) + bytes((_UNDEFINED, _EIP)))
    return out


def _entry(data: bytes) -> bytes:
    data += bytes(-len(data) % 4)
    return struct.pack("<I", len(data)) + data
