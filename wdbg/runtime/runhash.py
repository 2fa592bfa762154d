"""The run hash: every context switch with its tick, every console byte, final memory.

Two runs with the same hash did the same thing in the same order.
"""

from __future__ import annotations

import hashlib
from array import array

_FLUSH = 8192
"""Items buffered before they are hashed: hashing one by one would cost a microsecond each."""


class RunHash:
    """A rolling BLAKE2b over the run's history."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=16)
        self._items: array[int] = array("Q")

    def event(self, tick: int, what: int, who: int) -> None:
        """A scheduling decision or switch: absolute tick, CPU number and kind, task pointer.
        Bit 7 of `what` is a switch's, the number of an access (`Point.access`) starts at bit 8."""
        items = self._items
        items.extend((tick, what << 32 | who))
        if len(items) >= _FLUSH:
            self._flush()

    def data(self, tick: int, data: bytes) -> None:
        """Bytes that left or entered the machine at `tick`."""
        self._items.append(tick)
        self._flush()
        self._hash.update(data)

    def _flush(self) -> None:
        self._hash.update(self._items.tobytes())
        del self._items[:]

    def digest(self, memory: memoryview | None = None) -> str:
        """32 hexadecimal digits; with `memory`, its bytes take part.  The run can go on."""
        self._flush()
        final = self._hash.copy()
        if memory is not None:
            final.update(hashlib.blake2b(memory).digest())
        return final.hexdigest()
