"""Rewritten user programs: shared tick counter, stack pointer, waits, start function."""

import pytest
import wasmtime

from symbols.errors import SymbolsError
from tests.instrument.harness import Box, Outcome, validate
from wdbg.errors import BadInput
from wdbg.instrument import layout
from wdbg.instrument.port import Port
from wdbg.instrument.result import Instrumented
from wdbg.instrument.rewrite import instrument_program
from wdbg.instrument.variant import PLAIN, TICK, Variant

PORT = Port("test", user_irq_entry="user_irq")
KERNEL = """(module
  (import "env" "memory" (memory 2 4 shared))
  (import "env" "unused" (func))
  (global $irqs (export "irqs") (mut i32) (i32.const 0))
  (global $seen (export "seen") (mut i32) (i32.const 0))
  (func (export "user_irq") (param i32)
    (global.set $irqs (i32.add (global.get $irqs) (i32.const 1)))
    (global.set $seen (local.get 0)))
  (func (export "syscall") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 3))))"""
ENV = """(module
  (global (export "__stack_pointer") (mut i32) (i32.const 8192))
  (global (export "__memory_base") i32 (i32.const 4096))
  (table (export "__indirect_function_table") 16 funcref))"""
PROGRAM = """(module
  (import "env" "memory" (memory 1 65536 shared))
  (import "env" "__stack_pointer" (global $sp (mut i32)))
  (import "env" "__memory_base" (global $base i32))
  (import "env" "__indirect_function_table" (table 1 funcref))
  (import "kernel" "syscall" (func $syscall (param i32) (result i32)))
  (global $count (export "count") (mut i32) (i32.const 5))
  (global $self (mut funcref) (ref.func $twice))
  (elem (i32.const 1) $syscall $twice)
  (elem (table 0) (i32.const 3) funcref (ref.func $syscall) (ref.func $twice))
  (data (global.get $base) "hello")
  (func $twice (export "twice") (param i32) (result i32)
    (i32.add (local.get 0) (local.get 0)))
  (func $spin (export "spin") (param i32) (result i32)
    (loop $l (global.set $count (i32.add (global.get $count) (i32.const 1)))
      (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (global.get $count))
  (func (export "pick") (param i32 i32) (result i32)
    (call_indirect (param i32) (result i32) (local.get 0) (local.get 1)))
  (func (export "sys") (param i32) (result i32) (call $syscall (local.get 0)))
  (func (export "tail") (param i32) (result i32) (return_call $syscall (local.get 0)))
  (func (export "reference") (param i32) (result i32)
    (table.set (i32.const 7) (ref.func $syscall))
    (call_indirect (param i32) (result i32) (local.get 0) (i32.const 7)))
  (func (export "hello") (result i32) (i32.load8_u (global.get $base)))
  (func (export "sp") (result i32) (global.get $sp)))"""


class Task:
    """A kernel instance and a program instance in one store, wired as the runtime does it."""

    def __init__(self, text: str, variant: Variant = TICK) -> None:
        self.box = Box()
        self.kernel = self.box.kernel(KERNEL, PORT, variant)
        store, linker = self.box.store, self.box.linker
        linker.define_instance(store, "kernel", self.kernel)
        linker.define_instance(store, layout.MODULE, self.kernel)
        exports = self.kernel.exports(store)
        tick = exports[layout.TICK_EXPORT]
        linker.define(store, layout.MODULE, layout.PROGRAM_TICK, tick)
        slow = exports[layout.USER_TICK_EXPORT]
        linker.define(store, layout.MODULE, layout.PROGRAM_SLOW, slow)
        self.box.define_text("env", ENV)
        self.done: Instrumented = instrument_program(wasmtime.wat2wasm(text), variant)
        validate(self.done.wasm)
        self.box.set_tick(self.kernel, 1 << 30)
        self.program = self.box.instantiate(self.done.wasm)

    def call(self, name: str, *args: int) -> Outcome:
        return self.box.call(self.program, name, *args)


@pytest.mark.parametrize("variant", [PLAIN, TICK], ids=lambda v: v.name)
def test_a_program_does_what_it_did(variant: Variant) -> None:
    task = Task(PROGRAM, variant)
    assert task.call("spin", 10) == Outcome([15])
    assert task.call("twice", 21) == Outcome([42])
    assert [task.call("pick", 7, i).results for i in (1, 2, 3, 4)] == [[21], [14], [21], [14]]
    assert task.call("sys", 5) == Outcome([15])
    assert task.call("tail", 5) == Outcome([15])
    assert task.call("reference", 5) == Outcome([15])
    assert task.call("hello") == Outcome([ord("h")])
    assert task.done.facts.globals[0].name == "__stack_pointer"
    assert [c.name for c in task.done.calls] == ["syscall"]


def test_a_program_shares_the_tick_counter_of_its_kernel() -> None:
    task = Task(PROGRAM)
    task.box.set_tick(task.kernel, 1000)
    task.call("spin", 10)
    assert task.box.tick(task.kernel).value(task.box.store) == 1000 - 11


