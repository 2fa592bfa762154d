"""Location expressions: from wasm's locations to memory around the frame's registers.

    DW_OP_WASM_location kind index, DW_OP_stack_value      a value in a local, global or operand

becomes `DW_OP_bregN offset`, the address of the value's place in the frame record, so that GDB can
also write it. In longer expressions the value is loaded from there. The result is never longer
than the original, except for computed 64-bit values: GDB computes in the width of an address, 32
bits, and takes what is missing of a longer variable from anywhere. Such expressions are rewritten
to compute in 64 bits, which takes more room, and where there is none the variable is dropped.

A dropped expression is empty: "optimized out". Dropped is whatever cannot be right for certain.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from symbols.shadow.addresses import MOST_PROGRAMS
from symbols.shadow.frames import (
    MEMORY_BASES,
    MOST_LOCALS,
    MOST_OPERANDS,
    STACK_POINTER_FROM_EBP,
)
from symbols.shadow.operations import (
    LITERALS,
    OP_ADDR,
    OP_ADDRX,
    OP_BIT_PIECE,
    OP_BREG0,
    OP_CONST4U,
    OP_CONSTX,
    OP_CONVERT,
    OP_DEREF,
    OP_DEREF_TYPE,
    OP_ENTRY_VALUE,
    OP_GNU_ENTRY_VALUE,
    OP_IMPLICIT_VALUE,
    OP_NOP,
    OP_PIECE,
    OP_PLUS,
    OP_PLUS_UCONST,
    OP_STACK_VALUE,
    OP_WASM,
    WASM_GLOBAL,
    WASM_GLOBAL_RELOC,
    WASM_LOCAL,
    WASM_OPERAND,
    Op,
    constant_of,
    fold,
    parse,
)
from symbols.shadow.wide import converted, joined, wide_constant
from symbols.wasm.leb import encode_signed

_EBX, _ESP, _EBP, _ESI, _EDI = 3, 4, 5, 6, 7
_SHR = 0x25

_RING = LITERALS | {0x12, 0x14, 0x16, 0x1A, 0x1C, 0x1E, 0x1F, 0x20, 0x21, 0x22, 0x23, 0x24, 0x27,
                     OP_WASM}  # fmt: skip
"""Operations whose low 32 bits depend on the low 32 bits of their operands only."""
_NARROW = _RING | {0x06, 0x91, 0x94}
"""And those on addresses, which have 32 bits: fbreg, deref, deref_size."""
_WIDE = _RING | {0x1B, 0x1D, 0x25, 0x26, *range(0x29, 0x2F), OP_NOP}
"""Operations that can be done in 64 bits; deref and the like are for addresses."""

_EXTENSION = bytes.fromhex("12101f2530201e10202421")
"""dup, constu 31, shr, lit0, not, mul, constu 32, shl, or: how LLVM extends signs for DWARF 4."""
_EXTENSION_OPS = 9
_LONGEST_ZERO = 64
"""Bytes of a value that may be written out as zeros."""


@dataclass(frozen=True, slots=True)
class Globals:
    """What is known of a module's globals, by index."""

    stack_pointer: int | None
    memory_base: int | None
    """Index of the imported __memory_base, whose value differs from process to process."""
    program: int
    """Module number, for the slot of its memory base."""


@dataclass(frozen=True, slots=True)
class Context:
    """What an expression's meaning depends on beside its bytes; asked for when needed."""

    size: Callable[[], int | None]
    """Bytes of the variable."""
    base_type: Callable[[int, bool], int | None]
    """Offset, in the unit, of an integer base type of so many bytes, signed or not."""
    type_size: Callable[[int], int | None]
    """Bytes of the base type at an offset of the unit."""
    address: Callable[[int], int | None]
    """Entry of .debug_addr."""


class _Drop(Exception):
    """The expression cannot be right."""


