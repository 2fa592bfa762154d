"""wasmtime as this runtime needs it: fibers, one async import, lazy exports, traps with frames.

The only module that touches wasmtime's private bindings (`wasmtime._bindings`, `wasmtime._ffi`):
its public Python API has no asynchronous calls.  tests/runtime/test_engine.py exercises every
function used here, and pyproject.toml pins the minor version.

Rules that hold everywhere (docs/determinism.md):

* the guest is entered through asynchronous calls only (a synchronous call that reaches the
  async import aborts the process);
* no exception leaves a callback (ctypes would drop it);
* engines of the guest process never compile in parallel: a forked child has no such threads.
"""

from __future__ import annotations

import ctypes
import enum
import sys
from collections.abc import Callable, Sequence
from ctypes import POINTER, byref
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import wasmtime
from wasmtime import _bindings as bindings
from wasmtime import _ffi as ffi

PAGE = 65536
"""Bytes in a page of linear memory (WebAssembly core specification 4.2.8)."""

FIBER_STACK = 2 << 20
"""Native stack of a fiber, bytes; reserved for each task, committed as it is used."""

STACK_RESERVE = 256 << 10
"""Part of `FIBER_STACK` kept for host code (callbacks) that runs on a fiber, bytes."""



def _wasmtime_version() -> str:
    """The installed distribution's name and version (importlib.metadata takes 50 ms to import)."""
    beside = Path(wasmtime.__file__).parents[1]
    return next((p.stem for p in beside.glob("wasmtime-*.dist-info")), "wasmtime")


ENGINE_CONFIG = (
    f"{_wasmtime_version()}; threads, exceptions, branch hints; "
    f"explicit bounds checks; stack {FIBER_STACK - STACK_RESERVE}"
)
"""What compiled code depends on besides the module: part of every cache key."""


class TrapKind(enum.IntEnum):
    """Why a fiber trapped; the numbers are those of the guest's `wasm_trap_code`."""

    UNKNOWN = 0
    MEMORY = 1
    UNREACHABLE = 2
    ARITHMETIC = 3
    INDIRECT_CALL = 4
    STACK_OVERFLOW = 5
    OTHER = 6


_CODES = wasmtime.TrapCode
_KINDS = {
    _CODES.MEMORY_OUT_OF_BOUNDS: TrapKind.MEMORY,
    _CODES.UNREACHABLE: TrapKind.UNREACHABLE,
    _CODES.INTEGER_OVERFLOW: TrapKind.ARITHMETIC,
    _CODES.INTEGER_DIVISION_BY_ZERO: TrapKind.ARITHMETIC,
    _CODES.BAD_CONVERSION_TO_INTEGER: TrapKind.ARITHMETIC,
    _CODES.INDIRECT_CALL_TO_NULL: TrapKind.INDIRECT_CALL,
    _CODES.TABLE_OUT_OF_BOUNDS: TrapKind.INDIRECT_CALL,
    _CODES.BAD_SIGNATURE: TrapKind.INDIRECT_CALL,
    _CODES.NULL_REFERENCE: TrapKind.INDIRECT_CALL,
    _CODES.STACK_OVERFLOW: TrapKind.STACK_OVERFLOW,
}


@dataclass(frozen=True, slots=True)
class RawFrame:
    """A frame as the engine reports it, in the *rewritten* module."""

    module: str
    """Name from the module's name section; "" if it has none."""
    function: int
    """Function index in the rewritten module."""
    offset: int
    """File offset of the instruction in the rewritten module, bytes."""


@dataclass(frozen=True, slots=True)
class RawTrap:
    """A trap that ended a fiber's call; `frames` innermost first."""

    kind: TrapKind
    message: str
    frames: tuple[RawFrame, ...]


class EngineError(Exception):
    """wasmtime refused something: an invalid module, a link error, a resource limit."""


@lru_cache(maxsize=4096)
def _text(name: str) -> Any:
    raw = name.encode()
    return ctypes.create_string_buffer(raw, len(raw))


def _null(pointer: Any) -> bool:
    """A C pointer that wasmtime left untouched."""
    return not pointer


def _check(error: Any) -> None:
    if error:
        raise EngineError(str(wasmtime.WasmtimeError._from_ptr(error)))


def _frames_of(trap: Any) -> tuple[RawFrame, ...]:
    return tuple(
        RawFrame(f.module_name or "", f.func_index, f.module_offset) for f in trap.frames
    )


