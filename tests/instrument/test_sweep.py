"""The sweep with passes of its own: order of edits, new locals, replacement, branch hints."""

import pytest
import wasmtime

from symbols.wasm.container import SectionId, write_module
from symbols.wasm.module import Module
from symbols.wasm.types import ValueType
from tests.instrument.harness import Box, Outcome, validate
from wdbg.instrument.emit import i32_const, op
from wdbg.instrument.scan import Token
from wdbg.instrument.sweep import Body, Edit, Pass, SweepResult, sweep

TEXT = """(module
  (global $log (export "log") (mut i32) (i32.const 0))
  (func $same (export "same") (result i32) (i32.const 3))
  (func $work (export "work") (param i32) (result i32) (local i64 f32 i32)
    (loop $l (local.set 3 (i32.add (local.get 3) (call $same)))
      (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get 3))
  (func $two (export "two") (param i32 i32) (result i32)
    (i32.add (call $same) (call $same))))"""


def note(digit: int) -> bytes:
    """log = log * 10 + digit"""
    return (
        op("global.get", 0)
        + i32_const(10)
        + op("i32.mul")
        + i32_const(digit)
        + op("i32.add")
        + op("global.set", 0)
    )


class Entry:
    """Notes a digit at the entry of functions that call."""

    tokens = frozenset((Token.CALL,))

    def __init__(self, digit: int) -> None:
        self.digit = digit

    def edit(self, body: Body, edits: list[Edit]) -> None:
        if body.events:
            edits.append((body.code, body.code, note(self.digit), 0))


class AroundCalls:
    """Keeps a number in a new local across each call and notes it afterwards."""

    tokens = frozenset((Token.CALL,))

    def edit(self, body: Body, edits: list[Edit]) -> None:
        calls = [(start, end) for token, start, end in body.events if token is Token.CALL]
        if not calls:
            return
        wide = body.add_local(ValueType.I64)
        kept = body.add_local(ValueType.I32)
        assert (wide, kept) == (body.locals, body.locals + 1)
        for start, end in calls:
            edits.append((start, start, i32_const(7) + op("local.set", kept), -1))
            after = note(0) + op("global.get", 0) + op("local.get", kept)
            edits.append((end, end, after + op("i32.add") + op("global.set", 0), -1))


class Replace:
    """Replaces calls of function 0 by a constant."""

    tokens = frozenset((Token.CALL,))

    def edit(self, body: Body, edits: list[Edit]) -> None:
        for token, start, end in body.events:
            if token is Token.CALL:
                edits.append((start, end, i32_const(100), -1))


def run(passes: list[Pass]) -> tuple[Box, wasmtime.Instance, SweepResult]:
    data = wasmtime.wat2wasm(TEXT)
    module = Module(data)
    swept = sweep(module, passes, (), lambda: (), lambda i: f"f{i}")
    wasm = write_module(
        (s.id, s.name, swept.code if s.id is SectionId.CODE else module.contents(s))
        for s in module.sections
    )
    validate(wasm)
    box = Box()
    return box, box.instantiate(wasm), swept


def log_of(box: Box, instance: wasmtime.Instance) -> int:
    return box.global_value(instance, "log")


def test_passes_apply_in_their_order() -> None:
    box, instance, _ = run([Entry(1), Entry(2), Entry(3)])
    assert box.call(instance, "two", 0, 0) == Outcome([6])
    assert log_of(box, instance) == 123


def test_functions_without_edits_stay_as_they_are() -> None:
    data = wasmtime.wat2wasm(TEXT)
    module = Module(data)
    swept = sweep(module, [Entry(1)], (), lambda: (), str)
    size_at, _, end = module.bodies[0]
    same = data[size_at:end]
    assert swept.code[1 : 1 + len(same)] == same


def test_new_locals_come_after_the_old_ones() -> None:
    box, instance, _ = run([AroundCalls()])
    assert box.call(instance, "work", 3) == Outcome([9])
    assert log_of(box, instance) == 777
    assert box.call(instance, "two", 1, 2) == Outcome([6])


def test_insertions_and_replacements_at_one_place() -> None:
    box, instance, swept = run([Replace(), AroundCalls(), Entry(1)])
    assert box.call(instance, "two", 0, 0) == Outcome([200])
    assert log_of(box, instance) == 177
    module = Module(wasmtime.wat2wasm(TEXT))
    for _, start, end in module.bodies:
        for at in range(start, end):
            there = swept.offsets.to_rewritten(at - module.code_base)
            assert there is not None
            back = swept.offsets.to_original(there)
            assert back is not None
            assert back <= at - module.code_base


def test_hints_name_functions_and_point_at_the_branches() -> None:
    _, _, swept = run([Entry(1), Entry(2)])
    assert [function for function, _ in swept.hints] == [1, 2]
    size = len(note(1))
    for _, places in swept.hints:
        assert places[1] - places[0] == size


@pytest.mark.parametrize("passes", [[], [Entry(5)]])
def test_progress_ends_at_one(passes: list[Pass]) -> None:
    seen: list[float] = []
    module = Module(wasmtime.wat2wasm(TEXT))
    sweep(module, passes, (), lambda: (), str, seen.append)
    assert seen == sorted(seen)
    assert 0 <= seen[0] < 1
    assert seen[-1] == 1.0