class Rewriter:
    """Rewrites the expressions of one module."""

    def __init__(self, known: Globals) -> None:
        self._known = known
        self._memo: dict[tuple[bytes, bool], bytes | None] = {}

    def rewrite(self, expression: bytes, context: Context, frame_base: bool = False) -> bytes:
        """The same for GDB, b"" if there is no such thing."""
        key = expression, frame_base
        if key in self._memo:
            found = self._memo[key]
            if found is not None:
                return found
        asked = False

        def size() -> int | None:
            nonlocal asked
            asked = True
            return context.size()

        watched = Context(size, context.base_type, context.type_size, context.address)
        ops = parse(expression)
        free = all(op.code not in (OP_CONVERT, OP_ADDRX, OP_CONSTX) for op in ops)
        try:
            result = self._frame_base(ops) if frame_base else self._whole(ops, watched)
        except _Drop:
            result = b""
        # the memo is for what depends on nothing else
        self._memo[key] = None if asked or not free else result
        return result

    def _frame_base(self, ops: list[Op]) -> bytes:
        """GDB wants an address here, no value. It takes an expression that starts with a
        register for nothing else than one, when it describes a variable: hence the zero below
        the result, where there is room."""
        size = sum(len(op.raw) for op in ops)
        if ops and ops[-1].code == OP_STACK_VALUE:
            ops = ops[:-1]
        result = b"".join(self._loaded(op) for op in ops)
        return b"\x30" + result if len(result) < size else result

    def _whole(self, ops: list[Op], context: Context) -> bytes:
        out = bytearray()
        start = 0
        for number, op in enumerate(ops):
            if op.code in (OP_PIECE, OP_BIT_PIECE):
                bits = op.arguments[0] * (8 if op.code == OP_PIECE else 1)
                with contextlib.suppress(_Drop):  # a piece without a location, else
                    out += self._part(ops[start:number], _constantly((bits + 7) // 8), context)
                out += op.raw
                start = number + 1
        if start < len(ops) or not start:
            if start:
                raise _Drop  # something after the last piece
            out += self._part(ops, context.size, context)
        return bytes(out)

    def _part(self, ops: list[Op], size: Callable[[], int | None], context: Context) -> bytes:
        """A piece, or the whole of an expression without pieces."""
        if not ops:
            return b""
        if ops[-1].code != OP_STACK_VALUE:
            return self._address(ops, context)
        body = ops[:-1]
        if len(body) == 1 and body[0].code == OP_WASM:
            slot = self._slot(body[0])
            if slot is not None:
                return slot
        if len(body) == 3 and body[0].code == OP_WASM and body[2].code == _SHR:
            shifted = self._shifted(body[0], constant_of(body[1]), size())
            if shifted is not None:
                return shifted
        if any(op.code in (OP_ADDR, OP_ADDRX) for op in body):
            return self._static(ops, size, context)
        if body and any(op.code in (OP_CONVERT, OP_DEREF_TYPE) for op in body):
            return self._typed(ops, size, context)
        bytes_wanted = size()
        if bytes_wanted is not None and 8 < bytes_wanted <= _LONGEST_ZERO and fold(body) == 0:
            return bytes((OP_IMPLICIT_VALUE, bytes_wanted)) + bytes(bytes_wanted)
        if bytes_wanted is None or bytes_wanted > 8:
            raise _Drop
        if bytes_wanted <= 4:
            return self._narrow(ops)
        if b"".join(op.raw for op in body[-_EXTENSION_OPS:]) == _EXTENSION:
            return self._extended(body[:-_EXTENSION_OPS], context)
        constant = fold(body)
        if constant is not None:
            value = (constant & 0xFFFF_FFFF_FFFF_FFFF).to_bytes(8, "little")
            return bytes((OP_IMPLICIT_VALUE, bytes_wanted)) + value[:bytes_wanted]
        return self._wide(body, context)

    def _shifted(self, op: Op, bits: int | None, size: int | None) -> bytes | None:
        """A value shifted right by whole bytes is in those above: the high half of a number, for
        one. That is so for locals of 32 bits and of 64."""
        place = self._place(op)
        if place is None or bits is None or bits < 0 or bits % 8 or (size or 8) + bits // 8 > 8:
            return None
        return bytes((OP_BREG0 + place[0],)) + encode_signed(place[1] + bits // 8)

    def _address(self, ops: list[Op], context: Context) -> bytes:
        """An expression that computes the variable's address."""
        out = bytearray()
        number = 0
        while number < len(ops):
            op = ops[number]
            following = [other.code for other in ops[number + 1 : number + 3]]
            if (
                op.code == OP_WASM
                and op.arguments[0] in (WASM_GLOBAL, WASM_GLOBAL_RELOC)
                and op.arguments[1] == self._known.memory_base
                and following[1:] == [OP_PLUS]
                and following[0] in (OP_ADDR, OP_ADDRX)
            ):
                out += self._relocated(ops[number + 1], context)
                number += 3
                continue
            out += self._loaded(op)
            number += 1
        return bytes(out)

    def _relocated(self, op: Op, context: Context) -> bytes:
        """Address of static data of a program: its process' memory base plus an offset."""
        offset = op.arguments[0] if op.code == OP_ADDR else context.address(op.arguments[0])
        if offset is None or offset >= 0xFFFF_FFF0:
            raise _Drop
        number = offset.to_bytes(4, "little")
        return self._memory_base() + bytes((OP_CONST4U, *number, OP_PLUS))

    def _memory_base(self) -> bytes:
        if not 1 <= self._known.program <= MOST_PROGRAMS:
            raise _Drop
        offset = -MEMORY_BASES + 4 * (self._known.program - 1)
        return bytes((OP_BREG0 + _ESP,)) + encode_signed(offset) + bytes((OP_DEREF,))

    def _static(self, ops: list[Op], size: Callable[[], int | None], context: Context) -> bytes:
        """A value of up to 4 bytes that is computed from static data."""
        if (size() or 8) > 4 or any(
            op.code == OP_WASM and op.arguments[1] != self._known.memory_base for op in ops
        ):
            raise _Drop
        return self._address(ops, context)

    def _narrow(self, ops: list[Op]) -> bytes:
        """A value of up to 4 bytes, computed in 32 bits."""
        # of an i64 local and of a long constant GDB takes the lower half: enough for these only
        if any(op.code not in _NARROW for op in ops[:-1]):
            raise _Drop
        return b"".join(self._loaded(op) for op in ops)

    def _extended(self, ops: list[Op], context: Context) -> bytes:
        """A value of 4 bytes with its sign extended to 8."""
        wide, half = context.base_type(8, True), context.base_type(4, True)
        if wide is None or half is None or any(op.code not in _NARROW for op in ops):
            raise _Drop
        value = b"".join(self._loaded(op) for op in ops)
        return value + converted(half) + converted(wide) + bytes((OP_STACK_VALUE,))

    def _wide(self, body: list[Op], context: Context) -> bytes:
        """A value of 8 bytes, computed in 64 bits."""
        wide, half = context.base_type(8, True), context.base_type(4, False)
        if wide is None and all(op.code in _RING for op in body):
            wide = context.base_type(8, False)
        if wide is None or half is None or any(op.code not in _WIDE for op in body):
            raise _Drop
        out = bytearray()
        for op in body:
            value = constant_of(op)
            if op.code == OP_WASM:
                out += self._wide_slot(op, wide, half)
            elif value is not None:
                out += wide_constant(value, wide, half)
                if op.code == OP_PLUS_UCONST:
                    out.append(OP_PLUS)
            else:
                out += op.raw
        return bytes(out) + bytes((OP_STACK_VALUE,))

    def _wide_slot(self, op: Op, wide: int, half: int) -> bytes:
        """Load 8 bytes as a number of type `wide`, from its halves: other consumers of the file
        do not know DW_OP_deref_type. `half` is an unsigned type of 4 bytes."""
        slot = self._place(op)
        if slot is None:
            raise _Drop
        register, offset = slot
        low = bytes((OP_BREG0 + register,)) + encode_signed(offset) + bytes((OP_DEREF,))
        high = bytes((OP_BREG0 + register,)) + encode_signed(offset + 4) + bytes((OP_DEREF,))
        return joined(low, high, wide, half)

    def _typed(self, ops: list[Op], size: Callable[[], int | None], context: Context) -> bytes:
        """An expression that converts between types by itself (DWARF 5)."""
        out = bytearray()
        converted = False
        last = 0
        for number, op in enumerate(ops):
            if op.code == OP_CONVERT:
                width = context.type_size(op.arguments[0]) if op.arguments[0] else 4
                if width is None:
                    raise _Drop
                if not converted and width > 4:
                    before = ops[number - 1] if number == 1 else None
                    half = context.base_type(4, False)
                    if before is None or before.code != OP_WASM or width > 8 or half is None:
                        raise _Drop
                    out = bytearray(self._wide_slot(before, op.arguments[0], half))
                else:
                    out += op.raw
                converted = True
                last = width
            elif op.code == OP_STACK_VALUE:
                out += op.raw
            elif op.code in (OP_WASM, OP_PLUS_UCONST) if converted else op.code not in _RING:
                raise _Drop
            else:
                out += self._loaded(op)
        wanted = size()
        if wanted is None or wanted > last:
            raise _Drop
        return bytes(out)

    def _loaded(self, op: Op) -> bytes:
        """An operation on addresses or 32-bit numbers."""
        if op.code == OP_WASM:
            slot = self._slot(op)
            if slot is not None:
                return slot + bytes((OP_DEREF,))
            if op.arguments[0] in (WASM_GLOBAL, WASM_GLOBAL_RELOC) and (
                op.arguments[1] == self._known.memory_base
            ):
                return self._memory_base()
            raise _Drop
        if op.code in (OP_ENTRY_VALUE, OP_GNU_ENTRY_VALUE):
            raise _Drop
        if op.code == OP_ADDR and op.arguments[0] >= 0xFFFF_FFF0:
            raise _Drop
        return op.raw

    def _slot(self, op: Op) -> bytes | None:
        """Expression for the address of a wasm location's place in the frame record."""
        place = self._place(op)
        if place is None:
            return None
        return bytes((OP_BREG0 + place[0],)) + encode_signed(place[1])

    def _place(self, op: Op) -> tuple[int, int] | None:
        """Register, and offset from it, of a wasm location's place."""
        kind, index = op.arguments
        if kind == WASM_LOCAL and index < 64:
            return (_EBP, _ESI, _EDI, _EBX)[index >> 4], 56 - 8 * (index & 15)
        if kind == WASM_LOCAL and index < MOST_LOCALS:
            return _EBP, 56 - 8 * index
        if kind == WASM_OPERAND and index < MOST_OPERANDS:
            return _ESP, 8 * index
        if kind in (WASM_GLOBAL, WASM_GLOBAL_RELOC) and index == self._known.stack_pointer:
            return _EBP, STACK_POINTER_FROM_EBP
        return None


def _constantly(size: int) -> Callable[[], int | None]:
    return lambda: size
