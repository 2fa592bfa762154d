"""Rewritten kernels: wrappers of imports, injected interrupts, waits, the user-mode tail."""

import pytest
import wasmtime

from symbols.errors import SymbolsError
from symbols.wasm.module import Module
from tests.instrument.harness import Box, Outcome, outcome, validate
from wdbg.errors import BadInput
from wdbg.instrument import layout
from wdbg.instrument.port import Port
from wdbg.instrument.rewrite import find_stack_pointer, instrument_kernel
from wdbg.instrument.variant import PLAIN, TICK, Variant

PORT = Port(
    "test",
    clock_import="clock",
    user_tail_import="tail",
    irq_entry="irq",
    user_irq_entry="user_irq",
    user_stack_pointer="get_sp",
    user_tls_base="get_tls",
    uninjected=frozenset(("quiet",)),
)
MEMORY = '(import "env" "memory" (memory 2 4 shared))'
BOTH = pytest.mark.parametrize("variant", [PLAIN, TICK], ids=lambda v: v.name)

CALLS = f"""(module {MEMORY}
  (import "env" "first" (func $first (param i32 i64) (result i32)))
  (import "env" "second" (func $second (param f32 f64) (result f64)))
  (import "host" "many" (func $many (param i32) (result i32 i64 f32)))
  (import "env" "sixteen" (func $sixteen (param i32 i32 i32 i32 i32 i32 i32 i32
                                                i32 i32 i32 i32 i32 i32 i32 i32)))
  (table 4 funcref)
  (elem (i32.const 0) $first $second $own)
  (func $own (export "own") (result i32) (call $first (i32.const -1) (i64.const -2)))
  (func (export "floats") (param f32 f64) (result f64)
    (call $second (local.get 0) (local.get 1)))
  (func (export "several") (result i32 i64 f32) (call $many (i32.const 5)))
  (func (export "indirect") (param i32) (result i32)
    (call_indirect (param i32 i64) (result i32) (i32.const 3) (i64.const 4) (local.get 0)))
  (func (export "wide") (call $sixteen
    (i32.const 0) (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4) (i32.const 5)
    (i32.const 6) (i32.const 7) (i32.const 8) (i32.const 9) (i32.const 10) (i32.const 11)
    (i32.const 12) (i32.const 13) (i32.const 14) (i32.const 15)))
  (export "first" (func $first)))"""


@BOTH
def test_imports_become_calls_through_the_mailbox(variant: Variant) -> None:
    box = Box()
    box.functions = {
        "first": lambda args: [(args[0] + args[1]) & 0xFFFFFFFF],
        "second": lambda args: [args[1]],
        "many": lambda args: [args[0], args[0] + 1, 0x3F800000],
        "sixteen": lambda args: [],
    }
    kernel = box.kernel(CALLS, PORT, variant)
    assert box.call(kernel, "own") == Outcome([-3])
    assert box.call(kernel, "floats", 1.5, -2.5) == Outcome([-2.5])
    assert box.call(kernel, "several") == Outcome([5, 6, 1.0])
    assert box.call(kernel, "indirect", 0) == Outcome([7])
    assert box.call(kernel, "first", 20, 22) == Outcome([42])
    assert box.call(kernel, "indirect", 1).trap == "TrapCode.BAD_SIGNATURE"
    assert box.call(kernel, "wide") == Outcome()
    assert box.parks[-1].args == list(range(16))
    assert box.parks[0].args[:2] == [0xFFFFFFFF, 0xFFFFFFFFFFFFFFFE]
    assert box.parks[1].args[:2] == [0x3FC00000, 0xC004000000000000]
    assert [park.call for park in box.parks] == [16, 17, 18, 16, 16, 19]
    assert [(c.module, c.name) for c in box.calls] == [
        ("env", "first"), ("env", "second"), ("host", "many"), ("env", "sixteen"),
    ]  # fmt: skip
    assert (box.calls[1].params, box.calls[1].results) == (("f32", "f64"), ("f64",))


