"""What counts as a tick, by hand."""

import pytest

from tests.instrument.harness import Box
from wdbg.instrument.port import Port

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
