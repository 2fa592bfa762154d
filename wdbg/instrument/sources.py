"""Code for the fields of a record: from a source's name (see ``points.Record``) to instructions."""

from __future__ import annotations

import re
from dataclasses import dataclass

from symbols.wasm.types import FuncType, ValueType
from wdbg.errors import BadInput
from wdbg.instrument import layout
from wdbg.instrument.emit import access, i32_const, op
from wdbg.instrument.mailbox import Mailbox
from wdbg.instrument.points import State

I32, I64 = ValueType.I32, ValueType.I64

IRQS_OFF, BH_OFF, IN_HARDIRQ, IN_SOFTIRQ, PREEMPT_OFF, STATE_KNOWN = (1 << i for i in range(5, 11))
SUCCESS = 1 << 3
THREADED = 1 << 20
"""Bits of ``wdbg.trace.events.LockFlag``."""

_SERVING, _LOW_BITS = IN_SOFTIRQ, 0x77F7F
"""Of the preemption count (include/linux/preempt.h): bits 0 to 7 are preemption, 8 to 15 softirqs,
the lowest of which is set while one is served, 16 to 19 interrupts. All bits of these parts but the
highest ones."""
_SOURCE = re.compile(r"([a-z]+)(\d*)(?:(\+|<<|\?)(\d+))?")


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a record is taken: the function's signature, and the locals that hold a result and
    an indirect call's operands."""

    function: FuncType
    result: int | None = None
    target: int | None = None
    operands: tuple[int, ...] = ()
    called: FuncType | None = None
    saved: tuple[tuple[int, int], ...] = ()
    """(parameter, local that keeps it): compilers use parameters' locals for other things."""
    site: int | None = None
    """Local that keeps the call's site."""
    before: tuple[tuple[str, int], ...] = ()
    """(``wasN+K``, local that keeps it)."""
    spare: tuple[int, int] | None = None
    """Locals for the state's making; without them there is none."""

    @property
    def result_type(self) -> ValueType | None:
        """Type of the result that is known here."""
        kind = self.called or self.function
        return kind.results[0] if kind.results and self.result is not None else None


