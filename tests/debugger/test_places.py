"""Places and the stop points that stand for them."""

from __future__ import annotations

import pytest

from wdbg.debugger.model import DebugError, Place
from wdbg.debugger.places import entry_of, module_info, stop_for, written_between

CODE = """
  (func $set (param i32 i32) (local i32 i64)
    (local.set 2 (i32.const 5))
    (drop (local.tee 1 (i32.const 6)))
    (call $say (local.get 0) (local.get 1))
    (local.set 3 (i64.const 1)))
  (func $leaf (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
  (func (export "_start") (call $set (i32.const 1) (i32.const 2)) (call $panic (i32.const 100)))"""


@pytest.fixture(name="module")
def module_fixture(mini):
    return mini(CODE).session.probes.modules[0]


def span(module, name: str) -> tuple[int, int]:
    index = module.functions.index(name)
    start = module.functions.start(index)
    return start, start + module.functions.size(index)


def test_locals_written_in_between_are_known(module):
    entry = entry_of(module, "set").offset
    _, end = span(module, "set")
    assert written_between(module, entry, entry) == set()
    assert written_between(module, entry, entry + 4) == {2}
    assert written_between(module, entry, entry + 8) == {2, 1}
    assert written_between(module, entry, end - 1) is None or 3 in written_between(
        module, entry, end - 1
    )


def test_half_an_instruction_is_no_answer(module):
    entry = entry_of(module, "set").offset
    assert written_between(module, entry, entry + 1) is None


def test_each_offset_of_a_function_has_a_stop_point_of_it(module):
    for name in ("set", "leaf", "_start"):
        start, end = span(module, name)
        stops = [stop_for(module, offset) for offset in range(start, end)]
        places = [module.stops.places[stop] for stop in stops]
        assert all(start <= place < end for place in places)
        assert places == sorted(places)
        assert all(p <= offset or p == places[0] for offset, p in enumerate(places, start))


def test_what_is_no_code_is_refused(module):
    size = module_info(module).code_size
    for offset in (-1, size, 1 << 40):
        with pytest.raises(DebugError):
            stop_for(module, offset)


def test_a_module_tells_where_its_code_is(module):
    info = module_info(module)
    assert info.number == 0
    assert info.path.read_bytes()[info.code_base :][:1]
    assert info.code_size > 0
    assert entry_of(module, "nowhere") is None
    assert entry_of(module, "leaf") == Place(0, span(module, "leaf")[0] + 1)
