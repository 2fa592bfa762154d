"""A flight recorder: keeps the last ring records in memory, and feeds them on a trigger.

The guest's process keeps them as they are: a copy of each ring that was full, no pipe and no other
process until something has happened. The memory is shared with the writer, which takes what is
there if this process is killed. What is overwritten is counted.
"""

from __future__ import annotations

from wdbg.trace.feed import Feed, TaskRow
from wdbg.trace.shared import SharedRing


class FlightRecorder:
    """A `Sink` before a feed."""

    def __init__(self, feed: Feed, shared: SharedRing) -> None:
        """`shared` has room for the records that are kept."""
        self._feed = feed
        self._shared = shared
        self._fed = 0
        """Position behind what has been fed."""
        self.overwritten = 0
        """Bytes of records that were kept and then lost."""

    def raw(self, records: memoryview) -> None:
        """Keep a copy; the oldest records make room."""
        most = self._shared.keep
        for start in range(0, len(records), most):
            self._shared.put(records[start : start + most])

    def task(self, row: TaskRow) -> None:
        """Names go to the writer at once, with the position from which on they hold."""
        self._feed.task(row)

    def string(self, text: str) -> int:
        """Strings go to the writer at once."""
        return self._feed.string(text)

    def trigger(self, reason: str) -> None:
        """Feed all that is held, and start anew."""
        start, parts = self._shared.kept(self._fed)
        self.overwritten += start - self._fed
        self._feed.at(start)
        for part in parts:
            self._feed.part(part)
        self._fed = self._shared.control.kept
        self._feed.trigger(reason)

    def close(self, facts: dict[str, object]) -> None:
        """Finish the file."""
        self._feed.close({**facts, "overwritten_bytes": self.overwritten})

    def fileno(self) -> int:
        """Of the pipe to the writer."""
        return self._feed.fileno()