def test_a_park_spills_and_refills_the_tick_counter() -> None:
    box = Box()
    kernel = box.kernel(CALLS, PORT)
    seen = []

    def first(args: list[int]) -> list[int]:
        seen.append(box.words[layout.TICK >> 2])
        box.words[layout.TICK >> 2] = 77
        return [0]

    box.functions = {"first": first}
    box.set_tick(kernel, 500)
    box.call(kernel, "own")
    assert seen == [499]  # one tick for the entry of a function that calls
    assert box.tick(kernel).value(box.store) == 77


def test_a_resumed_fiber_traps_when_told_to() -> None:
    box = Box()
    kernel = box.kernel(CALLS, PORT)

    def first(args: list[int]) -> list[int]:
        box.words[layout.TRAP >> 2] = 1
        return [0]

    box.functions = {"first": first}
    assert box.call(kernel, "own").trap == "TrapCode.UNREACHABLE"
    assert box.call(kernel, layout.TRAP_EXPORT).trap == "TrapCode.UNREACHABLE"


def test_clock_is_answered_without_a_park() -> None:
    box = Box()
    kernel = box.kernel(
        f"""(module {MEMORY} (import "env" "clock" (func $clock (result i64)))
        (func (export "now") (result i64) (call $clock)))""",
        PORT,
    )
    box.longs[layout.CLOCK_END >> 3] = 10_000_000_000
    box.longs[layout.NS_PER_TICK >> 3] = 4
    box.set_tick(kernel, 1001)
    assert box.call(kernel, "now") == Outcome([10_000_000_000 - 4 * 1000])
    assert not box.parks


SPIN = f"""(module {MEMORY}
  (import "env" "unused" (func))
  (global $__stack_pointer (mut i32) (i32.const 4096))
  (global $irqs (export "irqs") (mut i32) (i32.const 0))
  (global $seen (export "seen") (mut i32) (i32.const 0))
  (func (export "irq")
    (global.set $irqs (i32.add (global.get $irqs) (i32.const 1)))
    (global.set $seen (global.get $__stack_pointer))
    (global.set $__stack_pointer (i32.const 0)))
  (func (export "user_irq") (param i32)
    (global.set $irqs (i32.add (global.get $irqs) (i32.const 1)))
    (global.set $seen (local.get 0)))
  (func $quiet (export "quiet") (param i32)
    (loop $l (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
  (func $leaf (param i32) (result i32) (i32.add (local.get 0) (i32.const -1)))
  (func (export "spin") (param i32) (result i32)
    (loop $l (br_if $l (local.tee 0 (call $leaf (local.get 0)))))
    (global.get $__stack_pointer)))"""


def test_interrupts_run_below_the_red_zone_and_the_stack_pointer_comes_back() -> None:
    box = Box()
    box.quantum = 10
    box.on_tick = lambda _: 1
    kernel = box.kernel(SPIN, PORT)
    box.set_tick(kernel, 10)
    assert box.call(kernel, "spin", 1000) == Outcome([4096])
    assert box.global_value(kernel, "irqs") == 100
    assert box.global_value(kernel, "seen") == 4096 - layout.RED_ZONE
    assert {park.call for park in box.parks} == {layout.CALL_TICK}
    assert box.global_value(kernel, layout.STACK_POINTER_EXPORT) == 4096


def test_no_interrupt_unless_the_host_says_so() -> None:
    box = Box()
    box.quantum = 10
    kernel = box.kernel(SPIN, PORT)
    box.set_tick(kernel, 10)
    assert box.call(kernel, "spin", 1000) == Outcome([4096])
    assert (len(box.parks), box.global_value(kernel, "irqs")) == (100, 0)


def test_uninjected_functions_park_but_take_no_interrupt() -> None:
    box = Box()
    kernel = box.kernel(SPIN, PORT)
    box.on_tick = lambda _: 1
    box.set_tick(kernel, 10)
    box.call(kernel, "quiet", 1000)
    assert box.parks
    assert box.global_value(kernel, "irqs") == 0


