"""Tiny kernels in the text format: the host interface exercised without building Linux.

`kernel(body)` wraps functions into a module with upstream's shape: passive memory, one export a
name, no exported stack pointer, an unconfigured system call among the imports.
"""

from __future__ import annotations

from pathlib import Path

from wasmtime import wat2wasm

from wdbg.instrument.cache import Cache
from wdbg.instrument.rewrite import instrument_kernel
from wdbg.instrument.variant import TICK, Variant
from wdbg.runtime.abi.linux_wasm import LinuxWasm
from wdbg.runtime.code import CompiledCode, store_code
from wdbg.runtime.console import Console
from wdbg.runtime.engine import PAGE, Engine, SharedMemory
from wdbg.runtime.kernel import Kernel
from wdbg.runtime.machine import Machine
from wdbg.runtime.probes import Probes
from wdbg.runtime.program import Programs
from wdbg.runtime.scheduler import RoundRobin, Scheduler

IMPORTS = """
  (import "env" "memory" (memory 4 256 shared))
  (import "env" "wasm_start_cpu" (func $start_cpu (param i32 i32 i32)))
  (import "env" "wasm_stop_cpu" (func $stop_cpu (param i32)))
  (import "env" "wasm_create_and_run_task"
    (func $create (param i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "wasm_serialize_tasks" (func $switch (param i32 i32) (result i32)))
  (import "env" "wasm_release_task" (func $release (param i32)))
  (import "env" "wasm_load_executable" (func $load (param i32 i32 i32 i32)))
  (import "env" "wasm_user_mode_tail" (func $tail (param i32)))
  (import "env" "wasm_panic" (func $panic (param i32)))
  (import "env" "wasm_dump_stacktrace" (func $dump (param i32 i32)))
  (import "env" "wasm_cpu_clock_get_monotonic" (func $clock (result i64)))
  (import "env" "wasm_driver_hvc_put" (func $put (param i32 i32) (result i32)))
  (import "env" "wasm_driver_hvc_get" (func $get (param i32 i32) (result i32)))
  (import "env" "wasm_timer_program" (func $timer (param i32 i64)))
  (import "env" "wasm_machine_stop" (func $machine_stop (param i32 i32)))
  (import "env" "sys_bpf" (func $bpf (param i32 i32 i64) (result i32)))
"""

COMMON = """
  (global $__stack_pointer (mut i32) (i32.const 65536))
  (global $sp_user (mut i32) (i32.const 0))
  (global (export "init_task") i32 (i32.const 4096))
  (global (export "boot_command_line") i32 (i32.const 8192))
  (global (export "initrd_start") i32 (i32.const 1024))
  (global (export "initrd_end") i32 (i32.const 1028))
  (global (export "wasm_cpu_irq") i32 (i32.const 2048))
  (global (export "wasm_trap_code") i32 (i32.const 1032))
  (func (export "get_user_stack_pointer") (result i32) (i32.load (i32.const 1040)))
  (func (export "get_user_tls_base") (result i32) (i32.load (i32.const 1044)))
  (func $say (param i32 i32) (drop (call $put (local.get 0) (local.get 1))))
"""
"""Addresses: 1024 initrd, 1032 trap code, 1040 user stack pointer, 1044 TLS, 2048 interrupt words,
4096 init_task, 8192 command line."""


def text(body: str) -> str:
    """The whole module."""
    return f"(module {IMPORTS}{COMMON}{body})"


def machine(
    body: str,
    directory: Path,
    console: Console,
    *,
    scheduler: Scheduler | None = None,
    variant: Variant = TICK,
    command_line: str = "",
    initrd: bytes | bytearray | None = None,
    cpus: int = 4,
) -> Machine:
    """Boot a mini kernel; nothing has run yet."""
    original = bytes(wat2wasm(text(body)))
    done = instrument_kernel(original, variant, LinuxWasm.port)
    engine = Engine()
    directory.mkdir(exist_ok=True)
    path = directory / "mini.wasm"
    path.write_bytes(original)
    store_code(directory, engine.compile(done.wasm), done)
    code = CompiledCode(directory)
    kernel = Kernel(Path("mini.wasm"), engine.load(code.machine_code), code)
    abi = LinuxWasm(kernel, Programs(engine, variant, Cache(directory / "cache")))
    memory = SharedMemory(engine, 4, 256)
    made = Machine(
        engine, abi, memory, 256 * PAGE, scheduler or RoundRobin(), console,
        debug_pages=variant.debug_pages,
    )  # fmt: skip
    made.cuts = variant.cuts
    if variant.probes:
        made.probes = Probes(made.mailbox)
        made.reloads = variant.reload
        made.probes.add("mini", path, code)
    abi.boot(command_line, bytes(initrd) if initrd is not None else None, cpus)
    return made


COUNTING = """
  (func $nothing)
  (func $add
    (call $nothing)
    (i32.store (i32.const 12288) (i32.add (i32.load (i32.const 12288)) (i32.const 1))))
  (func $work (param $done i32) (local $n i32)
    (loop $again
      (call $add)
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $n) (i32.const 40))))
    (i32.atomic.store (local.get $done) (i32.const 1)))
  (func (export "_start_secondary") (param i32)
    (call $work (i32.const 12304))
    (loop $rest
      (drop (memory.atomic.wait32 (i32.const 12308) (i32.const 0) (i64.const -1)))
      (br $rest)))"""
"""The second CPU, and `$work` for the first: each adds 1 to the word at 12288 forty times, then
sets its own flag; between load and store there is no tick."""
