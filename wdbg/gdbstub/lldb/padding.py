"""Makes the calls that LLDB disassembles shorter, with nops before them.

LLDB 22 has no frame addresses for WebAssembly, so it cannot tell a callee from a caller: `next`
is right only as long as it never steps a call by itself. It does so where at most one instruction
of the line comes before the call or after it, as in `call; drop`. Linkers write the callee's
index in five bytes; in the copy of the module that LLDB reads it takes as few as it needs, and
what is left are nops. `next` then runs to the end of the line, while `step` still finds the call,
runs to it (an address within the real one, which is as good a place as any) and steps into it.
"""

from __future__ import annotations

from symbols.errors import SymbolsError
from symbols.wasm.leb import decode_u32, encode_unsigned
from symbols.wasm.module import Module
from wdbg.instrument.scan import Token, tokenizer

_CALL, _CALL_INDIRECT = 0x10, 0x11
_NOP = b"\x01"
_LEAST_NOPS = 2


def pad_calls(module: Module, out: bytearray) -> None:
    """Do so in `out`, a copy of the module's file. Bodies that are malformed stay."""
    data = module.data
    for _, start, end in module.bodies:
        try:
            for first, last in calls(data, start, end):
                out[first:last] = padded(data[first:last])
        except SymbolsError:
            continue


def calls(data: bytes, start: int, end: int) -> list[tuple[int, int]]:
    """(start, end) of each call in a body, direct and indirect."""
    scan = tokenizer(frozenset({Token.CALL, Token.INDIRECT})).scan
    found = scan(data, _skip_locals(data, start, end), end)
    return [(first, last) for _, first, last in found]


def padded(call: bytes) -> bytes:
    """The same call, of the same size."""
    if call[0] not in (_CALL, _CALL_INDIRECT):
        return call
    short, pos = call[:1], 1
    while pos < len(call):
        value, pos = decode_u32(call, pos, len(call))
        short += encode_unsigned(value)
    nops = len(call) - len(short)
    return nops * _NOP + short if nops >= _LEAST_NOPS else call


def _skip_locals(data: bytes, start: int, end: int) -> int:
    groups, pos = decode_u32(data, start, end)
    for _ in range(min(groups, end - start)):
        _, pos = decode_u32(data, pos, end)
        pos += 1
    return pos