def test_the_plain_variant_never_parks_at_ticks() -> None:
    plain = Box()
    kernel = plain.kernel(SPIN, PORT, PLAIN)
    plain.set_tick(kernel, 10)
    plain.call(kernel, "spin", 1000)
    assert not plain.parks


def test_user_ticks_hand_the_user_stack_pointer_to_the_kernel() -> None:
    box = Box()
    kernel = box.kernel(SPIN, PORT)
    box.call(kernel, layout.USER_TICK_EXPORT, 0x1234)
    assert (box.parks[-1].call, box.parks[-1].args[0]) == (layout.CALL_TICK_USER, 0x1234)
    assert box.global_value(kernel, "irqs") == 0
    box.on_tick = lambda _: 1
    box.call(kernel, layout.USER_TICK_EXPORT, 0x1234)
    assert (box.global_value(kernel, "irqs"), box.global_value(kernel, "seen")) == (1, 0x1234)


def test_without_entries_or_stack_pointer_nothing_is_injected() -> None:
    text = f"""(module {MEMORY} (import "env" "unused" (func))
      (func (export "spin") (param i32)
        (loop $l (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))"""
    done = instrument_kernel(wasmtime.wat2wasm(text), TICK, PORT)
    facts = done.facts
    assert (facts.injects_kernel, facts.injects_user, facts.stack_pointer) == (False,) * 3
    box = Box()
    box.quantum, box.on_tick = 10, lambda _: 1
    kernel = box.kernel(text, PORT)
    box.set_tick(kernel, 10)
    assert box.call(kernel, "spin", 99) == Outcome()
    assert len(box.parks) == 10


OTHER = "(global $x (mut i32) (i32.const 0))"


@pytest.mark.parametrize(
    ("globals_", "index"),
    [
        (f'{OTHER} (global $y (export "__stack_pointer") (mut i32) (i32.const 0))', 1),
        (f"{OTHER} (global $__stack_pointer (mut i32) (i32.const 0))", 1),
        (f"{OTHER} (global $y (mut i32) (i32.const 0))", 0),
        ("(global $x i32 (i32.const 0)) (global $y (mut i32) (i32.const 0))", None),
        ("(global $x (mut i64) (i64.const 0))", None),
        ("", None),
    ],
    ids=["export", "name section", "guess", "constant", "wide", "none"],
)
def test_where_the_stack_pointer_is_looked_for(globals_: str, index: int | None) -> None:
    module = Module(wasmtime.wat2wasm(f"(module {MEMORY} {globals_})"))
    assert find_stack_pointer(module, PORT) == index


WAITS = f"""(module {MEMORY}
  (func (export "wait32") (param i32 i32 i64) (result i32)
    (memory.atomic.wait32 offset=8 (local.get 0) (local.get 1) (local.get 2)))
  (func (export "wait64") (param i32 i64 i64) (result i32)
    (memory.atomic.wait64 offset=16 (local.get 0) (local.get 1) (local.get 2)))
  (func (export "far") (param i32 i32 i64) (result i32)
    (memory.atomic.wait32 offset=4294967292 (local.get 0) (local.get 1) (local.get 2)))
  (func (export "notify") (param i32 i32) (result i32)
    (memory.atomic.notify offset=4 (local.get 0) (local.get 1))))"""
MISALIGNED, OUTSIDE = "TrapCode.HEAP_MISALIGNED", "TrapCode.MEMORY_OUT_OF_BOUNDS"


@BOTH
def test_waits_park_with_the_effective_address(variant: Variant) -> None:
    box = Box()
    kernel = box.kernel(WAITS, PORT, variant)
    assert box.call(kernel, "wait32", 8, 0, -1) == Outcome([2])
    assert box.parks[-1].call == layout.CALL_WAIT32
    assert box.parks[-1].args[:3] == [16, 0, (1 << 64) - 1]
    assert box.call(kernel, "wait64", 8, 0, 5) == Outcome([2])
    assert (box.parks[-1].call, box.parks[-1].args[:3]) == (layout.CALL_WAIT64, [24, 0, 5])
    assert box.call(kernel, "notify", 12, 3) == Outcome([0])
    assert (box.parks[-1].call, box.parks[-1].args[:2]) == (layout.CALL_NOTIFY, [16, 3])


