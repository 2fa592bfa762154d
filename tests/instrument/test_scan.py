"""The generated tokenisers against the careful decoder."""

import itertools
import random
import re
from pathlib import Path

import pytest

from symbols.errors import SymbolsError
from symbols.wasm.decode import instructions
from symbols.wasm.module import Module
from symbols.wasm.opcodes import OPCODES, Opcode, Shape
from symbols.wasm.readers import read_locals
from tests.symbols.code import random_body, random_instruction
from wdbg.instrument.scan import Event, Token, tokenizer

KINDS = {
    Token.LOOP: {"loop"},
    Token.CALL: {"call", "return_call"},
    Token.INDIRECT: {
        "call_indirect", "return_call_indirect", "call_ref", "return_call_ref",
    },
    Token.REF_FUNC: {"ref.func"},
    Token.GLOBAL: {"global.get", "global.set"},
    Token.WAIT: {"memory.atomic.notify", "memory.atomic.wait32", "memory.atomic.wait64"},
    Token.ACCESS: {
        op.name
        for op in OPCODES.values()
        if re.match(r"[ifv]\d+\.(atomic\.)?(load|store|rmw)", op.name)
    },
    Token.BULK: {"memory.copy", "memory.fill", "memory.init"},
    Token.RETURN: {"return"},
    Token.FENCE: {"atomic.fence"},
}  # fmt: skip
SETS = [frozenset(s) for n in (0, 1, 2, len(Token)) for s in itertools.combinations(list(Token), n)]


def decoded(data: bytes, start: int, end: int, wanted: frozenset[Token]) -> list[Event]:
    """What the scan must report, by the careful decoder."""
    return [
        (token, i.start, i.end)
        for i in instructions(data, start, end)
        for token in wanted
        if i.opcode.name in KINDS[token]
    ]


def test_every_token_has_its_instructions() -> None:
    assert set(KINDS) == set(Token)


@pytest.mark.parametrize("seed", range(len(SETS)))
def test_scan_reports_what_the_decoder_sees(seed: int) -> None:
    rng = random.Random(seed)
    wanted = SETS[seed]
    for length in (0, 1, 5, 400):
        code, _ = random_body(rng, length)
        data = b"\x0b" * 3 + code + b"\x10"
        end = 3 + len(code)
        assert tokenizer(wanted).scan(data, 3, end) == decoded(data, 3, end, wanted)


@pytest.mark.parametrize("opcode", OPCODES.values(), ids=lambda op: op.name)
def test_truncated_instructions_never_pass(opcode: Opcode) -> None:
    rng = random.Random(opcode.name)
    for _ in range(5):
        raw = random_instruction(rng, opcode)
        for size in range(1, len(raw)):
            data = b"\x01\x01" + raw[:size] + b"\0" * 30
            with pytest.raises(SymbolsError):
                tokenizer(frozenset(Token)).scan(data, 0, 2 + size)


def test_unknown_opcodes_are_errors_at_their_offset() -> None:
    scan = tokenizer(frozenset((Token.LOOP,))).scan
    for code in range(256):
        if (0, code) in OPCODES or code in (0xFC, 0xFD, 0xFE):
            continue
        with pytest.raises(SymbolsError, match="unknown opcode") as caught:
            scan(b"\x41\x05\x1a" + bytes((code,)) + b"\0\x0b", 0, 6)
        assert caught.value.offset == 3


def test_a_branch_table_that_claims_too_much_is_refused() -> None:
    scan = tokenizer(frozenset()).scan
    with pytest.raises(SymbolsError, match="claims 4294967295 labels"):
        scan(b"\x0e\xff\xff\xff\xff\x0f\x00\x0b", 0, 8)


@pytest.mark.guest
def test_the_whole_kernel_tokenises_like_it_decodes(guest_kernel: Path) -> None:
    data = guest_kernel.read_bytes()
    wanted = frozenset(Token)
    scan = tokenizer(wanted).scan
    by_name = {name: token for token, names in KINDS.items() for name in names}
    seen = set()
    for _, start, end in Module(data).bodies:
        _, code = read_locals(data, start, end)
        expected = []
        for i in instructions(data, code, end):
            seen.add(i.opcode.shape)
            if i.opcode.name in by_name:
                expected.append((by_name[i.opcode.name], i.start, i.end))
        assert scan(data, code, end) == expected
    assert {Shape.MEMARG, Shape.LABELS, Shape.FUNCTION, Shape.INDIRECT} <= seen