def _raw_trap(trap_ptr: Any, error_ptr: Any) -> RawTrap:
    """Take over the trap or error that a call left; its message loses wasmtime's backtrace."""
    if trap_ptr:
        trap = wasmtime.Trap._from_ptr(trap_ptr)
        code = trap.trap_code
        kind = _KINDS.get(code, TrapKind.OTHER) if code else TrapKind.OTHER
        lines = [line.strip() for line in trap.message.splitlines() if line.strip()]
        reason = lines[-1] if lines else "trap"
        return RawTrap(kind, reason.removeprefix("wasm trap: "), _frames_of(trap))
    error = wasmtime.WasmtimeError._from_ptr(error_ptr)
    return RawTrap(TrapKind.OTHER, str(error).splitlines()[0], ())


def _configuration(parallel: bool) -> wasmtime.Config:
    config = wasmtime.Config()
    config.wasm_threads = True
    config.shared_memory = True
    config.parallel_compilation = parallel
    bindings.wasmtime_config_async_stack_size_set(config.ptr(), FIBER_STACK)
    config.max_wasm_stack = FIBER_STACK - STACK_RESERVE
    bindings.wasmtime_config_wasm_branch_hinting_set(config.ptr(), True)
    bindings.wasmtime_config_wasm_exceptions_set(config.ptr(), True)
    # With signal-based traps a wild access aborts the whole host process once two instances
    # of one store import the shared memory (kernel and user program): DESIGN D7a.
    bindings.wasmtime_config_signals_based_traps_set(config.ptr(), False)
    return config


class Module:
    """A compiled module, ready to be instantiated any number of times."""

    def __init__(self, module: wasmtime.Module) -> None:
        self._module = module

    def serialize(self) -> bytes:
        """Compiled code for `Engine.load`; only good for the same `ENGINE_CONFIG`."""
        return bytes(self._module.serialize())

    def imports(self) -> list[tuple[str, str]]:
        """(module, name) of each import in order."""
        return [(i.module, i.name or "") for i in self._module.imports]


class Engine:
    """Compiler and code memory.  `parallel` only in a process that runs no guest."""

    def __init__(self, *, parallel: bool = False) -> None:
        self.raw = wasmtime.Engine(_configuration(parallel))

    def compile(self, wasm: bytes) -> Module:
        """Compile a module; `EngineError` says why it is not valid."""
        try:
            return Module(wasmtime.Module(self.raw, wasm))
        except wasmtime.WasmtimeError as error:
            raise EngineError(str(error)) from None

    def load(self, path: Path) -> Module:
        """Map code made by `Module.serialize`.  The file must be trusted: it is native code."""
        try:
            return Module(wasmtime.Module.deserialize_file(self.raw, str(path)))
        except wasmtime.WasmtimeError as error:
            raise EngineError(str(error)) from None


class SharedMemory:
    """A shared linear memory; its base address never moves (it is reserved at the maximum)."""

    def __init__(self, engine: Engine, minimum: int, maximum: int) -> None:
        """`minimum` and `maximum` in pages."""
        try:
            kind = wasmtime.MemoryType(wasmtime.Limits(minimum, maximum), shared=True)
            self._memory = wasmtime.SharedMemory(engine.raw, kind)
        except wasmtime.WasmtimeError as error:
            raise EngineError(str(error)) from None
        data = ffi.wasmtime_sharedmemory_data(self._memory.ptr())
        self.address: int = ctypes.cast(data, ctypes.c_void_p).value or 0
        """Host address of byte 0."""

    def size(self) -> int:
        """Present size in bytes."""
        return int(ffi.wasmtime_sharedmemory_data_size(self._memory.ptr()))

    def grow(self, pages: int) -> None:
        """Grow by `pages`; `EngineError` beyond the maximum."""
        try:
            self._memory.grow(pages)
        except wasmtime.WasmtimeError as error:
            raise EngineError(str(error)) from None

    def extern(self) -> Any:
        """The memory as an import; wasmtime-py's own conversion passes a pointer too many."""
        return ffi.wasmtime_extern_t(
            ffi.WASMTIME_EXTERN_SHAREDMEMORY,
            ffi.wasmtime_extern_union(sharedmemory=self._memory.ptr()),
        )


# ---- the one host function ---------------------------------------------------------------

# wasmtime asks a continuation, bool (*)(void *), once right after a park (the answer must be: not
# yet) and once at the next poll (go on).  A callback into Python would cost half a microsecond each
# time, so the C library's strlen() answers: 0 for an empty string, 1 for one of a single character.
_string = ctypes.create_string_buffer(2)
_string_address = ctypes.addressof(_string)
_is_ready = (ctypes.c_ubyte * 1).from_buffer(_string)
_continuation = ctypes.cast(
    ctypes.CDLL(None).strlen, bindings.wasmtime_func_async_continuation_callback_t
)