def test_waits_answer_not_equal_and_trap_like_the_instruction() -> None:
    box = Box()
    kernel = box.kernel(WAITS, PORT)
    original = box.instantiate(wasmtime.wat2wasm(WAITS))
    cases: list[tuple[str, tuple[int, ...]]] = [
        ("wait32", (8, 1, 0)), ("wait64", (8, 1 << 40, 0)), ("wait32", (0, 0, 0)),
        ("wait32", (1, 0, 0)), ("wait64", (4, 0, 0)), ("wait64", (0, 0, 0)),
        ("wait32", (-8, 0, 0)), ("wait32", (-7, 0, 0)), ("wait32", (0x40000, 0, 0)),
        ("wait32", (0x40001, 0, 0)), ("notify", (0x40001, 0)),
        ("wait32", (0x1FFF4, 0, 0)), ("wait32", (0x1FFF8, 0, 0)),
        ("far", (0, 0, 0)), ("far", (1, 0, 0)), ("far", (4, 0, 0)), ("far", (6, 0, 0)),
        ("notify", (0, 0)), ("notify", (2, 0)), ("notify", (-4, 0)), ("notify", (-1, 0)),
    ]  # fmt: skip
    for name, args in cases:
        expected = box.call(original, name, *args)
        assert box.call(kernel, name, *args) == expected, (name, args)
    traps = {box.call(kernel, name, *args).trap for name, args in cases}
    assert traps == {"", MISALIGNED, OUTSIDE}


def test_start_function_and_memory_initialisation_are_left_alone() -> None:
    text = f"""(module {MEMORY}
      (func $__wasm_init_memory (loop $l (drop (memory.atomic.notify (i32.const 0)
        (i32.const 1)))))
      (func $begin (call $__wasm_init_memory) (loop (drop (memory.atomic.notify (i32.const 4)
        (i32.const 1)))))
      (start $begin))"""
    box = Box()
    kernel = box.kernel(text, PORT)
    assert not box.parks
    assert box.tick(kernel).value(box.store) == 0


@pytest.mark.parametrize(
    ("wait", "trap"),
    [
        ("(memory.atomic.wait32 (i32.const 0) (i32.const 1) (i64.const -1))", ""),
        ("(memory.atomic.wait64 (i32.const 0) (i64.const 1) (i64.const -1))", ""),
        ("(memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const 9))", ""),
        ("(memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1))", "unreachable"),
        ("(memory.atomic.wait64 (i32.const 0) (i64.const 0) (i64.const -1))", "unreachable"),
    ],
)
def test_a_wait_that_nobody_could_end_traps_at_start(wait: str, trap: str) -> None:
    box = Box()
    text = f"(module {MEMORY} (func $begin (drop {wait})) (start $begin))"
    done = outcome(lambda: box.kernel(text, PORT) and None)
    assert trap in done.trap.lower()
    assert bool(done.trap) == bool(trap)
    assert not box.parks


TAIL = f"""(module {MEMORY}
  (import "env" "tail" (func $tail (param i32)))
  (global $__stack_pointer (mut i32) (i32.const 1000))
  (global $depth (export "depth") (mut i32) (i32.const 0))
  (func (export "get_sp") (result i32) (i32.const 0x5000))
  (func (export "get_tls") (result i32) (i32.const 0x6000))
  (func (export "deliver") (param i32) (result i32)
    (call $tail (local.get 0)) (global.get $__stack_pointer))
  (func (export "sigreturn")
    (global.set $__stack_pointer (i32.sub (global.get $__stack_pointer) (i32.const 64)))
    (call $tail (i32.const 2)) unreachable))"""
PROGRAM = """(module
  (import "kernel" "sigreturn" (func $sigreturn))
  (global $handled (export "handled") (mut i32) (i32.const 0))
  (global $tls (export "tls") (mut i32) (i32.const 0))
  (func (export "handle")
    (global.set $handled (i32.add (global.get $handled) (i32.const 1)))
    (call $sigreturn) unreachable)
  (func (export "polite") (global.set $handled (i32.const 100)))
  (func (export "set_tls") (param i32) (global.set $tls (local.get 0))))"""


