"""A flight recorder: keeps the last ring records in memory, and feeds them on a trigger.

The guest's process keeps them as they are: a copy of each ring that was full, no pipe and no other
process until something has happened. What is overwritten is counted.
"""

from __future__ import annotations

import mmap
from collections import deque

from wdbg.trace.feed import Feed, TaskRow


class FlightRecorder:
    """A `Sink` before a feed."""

    def __init__(self, feed: Feed, size: int) -> None:
        """`size`: bytes of records that are kept."""
        self._feed = feed
        self._size = size
        # Private: a forked copy of the machine has a recorder of its own.
        self._memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        if hasattr(mmap, "MADV_HUGEPAGE"):
            try:
                self._memory.madvise(mmap.MADV_HUGEPAGE)  # 512 times fewer faults on the way
            except OSError:
                pass  # a kernel without them
        self._at = 0
        self._held: deque[tuple[int, int] | TaskRow] = deque()
        """Pieces (place, size), the oldest first, and names in the order in which they came."""
        self._names: dict[int, TaskRow] = {}
        """Names by address from before the oldest piece."""
        self.overwritten = 0
        """Bytes of records that were kept and then lost."""

    def raw(self, records: memoryview) -> None:
        """Keep a copy; the oldest pieces make room."""
        records = records[-self._size :]
        size = len(records)
        if self._at + size > self._size:
            self._drop(self._at, self._size)
            self._at = 0
        self._drop(self._at, self._at + size)
        self._memory[self._at : self._at + size] = records
        self._held.append((self._at, size))
        self._at += size

    def _drop(self, start: int, end: int) -> None:
        """Forget the oldest pieces that lie in a range of the memory."""
        while self._held:
            oldest = self._held[0]
            if isinstance(oldest, TaskRow):
                self._names[oldest.address] = oldest
            elif oldest[0] < end and oldest[0] + oldest[1] > start:
                self.overwritten += oldest[1]
            else:
                return
            self._held.popleft()

    def task(self, row: TaskRow) -> None:
        """Keep a name."""
        self._held.append(row)

    def string(self, text: str) -> int:
        """Strings go to the writer at once."""
        return self._feed.string(text)

    def trigger(self, reason: str) -> None:
        """Feed all that is held, and start anew."""
        for row in self._names.values():
            self._feed.task(row)
        self._names.clear()
        view = memoryview(self._memory)
        for item in self._held:
            if isinstance(item, TaskRow):
                self._feed.task(item)
            else:
                self._feed.raw(view[item[0] : item[0] + item[1]])
        view.release()
        self._held.clear()
        self._feed.trigger(reason)

    def close(self, facts: dict[str, object]) -> None:
        """Finish the file."""
        self._feed.close({**facts, "overwritten_bytes": self.overwritten})

    def fileno(self) -> int:
        """Of the pipe to the writer."""
        return self._feed.fileno()
