"""The offset map: built by the sweep, in both directions, and its file form."""

from pathlib import Path

import pytest
import wasmtime
from hypothesis import given
from hypothesis import strategies as st

from symbols.errors import SymbolsError
from symbols.wasm.container import SectionId
from symbols.wasm.decode import instructions
from symbols.wasm.module import Module
from symbols.wasm.readers import read_locals
from tests.instrument.equivalence import PORT
from tests.instrument.generator import generate
from wdbg.instrument.offsets import OffsetMap
from wdbg.instrument.result import FunctionTable, Instrumented
from wdbg.instrument.rewrite import instrument_kernel, instrument_program
from wdbg.instrument.variant import TICK


def check_map(original: bytes, done: Instrumented, step: int = 1) -> None:
    """Every original instruction is found at its new place, and the way back is exact; looks at
    one function in ``step``."""
    old, new = Module(original), Module(done.wasm)
    assert (done.facts.code_base, done.facts.original_code_base) == (new.code_base, old.code_base)
    first = max(0, old.function_imports - new.function_imports)  # a kernel's wrappers
    shared = new.bodies[first : first + len(old.bodies)]
    for number, ((_, start, end), (_, new_start, new_end)) in enumerate(
        zip(old.bodies, shared, strict=True)
    ):
        if number % step:
            continue
        index = old.function_imports + number
        begin = start - old.code_base
        assert done.functions.start(index) == begin
        assert done.functions.at(begin) == index
        assert done.offsets.to_rewritten(begin) == new_start - new.code_base
        _, code = read_locals(original, start, end)
        _, new_code = read_locals(done.wasm, new_start, new_end)
        rewritten = {i.start: i for i in instructions(done.wasm, new_code, new_end)}
        known = set()
        for i in instructions(original, code, end):
            offset = i.start - old.code_base
            known.add(offset)
            there = done.offsets.to_rewritten(offset)
            assert there is not None
            assert done.offsets.to_original(there) == offset
            twin = rewritten[there + new.code_base]
            if "wait" not in i.opcode.name and "notify" not in i.opcode.name:
                assert twin.opcode == i.opcode
        for at in rewritten:
            assert done.offsets.to_original(at - new.code_base) in known
    inside = {range(s, e) for _, s, e in shared}
    for _, start, end in new.bodies:
        if range(start, end) not in inside:
            assert done.locate(start) is None
            assert done.locate(end - 1) is None


@pytest.mark.parametrize("seed", range(40))
def test_every_instruction_is_mapped_both_ways(seed: int) -> None:
    original = generate(seed).original
    check_map(original, instrument_kernel(original, TICK, PORT))
    check_map(original, instrument_program(original, TICK))


@pytest.mark.guest
def test_the_kernel_is_mapped_both_ways(guest_kernel: Path) -> None:
    original = guest_kernel.read_bytes()
    check_map(original, instrument_kernel(original, TICK, PORT), step=13)


def test_outside_of_the_code_there_is_nothing() -> None:
    original = generate(3).original
    done = instrument_kernel(original, TICK, PORT)
    code = Module(original).section(SectionId.CODE)
    size = code.end - code.start
    assert done.offsets.to_rewritten(-1) is None
    assert done.offsets.to_rewritten(size) is None
    assert done.offsets.to_original(-1) is None
    assert done.offsets.to_original(1 << 31) is None
    assert done.locate(0) is None
    assert done.locate(len(done.wasm)) is None


def test_file_forms_round_trip(tmp_path: Path) -> None:
    done = instrument_kernel(generate(5).original, TICK, PORT)
    done.write(tmp_path)
    back = Instrumented.read(tmp_path)
    assert back.facts == done.facts
    assert Instrumented.read_facts(tmp_path) == done.facts
    assert back.offsets.to_bytes() == done.offsets.to_bytes()
    assert len(back.offsets) == len(done.offsets)
    assert back.functions.to_bytes() == done.functions.to_bytes()
    for at in range(len(done.wasm)):
        assert back.locate(at) == done.locate(at)


@given(st.binary(max_size=60))
def test_damaged_files_are_symbols_errors(data: bytes) -> None:
    maps = instrument_kernel(generate(5).original, TICK, PORT)
    for kind, good in (
        (OffsetMap, maps.offsets.to_bytes()),
        (FunctionTable, maps.functions.to_bytes()),
    ):
        for bad in (data, good[: len(data)], good + data + b"x", good[: len(good) // 2]):
            with pytest.raises(SymbolsError):
                kind.from_bytes(bad)


def test_function_table_finds_by_name_and_offset() -> None:
    text = """(module (import "env" "memory" (memory 1 1 shared)) (import "env" "host" (func))
      (func $first (nop)) (func $second (nop)) (func $first_again (export "exported")) (func))"""
    table = instrument_kernel(wasmtime.wat2wasm(text), TICK, PORT).functions
    assert len(table) == 5
    assert [table.name(i) for i in range(6)] == [
        "host", "first", "second", "first_again", "function[4]", "function[5]",
    ]  # fmt: skip
    assert (table.index("second"), table.index("missing"), table.index("")) == (2, None, None)
    starts = [table.start(i) for i in range(5)]
    assert starts[0] is None
    assert table.at(starts[2] + 1) == 2
    assert table.at(0) is None
    assert table.at(1 << 30) is None
    assert [table.size(i) for i in range(5)] == [0, 4, 4, 3, 2]
