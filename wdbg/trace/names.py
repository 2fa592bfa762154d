"""Names for the numbers in events, looked up for whole columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from wdbg.trace.batch import U32, U64, Places
from wdbg.trace.tables import Tables, TaskLife

COMM_SIZE = 16
"""TASK_COMM_LEN: bytes of a comm with its NUL."""
NAME_SIZE = 64
"""Bytes of a function's or lock's name with its NUL; longer ones are cut."""
UNNAMED_PID = 0x400000
"""PID_MAX_LIMIT of Linux: tasks whose pid was not recorded get pids from here on."""
_TICK_BITS = 44

Bytes = npt.NDArray[np.bytes_]


class Names:
    """Lookup tables made of a trace's tables. Indices into `pids`, `comms` ... are *lives*: a life
    is a task under one name; life 0 is the unknown task."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.lives = _named(tables.tasks)
        self.pids = np.array([life.pid for life in self.lives], np.int32)
        self.tgids = np.array([life.tgid for life in self.lives], np.int32)
        self.comms = fixed([life.comm for life in self.lives], COMM_SIZE)
        self._keys = np.array([_key(life.number, life.tick) for life in self.lives], np.uint64)
        functions = tables.functions
        self.function_names = fixed(["?", *(f.name for f in functions)], NAME_SIZE)
        """By *row*: place in the table of functions plus 1; row 0 is an unknown function."""
        self.starts = np.array([0, *(f.start & 0x7FFFFFFF for f in functions)], np.uint32)
        """Position of each function, by row."""
        self._row_of_function = _dense([f.number for f in functions])
        self._row_of_pointer = _dense([f.pointer if f.pointer > 0 else -1 for f in functions])
        order = np.argsort(self.starts[1:], kind="stable") + 1
        self._by_start = order
        self._sorted_starts = self.starts[order]
        self._ends = np.array([0, *(f.start + max(f.size, 0) for f in functions)], np.int64)
        self.class_names = fixed(["", *(c.name for c in tables.classes)], NAME_SIZE)
        self._row_of_class = _dense([c.number for c in tables.classes])
        self.strings = {row.number: row.text for row in tables.strings}

    def life(self, tasks: U32, ticks: U64) -> Places:
        """The life of each task at a tick. Names that come later count for earlier ticks if
        there is no other one."""
        keys = (tasks.astype(np.uint64) << np.uint64(_TICK_BITS)) | np.minimum(
            ticks, np.uint64((1 << _TICK_BITS) - 1)
        )
        at = np.searchsorted(self._keys, keys, side="right") - 1
        same = (self._keys[at] >> np.uint64(_TICK_BITS)) == tasks
        found: Places = np.where(same, at, 0)
        return found

    def function_rows(self, functions: U32) -> Places:
        """Rows of functions by the numbers in CALL events."""
        return _take(self._row_of_function, functions)

    def pointer_rows(self, pointers: U32) -> Places:
        """Rows of functions by C function pointers."""
        return _take(self._row_of_pointer, pointers)

    def position_rows(self, positions: U32) -> Places:
        """Rows of the functions that positions are in; 0 for those outside."""
        if not len(self._by_start):
            return np.zeros(len(positions), np.intp)
        at = np.searchsorted(self._sorted_starts, positions, side="right") - 1
        rows = self._by_start[np.maximum(at, 0)]
        inside = (at >= 0) & (positions < self._ends[rows]) & (positions != 0)
        return np.where(inside, rows, 0)

    def class_rows(self, classes: U32) -> Places:
        """Rows of lock classes by number; 0 for unknown ones."""
        return _take(self._row_of_class, classes)

    def lock_names(self, locks: U32, classes: U32) -> list[str]:
        """A name for each lock: its class, else its address. For few locks, not for columns."""
        rows = self.class_rows(classes)
        return [
            self.class_names[row].decode("utf-8", "replace") or f"{lock:#x}"
            for row, lock in zip(rows.tolist(), locks.tolist(), strict=True)
        ]

    def texts(self, numbers: Iterable[int]) -> list[str]:
        """Texts of string numbers."""
        return [self.strings.get(number, "") for number in numbers]


def fixed(texts: Sequence[str], size: int) -> Bytes:
    """Texts as NUL-padded bytes of one size, cut where they are longer than that less a NUL."""
    return np.array([text.encode("utf-8", "replace")[: size - 1] for text in texts], f"S{size}")


def _key(number: int, tick: int) -> int:
    limit = (1 << _TICK_BITS) - 1
    return min(number, (1 << 64 - _TICK_BITS) - 1) << _TICK_BITS | max(0, min(tick, limit))


def _named(rows: Sequence[TaskLife]) -> list[TaskLife]:
    """Rows by number and tick, the first of each number from tick 0 on; row 0 is the unknown."""
    known = {row.number for row in rows if row.pid >= 0}
    kept = [row for row in rows if row.pid >= 0 or row.number not in known]
    kept.sort(key=lambda row: (row.number, row.tick))
    found = [TaskLife(0, 0, 0, UNNAMED_PID, UNNAMED_PID, "?")]
    for row in kept:
        if row.pid < 0:
            pid = UNNAMED_PID + row.number
            row = replace(row, pid=pid, tgid=pid, comm=f"task-{row.address:x}"[: COMM_SIZE - 1])
        if row.number != found[-1].number:
            row = replace(row, tick=0)
        found.append(row)
    return found


def _dense(numbers: Sequence[int]) -> Places:
    """Number to 1 + its place in the sequence, 0 where there is none."""
    kept = [number for number in numbers if 0 <= number < 1 << 24]
    table = np.zeros(max(kept, default=0) + 2, np.intp)
    for place, number in enumerate(numbers):
        if 0 <= number < 1 << 24:
            table[number] = place + 1
    return table


def _take(table: Places, numbers: U32) -> Places:
    return table[np.minimum(numbers, len(table) - 1)]