class TailHost:
    """Answers the user-mode tail: flow 1 runs the handler, 2 unwinds, -2 restores the TLS base."""

    def __init__(self, handler: str = "handle") -> None:
        self.flows: list[int] = []
        self.box = Box()
        self.box.functions = {"tail": self._tail}
        self.kernel = self.box.kernel(TAIL, PORT)
        self.box.linker.define_instance(self.box.store, "kernel", self.kernel)
        self.program = self.box.instantiate(wasmtime.wat2wasm(PROGRAM))
        hooks = self.kernel.exports(self.box.store)[layout.HOOKS_EXPORT]
        exports = self.program.exports(self.box.store)
        assert isinstance(hooks, wasmtime.Table)
        hooks.set(self.box.store, layout.HOOK_SIGNAL_HANDLER, exports[handler])
        hooks.set(self.box.store, layout.HOOK_SET_TLS, exports["set_tls"])

    def _tail(self, args: list[int]) -> list[int]:
        flow = args[0]
        self.flows.append(flow - (1 << 32) if flow >> 31 else flow)
        slots = self.box.longs[layout.ARGS >> 3 : (layout.ARGS >> 3) + 4]
        assert slots[layout.ARG_USER_POINTER] == 0x5000
        assert slots[layout.ARG_USER_TLS] == 0x6000
        if flow == 2:
            return [layout.TAIL_UNWIND]
        if flow == 1:
            return [layout.TAIL_RUN_HANDLER]
        self.box.longs[(layout.ARGS >> 3) + layout.ARG_NEW_TLS] = 0x7000
        return [layout.TAIL_SET_TLS if flow == 0xFFFFFFFE else 0]


def test_tail_runs_the_handler_and_unwinds_to_it() -> None:
    host = TailHost()
    assert host.box.call(host.kernel, "deliver", 1) == Outcome([1000])  # stack pointer is back
    assert host.flows == [1, 2, layout.TAIL_RETURNED]
    assert host.box.global_value(host.program, "handled") == 1
    assert host.box.global_value(host.program, "tls") == 0x7000


def test_tail_without_a_signal_returns_and_a_handler_may_return() -> None:
    host = TailHost("polite")
    assert host.box.call(host.kernel, "deliver", 0) == Outcome([1000])
    assert host.box.call(host.kernel, "deliver", 1) == Outcome([1000])
    assert host.flows == [0, 1, layout.TAIL_RETURNED]
    assert host.box.global_value(host.program, "handled") == 100


def test_unwinding_with_no_handler_below_ends_the_call() -> None:
    host = TailHost()
    assert host.box.call(host.kernel, "sigreturn").trap
    assert host.flows == [2]


def test_a_kernel_with_tags_and_tables_of_its_own_keeps_them() -> None:
    text = f"""(module {MEMORY}
      (import "env" "tail" (func $tail (param i32)))
      (tag $mine (param i32))
      (table $t (export "t") 3 3 funcref)
      (func (export "f") (param i32) (result i32)
        (block $got (result i32)
          (try_table (result i32) (catch $mine $got)
            (table.size $t) drop (throw $mine (local.get 0))))))"""
    box = Box()
    kernel = box.kernel(text, PORT)
    assert box.call(kernel, "f", 9) == Outcome([9])


def test_a_kernel_without_function_imports_is_renumbered() -> None:
    text = f"""(module {MEMORY}
      (global $r (mut funcref) (ref.func $a))
      (table 3 funcref) (elem (i32.const 1) $a)
      (elem (table 0) (i32.const 2) funcref (ref.func $a))
      (func $a (export "a") (result i32) (i32.const 7))
      (func (export "b") (result i32) (call $a))
      (func (export "c") (param i32) (result i32)
        (call_indirect (result i32) (local.get 0)))
      (func (export "d") (result i32) (global.set $r (ref.func $a))
        (table.set (i32.const 0) (global.get $r)) (call_indirect (result i32) (i32.const 0)))
      (func (export "e") (result i32) (return_call $a)))"""
    box = Box()
    kernel = box.kernel(text, PORT)
    for name, args in (("a", ()), ("b", ()), ("c", (1,)), ("c", (2,)), ("d", ()), ("e", ())):
        assert box.call(kernel, name, *args) == Outcome([7]), name


