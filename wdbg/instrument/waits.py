"""memory.atomic.wait and notify become calls of generated functions, which park.

A real wait would block the only thread there is. The generated functions take the operands of the
instruction and its static offset on top.
"""

from __future__ import annotations

from symbols.errors import SymbolsError
from symbols.wasm.decode import decode_one
from wdbg.instrument.emit import i32_const, op
from wdbg.instrument.scan import Token
from wdbg.instrument.sweep import Body, Edit


class WaitPass:
    """Replaces the three instructions on memory 0."""

    tokens = frozenset((Token.WAIT,))

    def __init__(
        self,
        targets: dict[str, int],
        initial: frozenset[int] = frozenset(),
        initial_targets: dict[str, int] | None = None,
    ) -> None:
        """``targets`` maps instruction names to functions. ``initial`` are original functions
        that run while an instance is made: theirs become ``initial_targets``, what has none there
        stays as it is."""
        self._targets = targets
        self._initial = initial
        self._initial_targets = initial_targets or {}

    def edit(self, body: Body, edits: list[Edit]) -> None:
        """See Pass."""
        initial = body.function in self._initial
        targets = self._initial_targets if initial else self._targets
        for token, start, end in body.events:
            if token is Token.WAIT:
                instruction = decode_one(body.data, start, end)
                _, memory, offset = instruction.operands
                if memory or not isinstance(offset, int) or offset >> 32:
                    raise SymbolsError("atomic wait or notify on an unsupported memory", start)
                target = targets.get(instruction.opcode.name)
                if target is not None:
                    edits.append((start, end, i32_const(offset) + op("call", target), -1))
