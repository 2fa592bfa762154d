"""The tick pass: logical time.

One tick for each entry of a function that contains a call or a loop, and one for each iteration
of a loop (at its header, that is also when the loop is entered). What is counted depends on the
original code alone, so every variant with ticks has the same time. Rereading the global after the
decrement costs no more than a local (measured) and needs none.
"""

from __future__ import annotations

from wdbg.instrument.emit import if_, op
from wdbg.instrument.scan import Token
from wdbg.instrument.sweep import Body, Edit


class TickPass:
    """Decrements the tick global and calls the slow path when it reaches zero."""

    tokens = frozenset((Token.LOOP, Token.CALL, Token.INDIRECT))

    def __init__(
        self,
        tick_global: int,
        slow: int,
        unticked: frozenset[int] = frozenset(),
        quiet: int | None = None,
        uninjected: frozenset[int] = frozenset(),
    ) -> None:
        """``slow`` is the index of a function () -> (); ``quiet`` one that takes no interrupt, for
        the functions in ``uninjected``. Functions are given by their original indices."""
        head = (
            op("global.get", tick_global)
            + b"\x41\x01"
            + op("i32.sub")
            + op("global.set", tick_global)
            + op("global.get", tick_global)
            + op("i32.eqz")
        )
        self._code = head + if_(op("call", slow))
        self._quiet = head + if_(op("call", slow if quiet is None else quiet))
        self._branch = len(head)
        self._unticked = unticked
        self._uninjected = uninjected

    def edit(self, body: Body, edits: list[Edit]) -> None:
        """See Pass."""
        if body.function in self._unticked or not body.calls():
            return
        code = self._quiet if body.function in self._uninjected else self._code
        branch = self._branch
        edits.append((body.code, body.code, code, branch))
        edits += [(end, end, code, branch) for token, _, end in body.events if token is Token.LOOP]
