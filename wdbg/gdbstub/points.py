"""The breakpoints and watchpoints of one client: taken back when it leaves."""

from __future__ import annotations

from collections import Counter

from wdbg.debugger.model import Debugger, Place, WatchKind

Watch = tuple[WatchKind, int, int]


class Points:
    """What one client has asked for. Asking twice is answered once: clients repeat themselves
    after a lost reply, and remove only once."""

    def __init__(self, debugger: Debugger) -> None:
        self._debugger = debugger
        self._breakpoints: set[tuple[Place, bool]] = set()
        self._watchpoints: Counter[Watch] = Counter()

    @property
    def breakpoints(self) -> frozenset[Place]:
        """Places of this client's breakpoints."""
        return frozenset(place for place, _ in self._breakpoints)

    @property
    def watchpoints(self) -> frozenset[Watch]:
        """This client's watchpoints."""
        return frozenset(watch for watch, count in self._watchpoints.items() if count > 0)

    def add_breakpoint(self, place: Place, *, at_return: bool = False) -> None:
        """DebugError for what is no code."""
        if (place, at_return) not in self._breakpoints:
            self._debugger.add_breakpoint(place, at_return=at_return)
            self._breakpoints.add((place, at_return))

    def remove_breakpoint(self, place: Place, *, at_return: bool = False) -> None:
        """Nothing happens if it is not there."""
        if (place, at_return) in self._breakpoints:
            self._breakpoints.discard((place, at_return))
            self._debugger.remove_breakpoint(place)

    def add_watchpoint(self, kind: WatchKind, address: int, length: int) -> None:
        """DebugError if the memory does not exist. Adding twice counts twice."""
        self._debugger.add_watchpoint(kind, address, length)
        self._watchpoints[kind, address, length] += 1

    def remove_watchpoint(self, kind: WatchKind, address: int, length: int) -> None:
        """Nothing happens if it is not there."""
        if self._watchpoints[kind, address, length] > 0:
            self._watchpoints[kind, address, length] -= 1
            self._debugger.remove_watchpoint(kind, address, length)

    def clear(self) -> None:
        """Take back all of them."""
        for place, _ in self._breakpoints:
            self._debugger.remove_breakpoint(place)
        self._breakpoints.clear()
        for kind, address, length in self._watchpoints.elements():
            self._debugger.remove_watchpoint(kind, address, length)
        self._watchpoints.clear()
