"""New indices for functions and globals: in bodies, constant expressions and element segments."""

from __future__ import annotations

from dataclasses import dataclass

from symbols.wasm.decode import instructions
from symbols.wasm.leb import decode_u32, encode_padded, encode_unsigned
from symbols.wasm.opcodes import Shape
from symbols.wasm.types import Element
from wdbg.instrument.scan import Token
from wdbg.instrument.sweep import Body, Edit


@dataclass(frozen=True, slots=True)
class Renumbering:
    """Original index -> new index.

    Functions from ``function_from`` on move by ``function_shift``, single ones as in
    ``functions``; likewise globals. Nothing else is ever renumbered.
    """

    functions: dict[int, int]
    function_from: int = 0
    function_shift: int = 0
    global_from: int = 0
    global_shift: int = 0

    def function(self, index: int) -> int:
        """New index of a function."""
        moved = self.functions.get(index)
        if moved is not None:
            return moved
        return index + self.function_shift if index >= self.function_from else index

    def global_(self, index: int) -> int:
        """New index of a global."""
        return index + self.global_shift if index >= self.global_from else index

    @property
    def trivial(self) -> bool:
        """True if no index changes."""
        return not (self.functions or self.function_shift or self.global_shift)

    def expression(self, data: bytes, start: int, end: int) -> bytes:
        """A constant expression with new indices."""
        out = []
        for instruction in instructions(data, start, end):
            shape, index = instruction.opcode.shape, instruction.operands[:1]
            if shape is Shape.FUNCTION and isinstance(index[0], int):
                out.append(instruction.opcode.encoding + encode_unsigned(self.function(index[0])))
            elif shape is Shape.GLOBAL and isinstance(index[0], int):
                out.append(instruction.opcode.encoding + encode_unsigned(self.global_(index[0])))
            else:
                out.append(data[instruction.start : instruction.end])
        return b"".join(out)

    def element(self, data: bytes, element: Element) -> bytes:
        """An element segment with new indices, in the form it had."""
        out = [encode_unsigned(element.flags)]
        if element.offset is not None:
            if element.flags & 2:
                out.append(encode_unsigned(element.table))
            out.append(self.expression(data, *element.offset))
        if element.flags & 3:
            out.append(bytes((element.type,)) if element.flags & 4 else b"\0")
        if element.functions is not None:
            out.append(encode_unsigned(len(element.functions)))
            out += [encode_unsigned(self.function(f)) for f in element.functions]
        elif element.expressions is not None:
            out.append(encode_unsigned(len(element.expressions)))
            out += [self.expression(data, *e) for e in element.expressions]
        return b"".join(out)


class RenumberPass:
    """Applies a Renumbering to the instructions of all bodies, in place where it fits."""

    def __init__(self, renumbering: Renumbering) -> None:
        self._map = renumbering
        wanted = set()
        if renumbering.functions or renumbering.function_shift:
            wanted |= {Token.CALL, Token.REF_FUNC}
        if renumbering.global_shift:
            wanted.add(Token.GLOBAL)
        self.tokens = frozenset(wanted)
        # With no shift only a few functions move; the first byte of an index rules most out.
        self._first_bytes: frozenset[int] | None = None
        if not (renumbering.function_shift or renumbering.global_shift):
            low = {index & 0x7F for index in renumbering.functions}
            self._first_bytes = frozenset(low | {byte | 0x80 for byte in low})

    def edit(self, body: Body, edits: list[Edit]) -> None:
        """See Pass."""
        data, first_bytes = body.data, self._first_bytes
        for token, start, end in body.events:
            if first_bytes is not None and data[start + 1] not in first_bytes:
                continue
            if token is Token.CALL or token is Token.REF_FUNC:
                index, _ = decode_u32(data, start + 1, end)
                moved = self._map.function(index)
            elif token is Token.GLOBAL:
                index, _ = decode_u32(data, start + 1, end)
                moved = self._map.global_(index)
            else:
                continue
            if moved != index:
                text = data[start : start + 1] + encode_padded(moved, end - start - 1)
                edits.append((start, end, text, -1))
