"""What counts as a tick, by hand."""

import pytest

from symbols.wasm.decode import instructions
from symbols.wasm.leb import decode_u32
from symbols.wasm.module import Module
from symbols.wasm.readers import read_locals
from tests.instrument.generator import generate
from tests.instrument.harness import Box
from wdbg.instrument.port import Port
from wdbg.instrument.rewrite import instrument_program
from wdbg.instrument.variant import TICK

PORT = Port("test", uninjected=frozenset(("quiet",)))
TEXT = """(module
  (import "env" "memory" (memory 1 4 shared))
  (import "env" "host" (func $host))
  (table 1 funcref) (elem (i32.const 0) $leaf)
  (func $leaf (export "leaf"))
  (func $quiet (export "quiet") (call $leaf) (loop))
  (func (export "waits") (drop (memory.atomic.notify (i32.const 0) (i32.const 1))))
  (func (export "calls") (call $leaf))
  (func (export "calls indirectly") (call_indirect (i32.const 0)))
  (func (export "calls at its end") (return_call $leaf))
  (func (export "calls the host") (call $host))
  (func (export "calls behind a branch") (if (i32.const 0) (then (call $leaf))))
  (func (export "calls quiet") (call $quiet))
  (func (export "empty loop") (loop))
  (func (export "loop of three") (local i32) (local.set 0 (i32.const 3))
    (loop $l (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
  (func (export "nested loops") (local i32 i32) (local.set 0 (i32.const 2))
    (loop $outer
      (local.set 1 (i32.const 3))
      (loop $inner (br_if $inner (local.tee 1 (i32.sub (local.get 1) (i32.const 1)))))
      (br_if $outer (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
  (func (export "loop with values") (result i32)
    (i32.const 5) (i64.const 7)
    (loop (param i32 i64) (result i32) (drop)))
  (func (export "block") (block (br 0)) (if (i32.const 1) (then))))"""


@pytest.mark.parametrize(
    ("name", "ticks"),
    [
        ("leaf", 0),
        ("quiet", 2),
        ("waits", 0),
        ("block", 0),
        ("calls", 1),
        ("calls indirectly", 1),
        ("calls at its end", 1),
        ("calls the host", 1),
        ("calls behind a branch", 1),
        ("calls quiet", 3),
        ("empty loop", 2),
        ("loop of three", 4),
        ("nested loops", 1 + 2 + 2 * 3),
        ("loop with values", 2),
    ],
)
def test_ticks_by_hand(name: str, ticks: int) -> None:
    box = Box()
    box.functions = {"host": lambda args: []}
    kernel = box.kernel(TEXT, PORT)
    box.set_tick(kernel, 1000)
    assert box.call(kernel, name).trap == ""
    assert 1000 - int(box.tick(kernel).value(box.store)) == ticks


@pytest.mark.parametrize("quantum", [1, 2, 3, 7, 9])
def test_a_quantum_ends_after_exactly_so_many_ticks(quantum: int) -> None:
    box = Box()
    box.quantum = 1000
    kernel = box.kernel(TEXT, PORT)
    box.set_tick(kernel, quantum)
    box.call(kernel, "nested loops")
    assert len(box.parks) == 1
    assert 1000 - int(box.tick(kernel).value(box.store)) == 9 - quantum


def read_hints(module: Module) -> dict[int, list[tuple[int, int]]]:
    """Function index -> [(offset from the start of the body, hint)] of the hint section."""
    section = module.custom("metadata.code.branch_hint")
    if section is None:
        return {}
    data, end = module.data, section.end
    count, pos = decode_u32(data, section.start, end)
    hints: dict[int, list[tuple[int, int]]] = {}
    for _ in range(count):
        function, pos = decode_u32(data, pos, end)
        places, pos = decode_u32(data, pos, end)
        hints[function] = []
        for _ in range(places):
            offset, pos = decode_u32(data, pos, end)
            assert data[pos] == 1  # size of the hint
            hints[function].append((offset, data[pos + 1]))
            pos += 2
    assert pos == end
    return hints


def places_to_tick(module: Module) -> int:
    """Loops, and functions with a loop or a call, by the careful decoder."""
    places = 0
    for _, start, end in module.bodies:
        _, code = read_locals(module.data, start, end)
        names = [i.opcode.name for i in instructions(module.data, code, end)]
        loops = names.count("loop")
        places += loops + bool(loops or any("call" in name for name in names))
    return places


@pytest.mark.parametrize("seed", range(20))
def test_every_tick_is_hinted_as_unlikely(seed: int) -> None:
    original = generate(seed).original
    done = instrument_program(original, TICK)
    module = Module(done.wasm)
    hints = read_hints(module)
    assert list(hints) == sorted(hints)
    ticks = 0
    for function, places in hints.items():
        _, start, end = module.bodies[function - module.function_imports]
        _, code = read_locals(module.data, start, end)
        found = {i.start - start: i.opcode.name for i in instructions(done.wasm, code, end)}
        for offset, hint in places:
            assert (found[offset], hint) == ("if", 0)
            ticks += 1
    assert ticks == places_to_tick(Module(original))
