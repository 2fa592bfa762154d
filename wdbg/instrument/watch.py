"""The watch pass: every access of the guest's memory looks into a map of watched granules.

The map has a byte for each 64 bytes of guest memory (``layout.WATCH_MAP``), so the cost does not
depend on how much is watched. An access whose first byte lies in a marked granule parks before it
happens; the host compares ranges exactly. An access that begins in the granule before a watched
range and reaches into it must be caught too: the host marks that granule as well.
"""

from __future__ import annotations

import re

from symbols.errors import SymbolsError
from symbols.wasm.decode import decode_one
from symbols.wasm.opcodes import Opcode
from symbols.wasm.types import ValueType
from wdbg.instrument import layout
from wdbg.instrument.emit import access, i32_const, if_, op
from wdbg.instrument.scan import Token
from wdbg.instrument.sweep import Body, Edit

I32, V128 = ValueType.I32, ValueType.V128
_TYPES = {t.text: t for t in (I32, ValueType.I64, ValueType.F32, ValueType.F64, V128)}
_WIDTHS = {"i32": 4, "i64": 8, "f32": 4, "f64": 8, "v128": 16}
_NARROW = re.compile(r"(?:load|store|rmw)(8|16|32|64)")
_BULK = {"memory.fill": False, "memory.copy": True, "memory.init": False}
"""Whether the instruction reads the memory that it writes."""


def access_of(opcode: Opcode) -> tuple[int, int, tuple[ValueType, ...]]:
    """(bytes, ACCESS bits, types of the operands above the address) of a memory instruction."""
    kind, name = opcode.name.split(".", 1)
    name = name.removeprefix("atomic.")
    narrow = _NARROW.match(name)
    if narrow and re.match(r"load\d+x\d", name):  # v128.load8x8_s and the like
        size = 8
    elif narrow:
        size = int(narrow[1]) // 8
    else:
        size = _WIDTHS[kind]
    value = _TYPES[kind]
    if name.startswith("load"):
        return size, layout.ACCESS_READ, (value,) if name.endswith("_lane") else ()
    if name.startswith("store"):
        return size, layout.ACCESS_WRITE, (value,)
    count = 2 if "cmpxchg" in name else 1
    return size, layout.ACCESS_READ | layout.ACCESS_WRITE, (value,) * count


class WatchPass:
    """Checks the accesses of one module's code to memory 0."""

    tokens = frozenset((Token.ACCESS, Token.BULK))

    def __init__(
        self, memory: int, watch: int, watch_range: int, skipped: frozenset[int] = frozenset()
    ) -> None:
        """``memory`` is the index of the debug memory; ``watch`` and ``watch_range`` are functions
        (i32 address, i32 length, i32 ACCESS bits) -> (): the first parks, the second looks into
        the map itself. Functions in ``skipped`` are left alone: they run where none can park."""
        self._memory = memory
        self._watch = watch
        self._range = watch_range
        self._skipped = skipped
        self._known: dict[bytes, tuple[int, int, tuple[ValueType, ...]]] = {}

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
                values = [temporary(kind, 1 + n) for n, kind in enumerate(above)]
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
                name = decode_one(body.data, start, end).opcode.name
                to, from_, size_ = (temporary(I32, n) for n in range(3))
                code = op("local.set", size_) + op("local.set", from_) + op("local.set", to)
                code += self._bulk(to, size_, layout.ACCESS_WRITE)
                if _BULK[name]:
                    code += self._bulk(from_, size_, layout.ACCESS_READ)
                code += b"".join(op("local.get", i) for i in (to, from_, size_))
                edits.append((start, start, code, -1))

    def _bulk(self, address: int, size: int, bits: int) -> bytes:
        gets = op("local.get", address) + op("local.get", size)
        return gets + i32_const(bits) + op("call", self._range)
