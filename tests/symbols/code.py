"""Modules that hold every instruction of the opcode table, in text and in bytes."""

from __future__ import annotations

import random

import wasmtime

from symbols.wasm.leb import encode_signed, encode_unsigned
from symbols.wasm.opcodes import OPCODES, Opcode, Shape

FRAME = """(module
  (type $void (func))
  (import "env" "memory" (memory 1 1 shared))
  (table 4 funcref)
  (global (mut i32) (i32.const 0))
  (tag)
  (elem func 0)
  (data "abc")
  (func {body}))"""

_TEXT = {
    Shape.NONE: "",
    Shape.LABEL: "0",
    Shape.LABELS: "0 0 0 0",
    Shape.FUNCTION: "0",
    Shape.INDIRECT: "(type 0)",
    Shape.TYPE: "0",
    Shape.LOCAL: "0",
    Shape.GLOBAL: "0",
    Shape.TABLE: "0",
    Shape.MEMORY: "",
    Shape.TAG: "0",
    Shape.HEAP: "func",
    Shape.MEMARG: "offset=300",
    Shape.MEMARG_LANE: "offset=300 1",
    Shape.LANE: "1",
    Shape.I32: "-123456",
    Shape.I64: "-1234567890123",
    Shape.F32: "1.5",
    Shape.F64: "-1.5e300",
    Shape.INDEX: "0",
    Shape.INDEX2: "",
    Shape.RESERVED: "",
}
_SPECIAL = {
    "block": "block end",
    "loop": "loop (param i32) (result i32) end",
    "if": "if (result i32) i32.const 1",
    "else": "else i32.const 2 end drop",
    "try": "try",
    "catch": "catch 0",
    "rethrow": "rethrow 0",
    "catch_all": "catch_all end",
    "delegate": "try delegate 0",
    "select_t": "select (result i64)",
    "try_table": "block try_table (result i32) (catch 0 0) (catch_ref 0 0) (catch_all 0)"
    " (catch_all_ref 0) i32.const 1 end drop end",
    "v128.const": "v128.const i32x4 1 2 3 4",
    "i8x16.shuffle": "i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15",
    "memory.init": "memory.init 0",
    "table.init": "table.init 0",
    "end": "",
}


def text_of(opcode: Opcode) -> str:
    """The instruction with its immediates in text form."""
    special = _SPECIAL.get(opcode.name)
    return special if special is not None else f"{opcode.name} {_TEXT[opcode.shape]}"


def compile_body(body: str) -> bytes:
    """A module whose only function holds ``body``, assembled by wasmtime's own assembler."""
    return bytes(wasmtime.wat2wasm(FRAME.format(body=body)))


def _leb(rng: random.Random, value: int) -> bytes:
    """An unsigned integer, padded now and then as linkers do."""
    raw = encode_unsigned(value)
    if len(raw) < 5 and rng.random() < 0.3:
        raw = raw[:-1] + bytes((raw[-1] | 0x80,)) + b"\x80" * (4 - len(raw)) + b"\0"
    return raw


def random_instruction(rng: random.Random, opcode: Opcode) -> bytes:
    """One instruction in some legal encoding; not valid code, only well-formed."""
    number = rng.choice((0, 1, 127, 128, 300, 70000, 2**32 - 1))
    memarg = _leb(rng, rng.randrange(4)) + _leb(rng, number)
    if rng.random() < 0.2:
        memarg = _leb(rng, 0x40 | rng.randrange(4)) + _leb(rng, 1) + _leb(rng, number)
    index = _leb(rng, number)
    block = rng.choice((b"\x40", b"\x7f", b"\x7b", b"\x70", encode_signed(rng.choice((0, 63, 64)))))
    clauses = [
        b"\0" + _leb(rng, 3) + index,
        b"\1" + _leb(rng, 3) + index,
        b"\2" + index,
        b"\3" + index,
    ]
    chosen = [rng.choice(clauses) for _ in range(rng.randrange(5))]
    labels = [_leb(rng, rng.choice((0, 1, 200))) for _ in range(rng.choice((0, 1, 5, 200)) + 1)]
    immediates = {
        Shape.NONE: b"",
        Shape.BLOCK: block,
        Shape.LABELS: encode_unsigned(len(labels) - 1) + b"".join(labels),
        Shape.INDIRECT: index + _leb(rng, 0),
        Shape.INDEX2: index + _leb(rng, 0),
        Shape.HEAP: rng.choice((b"\x70", b"\x6f", b"\x69")),
        Shape.SELECT: b"\1" + rng.choice((b"\x7f", b"\x7e", b"\x7b")),
        Shape.MEMARG: memarg,
        Shape.MEMARG_LANE: memarg + bytes((rng.randrange(16),)),
        Shape.LANE: bytes((rng.randrange(16),)),
        Shape.I32: encode_signed(rng.choice((0, -1, 2**31 - 1, -(2**31), 63, 64))),
        Shape.I64: encode_signed(rng.choice((0, -1, 2**63 - 1, -(2**63), 63, 64))),
        Shape.F32: rng.randbytes(4),
        Shape.F64: rng.randbytes(8),
        Shape.BYTES16: rng.randbytes(16),
        Shape.RESERVED: b"\0",
        Shape.CATCHES: block + encode_unsigned(len(chosen)) + b"".join(chosen),
    }
    encoding = opcode.encoding
    if opcode.prefix and rng.random() < 0.2:
        encoding = bytes((opcode.prefix,)) + _leb(rng, opcode.code)
    return encoding + immediates.get(opcode.shape, index)


def random_body(rng: random.Random, length: int) -> tuple[bytes, list[tuple[Opcode, int, int]]]:
    """Instructions one after the other, and the opcode and place of each."""
    opcodes = list(OPCODES.values())
    out, places = bytearray(), []
    for _ in range(length):
        opcode = rng.choice(opcodes)
        start = len(out)
        out += random_instruction(rng, opcode)
        places.append((opcode, start, len(out)))
    return bytes(out), places
