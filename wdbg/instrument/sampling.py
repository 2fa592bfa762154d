"""The sampling pass: now and then an access parks, and so do those of memory that is watched.

Every access of the guest's memory looks into the map of watched granules, as in the watch pass;
plain ones also count down the word ``layout.SAMPLE``. The host holds the task of a sampled access
for a while and watches what it accesses: whoever else does so meanwhile races with it.
"""

from __future__ import annotations

from symbols.errors import SymbolsError
from symbols.wasm.decode import decode_one
from symbols.wasm.types import ValueType
from wdbg.instrument import layout
from wdbg.instrument.emit import access, i32_const, if_, op
from wdbg.instrument.scan import Token
from wdbg.instrument.sweep import Body, Edit
from wdbg.instrument.watch import access_of

I32 = ValueType.I32
_COPIES = frozenset(("memory.copy",))


class SamplePass:
    """Checks the accesses of the kernel's code to memory 0."""

    tokens = frozenset((Token.ACCESS, Token.BULK))

    def __init__(
        self, memory: int, watch: int, watch_range: int, base: int, skipped: frozenset[int]
    ) -> None:
        """``watch`` and ``watch_range``: see WatchPass. ``base`` is the offset of the code section
        in the file. Functions in ``skipped`` are left alone: they run where none can park."""
        self._memory = memory
        self._watch = watch
        self._range = watch_range
        self._base = base
        self._skipped = skipped

    def edit(self, body: Body, edits: list[Edit]) -> None:
        """See Pass."""
        if body.function in self._skipped:
            return
        temporaries: dict[tuple[ValueType, int], int] = {}

        def temporary(kind: ValueType, number: int = 0) -> int:
            index = temporaries.get((kind, number))
            if index is None:
                index = temporaries[kind, number] = body.add_local(kind)
            return index

        for token, start, end in body.events:
            if token is Token.ACCESS:
                instruction = decode_one(body.data, start, end)
                memory, offset = instruction.operands[1:3]
                if memory:
                    continue
                if not isinstance(offset, int):
                    raise SymbolsError("memory argument not understood", start)
                size, bits, above = access_of(instruction.opcode)
                marked = ".atomic." in instruction.opcode.name
                if marked:
                    bits |= layout.ACCESS_MARKED
                bits |= start - self._base << layout.ACCESS_POSITION
                values = [temporary(kind, 2 + n) for n, kind in enumerate(above)]
                address = temporary(I32)
                save = b"".join(op("local.set", i) for i in reversed(values))
                where = i32_const(offset) + op("i32.add") if offset else b""
                test = (
                    save
                    + op("local.tee", address)
                    + where
                    + i32_const(layout.WATCH_GRANULE)
                    + op("i32.shr_u")
                    + access("i32.load8_u", self._memory, layout.WATCH_MAP)
                )
                if not marked:
                    test += self._count(temporary(I32, 1))
                park = (
                    op("local.get", address)
                    + where
                    + i32_const(size)
                    + i32_const(bits)
                    + op("call", self._watch)
                )
                back = b"".join(op("local.get", i) for i in (address, *values))
                edits.append((start, start, test + if_(park) + back, len(test)))
            elif token is Token.BULK:
                self._bulk(body, edits, [temporary(I32, n) for n in range(3)], start, end)

    def _count(self, scratch: int) -> bytes:
        """From the map's byte on the stack to whether to park."""
        return (
            i32_const(0)
            + i32_const(0)
            + access("i32.load", self._memory, layout.SAMPLE)
            + i32_const(1)
            + op("i32.sub")
            + op("local.tee", scratch)
            + access("i32.store", self._memory, layout.SAMPLE)
            + op("local.get", scratch)
            + op("i32.eqz")
            + op("i32.or")
        )

    def _bulk(
        self, body: Body, edits: list[Edit], operands: list[int], start: int, end: int
    ) -> None:
        to, from_, size = operands
        position = start - self._base << layout.ACCESS_POSITION
        code = op("local.set", size) + op("local.set", from_) + op("local.set", to)
        code += self._look(to, size, layout.ACCESS_WRITE | position)
        if decode_one(body.data, start, end).opcode.name in _COPIES:
            code += self._look(from_, size, layout.ACCESS_READ | position)
        code += b"".join(op("local.get", i) for i in operands)
        edits.append((start, start, code, -1))

    def _look(self, address: int, size: int, bits: int) -> bytes:
        gets = op("local.get", address) + op("local.get", size)
        return gets + i32_const(bits) + op("call", self._range)
