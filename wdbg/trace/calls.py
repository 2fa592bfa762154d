"""Calls that belong together: depth of each call event, and the entry of each exit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wdbg.trace.batch import U64, Places, Rows
from wdbg.trace.events import Kind

NEVER = 2**64 - 1
_DEPTH_BIAS = 1 << 15
_SEQ_BITS = 24


@dataclass(frozen=True, slots=True)
class Matched:
    """What is known of the events of one array, an entry for each."""

    depth: npt.NDArray[np.int32]
    """Calls around this one in its task; entry and exit of a call have the same."""
    started: U64
    """Exits: virtual nanoseconds of the entry; entries: their own."""
    ended: U64
    """Entries: virtual nanoseconds of the exit, NEVER if it is not in the same array; exits: their
    own."""
    entered: npt.NDArray[np.bool_]
    """Entries, and exits whose entry was seen."""


class CallMatcher:
    """Goes over the CALL events of a trace in order, a chunk at a time."""

    def __init__(self) -> None:
        self._depth: dict[int, int] = {}
        self._open: dict[tuple[int, int], tuple[int, int]] = {}
        """(task, depth) to (function, time) of calls that have not ended."""

    def forget(self) -> None:
        """Events were lost: what is open can't be matched."""
        self._depth.clear()
        self._open.clear()

    def feed(self, rows: Rows) -> Matched:
        """`rows`: of Table.CALL, in order."""
        entries = rows["kind"] == Kind.CALL_ENTER
        if not len(rows):
            none = np.empty(0, np.uint64)
            return Matched(np.empty(0, np.int32), none, none, entries)
        depth = self._depths(rows["task"], entries)
        time = rows["time"]
        order = _order(rows["task"], depth)
        # In this order an exit stands right behind its entry.
        task, level, enters = rows["task"][order], depth[order], entries[order]
        function = rows["function"][order]
        follows = np.zeros(len(rows), bool)
        follows[1:] = (
            ~enters[1:] & enters[:-1] & (task[1:] == task[:-1]) & (level[1:] == level[:-1])
        )
        follows[1:] &= function[1:] == function[:-1]
        started = time.copy()
        behind = np.flatnonzero(follows)
        started[order[behind]] = time[order[behind - 1]]
        ended = np.where(entries, np.uint64(NEVER), time)
        ended[order[behind - 1]] = time[order[behind]]
        entered = entries.copy()
        entered[order[behind]] = True
        last = np.ones(len(rows), bool)
        last[:-1] = (task[1:] != task[:-1]) | (level[1:] != level[:-1])
        first = np.roll(last, 1)
        for place in order[first & ~enters].tolist():  # entered in an earlier chunk
            opened = self._open.pop((int(rows["task"][place]), int(depth[place])), None)
            if opened is not None and opened[0] == rows["function"][place]:
                started[place], entered[place] = opened[1], True
        for place in order[last & enters].tolist():
            key = int(rows["task"][place]), int(depth[place])
            self._open[key] = int(rows["function"][place]), int(time[place])
        return Matched(depth, started, ended, entered)

    def _depths(
        self, tasks: npt.NDArray[np.uint32], entries: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.int32]:
        step = np.where(entries, 1, -1).astype(np.int32)
        order = _order(tasks)
        grouped = tasks[order]
        total = np.cumsum(step[order], dtype=np.int32)
        starts = np.flatnonzero(np.concatenate(([True], grouped[1:] != grouped[:-1])))
        before = np.concatenate(([0], total))[starts]
        numbers = grouped[starts].tolist()
        carried = np.array([self._depth.get(task, 0) for task in numbers], np.int32)
        lengths = np.diff(np.concatenate((starts, [len(tasks)])))
        after = total + np.repeat(carried - before, lengths).astype(np.int32)
        ends = starts + lengths - 1
        for task, level in zip(numbers, after[ends].tolist(), strict=True):
            self._depth[task] = level
        depth = np.empty(len(tasks), np.int32)
        # An entry's depth is that before it, an exit's that behind it.
        depth[order] = after - (step[order] > 0)
        return depth


def _order(*keys: npt.NDArray[np.integer]) -> Places:
    """A stable order by the keys, the first one counting most."""
    if len(keys[0]) >> _SEQ_BITS:
        return np.lexsort(keys[::-1])
    combined = keys[0].astype(np.uint64)
    if len(keys) > 1:
        combined = (combined << np.uint64(16)) | (
            np.clip(keys[1] + _DEPTH_BIAS, 0, 0xFFFF).astype(np.uint64)
        )
    combined <<= np.uint64(_SEQ_BITS)
    combined |= np.arange(len(combined), dtype=np.uint64)
    combined.sort()
    return (combined & np.uint64((1 << _SEQ_BITS) - 1)).astype(np.intp)
