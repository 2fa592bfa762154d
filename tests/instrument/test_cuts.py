"""Which accesses a cut can come before, by hand."""

import pytest

from tests.instrument.harness import Box
from wdbg.instrument import layout
from wdbg.instrument.port import Port
from wdbg.instrument.variant import CUTS

PORT = Port("test")
TEXT = """(module
  (import "env" "memory" (memory 1 4 shared))
  (import "env" "host" (func $host))
  (func (export "five") (result i32)
    (memory.fill (i32.const 64) (i32.const 7) (i32.const 4))
    (i32.store (i32.const 0) (i32.load (i32.const 64)))
    (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1)))
    (i32.load8_u (i32.const 0))))"""


@pytest.mark.parametrize("number", range(1, 8))
def test_the_guest_parks_before_the_access_of_that_number(number: int) -> None:
    box = Box(variant=CUTS)
    box.functions = {"host": lambda args: []}
    kernel = box.kernel(TEXT, PORT, CUTS)
    box.set_tick(kernel, 1000)
    box.words[layout.CUT >> 2] = number
    assert box.call(kernel, "five").results == [8]
    assert [park.call for park in box.parks] == [layout.CALL_TICK] * (number <= 5)