def test_an_interrupt_sees_the_stack_pointer_below_the_red_zone() -> None:
    task = Task(PROGRAM)
    box = task.box
    box.quantum, box.on_tick = 10, lambda _: 1
    box.set_tick(task.kernel, 10)
    assert task.call("spin", 100) == Outcome([105])
    assert box.global_value(task.kernel, "irqs") == 10
    assert box.global_value(task.kernel, "seen") == 8192 - layout.RED_ZONE
    assert task.call("sp") == Outcome([8192])


def test_a_signal_handler_may_move_the_stack_pointer_meanwhile() -> None:
    task = Task(PROGRAM)
    box = task.box
    pointer = task.program  # the program's own global, which a host writes

    def host(_: Box) -> int:
        item = box.linker.get(box.store, "env", "__stack_pointer")
        assert isinstance(item, wasmtime.Global)
        item.set_value(box.store, 8192 - layout.RED_ZONE)
        return 0

    box.on_tick = host
    box.set_tick(task.kernel, 10)
    assert box.call(pointer, "spin", 20) == Outcome([25])
    assert task.call("sp") == Outcome([8192])


def test_a_program_without_a_stack_pointer_passes_zero() -> None:
    task = Task(
        """(module (func (export "spin") (param i32)
             (loop $l (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))"""
    )
    box = task.box
    box.on_tick = lambda _: 1
    box.set_tick(task.kernel, 10)
    assert task.call("spin", 20) == Outcome()
    assert box.global_value(task.kernel, "seen") == 0
    assert not task.done.facts.injects_user


def test_waits_of_programs_go_to_the_kernel_instance() -> None:
    task = Task(
        """(module
          (import "env" "memory" (memory 1 65536 shared))
          (import "kernel" "syscall" (func $syscall (param i32) (result i32)))
          (func (export "wait") (param i32 i32) (result i32)
            (memory.atomic.wait32 offset=4 (local.get 0) (local.get 1) (i64.const 9)))
          (func (export "wait64") (result i32)
            (memory.atomic.wait64 offset=8 (i32.const 0) (i64.const 0) (i64.const 9)))
          (func (export "notify") (param i32) (result i32)
            (call $syscall (memory.atomic.notify (local.get 0) (i32.const 2)))))"""
    )
    assert task.call("wait", 4, 0) == Outcome([2])
    assert (task.box.parks[-1].call, task.box.parks[-1].args[:3]) == (3, [8, 0, 9])
    assert task.call("wait", 4, 1) == Outcome([1])
    assert task.call("wait64") == Outcome([2])
    assert task.box.parks[-1].call == layout.CALL_WAIT64
    assert task.call("notify", 16) == Outcome([0])
    assert (task.box.parks[-1].call, task.box.parks[-1].args[:2]) == (4, [16, 2])


def test_start_function_becomes_an_export_and_ticks() -> None:
    task = Task(
        """(module
          (global $g (export "g") (mut i32) (i32.const 0))
          (func $begin (local i32) (local.set 0 (i32.const 20))
            (loop $l (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
            (global.set $g (i32.const 3)))
          (start $begin))"""
    )
    assert task.done.facts.start == layout.START_EXPORT
    assert task.box.global_value(task.program, "g") == 0
    task.box.set_tick(task.kernel, 10)
    assert task.call(layout.START_EXPORT) == Outcome()
    assert task.box.global_value(task.program, "g") == 3
    assert len(task.box.parks) == 1


def test_a_program_with_a_memory_of_its_own_keeps_it() -> None:
    task = Task(
        """(module (memory 1 1)
          (func (export "f") (result i32) (i32.store (i32.const 8) (i32.const 5))
            (i32.load (i32.const 8)))
          (func (export "w") (result i32)
            (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const 0))))"""
    )
    assert task.call("f") == Outcome([5])
    assert "non-shared" in task.call("w").trap.replace("_", "-").lower()


def test_the_linking_section_stays_first() -> None:
    dylink = b"\0\x0f\x08dylink.0\x01\x04\x00\x00\x00\x00"
    plain = wasmtime.wat2wasm(PROGRAM)
    done = instrument_program(plain[:8] + dylink + plain[8:], TICK)
    assert done.wasm[8 : 8 + len(dylink)] == dylink
    validate(done.wasm)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("(module (memory i64 1))", BadInput, "64-bit"),
        ('(module (import "wdbg" "tick" (func)))', BadInput, "already"),
        (
            """(module (memory 1 1 shared) (func (drop
               (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const 0)))))""",
            BadInput,
            "shared memory of its own",
        ),
        (
            """(module (import "env" "memory" (memory 1 1 shared)) (memory $m 1 1 shared)
               (func (drop (memory.atomic.wait32 $m
                 (i32.const 0) (i32.const 0) (i64.const 0)))))""",
            SymbolsError,
            "unsupported memory",
        ),
    ],
)
def test_programs_that_cannot_be_run_are_refused(
    text: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        instrument_program(wasmtime.wat2wasm(text), TICK)
