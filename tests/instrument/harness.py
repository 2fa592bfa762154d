"""Runs original and rewritten modules on wasmtime, synchronously: the park is a plain function.

That is enough to compare behaviour; the fibers of the real runtime are tested elsewhere.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import wasmtime

from wdbg.instrument import layout
from wdbg.instrument.port import Port
from wdbg.instrument.result import HostCall, Instrumented
from wdbg.instrument.rewrite import instrument_kernel
from wdbg.instrument.variant import TICK, Variant

Value = int | float
HostFunction = Callable[[list[int]], Sequence[int]]
"""Takes argument slots and gives result bits, both zero-extended 64-bit patterns."""

FOREVER = 0x7FFFFFFF


@lru_cache(maxsize=1)
def engine() -> wasmtime.Engine:
    config = wasmtime.Config()
    config.wasm_threads = True
    config.shared_memory = True
    config.wasm_exceptions = True
    config.wasm_tail_call = True
    config.wasm_relaxed_simd = True
    config.wasm_gc = False
    config.wasm_function_references = False
    config.cranelift_opt_level = "none"
    config.parallel_compilation = False
    config.signals_based_traps = False  # a wild access would end the process
    config.max_wasm_stack = 2 << 20
    config.cranelift_nan_canonicalization = True
    config.memory_reservation = 1 << 20  # thousands of memories in one test process
    config.memory_guard_size = 1 << 16
    return wasmtime.Engine(config)


@lru_cache(maxsize=64)
def compile_text(text: str) -> wasmtime.Module:
    """A module in text form, compiled once."""
    return wasmtime.Module(engine(), text)


@lru_cache(maxsize=64)
def rewrite_text(text: str, port: Port, variant: Variant) -> tuple[Instrumented, wasmtime.Module]:
    """A kernel in text form, rewritten and compiled once."""
    done = instrument_kernel(wasmtime.wat2wasm(text), variant, port)
    return done, wasmtime.Module(engine(), done.wasm)


def validate(wasm: bytes) -> None:
    """Raises wasmtime.WasmtimeError if wasmtime refuses the module."""
    wasmtime.Module.validate(engine(), wasm)


@dataclass
class Park:
    """One park as the host saw it."""

    call: int
    args: list[int]


@dataclass
class Outcome:
    """What a call did: results, or the trap's code and its frames, innermost first, as (module
    name, function index, module offset)."""

    results: list[Value] = field(default_factory=list)
    trap: str = ""
    frames: list[tuple[str, int, int]] = field(default_factory=list, compare=False)


class Box:
    """Guest memory, debug memory and the imports of a rewritten kernel, on one store."""

    def __init__(self, pages: tuple[int, int] = (2, 4), variant: Variant = TICK) -> None:
        self.store = wasmtime.Store(engine())
        self.linker = wasmtime.Linker(engine())
        self.linker.allow_shadowing = True
        text = '(module (memory (export "memory") {} {} shared))'
        self._guest, self.memory = self._shared(text.format(*pages), "env", "memory")
        debug = (
            f'(module (memory (export "debug") {variant.debug_pages} {variant.debug_pages} shared))'
        )
        self._debug, self.debug = self._shared(debug, layout.MODULE, layout.DEBUG_MEMORY)
        self.words = (ctypes.c_uint32 * 64).from_address(self.debug)
        self.longs = (ctypes.c_uint64 * 32).from_address(self.debug)
        self.head = ctypes.c_uint32.from_address(self.debug + layout.RING_HEAD)
        self.rings = 0
        """How often a ring of trace records was full."""
        self.parks: list[Park] = []
        self.calls: tuple[HostCall, ...] = ()
        self.functions: dict[str, HostFunction] = {}
        self.on_tick: Callable[[Box], int] = lambda box: 0
        self.on_probe: Callable[[int], int] = lambda address: 0
        self.on_access: Callable[[int, int, int], None] = lambda address, length, bits: None
        self.quantum = FOREVER
        self.ticks = 0
        kind = wasmtime.FuncType([], [])
        self.linker.define_func(layout.MODULE, layout.PARK, kind, self._park)

    def close(self) -> None:
        """Free the store now: the callbacks make cycles."""
        self.functions.clear()
        self.linker.close()
        self.store.close()

    def _shared(self, text: str, module: str, name: str) -> tuple[wasmtime.SharedMemory, int]:
        inst = wasmtime.Instance(self.store, compile_text(text), [])
        self.linker.define_instance(self.store, module, inst)
        memory = inst.exports(self.store)[name]
        assert isinstance(memory, wasmtime.SharedMemory)
        address = ctypes.cast(memory.data_ptr(), ctypes.c_void_p).value
        assert address is not None
        return memory, address

    def define_text(self, module: str, text: str) -> None:
        """Define all exports of a module in text form as imports from ``module``."""
        inst = wasmtime.Instance(self.store, wasmtime.Module(engine(), text), [])
        self.linker.define_instance(self.store, module, inst)

    def _park(self) -> None:
        call = self.words[layout.CALL >> 2]
        first = layout.ARGS >> 3
        args = list(self.longs[first : first + layout.ARG_SLOTS])
        if call == layout.CALL_PROBE:
            self.longs[layout.RESULT >> 3] = self.on_probe(args[0])
            return
        if call == layout.CALL_RING:
            self.rings += 1
            self.head.value = 0
            return
        if call == layout.CALL_WATCH:
            self.on_access(args[0], args[1], args[2])
            return
        self.parks.append(Park(call, args))
        answer = 0
        if call in (layout.CALL_TICK, layout.CALL_TICK_USER):
            self.ticks += self.quantum
            self.words[layout.TICK >> 2] = self.quantum
            answer = self.on_tick(self)
        elif call >= layout.CALL_IMPORT:
            host = self.calls[call - layout.CALL_IMPORT]
            results = self.functions[host.name](args[: len(host.params)])
            for i, bits in enumerate(results):
                self.longs[first + i - 1 if i else layout.RESULT >> 3] = bits
            return
        elif call == layout.CALL_NOTIFY:
            answer = 0
        elif call in (layout.CALL_WAIT32, layout.CALL_WAIT64):
            answer = 2
        self.longs[layout.RESULT >> 3] = answer

    def instantiate(self, wasm: bytes) -> wasmtime.Instance:
        return self.linker.instantiate(self.store, wasmtime.Module(engine(), wasm))

    def kernel(self, wat: str, port: Port, variant: Variant = TICK) -> wasmtime.Instance:
        """Rewrite a kernel in text form and make an instance of it."""
        done, module = rewrite_text(wat, port, variant)
        self.calls = done.calls
        return self.linker.instantiate(self.store, module)

    def tick(self, instance: wasmtime.Instance) -> wasmtime.Global:
        """The tick counter of a kernel instance."""
        item = instance.exports(self.store)[layout.TICK_EXPORT]
        assert isinstance(item, wasmtime.Global)
        return item

    def set_tick(self, instance: wasmtime.Instance, value: int) -> None:
        """Grant a quantum to an instance that is not parked."""
        self.tick(instance).set_value(self.store, value)

    def global_value(self, instance: wasmtime.Instance, name: str) -> int:
        """Value of an exported global."""
        item = instance.exports(self.store)[name]
        assert isinstance(item, wasmtime.Global)
        return int(item.value(self.store))

    def call(self, instance: wasmtime.Instance, name: str, *args: Value) -> Outcome:
        function = instance.exports(self.store)[name]
        assert isinstance(function, wasmtime.Func)
        return outcome(lambda: function(self.store, *args))

    def contents(self) -> bytes:
        """All of guest memory, at its present size."""
        return self.read(0, self._guest.data_len())

    def arm(self, first: int, count: int, value: int = 1) -> None:
        """Set bytes of the debug memory: stop points, or the map of watched granules."""
        ctypes.memset(self.debug + first, value, count)

    def dump(self, count: int) -> list[int]:
        """Slots that a stop point has filled."""
        first = layout.DUMP
        return list((ctypes.c_uint64 * count).from_address(self.debug + first))

    def put(self, slots: Sequence[int]) -> None:
        """Fill them for a stop point that takes its locals back."""
        (ctypes.c_uint64 * len(slots)).from_address(self.debug + layout.DUMP)[:] = slots

    def read(self, address: int, size: int) -> bytes:
        return ctypes.string_at(self.memory + address, size)

    def write(self, address: int, data: bytes) -> None:
        ctypes.memmove(self.memory + address, data, len(data))


def outcome(run: Callable[[], object]) -> Outcome:
    """Results or trap of a call."""
    try:
        value = run()
    except wasmtime.Trap as trap:
        text = trap.message.strip().splitlines()[-1].strip()
        frames = [(f.module_name or "", f.func_index, f.module_offset) for f in trap.frames]
        return Outcome(trap=str(trap.trap_code or text), frames=frames)
    except wasmtime.WasmtimeError as error:
        return Outcome(trap=str(error).strip().splitlines()[-1].strip())
    if value is None:
        return Outcome()
    return Outcome(list(value) if isinstance(value, list) else [value])
