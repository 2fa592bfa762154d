"""Names of annotated locks: events hold pointers to texts in the kernel's static data.

The texts are looked up when a recording ends, in the module file. Each becomes a row of CLASSES,
whose number is the pointer, and once more that of the class's key: whoever wants a class's name
finds it by the number in the event.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from symbols.errors import SymbolsError
from symbols.wasm.dataplan import data_ranges
from symbols.wasm.module import Module
from wdbg.trace.batch import Batch
from wdbg.trace.events import Table
from wdbg.trace.feed import LockClassRow

LONGEST = 120
"""Characters of a name; what is longer is cut."""
_ROWS = 1 << 16


class LockTexts:
    """Collects the pointers of a recording."""

    def __init__(self) -> None:
        self._pairs: set[int] = set()
        """Class key << 32 | pointer."""

    def collect(self, batch: Batch) -> None:
        """Take the pointers of these events."""
        for table in (Table.LOCK, Table.LOCK_NOTE):
            columns = batch.tables.get(table)
            if columns is None or not columns["name"].any():
                continue
            key = columns["lock_class" if table is Table.LOCK else "value"].astype(np.uint64)
            pairs = key << np.uint64(32) | columns["name"].astype(np.uint64)
            if len(self._pairs) < _ROWS:
                self._pairs.update(np.unique(pairs).tolist())

    def rows(self, module: str) -> list[LockClassRow]:
        """The rows; none if the module cannot be read."""
        pointers = {pair & 0xFFFFFFFF for pair in self._pairs} - {0}
        if not pointers or not module:
            return []
        texts = read_texts(Path(module), pointers)
        rows = {pointer: LockClassRow(pointer, text, 0, 0) for pointer, text in texts.items()}
        for pair in self._pairs:
            key, pointer = pair >> 32, pair & 0xFFFFFFFF
            if key and pointer in texts:
                rows[key] = LockClassRow(key, texts[pointer], key, 0)
        return list(rows.values())


def read_texts(path: Path, pointers: Iterable[int]) -> dict[int, str]:
    """The C strings at these addresses of a module's initialised data."""
    try:
        data = path.read_bytes()
        module = Module(data)
        segments = module.segments
        ranges = [each for each in data_ranges(module) if 0 <= each.segment < len(segments)]
    except (OSError, SymbolsError):
        return {}
    found = {}
    for pointer in pointers:
        for each in ranges:
            if each.start <= pointer < each.end:
                at = segments[each.segment].start + pointer - each.start
                end = data.find(b"\0", at, at + LONGEST)
                text = data[at : end if end >= 0 else at + LONGEST]
                found[pointer] = text.decode("utf-8", "replace")
    return found