_call_word = ctypes.c_int32(0)
_watched: frozenset[int] = frozenset()
_on_park: Callable[[Any], None] | None = None


@bindings.wasmtime_func_async_callback_t  # type: ignore[untyped-decorator]
def _park(
    _env: Any, caller: Any, _a: Any, _n: Any, _r: Any, _m: Any, _trap: Any, continuation: Any
) -> None:
    _is_ready[0] = 0
    if _call_word.value in _watched:
        _observe(caller)
    answer = continuation[0]
    answer.callback = _continuation
    answer.env = _string_address


def _observe(caller: Any) -> None:
    try:
        if _on_park is not None:
            _on_park(caller)
    except Exception as error:  # ctypes would swallow it without a word
        print(f"wdbg: observer failed: {error!r} {error}", file=sys.stderr)


def watch_parks(
    call_word: ctypes.c_int32, watched: frozenset[int], observer: Callable[[Any], None]
) -> None:
    """Have `observer(caller)` called on the fiber's stack at a park whose `call_word` is one of
    `watched`.  It must not raise: an exception is printed and lost.
    """
    global _call_word, _watched, _on_park
    _call_word, _watched, _on_park = call_word, watched, observer


def unwatch_parks() -> None:
    """Undo `watch_parks`."""
    global _call_word, _watched, _on_park
    # The word lies in a guest's memory, which may be gone before the next park.
    _call_word, _watched, _on_park = ctypes.c_int32(0), frozenset(), None


_NO_FINALIZER = bindings._wasmtime_linker_define_async_func.argtypes[-1]()


class Linker:
    """Imports by (module, name) for one kind of instance."""

    def __init__(self, engine: Engine) -> None:
        self.raw = wasmtime.Linker(engine.raw)
        self.raw.allow_shadowing = True

    def define_park(self, module: str, name: str) -> None:
        """Define the async function () -> () that suspends the fiber which calls it."""
        kind = wasmtime.FuncType([], [])
        _check(
            bindings.wasmtime_linker_define_async_func(
                self.raw.ptr(), _text(module), len(module), _text(name), len(name),
                kind.ptr(), _park, None, _NO_FINALIZER,
            )
        )  # fmt: skip

    def define_memory(self, store: wasmtime.Store, module: str, name: str, m: SharedMemory) -> None:
        """Define a shared memory; `store` is any store of the same engine."""
        _check(
            ffi.wasmtime_linker_define(
                self.raw.ptr(), store._context(), _text(module), len(module),
                _text(name), len(name), byref(m.extern()),
            )
        )  # fmt: skip

    def define(self, store: wasmtime.Store, module: str, name: str, item: Any) -> None:
        """Define a function, global or table that belongs to `store`."""
        try:
            self.raw.define(store, module, name, item)
        except wasmtime.WasmtimeError as error:
            raise EngineError(str(error)) from None


class Instance:
    """An instance of a module; exports are looked up one by one (a kernel has thousands)."""

    def __init__(self, store: wasmtime.Store, raw: Any) -> None:
        self._store = store
        self._raw = raw

    def export(self, name: str) -> Any | None:
        """The export as wasmtime-py's object, or None."""
        item = ffi.wasmtime_extern_t()
        if not bindings.wasmtime_instance_export_get(
            self._store._context(), byref(self._raw), _text(name), len(name.encode()), byref(item)
        ):
            return None
        return wasmtime._extern.wrap_extern(item)

    def global_value(self, name: str) -> int | None:
        """Value of an exported i32 global (the address of a C object) as unsigned, or None."""
        item = self.export(name)
        if not isinstance(item, wasmtime.Global):
            return None
        return int(item.value(self._store)) & 0xFFFFFFFF


_poll = bindings._wasmtime_call_future_poll
_delete_future = bindings._wasmtime_call_future_delete