class Sources:
    """Makes the code. ``current`` is the index of the global with the running task's address."""

    def __init__(self, box: Mailbox, current: int | None, state: State | None) -> None:
        self._memory = box.memory
        self._current = current
        self._state = None if current is None else state

    def code(self, source: str, scope: Scope) -> bytes:
        """Leaves an i32; b"" (a constant 0) where the kernel does not have it."""
        found = _SOURCE.fullmatch(source)
        if found is None:
            raise BadInput(f"unknown source {source!r} of a trace record")
        name, number, sign = found[1], int(found[2] or 0), found[3]
        if name == "was":
            kept = dict(scope.before).get(source)
            return b"" if kept is None else op("local.get", kept)
        value = self._plain(name, number, scope)
        if not value or sign is None:
            return value
        amount = int(found[4])
        if sign == "<<":
            return value + i32_const(amount) + op("i32.shl")
        if sign == "?":
            return value + op("i32.eqz") * 2 + i32_const(amount) + op("i32.shl")
        load = value + access("i32.load", 0, amount, align=0)
        if name == "current":
            return load  # never 0 after the first instructions, and then address K is harmless
        return value + b"\x04\x7f" + load + b"\x05" + i32_const(0) + b"\x0b"

    def condition(self, when: str, scope: Scope) -> bytes:
        """Leaves an i32 that is not 0 if the record is to be made."""
        parts = [self._comparison(each, scope) for each in when.split(",")]
        return parts[0] + b"".join(part + op("i32.and") for part in parts[1:])

    def _comparison(self, text: str, scope: Scope) -> bytes:
        left, sign, right = text.split()
        codes = [
            i32_const(int(each)) if each.lstrip("-").isdigit() else self.code(each, scope)
            for each in (left, right)
        ]
        test = {
            "==": op("i32.eq"),
            "!=": op("i32.ne"),
            "<u": op("i32.lt_u"),
            "&": op("i32.and") + i32_const(0) + op("i32.ne"),
            "!&": op("i32.and") + op("i32.eqz"),
        }[sign]
        return (codes[0] or i32_const(0)) + (codes[1] or i32_const(0)) + test

    def _plain(self, name: str, number: int, scope: Scope) -> bytes:
        if name == "param":
            if number >= len(scope.function.params):
                return b""
            place = dict(scope.saved).get(number, number)
            return _narrow(op("local.get", place), scope.function.params[number])
        if name == "operand":
            if scope.called is None or number >= len(scope.operands):
                return b""
            return _narrow(op("local.get", scope.operands[number]), scope.called.params[number])
        if name == "target":
            return b"" if scope.target is None else op("local.get", scope.target)
        if name == "site":
            if scope.site is not None:
                return op("local.get", scope.site)
            return i32_const(0) + access("i32.load", self._memory, layout.CALL_SITE)
        if name == "current":
            return b"" if self._current is None else op("global.get", self._current)
        if name == "state":
            return b"" if scope.spare is None else self._state_code(*scope.spare)
        kind = scope.result_type
        if kind is None or scope.result is None:
            return b""
        result = _narrow(op("local.get", scope.result), kind)
        if name == "result" or not result:
            return result
        if name == "success":
            return result + op("i32.eqz") * 2 + i32_const(3) + op("i32.shl")
        if name == "failure":
            return result + op("i32.eqz") + i32_const(3) + op("i32.shl")
        raise BadInput(f"unknown source {name!r} of a trace record")

    def _state_code(self, count: int, marks: int) -> bytes:
        """Leaves the bits of a lock's flags, from the running task. A carry out of each part of the
        preemption count tells whether it is 0, of all parts at once."""
        state = self._state
        if state is None or self._current is None:
            return b""
        task = op("global.get", self._current)

        def shifted(shift: str, bits: int, flag: int) -> bytes:
            place = i32_const(bits) + op(shift) + i32_const(flag) + op("i32.and")
            return op("local.get", marks) + place + op("i32.or")

        serving = op("local.get", count) + i32_const(_SERVING) + op("i32.and") + op("i32.or")
        if state.softirq >= 0:
            serving = self._field(state.softirq, IN_SOFTIRQ)
        return (
            task + access("i32.load", 0, state.irqs_off) + i32_const(0) + op("i32.ne")
            + i32_const(IRQS_OFF.bit_length() - 1) + op("i32.shl")
            + i32_const(STATE_KNOWN) + op("i32.or")
            + task + access("i32.load", 0, state.preempt_count) + op("local.tee", count)
            + i32_const(_LOW_BITS) + op("i32.and") + i32_const(_LOW_BITS) + op("i32.add")
            + op("local.get", count) + op("i32.or") + op("local.set", marks)
            + serving
            + shifted("i32.shl", 2, PREEMPT_OFF)
            + shifted("i32.shr_u", 9, BH_OFF)
            + shifted("i32.shr_u", 12, IN_HARDIRQ)
            + b"".join(self._field(offset, THREADED) for offset in state.threaded)
        )  # fmt: skip

    def _field(self, offset: int, flag: int) -> bytes:
        """Or a flag in if the u32 at an offset of the running task is not 0."""
        assert self._current is not None
        return (
            op("global.get", self._current) + access("i32.load", 0, offset)
            + i32_const(0) + op("i32.ne")
            + i32_const(flag.bit_length() - 1) + op("i32.shl") + op("i32.or")
        )  # fmt: skip


def _narrow(code: bytes, kind: ValueType) -> bytes:
    """An i32 of an integer; b"" for others."""
    if kind is I32:
        return code
    return code + op("i32.wrap_i64") if kind is I64 else b""
