"""Works out where a variable is, with errors that are for the person at LLDB."""

from __future__ import annotations

from symbols.dwarf import evaluate as dwarf
from symbols.dwarf.evaluate import Location, Surroundings
from wdbg.debugger.model import DebugError

__all__ = ("Location", "Surroundings", "evaluate")


def evaluate(expression: bytes, around: Surroundings) -> Location:
    """See `symbols.dwarf.evaluate`. DebugError where something is not known."""
    try:
        return dwarf.evaluate(expression, around)
    except dwarf.NotKnown as error:
        raise DebugError(str(error)) from None