class Fiber:
    """A store with its instances and at most one call under way.

    States: idle (no call), suspended (`start`ed and parked or not yet polled), finished
    (`poll` returned True: `trap` or `result` is set).  A suspended call can be dropped at any
    time; its native stack goes with it.
    """

    __slots__ = (
        "_args", "_error", "_function", "_future", "_results", "_trap_ptr", "instance", "result",
        "store", "trap",
    )  # fmt: skip

    def __init__(self, engine: Engine) -> None:
        self.store = wasmtime.Store(engine.raw)
        self.instance: Instance
        self.result = 0
        self.trap: RawTrap | None = None
        self._future: Any = None

    def instantiate(self, linker: Linker, module: Module) -> Instance:
        """Make an instance; runs its start function, which must not park.

        Raises `EngineError` for a missing import or a trap in the start function.
        """
        raw = ffi.wasmtime_instance_t()
        trap = POINTER(ffi.wasm_trap_t)()
        error = POINTER(ffi.wasmtime_error_t)()
        future = bindings.wasmtime_linker_instantiate_async(
            linker.raw.ptr(), self.store._context(), module._module.ptr(),
            byref(raw), byref(trap), byref(error),
        )  # fmt: skip
        done = _poll(future)
        _delete_future(future)
        if not done:
            raise EngineError("the module's start function called the host")
        if not (_null(trap) and _null(error)):
            raise EngineError(_raw_trap(trap, error).message)
        return Instance(self.store, raw)

    def start(self, function: wasmtime.Func, args: Sequence[int] = ()) -> None:
        """Begin a call (i32 arguments, at most one result); the old call, if any, is dropped.

        The first `poll` runs it.
        """
        self.drop()
        # The future reads function, arguments and results through pointers: keep them alive.
        self._function = function
        count = len(args)
        self._args = (ffi.wasmtime_val_t * max(count, 1))()
        for slot, value in zip(self._args, args, strict=False):
            slot.kind = 0
            slot.of.i32 = value - (1 << 32) if value >= 1 << 31 else value
        self._results = (ffi.wasmtime_val_t * 1)()
        self._trap_ptr = POINTER(ffi.wasm_trap_t)()
        self._error = POINTER(ffi.wasmtime_error_t)()
        wanted = len(function.type(self.store).results)
        self._future = bindings.wasmtime_func_call_async(
            self.store._context(), byref(function._func), self._args, count,
            self._results, min(wanted, 1), byref(self._trap_ptr), byref(self._error),
        )  # fmt: skip
        self.trap = None

    def poll(self) -> bool:
        """Run until the next park (False) or the end of the call (True)."""
        _is_ready[0] = 1
        if not _poll(self._future):
            return False
        _delete_future(self._future)
        self._future = None
        if not (_null(self._trap_ptr) and _null(self._error)):
            self.trap = _raw_trap(self._trap_ptr, self._error)
        else:
            self.result = self._results[0].of.i32
        return True

    @property
    def suspended(self) -> bool:
        """A call is under way."""
        return self._future is not None

    def new_global(self, value: int, *, mutable: bool) -> wasmtime.Global:
        """An i32 global that belongs to this fiber's store."""
        signed = value - (1 << 32) if value >= 1 << 31 else value
        kind = wasmtime.GlobalType(wasmtime.ValType.i32(), mutable)
        return wasmtime.Global(self.store, kind, wasmtime.Val.i32(signed))

    def set_global(self, item: wasmtime.Global, value: int) -> None:
        """Set a mutable i32 global, also while the call is suspended."""
        item.set_value(self.store, value - (1 << 32) if value >= 1 << 31 else value)

    def new_table(self, size: int) -> wasmtime.Table:
        """A table of `size` null function references."""
        kind = wasmtime.TableType(wasmtime.ValType.funcref(), wasmtime.Limits(size, None))
        return wasmtime.Table(self.store, kind, None)

    def drop(self) -> None:
        """Drop the call under way, if any, with its native stack; the store stays usable."""
        if self._future is not None:
            _delete_future(self._future)
            self._future = None

    def close(self) -> None:
        """Free the store and all its instances."""
        self.drop()
        self.store.close()


def backtrace_at_park(trap: wasmtime.Func) -> Callable[[Any], tuple[RawFrame, ...]]:
    """How to read the stack of a fiber while it parks, without ending it.

    `trap` is an exported function of the fiber's store that only executes `unreachable`.
    Called re-entrantly on top of the parked frames it traps, and the trap lists all frames
    below it too; its own frame is left out.  Costs some 30 microseconds.
    """

    def read(caller: Any) -> tuple[RawFrame, ...]:
        trap_ptr = POINTER(ffi.wasm_trap_t)()
        error = POINTER(ffi.wasmtime_error_t)()
        values = (ffi.wasmtime_val_t * 1)()
        # Synchronous calls are refused in a store with asynchronous functions.
        future = bindings.wasmtime_func_call_async(
            bindings.wasmtime_caller_context(caller), byref(trap._func), values, 0, values, 0,
            byref(trap_ptr), byref(error),
        )  # fmt: skip
        done = _poll(future)
        _delete_future(future)
        if not done or _null(trap_ptr):
            return ()
        return _frames_of(wasmtime.Trap._from_ptr(trap_ptr))[1:]

    return read
