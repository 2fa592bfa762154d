"""The name section (appendix 7.7): names of functions, locals, globals and data segments.

Names are for people: bytes that are not UTF-8 are shown escaped rather than refused, but lengths
and counts are checked like everywhere else.
"""

from __future__ import annotations

from functools import cached_property

from symbols.errors import SymbolsError
from symbols.wasm.container import MAX_ENTRIES, Section, read_count
from symbols.wasm.leb import decode_u32

_FUNCTIONS, _LOCALS, _GLOBALS, _DATA = 1, 2, 7, 9


class NameSection:
    """Lazily parsed name section. All maps go from index to name."""

    def __init__(self, data: bytes, section: Section | None) -> None:
        self._data = data
        self._section = section

    @cached_property
    def _parts(self) -> dict[int, tuple[int, int]]:
        parts: dict[int, tuple[int, int]] = {}
        if self._section is None:
            return parts
        pos, end = self._section.start, self._section.end
        while pos < end:
            kind, start = self._data[pos], pos
            size, pos = decode_u32(self._data, pos + 1, end)
            if size > end - pos:
                raise SymbolsError(f"name subsection {kind} claims {size} bytes", start)
            parts.setdefault(kind, (pos, pos + size))
            pos += size
        return parts

    def _map(self, kind: int) -> dict[int, str]:
        if kind not in self._parts:
            return {}
        pos, end = self._parts[kind]
        names, _ = self._read(pos, end)
        return names

    def _read(self, pos: int, end: int) -> tuple[dict[int, str], int]:
        data = self._data
        count, pos = read_count(data, pos, end, "name map", 2)
        names: dict[int, str] = {}
        for _ in range(count):
            index, pos = decode_u32(data, pos, end)
            size, start = decode_u32(data, pos, end)
            if size > end - start:
                raise SymbolsError(f"name claims {size} bytes, {end - start} are left", pos)
            pos = start + size
            names[index] = data[start:pos].decode("utf-8", "backslashreplace")
        return names, pos

    @cached_property
    def functions(self) -> dict[int, str]:
        """Function names; indices include imported functions."""
        return self._map(_FUNCTIONS)

    @cached_property
    def globals(self) -> dict[int, str]:
        """Global names."""
        return self._map(_GLOBALS)

    @cached_property
    def data(self) -> dict[int, str]:
        """Data segment names (section names of the linked program, e.g. ``.rodata``)."""
        return self._map(_DATA)

    @cached_property
    def locals(self) -> dict[int, dict[int, str]]:
        """Local names by function index."""
        if _LOCALS not in self._parts:
            return {}
        pos, end = self._parts[_LOCALS]
        count, pos = read_count(self._data, pos, end, "local names", 2)
        out: dict[int, dict[int, str]] = {}
        total = 0
        for _ in range(count):
            function, pos = decode_u32(self._data, pos, end)
            out[function], pos = self._read(pos, end)
            total += len(out[function])
            if total > MAX_ENTRIES:
                raise SymbolsError(f"more than {MAX_ENTRIES} local names", pos)
        return out
