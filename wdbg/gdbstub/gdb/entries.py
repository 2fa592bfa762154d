"""A function's entry has two addresses: DWARF's, where the declarations of its locals begin, and
the first instruction's. GDB must see the former, or it takes the stop for one in mid-function."""

from __future__ import annotations

from wdbg.debugger.model import Debugger, ModuleInfo, Place
from wdbg.gdbstub.points import Points

_HEADER_LIMIT = 4096
_MOST_RUNS = 512
_LEB_LIMIT = 5


class Entries:
    """Which offset to show for the place where a task stands."""

    def __init__(self, debugger: Debugger, points: Points) -> None:
        self._debugger = debugger
        self._points = points
        self._first: dict[tuple[int, int], int] = {}

    def shown(self, place: Place, function_start: int) -> int:
        """The code offset to report: where a breakpoint was asked for as it was asked for, at
        any other entry the function's start."""
        if place.offset == function_start or place in self._points.breakpoints:
            return place.offset
        if place.offset - function_start > _HEADER_LIMIT:
            return place.offset
        key = place.module, function_start
        if key not in self._first:
            modules = {module.number: module for module in self._debugger.modules()}
            module = modules.get(place.module)
            header = header_length(module, function_start) if module else 0
            self._first[key] = function_start + header
        return function_start if place.offset <= self._first[key] else place.offset


def header_length(module: ModuleInfo, function_start: int) -> int:
    """Bytes of the local declarations at the start of a function's body; 0 if its file is gone or
    there are none that make sense."""
    if module.path is None:
        return 0
    try:
        with module.path.open("rb") as file:
            file.seek(module.code_base + function_start)
            data = file.read(_HEADER_LIMIT)
    except OSError:
        return 0
    end = _after_leb(data, 0)
    runs = _leb(data[:end])
    if runs > _MOST_RUNS:
        return 0
    for _ in range(runs):
        end = _after_leb(data, end) + 1
        if end > len(data):
            return 0
    return end


def _after_leb(data: bytes, start: int) -> int:
    for end in range(start, min(start + _LEB_LIMIT, len(data))):
        if data[end] < 0x80:
            return end + 1
    return len(data) + 1


def _leb(data: bytes) -> int:
    return sum((byte & 0x7F) << (7 * place) for place, byte in enumerate(data[:_LEB_LIMIT]))
