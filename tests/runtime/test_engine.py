"""Every private binding of wasmtime that the runtime relies on does what the runtime expects."""

from __future__ import annotations

import ctypes
import gc
import mmap
import os
from pathlib import Path

import pytest
from wasmtime import wat2wasm

from wdbg.runtime.engine import (
    ENGINE_CONFIG,
    Engine,
    EngineError,
    Fiber,
    Linker,
    SharedMemory,
    TrapKind,
    backtrace_at_park,
    unwatch_parks,
    watch_parks,
)

PARKING = """(module $parking
  (import "env" "park" (func $park))
  (import "env" "memory" (memory 1 4 shared))
  (global $g (export "g") (mut i32) (i32.const 7))
  (func (export "trap") unreachable)
  (func $inner (param i32) (result i32)
    (call $park) (i32.add (local.get 0) (i32.load (i32.const 16))))
  (func $outer (export "outer") (param i32) (result i32) (call $inner (local.get 0)))
  (func (export "wild") (result i32) (i32.load (i32.const 0x7ffffff0)))
  (func (export "divide") (param i32) (result i32) (i32.div_s (i32.const 1) (local.get 0)))
  (func $deep (export "deep") (call $deep)))"""


@pytest.fixture(name="engine", scope="module")
def engine_fixture() -> Engine:
    return Engine()


@pytest.fixture(name="parts")
def parts_fixture(engine):
    memory = SharedMemory(engine, 1, 4)
    linker = Linker(engine)
    linker.define_park("env", "park")
    fiber = Fiber(engine)
    linker.define_memory(fiber.store, "env", "memory", memory)
    module = engine.compile(wat2wasm(PARKING))
    instance = fiber.instantiate(linker, module)
    return linker, memory, module, fiber, instance


def finish(fiber: Fiber) -> None:
    while not fiber.poll():
        pass


def test_a_parked_call_goes_on_at_the_next_poll(parts):
    _, _, _, fiber, instance = parts
    fiber.start(instance.export("outer"), (5,))
    assert fiber.suspended
    assert not fiber.poll()
    assert fiber.poll()
    assert fiber.result == 5
    assert not fiber.suspended


def test_fibers_interleave_over_one_memory(engine, parts):
    linker, memory, module, first, instance = parts
    second = Fiber(engine)
    other = second.instantiate(linker, module)
    first.start(instance.export("outer"), (1,))
    second.start(other.export("outer"), (2,))
    assert not first.poll()
    assert not second.poll()
    ctypes.memset(memory.address + 16, 1, 1)
    assert second.poll()
    assert first.poll()
    assert (first.result, second.result) == (2, 3)


def test_a_suspended_call_can_be_dropped_and_the_store_used_again(parts):
    _, _, _, fiber, instance = parts
    fiber.start(instance.export("outer"), (1,))
    assert not fiber.poll()
    fiber.drop()
    fiber.start(instance.export("outer"), (3,))
    finish(fiber)
    assert fiber.result == 3


