"""Generated functions through which a kernel leaves wasm: one way out, ``park``.

Each writes what it wants and its arguments into the debug memory, spills the tick counter, calls
the asynchronous import, and when it is resumed takes the counter and the answer from there. A
resumed fiber whose TRAP word is set executes ``unreachable`` first: that is how the backtrace of
any task is taken. See layout.py for the words.
"""

from __future__ import annotations

from dataclasses import dataclass

from symbols.wasm.types import FuncType, ValueType
from wdbg.errors import BadInput
from wdbg.instrument import layout
from wdbg.instrument.additions import Additions
from wdbg.instrument.emit import (
    RETURN,
    UNREACHABLE,
    access,
    block,
    i32_const,
    i64_const,
    if_,
    loop,
    op,
    try_table,
)

I32, I64, F32, F64 = ValueType.I32, ValueType.I64, ValueType.F32, ValueType.F64
_ZERO = i32_const(0)
_NUMBERS = (I32, I64, F32, F64)


@dataclass(frozen=True, slots=True)
class Mailbox:
    """Indices that the generated code refers to. ``stack_pointer`` is None if the kernel has none
    that is known."""

    add: Additions
    memory: int
    park: int
    tick: int
    stack_pointer: int | None

    # ---- pieces

    def load(self, name: str, offset: int) -> bytes:
        """Load a word of the debug memory."""
        return _ZERO + access(name, self.memory, offset)

    def store(self, offset: int, value: bytes, name: str = "i32.store") -> bytes:
        """Store what ``value`` leaves on the stack."""
        return _ZERO + value + access(name, self.memory, offset)

    def argument(self, slot: int, value: bytes, kind: ValueType) -> bytes:
        """Store an argument, zero-extended to its slot."""
        widen = {
            I32: op("i64.extend_i32_u"),
            I64: b"",
            F32: op("i32.reinterpret_f32") + op("i64.extend_i32_u"),
            F64: op("i64.reinterpret_f64"),
        }[kind]
        return self.store(layout.ARGS + 8 * slot, value + widen, "i64.store")

    def leave(self, number: int) -> bytes:
        """Park with call ``number``; the arguments are stored already."""
        return (
            self.store(layout.TICK, op("global.get", self.tick))
            + self.store(layout.CALL, i32_const(number))
            + op("call", self.park)
            + self.load("i32.load", layout.TRAP)
            + if_(UNREACHABLE)
            + self.load("i32.load", layout.TICK)
            + op("global.set", self.tick)
        )

    def _result(self, kind: ValueType, offset: int) -> bytes:
        return self.load(f"{kind.text}.load", offset)

    # ---- whole functions

    def import_body(self, number: int, name: str, kind: FuncType) -> bytes:
        """Body of the wrapper of an imported function."""
        if len(kind.params) > layout.ARG_SLOTS or len(kind.results) > layout.ARG_SLOTS:
            raise BadInput(f"imported function {name} has too many parameters or results")
        for value in (*kind.params, *kind.results):
            if value not in _NUMBERS:
                raise BadInput(f"imported function {name} has a {value.text} in its signature")
        arguments = [
            self.argument(i, op("local.get", i), value) for i, value in enumerate(kind.params)
        ]
        results = [
            self._result(value, layout.ARGS + 8 * (i - 1) if i else layout.RESULT)
            for i, value in enumerate(kind.results)
        ]
        return b"".join((*arguments, self.leave(layout.CALL_IMPORT + number), *results))

    def clock_body(self) -> bytes:
        """CLOCK_END - tick * NS_PER_TICK."""
        return (
            self.load("i64.load", layout.CLOCK_END)
            + op("global.get", self.tick)
            + op("i64.extend_i32_s")
            + self.load("i64.load", layout.NS_PER_TICK)
            + op("i64.mul")
            + op("i64.sub")
        )

    def trap_function(self) -> None:
        """``__wdbg_trap``: gives the backtrace of whoever calls it."""
        self.add.function(layout.TRAP_EXPORT, (), (), UNREACHABLE, export=True)

    def probe_function(self) -> int:
        """``__wdbg_probe``: parks at a stop point; the host's answer is its result."""
        body = (
            self.argument(0, op("local.get", 0), I32)
            + self.leave(layout.CALL_PROBE)
            + self._result(I32, layout.RESULT)
        )
        return self.add.function(layout.PROBE_EXPORT, (I32,), (I32,), body, export=True)

    def watch_functions(self) -> tuple[int, int]:
        """``__wdbg_watch`` and ``__wdbg_watch_range``, both (i32 address, i32 length, i32 bits) ->
        (). The first parks; the second does if any granule of the range is marked."""
        kinds = (I32, I32, I32)
        arguments = [self.argument(i, op("local.get", i), I32) for i in range(3)]
        park = b"".join(arguments) + self.leave(layout.CALL_WATCH)
        watch = self.add.function(layout.WATCH_EXPORT, kinds, (), park, export=True)
        # locals: 3 the granule at hand, 4 the last one
        shift = i32_const(layout.WATCH_GRANULE) + op("i32.shr_u")
        last = op("local.get", 0) + op("local.get", 1) + op("i32.add") + i32_const(1)
        marked = op("local.get", 3) + access("i64.load", self.memory, layout.WATCH_MAP, 0)
        call = b"".join(op("local.get", i) for i in range(3)) + op("call", watch) + RETURN
        step = op("local.get", 3) + i32_const(8) + op("i32.add") + op("local.tee", 3)
        body = (
            op("local.get", 1)
            + op("i32.eqz")
            + if_(RETURN)
            + op("local.get", 0)
            + shift
            + op("local.set", 3)
            + last
            + op("i32.sub")
            + shift
            + op("local.set", 4)
            + loop(
                marked
                + op("i64.eqz")
                + op("i32.eqz")
                + if_(call)
                + step
                + op("local.get", 4)
                + op("i32.le_u")
                + op("br_if", 0)
            )
        )
        range_ = self.add.function(
            layout.WATCH_RANGE_EXPORT, kinds, (), body, (I32, I32), export=True
        )
        return watch, range_

    def wait_functions(self) -> dict[str, int]:
        """The functions that replace wait32, wait64 and notify: operands as those of the
        instruction, and its static offset. They trap like the instruction on an address that is
        out of bounds or not aligned, and only park when the value is as expected."""
        return {
            "memory.atomic.wait32": self._wait(layout.WAIT32_EXPORT, I32, layout.CALL_WAIT32),
            "memory.atomic.wait64": self._wait(layout.WAIT64_EXPORT, I64, layout.CALL_WAIT64),
            "memory.atomic.notify": self._notify(),
        }

    def _address(self, offset: int) -> bytes:
        """local 0 += local ``offset``; a sum beyond 32 bits is out of bounds."""
        wide = [op("local.get", i) + op("i64.extend_i32_u") for i in (0, offset)]
        overflow = b"".join(wide) + op("i64.add") + i64_const(32) + op("i64.shr_u")
        outside = i32_const(-1) + access("i32.load8_u", 0, 0xFFFFFFFF) + op("drop")
        return (
            overflow
            + op("i32.wrap_i64")
            + if_(outside)
            + op("local.get", 0)
            + op("local.get", offset)
            + op("i32.add")
            + op("local.set", 0)
        )

    def wait_functions_at_start(self) -> dict[str, int]:
        """The same for wait32 and wait64 while an instance is made. Nothing can park there and
        nobody could wake the waiter: a wait without end traps, one with a timeout times out."""
        return {
            "memory.atomic.wait32": self._wait("__wdbg_start_wait32", I32, None),
            "memory.atomic.wait64": self._wait("__wdbg_start_wait64", I64, None),
        }

    def _wait(self, name: str, value: ValueType, number: int | None) -> int:
        # locals: 0 address, 1 expected, 2 timeout, 3 offset
        differs = (
            op("local.get", 0)
            + access(f"{value.text}.atomic.load", 0)
            + op("local.get", 1)
            + op(f"{value.text}.ne")
            + if_(i32_const(1) + op("return"))
        )
        kind = (I32, value, I64, I32)
        if number is None:
            forever = op("local.get", 2) + i64_const(0) + op("i64.lt_s")
            body = self._address(3) + differs + forever + if_(UNREACHABLE) + i32_const(2)
            return self.add.function(name, kind, (I32,), body)
        body = (
            self._address(3)
            + differs
            + self.argument(0, op("local.get", 0), I32)
            + self.argument(1, op("local.get", 1), value)
            + self.argument(2, op("local.get", 2), I64)
            + self.leave(number)
            + self._result(I32, layout.RESULT)
        )
        return self.add.function(name, kind, (I32,), body, export=True)

    def _notify(self) -> int:
        # locals: 0 address, 1 count, 2 offset
        body = (
            self._address(2)
            + op("local.get", 0)
            + access("i32.atomic.load", 0)
            + op("drop")
            + self.argument(0, op("local.get", 0), I32)
            + self.argument(1, op("local.get", 1), I32)
            + self.leave(layout.CALL_NOTIFY)
            + self._result(I32, layout.RESULT)
        )
        return self.add.function(layout.NOTIFY_EXPORT, (I32, I32, I32), (I32,), body, export=True)

    def kernel_slow(self, name: str, irq_entry: int | None) -> int:
        """() -> (): the quantum is over in kernel code; takes an interrupt if the host says so.

        LLVM's leaf functions use the red zone below the stack pointer without moving it, so the
        interrupt runs below that.
        """
        body = self.leave(layout.CALL_TICK)
        saved: tuple[ValueType, ...] = ()
        if irq_entry is not None and self.stack_pointer is not None:
            stack = self.stack_pointer
            saved = (I32,)
            body += self._result(I32, layout.RESULT) + if_(
                op("global.get", stack)
                + op("local.tee", 0)
                + i32_const(layout.RED_ZONE)
                + op("i32.sub")
                + op("global.set", stack)
                + op("call", irq_entry)
                + op("local.get", 0)
                + op("global.set", stack)
            )
        return self.add.function(name, (), (), body, saved)

    def user_slow(self, irq_entry: int | None) -> int:
        """(i32 user stack pointer, red zone left out) -> (): the same for user code."""
        body = self.argument(0, op("local.get", 0), I32) + self.leave(layout.CALL_TICK_USER)
        if irq_entry is not None:
            call = op("local.get", 0) + op("call", irq_entry)
            body += self._result(I32, layout.RESULT) + if_(call)
        return self.add.function(layout.USER_TICK_EXPORT, (I32,), (), body, export=True)

    def tail_body(
        self, number: int, hooks: int, user_stack: int | None, user_tls: int | None
    ) -> tuple[bytes, tuple[ValueType, ...]]:
        """Body and locals of the wrapper of the user-mode tail, (i32 flow) -> ().

        A signal handler runs on top of the current stack, through the hook table. It ends in
        rt_sigreturn, whose own tail call throws; the exception is caught here, and the host is
        asked again to restore the program's stack pointer and TLS base. The kernel's stack
        pointer, which the unwound frames have not put back, is restored here.
        """
        tag = self.add.tag()
        nullary, unary = self.add.type(()), self.add.type((I32,))
        # locals: 0 flow, 1 answer, 2 user stack pointer, 3 user TLS base, 4 stack pointer
        stack = self.stack_pointer
        save = restore = b""
        if stack is not None:
            save = op("global.get", stack) + op("local.set", 4)
            restore = op("local.get", 4) + op("global.set", stack)
        queries = b""
        if user_stack is not None:
            queries += op("call", user_stack) + op("local.set", 2)
        if user_tls is not None:
            queries += op("call", user_tls) + op("local.set", 3)

        def answered(bit: int) -> bytes:
            return op("local.get", 1) + i32_const(bit) + op("i32.and")

        def hook(index: int, kind: int) -> bytes:
            return i32_const(index) + op("call_indirect", kind, hooks)

        set_tls = self.load("i32.load", layout.ARGS + 8 * layout.ARG_NEW_TLS) + hook(
            layout.HOOK_SET_TLS, unary
        )
        handler = block(try_table(hook(layout.HOOK_SIGNAL_HANDLER, nullary), tag, 0))
        again = i32_const(layout.TAIL_RETURNED) + op("local.set", 0) + op("br", 1)
        unwinding = self.load("i32.load", layout.UNWIND) + if_(RETURN)
        round_ = (
            queries
            + self.argument(0, op("local.get", 0), I32)
            + self.argument(layout.ARG_USER_POINTER, op("local.get", 2), I32)
            + self.argument(layout.ARG_USER_TLS, op("local.get", 3), I32)
            + self.leave(layout.CALL_IMPORT + number)
            + self._result(I32, layout.RESULT)
            + op("local.set", 1)
            + answered(layout.TAIL_SET_TLS)
            + if_(set_tls)
            + answered(layout.TAIL_RUN_HANDLER)
            + if_(handler + unwinding + restore + again)
            + answered(layout.TAIL_UNWIND)
            + if_(op("throw", tag))
        )
        return save + loop(round_), (I32, I32, I32, I32)
