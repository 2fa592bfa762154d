"""The access pass: a record of each load, store, atomic operation and bulk operation.

The record tells where, how much, with which operation and at which place in the code; of what an
i32 or i64 store or an atomic operation writes, also the value (the low 32 bits; of a compare and
exchange the new one). The ranges are tested first: an access outside costs two comparisons.
"""

from __future__ import annotations

import fnmatch

from symbols.errors import SymbolsError
from symbols.wasm.decode import decode_one
from symbols.wasm.opcodes import Opcode
from symbols.wasm.types import ValueType
from wdbg.instrument import layout
from wdbg.instrument.emit import i32_const, op
from wdbg.instrument.points import Recording
from wdbg.instrument.recorder import ARG_SHIFT, MEM, MEM_BULK, RingCode
from wdbg.instrument.scan import Token
from wdbg.instrument.spans import Program
from wdbg.instrument.sweep import Body, Edit
from wdbg.instrument.watch import access_of

I32, I64 = ValueType.I32, ValueType.I64
WRITE, READ, MARKED, RMW, VALUE_KNOWN = (1 << i for i in range(5))
OPERATION_SHIFT = 5
"""Bits of ``wdbg.trace.events.MemFlag``; a test compares."""
_OPERATIONS = ("add", "sub", "and", "or", "xor", "xchg", "cmpxchg")
"""Operations in the order of ``wdbg.trace.events.MemOp``, from 1 on."""
FENCE = 10
"""``MemOp.FENCE``."""
_COPIES = frozenset(("memory.copy",))


def flags_of(opcode: Opcode, bits: int) -> int:
    """The flags of an access, but for VALUE_KNOWN; ``bits`` are ``access_of``'s."""
    name = opcode.name.split(".", 1)[1]
    flags = 0
    if bits & layout.ACCESS_READ:
        flags |= READ
    if bits & layout.ACCESS_WRITE:
        flags |= WRITE
    if name.startswith("atomic."):
        flags |= MARKED
        if "rmw" in name:
            kind = name.rsplit(".", 1)[1].split("_")[0]
            flags |= RMW | (_OPERATIONS.index(kind) + 1) << OPERATION_SHIFT
    return flags


class AccessPass:
    """Records the accesses of memory 0 in the functions that the recording selects."""

    tokens = frozenset((Token.ACCESS, Token.BULK, Token.FENCE))

    def __init__(
        self, ring: RingCode, recording: Recording, program: Program, stack: int | None = None
    ) -> None:
        """``stack`` is the index of the stack pointer's global."""
        self._ring = ring
        self._globs = recording.accesses
        self._ranges = recording.ranges
        self._program = program
        self._stack = recording.own_stack.bit_length() - 1 if recording.own_stack else 0
        self._pointer = stack

    def edit(self, body: Body, edits: list[Edit]) -> None:
        """See Pass."""
        if body.function in self._program.skipped or not self._wanted(body.name):
            return
        locals_ = _Locals(body)
        for token, start, end in body.events:
            if token is Token.ACCESS:
                self._single(body, edits, locals_, start, end)
            elif token is Token.BULK:
                self._bulk(body, edits, locals_, start, end)
            elif token is Token.FENCE:
                self._fence(edits, locals_, start)

    def _wanted(self, name: str) -> bool:
        wanted = all(glob.startswith("!") for glob in self._globs)
        for glob in self._globs:
            if fnmatch.fnmatchcase(name, glob.removeprefix("!")):
                wanted = not glob.startswith("!")
        return wanted

    def _single(
        self, body: Body, edits: list[Edit], locals_: _Locals, start: int, end: int
    ) -> None:
        instruction = decode_one(body.data, start, end)
        memory, offset = instruction.operands[1:3]
        if memory:
            return
        if not isinstance(offset, int):
            raise SymbolsError("memory argument not understood", start)
        size, bits, above = access_of(instruction.opcode)
        flags = flags_of(instruction.opcode, bits)
        values = [locals_.get(kind, 1 + n) for n, kind in enumerate(above)]
        written = b""
        if bits & layout.ACCESS_WRITE and above[-1] in (I32, I64):
            flags |= VALUE_KNOWN
            written = op("local.get", values[-1])
            written += op("i32.wrap_i64") if above[-1] is I64 else b""
        base, address = locals_.get(I32, 0), locals_.get(I32, 3)
        take = b"".join(op("local.set", i) for i in reversed(values)) + op("local.tee", base)
        if offset:
            take += i32_const(offset) + op("i32.add")
        take += op("local.set", address)
        give = b"".join(op("local.get", i) for i in (base, *values))
        edits.append((start, start, take, -1))
        self._record(
            edits, locals_, start, MEM | flags << ARG_SHIFT, address, i32_const(size), written
        )
        edits.append((start, start, give, -1))

    def _fence(self, edits: list[Edit], locals_: _Locals, start: int) -> None:
        position = i32_const(start - self._program.code_base)
        head = MEM | (MARKED | FENCE << OPERATION_SHIFT) << ARG_SHIFT
        code, branch = self._ring.append(head, locals_.get(I32, 4), b"", ((position, b""),))
        edits.append((start, start, code, branch))

    def _bulk(self, body: Body, edits: list[Edit], locals_: _Locals, start: int, end: int) -> None:
        name = decode_one(body.data, start, end).opcode.name
        to, from_, size = (locals_.get(I32, n) for n in (0, 1, 2))
        take = op("local.set", size) + op("local.set", from_) + op("local.set", to)
        edits.append((start, start, take, -1))
        length = op("local.get", size)
        self._record(edits, locals_, start, MEM_BULK | WRITE << ARG_SHIFT, to, length, b"")
        if name in _COPIES:
            self._record(edits, locals_, start, MEM_BULK | READ << ARG_SHIFT, from_, length, b"")
        give = b"".join(op("local.get", i) for i in (to, from_, size))
        edits.append((start, start, give, -1))

    def _record(
        self,
        edits: list[Edit],
        locals_: _Locals,
        start: int,
        head: int,
        address: int,
        size: bytes,
        value: bytes,
    ) -> None:
        position = i32_const(start - self._program.code_base)
        units = ((position, op("local.get", address)), (size, value))
        code, branch = self._ring.append(head, locals_.get(I32, 4), b"", units)
        if self._ranges:
            test = b"".join(_inside(address, *each) for each in self._ranges)
            test += op("i32.or") * (len(self._ranges) - 1)
            code, branch = test + b"\x04\x40" + code + b"\x0b", len(test) + 2 + branch
        if self._stack and self._pointer is not None:
            test = op("local.get", address) + op("global.get", self._pointer) + op("i32.xor")
            test += i32_const(self._stack) + op("i32.shr_u")
            code, branch = test + b"\x04\x40" + code + b"\x0b", len(test) + 2 + branch
        edits.append((start, start, code, branch))


def _inside(address: int, low: int, high: int) -> bytes:
    """Leaves 1 if low <= address < high."""
    distance = op("local.get", address) + i32_const(low) + op("i32.sub")
    return distance + i32_const(high - low) + op("i32.lt_u")


class _Locals:
    """Locals of a body by type and number, added on first use."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self._known: dict[tuple[ValueType, int], int] = {}

    def get(self, kind: ValueType, number: int) -> int:
        """The local's index."""
        index = self._known.get((kind, number))
        if index is None:
            index = self._known[kind, number] = self._body.add_local(kind)
        return index