def test_parks_do_not_look_at_a_word_of_a_guest_that_is_gone(parts):
    _, _, _, fiber, instance = parts
    page = mmap.mmap(-1, mmap.PAGESIZE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    watch_parks(ctypes.c_int32.from_address(address), frozenset({0}), lambda _caller: None)
    unwatch_parks()
    gc.collect()
    page.close()
    fiber.start(instance.export("outer"), (3,))
    finish(fiber)
    assert fiber.result == 3


@pytest.mark.parametrize(
    ("export", "args", "kind"),
    [
        ("wild", (), TrapKind.MEMORY),
        ("trap", (), TrapKind.UNREACHABLE),
        ("divide", (0,), TrapKind.ARITHMETIC),
        ("deep", (), TrapKind.STACK_OVERFLOW),
    ],
)
def test_traps_have_a_kind_and_frames(parts, export, args, kind):
    _, _, _, fiber, instance = parts
    fiber.start(instance.export(export), args)
    finish(fiber)
    assert fiber.trap is not None
    assert fiber.trap.kind is kind
    assert fiber.trap.frames[0].module == "parking"
    fiber.start(instance.export("outer"), (4,))
    finish(fiber)
    assert fiber.result == 4, "the store survives a trap"


def test_a_wild_access_with_two_instances_in_a_store_traps_cleanly(parts):
    """DESIGN D7a: with signal-based traps this ends the host process."""
    linker, _, module, fiber, first = parts
    second = fiber.instantiate(linker, module)
    for instance in (first, second):
        fiber.start(instance.export("wild"))
        finish(fiber)
        assert fiber.trap is not None
        assert fiber.trap.kind is TrapKind.MEMORY


def test_a_stack_can_be_read_while_the_fiber_parks(parts):
    _, _, _, fiber, instance = parts
    read = backtrace_at_park(instance.export("trap"))
    seen = []
    watch_parks(ctypes.c_int32(5), frozenset({5}), lambda caller: seen.append(read(caller)))
    try:
        fiber.start(instance.export("outer"), (5,))
        assert not fiber.poll()
    finally:
        unwatch_parks()
    assert fiber.poll()
    assert fiber.result == 5
    assert [frame.function for frame in seen[0]] == [2, 3]
    assert seen[0][0].offset < seen[0][1].offset


def test_an_observer_that_raises_does_not_break_the_run(parts, capfd):
    _, _, _, fiber, instance = parts

    def broken(_caller):
        raise RuntimeError("seen")

    watch_parks(ctypes.c_int32(5), frozenset({5}), broken)
    try:
        fiber.start(instance.export("outer"), (5,))
        finish(fiber)
    finally:
        unwatch_parks()
    assert fiber.result == 5
    assert "seen" in capfd.readouterr().err


def test_exports_are_looked_up_by_name(parts):
    _, _, _, fiber, instance = parts
    assert instance.export("nothing") is None
    assert instance.global_value("g") == 7
    assert instance.global_value("outer") is None
    fiber.set_global(instance.export("g"), 0xFFFFFFFE)
    assert instance.global_value("g") == 0xFFFFFFFE


def test_globals_change_while_a_call_is_suspended(parts):
    _, _, _, fiber, instance = parts
    item = instance.export("g")
    fiber.start(instance.export("outer"), (1,))
    assert not fiber.poll()
    fiber.set_global(item, 9)
    assert instance.global_value("g") == 9
    assert fiber.poll()


def test_a_fork_copies_suspended_fibers(parts):
    _, _, _, fiber, instance = parts
    fiber.start(instance.export("outer"), (5,))
    assert not fiber.poll()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        finish(fiber)
        os.write(writer, bytes([fiber.result]))
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    os.close(writer)
    assert os.read(reader, 1) == b"\x05"
    os.close(reader)
    assert fiber.poll()
    assert fiber.result == 5


def test_an_exception_unwinds_through_another_instance(engine):
    """rt_sigreturn leaves a signal handler by a wasm exception across two modules."""
    kernel = """(module (tag $u) (table (export "hooks") 2 funcref)
      (func (export "throw") (throw $u))
      (func (export "tail") (result i32)
        (block $b (try_table (catch $u $b) (call_indirect (i32.const 0)))
          (return (i32.const 1)))
        (i32.const 2)))"""
    program = '(module (import "k" "throw" (func $t)) (func (export "handler") (call $t)))'
    fiber = Fiber(engine)
    first = fiber.instantiate(Linker(engine), engine.compile(wat2wasm(kernel)))
    linker = Linker(engine)
    linker.define(fiber.store, "k", "throw", first.export("throw"))
    second = fiber.instantiate(linker, engine.compile(wat2wasm(program)))
    first.export("hooks").set(fiber.store, 0, second.export("handler"))
    fiber.start(first.export("tail"))
    finish(fiber)
    assert fiber.result == 2


def test_new_globals_and_tables_belong_to_the_fiber(engine):
    text = """(module (import "env" "g" (global $g (mut i32))) (import "env" "t" (table 4 funcref))
      (func (export "get") (result i32) (global.get $g)))"""
    fiber = Fiber(engine)
    linker = Linker(engine)
    linker.define(fiber.store, "env", "g", fiber.new_global(0x80000001, mutable=True))
    linker.define(fiber.store, "env", "t", fiber.new_table(4))
    instance = fiber.instantiate(linker, engine.compile(wat2wasm(text)))
    fiber.start(instance.export("get"))
    finish(fiber)
    assert fiber.result & 0xFFFFFFFF == 0x80000001


def test_compiled_code_can_be_stored(engine, tmp_path: Path):
    path = tmp_path / "code"
    path.write_bytes(engine.compile(wat2wasm("(module)")).serialize())
    engine.load(path)
    path.write_bytes(b"not code")
    with pytest.raises(EngineError):
        engine.load(path)
    assert "wasmtime" in ENGINE_CONFIG


def test_refusals_are_engine_errors(engine):
    with pytest.raises(EngineError):
        engine.compile(b"\0asm")
    with pytest.raises(EngineError):
        SharedMemory(engine, 4, 2)
    memory = SharedMemory(engine, 1, 2)
    memory.grow(1)
    assert memory.size() == 2 * 65536
    with pytest.raises(EngineError):
        memory.grow(1)
    fiber = Fiber(engine)
    module = engine.compile(wat2wasm('(module (import "a" "b" (func)))'))
    with pytest.raises(EngineError, match="unknown import"):
        fiber.instantiate(Linker(engine), module)
    assert module.imports() == [("a", "b")]


def test_a_start_function_must_not_park(engine):
    text = '(module (import "env" "park" (func $p)) (func $s (call $p)) (start $s))'
    linker = Linker(engine)
    linker.define_park("env", "park")
    with pytest.raises(EngineError, match="start function"):
        Fiber(engine).instantiate(linker, engine.compile(wat2wasm(text)))
