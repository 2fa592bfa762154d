"""Tokenisers: find the instructions of a body that passes care about, skip the rest fast.

A tokeniser is a regular expression generated from the opcode table. One match skips a whole run
of uninteresting instructions inside the regex engine and ends at an interesting one. Possessive
quantifiers keep that cheap. The few instructions whose length is no regular language (br_table,
try_table) are always reported to the scanning loop, which steps over them.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache

from symbols.errors import SymbolsError
from symbols.wasm.decode import instructions
from symbols.wasm.leb import decode_u32
from symbols.wasm.opcodes import OPCODES, Opcode, Shape


class Token(Enum):
    """Kinds of instructions that a pass can ask for."""

    LOOP = "loop"
    CALL = "call"
    """call and return_call"""
    INDIRECT = "indirect"
    """call_indirect, call_ref and their tail forms"""
    REF_FUNC = "ref_func"
    GLOBAL = "global"
    """global.get and global.set"""
    WAIT = "wait"
    """memory.atomic.wait32, wait64 and notify"""
    ACCESS = "access"
    """loads, stores and atomic accesses with a memory argument, those of WAIT left out"""
    BULK = "bulk"
    """memory.copy, memory.fill and memory.init"""
    RETURN = "return"
    FENCE = "fence"
    """atomic.fence"""


Event = tuple[Token, int, int]
"""Kind, start and end offset of one instruction."""

_NAMES = {
    "loop": Token.LOOP,
    "return": Token.RETURN,
    "call": Token.CALL,
    "return_call": Token.CALL,
    "call_indirect": Token.INDIRECT,
    "return_call_indirect": Token.INDIRECT,
    "call_ref": Token.INDIRECT,
    "return_call_ref": Token.INDIRECT,
    "ref.func": Token.REF_FUNC,
    "global.get": Token.GLOBAL,
    "global.set": Token.GLOBAL,
    "memory.atomic.notify": Token.WAIT,
    "atomic.fence": Token.FENCE,
    "memory.atomic.wait32": Token.WAIT,
    "memory.atomic.wait64": Token.WAIT,
}

_NAMES.update(
    {
        opcode.name: Token.ACCESS
        for opcode in OPCODES.values()
        if opcode.shape in (Shape.MEMARG, Shape.MEMARG_LANE) and opcode.name not in _NAMES
    }
)
_NAMES.update(dict.fromkeys(("memory.copy", "memory.fill", "memory.init"), Token.BULK))

_LEB = rb"[\x80-\xff]*+[\x00-\x7f]"
# Alignment exponent, then the memory index if bit 6 is set, then the offset.
_MEMARG = (
    rb"(?:[\x00-\x3f]|[\x40-\x7f]"
    + _LEB
    + rb"|[\x80-\xbf]\x80*+\x00|[\xc0-\xff]\x80*+\x00"
    + _LEB
    + rb")"
    + _LEB
)
_IMMEDIATES = {
    Shape.NONE: b"",
    Shape.BLOCK: _LEB,
    Shape.LABEL: _LEB,
    Shape.FUNCTION: _LEB,
    Shape.INDIRECT: _LEB + _LEB,
    Shape.TYPE: _LEB,
    Shape.LOCAL: _LEB,
    Shape.GLOBAL: _LEB,
    Shape.TABLE: _LEB,
    Shape.MEMORY: _LEB,
    Shape.TAG: _LEB,
    Shape.HEAP: _LEB,
    Shape.SELECT: rb"\x01[\s\S]",
    Shape.MEMARG: _MEMARG,
    Shape.MEMARG_LANE: _MEMARG + rb"[\s\S]",
    Shape.LANE: rb"[\s\S]",
    Shape.I32: _LEB,
    Shape.I64: _LEB,
    Shape.F32: rb"[\s\S]{4}",
    Shape.F64: rb"[\s\S]{8}",
    Shape.BYTES16: rb"[\s\S]{16}",
    Shape.INDEX: _LEB,
    Shape.INDEX2: _LEB + _LEB,
    Shape.RESERVED: rb"\x00",
}


_RUN = b"*+" if re.compile(rb"(?:\x02[\x80-\xff]*[\x00-\x7f])*+\Z").match(b"\x02") is None else b"*"
"""The quantifier of a run of instructions. Before 3.11.5 Python's regex engine does not go back to
where it was when a possessive group fails halfway (CPython issue 106052), so that a truncated
instruction would pass. A greedy run cannot match anything else, since no instruction is the prefix
of another; it only takes longer."""


def _byte_class(values: list[int]) -> bytes:
    return b"[" + b"".join(b"\\x%02x" % v for v in sorted(values)) + b"]"


def _operator(prefix: int, codes: list[int]) -> bytes:
    """Regex of the opcodes themselves, padded encodings of prefixed ones included."""
    if not prefix:
        return _byte_class(codes)
    forms = []
    low = [c for c in codes if c < 0x80]
    if low:
        forms.append(_byte_class(low))
        forms.append(_byte_class([c | 0x80 for c in low]) + rb"\x80*+\x00")
    for high in sorted({c >> 7 for c in codes if c >= 0x80}):
        lows = _byte_class([c & 0x7F | 0x80 for c in codes if c >> 7 == high])
        forms.append(lows + rb"(?:\x%02x|\x%02x\x80*+\x00)" % (high, high | 0x80))
    return b"\\x%02x(?:%s)" % (prefix, b"|".join(forms))


def _alternatives(opcodes: list[Opcode]) -> list[bytes]:
    """One alternative for each (prefix, immediates), the commonest first."""
    groups: dict[tuple[int, bytes], list[int]] = {}
    for opcode in opcodes:
        groups.setdefault((opcode.prefix, _IMMEDIATES[opcode.shape]), []).append(opcode.code)
    order = {_LEB: 0, _MEMARG: 1, b"": 2}
    ranked = sorted(groups.items(), key=lambda g: (g[0][0], order.get(g[0][1], 3)))
    return [_operator(prefix, codes) + tail for (prefix, tail), codes in ranked]


class Tokenizer:
    """Reports the instructions of the wanted kinds. Use ``tokenizer()``, which caches them."""

    def __init__(self, wanted: frozenset[Token]) -> None:
        boring: list[Opcode] = []
        found: dict[Token, list[Opcode]] = {}
        for opcode in OPCODES.values():
            token = _NAMES.get(opcode.name)
            if opcode.shape in (Shape.LABELS, Shape.CATCHES):
                continue
            if token in wanted and token is not None:
                found.setdefault(token, []).append(opcode)
            else:
                boring.append(opcode)
        self._tokens: list[Token | None] = [None]
        groups = []
        for token, opcodes in found.items():
            self._tokens.append(token)
            groups.append(b"(" + b"|".join(_alternatives(opcodes)) + b")")
        self._labels = len(self._tokens)
        groups += [rb"(\x0e)", rb"(\x1f)"]
        run = b"(?:" + b"|".join(_alternatives(boring)) + b")" + _RUN
        self._match = re.compile(run + b"(?:" + b"|".join(groups) + rb"|\Z)").match

    def scan(self, data: bytes, pos: int, end: int) -> list[Event]:
        """Interesting instructions of ``data[pos:end]`` in order."""
        events: list[Event] = []
        match, tokens, labels = self._match, self._tokens, self._labels
        while pos < end:
            found = match(data, pos, end)
            if found is None:
                for _ in instructions(data, pos, end):
                    pass
                raise SymbolsError("instruction not understood", pos)
            index = found.lastindex
            if index is None:
                break
            start, pos = found.span(index)
            if index < labels:
                events.append((tokens[index], start, pos))  # type: ignore[arg-type]
            elif index == labels:
                pos = _skip_labels(data, pos, end)
            else:
                pos = _skip_catches(data, pos, end)
        return events


def _skip_labels(data: bytes, pos: int, end: int) -> int:
    start = pos
    count, pos = decode_u32(data, pos, end)
    after = pos + count + 1
    if after > end:
        raise SymbolsError(f"br_table claims {count} labels", start)
    if data[pos:after].isascii():  # one byte each
        return after
    for _ in range(count + 1):
        _, pos = decode_u32(data, pos, end)
    return pos


def _skip_catches(data: bytes, pos: int, end: int) -> int:
    instruction = next(instructions(data, pos - 1, end))
    return instruction.end


@lru_cache(maxsize=1)
def _single() -> re.Pattern[bytes]:
    regular = [o for o in OPCODES.values() if o.shape not in (Shape.LABELS, Shape.CATCHES)]
    return re.compile(b"|".join(_alternatives(regular)))


def boundaries(data: bytes, pos: int, end: int) -> set[int]:
    """Where the instructions of ``data[pos:end]`` begin."""
    starts = set()
    match = _single().match
    while pos < end:
        starts.add(pos)
        found = match(data, pos, end)
        if found is not None:
            pos = found.end()
        elif data[pos] == 0x0E:
            pos = _skip_labels(data, pos + 1, end)
        else:
            pos = next(instructions(data, pos, end)).end
    return starts


@lru_cache(maxsize=32)
def tokenizer(wanted: frozenset[Token]) -> Tokenizer:
    """The tokeniser for these kinds."""
    return Tokenizer(wanted)
