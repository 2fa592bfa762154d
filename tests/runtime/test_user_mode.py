"""User programs on a tiny kernel: entering, cloning, executing, signal handlers, traps."""

from __future__ import annotations

import pytest
from wasmtime import wat2wasm

from wdbg.runtime.stop import StopKind

KERNEL = """
  (data (i32.const 16384) "child\\00")
  (data (i32.const 16400) "user trap\\00")
  (global $current (mut i32) (i32.const 0))
  (func $spawn (param $task i32) (param $clone i32)
    (i32.store (i32.const 16420) (local.get $clone))
    (drop (call $create (i32.const 4096) (local.get $task) (i32.const 16384)
      (i32.load (i32.const 1024)) (i32.load (i32.const 1028)) (i32.const 0x50000) (i32.const 0))))
  (func (export "_start")
    (i32.store (i32.const 1040) (i32.const 0x60000))
    (i32.store (i32.const 1044) (i32.const 0x77))
    (call $spawn (i32.const 5000) (i32.const 0))
    (call $panic (i32.const 100)))
  (func (export "ret_from_fork") (param $prev i32) (param $new i32) (result i32)
    (global.set $current (local.get $new))
    (i32.load (i32.const 16420)))
  (func (export "raise_exception")
    (call $panic (i32.const 16400)))
  (func $syscall (export "wasm_syscall_2")
    (param $sp i32) (param $tls i32) (param $nr i32) (param $a i32) (param $b i32) (result i32)
    (block $6 (block $5 (block $4 (block $3 (block $2 (block $1 (block $0
      (br_table $0 $1 $2 $3 $4 $5 $6 (local.get $nr)))
      ;; 0: one character on the console
      (i32.store8 (i32.const 16430) (local.get $a))
      (call $say (i32.const 16430) (i32.const 1))
      (return (i32.const 0)))
      ;; 1: the end
      (call $panic (i32.const 16384)) (unreachable))
      ;; 2: deliver a signal: the handler's frame is below the caller's stack pointer
      (i32.store (i32.const 16440) (local.get $sp))
      (i32.store (i32.const 1040) (i32.sub (local.get $sp) (i32.const 64)))
      (call $tail (i32.const 1))
      (return (i32.const 42)))
      ;; 3: return from the handler; b != 0: with another signal pending
      (if (i32.eqz (local.get $b))
        (then (i32.store (i32.const 1040) (i32.load (i32.const 16440))) (call $tail (i32.const 2)))
        (else (i32.store (i32.const 1040) (i32.const 0x5f000)) (call $tail (i32.const 3))))
      (unreachable))
      ;; 4: execve of the same file
      (call $load (i32.load (i32.const 1024)) (i32.load (i32.const 1028))
        (i32.const 0x58000) (i32.const 0))
      (i32.store (i32.const 1040) (i32.const 0x5e000))
      (call $tail (i32.const -1)) (unreachable))
      ;; 5: clone
      (call $spawn (i32.const 6000) (i32.const 1))
      (return (i32.const 0)))
    (i32.const -38))
"""

PROGRAM = """(module
  (import "env" "memory" (memory 1 65535 shared))
  (import "env" "__stack_pointer" (global $sp (mut i32)))
  (import "env" "__memory_base" (global $base i32))
  (import "env" "__table_base" (global $tbase i32))
  (import "env" "__indirect_function_table" (table 0 funcref))
  (import "env" "__wasm_syscall_2"
    (func $sys (param i32 i32 i32 i32 i32) (result i32)))
  (global $tls (mut i32) (i32.const 0))
  (func $call (param $nr i32) (param $a i32) (param $b i32) (result i32)
    (call $sys (global.get $sp) (global.get $tls) (local.get $nr) (local.get $a) (local.get $b)))
  (func $put (param i32) (drop (call $call (i32.const 0) (local.get 0) (i32.const 0))))
  (func $end (drop (call $call (i32.const 1) (i32.const 0) (i32.const 0))))
  (func (export "__set_tls_base") (param i32) (global.set $tls (local.get 0)))
  %s)"""

SIGNAL = """
  (func (export "__libc_handle_signal")
    (call $put (i32.const 104)) ;; h
    (if (i32.eq (global.get $sp) (i32.const 0x5ffc0)) (then (call $put (i32.const 115)))) ;; s
    (if (i32.eq (global.get $sp) (i32.const 0x5f000))
      (then (drop (call $call (i32.const 3) (i32.const 0) (i32.const 0)))))
    (drop (call $call (i32.const 3) (i32.const 0) (i32.const %d)))
    (call $put (i32.const 33)))
  (func (export "_start")
    (local $r i32)
    (local.set $r (call $call (i32.const 2) (i32.const 0) (i32.const 0)))
    (if (i32.eq (local.get $r) (i32.const 42)) (then (call $put (i32.const 114)))) ;; r
    (if (i32.eq (global.get $sp) (i32.const 0x60000)) (then (call $put (i32.const 112)))) ;; p
    (if (i32.eq (global.get $tls) (i32.const 0x77)) (then (call $put (i32.const 116)))) ;; t
    (call $end))"""


