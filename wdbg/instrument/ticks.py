"""The tick pass: logical time.

One tick for each entry of a function that contains a call or a loop, and one for each iteration
of a loop (at its header, that is also when the loop is entered). What is counted depends on the
original code alone, so every variant with ticks has the same time. Rereading the global after the
decrement costs no more than a local (measured) and needs none.
"""

from __future__ import annotations

from collections.abc import Callable

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
        resumed: Callable[[Body, int], bytes] | None = None,
    ) -> None:
        """``slow`` is the index of a function () -> (); ``quiet`` one that takes no interrupt, for
        the functions in ``uninjected``. Functions are given by their original indices.
        ``resumed(body, position)`` is the code to run when the slow path at a loop header comes
        back."""
        head = (
            op("global.get", tick_global)
            + b"\x41\x01"
            + op("i32.sub")
            + op("global.set", tick_global)
            + op("global.get", tick_global)
            + op("i32.eqz")
        )
        self._head = head
        self._slow = op("call", slow)
        self._quiet = op("call", slow if quiet is None else quiet)
        self._resumed = resumed
        self._unticked = unticked
        self._uninjected = uninjected

    def edit(self, body: Body, edits: list[Edit]) -> None:
        """See Pass."""
        if body.function in self._unticked or not body.calls():
            return
        slow = self._quiet if body.function in self._uninjected else self._slow
        branch = len(self._head)
        code = self._head + if_(slow)
        edits.append((body.code, body.code, code, branch))
        for token, _, end in body.events:
            if token is Token.LOOP:
                if self._resumed is not None:
                    code = self._head + if_(slow + self._resumed(body, end))
                edits.append((end, end, code, branch))