def test_facts_tell_a_loader_what_it_needs() -> None:
    text = f"""(module {MEMORY}
      (import "env" "f" (func $f (param i32)))
      (import "env" "t" (table 5 9 funcref))
      (import "env" "g" (global i64))
      (func $inside (export "run") (call $f (i32.const 1)))
      (global (export "here") i32 (i32.const 64)))"""
    done = instrument_kernel(wasmtime.wat2wasm(text), TICK, PORT)
    validate(done.wasm)
    facts = done.facts
    assert facts.memory is not None
    assert (facts.memory.module, facts.memory.name) == ("env", "memory")
    assert (facts.memory.minimum, facts.memory.maximum, facts.memory.shared) == (2, 4, True)
    assert [(t.name, t.element, t.minimum, t.maximum) for t in facts.tables] == [
        ("t", "funcref", 5, 9)
    ]
    assert [(g.name, g.type, g.mutable) for g in facts.globals] == [("g", "i64", False)]
    assert facts.exports == (("run", "function", 1), ("here", "global", 1))
    assert (facts.function_imports, facts.functions, facts.function_shift) == (1, 2, 0)
    assert done.functions.name(1) == "inside"
    assert done.call(16) == done.calls[0]
    assert done.call(15) is None
    assert done.call(17) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(module)", "imports no memory"),
        ("(module (memory 1 1 shared))", "imports no memory"),
        (f"(module {MEMORY} (memory 1))", "memory of its own"),
        ('(module (import "env" "memory" (memory i64 1 1 shared)))', "64-bit"),
        (f'(module {MEMORY} (func (export "__wdbg_x")))', "rewritten by wdbg already"),
        (f'(module {MEMORY} (import "wdbg" "x" (func)))', "rewritten by wdbg already"),
        (f'(module {MEMORY} (func (export "irq") (param i32)))', "irq has signature"),
        (f'(module {MEMORY} (global (export "irq") i32 (i32.const 0)))', "irq is no function"),
        (f'(module {MEMORY} (import "env" "f" (func (param v128))))', "v128"),
        (f'(module {MEMORY} (import "env" "f" (func (param funcref))))', "funcref"),
        (f'(module {MEMORY} (import "env" "f" (func (param {"i32 " * 17}))))', "too many"),
    ],
)
def test_kernels_that_cannot_be_run_are_refused(text: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        instrument_kernel(wasmtime.wat2wasm(text), TICK, PORT)


def test_rewriting_twice_is_refused_and_rewriting_is_reproducible() -> None:
    original = wasmtime.wat2wasm(SPIN)
    done = instrument_kernel(original, TICK, PORT)
    assert instrument_kernel(original, TICK, PORT).wasm == done.wasm
    with pytest.raises(BadInput, match="already"):
        instrument_kernel(done.wasm, TICK, PORT)


def test_an_unknown_opcode_is_an_error_at_its_place() -> None:
    text = f"(module {MEMORY} (func (nop) (i32.clz (i32.const 0)) drop))"
    data = bytearray(wasmtime.wat2wasm(text))
    place = data.index(b"\x67\x1a")
    data[place] = 0xE0
    with pytest.raises(SymbolsError, match="unknown opcode 0xe0") as caught:
        instrument_kernel(bytes(data), TICK, PORT)
    assert caught.value.offset == place


def test_a_truncated_kernel_is_refused_or_still_a_module() -> None:
    data = bytes(wasmtime.wat2wasm(TAIL))
    for size in range(len(data)):
        cut = data[:size]
        try:
            done = instrument_kernel(cut, TICK, PORT)
        except (SymbolsError, BadInput):
            continue
        validate(done.wasm)
        validate(cut)
