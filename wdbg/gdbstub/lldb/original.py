"""Location expressions and lists as they are in an original module."""

from __future__ import annotations

from collections.abc import Iterator

from symbols.dwarf.sections import unsigned
from symbols.errors import SymbolsError
from symbols.wasm.module import Module
from wdbg.debugger.model import DebugError

_CHANGED = "the module's file has changed, or its DWARF is malformed"


class Original:
    """Reads single places of .debug_info and .debug_loc without copying them."""

    def __init__(self, data: bytes, module: Module | None) -> None:
        """`data`: the module's file. Without a module there is nothing to read."""
        self._data = data
        dwarf = module.dwarf if module else {}
        info, loc = dwarf.get(".debug_info"), dwarf.get(".debug_loc")
        self._info = (info.start, info.end) if info else (0, 0)
        self._loc = (loc.start, loc.end) if loc else (0, 0)

    def expression(self, offset: int) -> bytes:
        """The expression whose length is at `offset` of .debug_info."""
        start, end = self._info
        try:
            size, pos = unsigned(self._data, start + offset)
        except (IndexError, SymbolsError):
            raise DebugError(_CHANGED) from None
        if start + offset >= end or pos + size > end:
            raise DebugError(_CHANGED)
        return self._data[pos : pos + size]

    def locations(self, offset: int, base: int) -> Iterator[tuple[int, int, bytes]]:
        """The DWARF 4 list at `offset` of .debug_loc: (start, end, expression). Its addresses
        count from `base`."""
        data, (start, limit) = self._data, self._loc
        pos = start + offset
        while True:
            if pos + 8 > limit:
                raise DebugError(_CHANGED)
            first = int.from_bytes(data[pos : pos + 4], "little")
            last = int.from_bytes(data[pos + 4 : pos + 8], "little")
            pos += 8
            if first == 0xFFFF_FFFF:
                base = last
            elif not first and not last:
                return
            else:
                size = int.from_bytes(data[pos : pos + 2], "little")
                yield first + base, last + base, data[pos + 2 : pos + 2 + size]
                pos += 2 + size
