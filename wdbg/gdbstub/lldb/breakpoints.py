"""LLDB's breakpoints, which it also asks for where no instruction begins.

* In a function's header (DWARF's start of the function is its declaration of locals): stands for
  the first instruction, and is hit there. LLDB knows its breakpoints by their addresses, so the
  stop is reported where the breakpoint was asked for.
* One past a function's end: `next` from its last line sets one there. It stands for the return
  from the function, which is a step for LLDB and no breakpoint.
"""

from __future__ import annotations

from wdbg.debugger.model import DebugError, Debugger, Place
from wdbg.gdbstub.lldb.modules import Modules
from wdbg.gdbstub.points import Points


class Breakpoints:
    """One client's breakpoints by LLDB's addresses."""

    def __init__(self, debugger: Debugger, modules: Modules) -> None:
        self._debugger = debugger
        self._modules = modules
        self._points = Points(debugger)
        self._asked: dict[Place, Place] = {}
        """Where a breakpoint was asked for -> where it stops."""
        self._headers: dict[Place, list[Place]] = {}
        """A first instruction -> breakpoints in its function's header."""
        self._returns: set[Place] = set()

    def add(self, address: int) -> None:
        """DebugError for what is no code."""
        place = self._place(address)
        code = self._modules.code(self._debugger, place.module)
        if code.is_end(place.offset):
            self._points.add_breakpoint(place, at_return=True)
            self._returns.add(place)
            return
        self._points.add_breakpoint(place)
        if place in self._asked:
            return
        entry = code.entry(place.offset)
        stop = place if entry is None else Place(place.module, entry)
        self._asked[place] = stop
        if stop != place:
            self._headers.setdefault(stop, []).append(place)

    def remove(self, address: int) -> None:
        """Nothing happens if there is none."""
        place = self._place(address)
        if place in self._returns:
            self._points.remove_breakpoint(place, at_return=True)
            self._returns.discard(place)
            return
        self._points.remove_breakpoint(place)
        stop = self._asked.pop(place, place)
        if stop != place:
            self._headers[stop].remove(place)

    def at(self, place: Place) -> Place | None:
        """Where the breakpoint that stops at `place` was asked for, None if there is none."""
        if place in self._asked:
            return place
        headers = self._headers.get(place)
        return headers[0] if headers else None

    def explains(self, place: Place) -> bool:
        """Whether a stop at `place` can be one of these."""
        return self.at(place) is not None or bool(self._returns)

    def clear(self) -> None:
        """Take back all of them."""
        self._points.clear()
        self._asked.clear()
        self._headers.clear()
        self._returns.clear()

    def _place(self, address: int) -> Place:
        place = self._modules.place(self._debugger, address)
        if place is None:
            raise DebugError(f"no code at {address:#x}")
        return place
