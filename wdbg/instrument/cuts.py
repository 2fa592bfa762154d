"""The cut pass: schedules that switch between two memory accesses of straight-line code.

No tick lies inside straight-line code, so other passes leave it atomic. Here every access of the
guest's memory first counts down the word ``layout.CUT``; where that becomes 0 the guest parks as
at a tick, but with ticks left. A position of a run is thus a pair: a tick, and n for "before the
n-th access since that tick", 0 for the tick itself. What is counted depends on the original code
alone, and ticks are not changed.
"""

from __future__ import annotations

from symbols.wasm.decode import decode_one
from wdbg.instrument import layout
from wdbg.instrument.emit import access, i32_const, if_, op
from wdbg.instrument.scan import Token
from wdbg.instrument.sweep import Body, Edit


class CutPass:
    """Counts the accesses of one module's code to memory 0."""

    tokens = frozenset((Token.ACCESS, Token.BULK))

    def __init__(
        self,
        memory: int,
        slow: int,
        quiet: int | None = None,
        skipped: frozenset[int] = frozenset(),
        uninjected: frozenset[int] = frozenset(),
    ) -> None:
        """``memory`` is the index of the debug memory, ``slow`` and ``quiet`` are the functions
        () -> () of the tick pass. Functions in ``skipped`` are left alone: they run where none can
        park."""
        load = i32_const(0) + access("i32.load", memory, layout.CUT)
        self._head = (
            i32_const(0)
            + load
            + i32_const(1)
            + op("i32.sub")
            + access("i32.store", memory, layout.CUT)
            + load
            + op("i32.eqz")
        )
        self._slow = self._head + if_(op("call", slow))
        self._quiet = self._head + if_(op("call", slow if quiet is None else quiet))
        self._skipped = skipped
        self._uninjected = uninjected

    def edit(self, body: Body, edits: list[Edit]) -> None:
        """See Pass."""
        if body.function in self._skipped:
            return
        code = self._quiet if body.function in self._uninjected else self._slow
        branch = len(self._head)
        for token, start, end in body.events:
            if token is Token.BULK or (
                token is Token.ACCESS and not decode_one(body.data, start, end).operands[1]
            ):
                edits.append((start, start, code, branch))
