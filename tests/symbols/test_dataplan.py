"""Static data ranges: active segments, and what wasm-ld's initialiser does with passive ones."""

from __future__ import annotations

from wasmtime import wat2wasm

from symbols.wasm import Module
from symbols.wasm.dataplan import DataRange, data_ranges, overlaps


def ranges(text: str) -> list[DataRange]:
    return data_ranges(Module(bytes(wat2wasm(text))))


def test_active_segments_say_where_they_go():
    found = ranges('(module (memory 2) (data (i32.const 4096) "abc") (data (i32.const 16) "x"))')
    assert [(r.start, r.end, r.zero) for r in found] == [(16, 17, False), (4096, 4099, False)]


PASSIVE = """(module (memory 2 2 shared)
  (data $rodata "0123456789") (data $data "abcdef")
  (func $__wasm_init_memory
    (if (i32.atomic.load (i32.const 8)) (then (return)))
    (memory.init $rodata (i32.const 1024) (i32.const 0) (i32.const 10))
    (memory.init $data (i32.const %d) (i32.const 0) (i32.const 6))
    (memory.fill (i32.const 2048) (i32.const 0) (i32.const 512)))
  (start $__wasm_init_memory))"""


def test_passive_segments_are_found_in_the_initialiser():
    found = ranges(PASSIVE % 1040)
    assert [(r.start, r.end, r.zero) for r in found] == [
        (1024, 1034, False), (1040, 1046, False), (2048, 2560, True),
    ]  # fmt: skip
    assert not overlaps(found)


def test_overlaps():
    found = overlaps(ranges(PASSIVE % 2559))
    assert [(left.zero, right.zero) for left, right in found] == [(True, False)]
    assert len(overlaps(ranges(PASSIVE % 1033))) == 1
    assert not overlaps(ranges(PASSIVE % 1034))


def test_modules_without_data_or_initialiser():
    assert ranges("(module)") == []
    assert ranges('(module (import "a" "b" (func)) (memory 1) (start 0))') == []
    assert ranges('(module (memory 1) (data "passive"))') == []
