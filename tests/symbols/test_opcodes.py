"""The opcode table and the decoder against wasmtime's own assembler and validator."""

import itertools
import random

import pytest
import wasmtime

from symbols.errors import SymbolsError
from symbols.wasm.decode import decode_one, instructions, skip_expression
from symbols.wasm.module import Module
from symbols.wasm.opcodes import BY_NAME, OPCODES, Opcode, Shape
from symbols.wasm.readers import read_locals
from tests.instrument.harness import engine
from tests.symbols.code import compile_body, random_body, random_instruction, text_of

LEGACY = {"try", "catch", "rethrow", "delegate", "catch_all"}


def body_of(wasm: bytes) -> tuple[bytes, int, int]:
    module = Module(wasm)
    _, start, end = module.bodies[0]
    _, code = read_locals(wasm, start, end)
    return wasm, code, end


@pytest.mark.parametrize("opcode", OPCODES.values(), ids=lambda op: op.name)
def test_every_opcode_is_what_the_assembler_makes_of_its_name(opcode: Opcode) -> None:
    # Between two markers: the decoder must find both, and the named instruction between them.
    marker = "i32.const 77 drop"
    text = text_of(opcode)
    if opcode.name in ("else", "catch", "rethrow", "catch_all"):
        text = {
            "else": f"if (result i32) i32.const 1 {text}",
            "catch": f"try {text} end",
            "rethrow": f"try catch 0 {text} end",
            "catch_all": f"try {text}",
        }[opcode.name]
    elif opcode.name in ("if", "try"):
        text += " else i32.const 2 end" if opcode.name == "if" else " end"
    found = list(instructions(*body_of(compile_body(f"{marker} {text} {marker}"))))
    names = [i.opcode.name for i in found]
    assert names[:2] == names[-3:-1] == ["i32.const", "drop"]
    assert names[-1] == "end"
    assert opcode.name in names[2:-2] or opcode.name == "end"
    assert all(a.end == b.start for a, b in itertools.pairwise(found))
    if opcode.shape is Shape.MEMARG:
        assert found[2].operands[1:] == (0, 300)


@pytest.mark.parametrize(
    "opcode",
    [op for op in OPCODES.values() if op.name not in LEGACY and op.feature != "typed references"],
    ids=lambda op: op.name,
)
def test_wasmtime_accepts_the_instruction_in_unreachable_code(opcode: Opcode) -> None:
    # After `unreachable` any operands are there; another one afterwards swallows the results.
    text = text_of(opcode)
    if opcode.name in ("if", "else"):
        text = "if (result i32) i32.const 1 else i32.const 2 end"
    elif opcode.name == "loop":
        text = "loop (param i32) (result i32) end"
    elif opcode.name == "try_table":
        text = "block try_table (catch 0 0) (catch_all 0) end end"
    elif opcode.name == "local.get" or opcode.shape is Shape.LOCAL:
        text = f"{opcode.name} 0"
    elif opcode.prefix == 0xFE and "atomic." in opcode.name and opcode.shape is Shape.MEMARG:
        text = f"{opcode.name} offset=300"
    wasm = compile_body(f"(local i32) unreachable {text} unreachable")
    wasmtime.Module.validate(engine(), wasm)


def test_names_and_encodings_are_unique() -> None:
    assert len(BY_NAME) == len(OPCODES)
    assert len({op.encoding for op in OPCODES.values()}) == len(OPCODES)


@pytest.mark.parametrize("seed", range(50))
def test_random_sequences_decode_at_their_boundaries(seed: int) -> None:
    code, places = random_body(random.Random(seed), 300)
    found = [(i.opcode, i.start, i.end) for i in instructions(code, 0, len(code))]
    assert found == places


@pytest.mark.parametrize("opcode", OPCODES.values(), ids=lambda op: op.name)
def test_every_truncation_is_an_error_with_its_offset(opcode: Opcode) -> None:
    rng = random.Random(opcode.name)
    raw = random_instruction(rng, opcode)
    for size in range(len(raw)):
        with pytest.raises(SymbolsError) as caught:
            decode_one(b"\xff" * 3 + raw[:size] + b"\0" * 4, 3, 3 + size)
        assert caught.value.offset is not None
        assert 3 <= caught.value.offset <= 3 + size


def test_unknown_opcodes_name_the_opcode_and_the_place() -> None:
    for code in range(256):
        if (0, code) in OPCODES or code in (0xFC, 0xFD, 0xFE):
            continue
        with pytest.raises(SymbolsError, match=f"unknown opcode {code:#04x}") as caught:
            decode_one(b"\x01" * 9 + bytes((code,)) + b"\0" * 9, 9, 19)
        assert caught.value.offset == 9
    with pytest.raises(SymbolsError, match="unknown opcode fd 0x9a"):
        decode_one(b"\xfd\x9a\x01", 0, 3)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("0e ff ff ff ff 0f", "br_table claims 4294967295 labels"),
        ("0e 02 00 00", "br_table claims 2 labels"),
        ("1f 40 ff ff ff ff 0f 00", "try_table claims 4294967295"),
        ("1f 40 01 04 00", "unknown catch clause 4"),
        ("1c 02 7f 7f", "select with 2 types"),
        ("1c 01 00", "unknown value type 0x00"),
        ("02 41", "unknown block type"),
        ("28 20 00", "alignment out of range"),
        ("fe 03 01", "nonzero reserved byte"),
    ],
)
def test_malformed_immediates(raw: str, message: str) -> None:
    data = bytes.fromhex(raw)
    with pytest.raises(SymbolsError, match=message):
        decode_one(data, 0, len(data))


def test_constant_expressions_hold_no_blocks() -> None:
    assert skip_expression(bytes.fromhex("41 01 41 02 6a 0b ff"), 0, 7) == 6
    with pytest.raises(SymbolsError, match="block in a constant expression"):
        skip_expression(bytes.fromhex("02 40 0b 0b"), 0, 4)
    with pytest.raises(SymbolsError, match="instruction expected"):
        skip_expression(bytes.fromhex("41 01"), 0, 2)