def program(body: str) -> bytes:
    """A position-independent program as the kernel finds it in its initrd."""
    return wat2wasm(PROGRAM % body)


def test_a_program_runs_its_relocations_constructors_and_start(boot, tape):
    stop = boot(
        KERNEL,
        initrd=program("""
          (func $s (call $put (i32.const 48)))
          (start $s)
          (func (export "__wasm_call_ctors") (call $put (i32.const 50)))
          (func (export "__wasm_apply_data_relocs") (call $put (i32.const 49)))
          (func (export "_start") (call $put (i32.const 51)) (call $end))"""),
    ).run()
    assert tape.written == b"0123"
    assert stop.message == "child"
    names = [(frame.function, bool(frame.module)) for frame in stop.frames]
    assert names[0] == ("syscall", False)
    assert names[-1] == ("_start", True)


def test_a_signal_handler_runs_on_the_signal_stack_and_unwinds(boot, tape):
    boot(KERNEL, initrd=program(SIGNAL % 0)).run()
    assert tape.written == b"hsrpt"


def test_a_signal_that_comes_while_a_handler_returns(boot, tape):
    boot(KERNEL, initrd=program(SIGNAL % 1)).run()
    assert tape.written == b"hshrpt"


def test_execve_replaces_the_program(boot, tape):
    boot(
        KERNEL,
        initrd=program("""
          (func (export "_start")
            (if (i32.eq (global.get $base) (i32.const 0x58000))
              (then (call $put (i32.const 50)) (call $end)))
            (call $put (i32.const 49))
            (drop (call $call (i32.const 4) (i32.const 0) (i32.const 0)))
            (call $put (i32.const 33)))"""),
    ).run()
    assert tape.written == b"12"


def test_a_clone_enters_its_callback_with_its_tls(boot, tape):
    boot(
        KERNEL,
        initrd=program("""
          (func (export "__wasm_apply_data_relocs") (call $put (i32.const 114)))
          (func (export "__libc_clone_callback")
            (if (i32.eq (global.get $tls) (i32.const 0x77)) (then (call $put (i32.const 99))))
            (call $end))
          (func (export "_start")
            (drop (call $call (i32.const 5) (i32.const 0) (i32.const 0))))"""),
    ).run()
    assert tape.written == b"rc"


@pytest.mark.parametrize(
    ("act", "code"),
    [
        ("(drop (i32.load (i32.const 0x7fffff00)))", 1),
        ("(i32.store (i32.const 0x7fffff00) (i32.const 1))", 1),
        ("(memory.fill (i32.const 0x100) (i32.const 0) (i32.const 0x7fffff00))", 1),
        ("(unreachable)", 2),
        ("(drop (i32.div_s (i32.const 1) (i32.const 0)))", 3),
        ("(drop (i32.trunc_f32_s (f32.const nan)))", 3),
        ("(call_indirect (i32.const 5))", 4),
        ("(call_indirect (i32.const 5000))", 4),
        ("(call $deep)", 5),
        ("(drop (i32.atomic.load (i32.const 3)))", 6),
        ("(return)", 2),
    ],
)
def test_a_wild_act_of_a_program_is_the_guests_business(boot, act, code):
    machine = boot(
        KERNEL,
        initrd=program(f"""
          (func $deep (call $deep) (call $deep))
          (func (export "_start") {act})"""),
    )
    stop = machine.run()
    assert stop.message == "user trap"
    assert not machine.traps
    assert machine.memory.read_u32(1032) == code


@pytest.mark.parametrize(
    "bad",
    [
        b"#!/bin/sh\n",
        b"\0asm\x01\0\0\0\x01",
        wat2wasm('(module (import "env" "nowhere" (func)) (func (export "_start")))'),
        wat2wasm('(module (func (export "_start")) (func $f) (start $f))')[:-3],
        wat2wasm("(module)"),
    ],
)
def test_what_is_no_program_is_killed(boot, bad):
    machine = boot(KERNEL, initrd=bad)
    assert machine.run().message == "user trap"


def test_a_trap_in_the_kernel_is_told_with_its_stack(boot):
    machine = boot("""
      (func $inner (drop (i32.load (i32.const 0x7fffff00))))
      (func (export "raise_exception") (call $panic (i32.const 100)))
      (func (export "_start") (call $inner))""")
    stop = machine.run()
    assert stop.kind is StopKind.PANIC
    assert [frame.function for frame in machine.traps[0].frames] == ["inner", "_start"]


def test_a_trap_while_dying_ends_the_run(boot):
    machine = boot("""
      (func (export "raise_exception") unreachable)
      (func (export "_start") unreachable)""")
    stop = machine.run()
    assert stop.kind is StopKind.TRAP
    assert [frame.function for frame in stop.frames] == ["raise_exception"]


def test_a_kernel_that_returns_has_ended(boot):
    assert boot('(func (export "_start"))').run().kind is StopKind.TRAP
