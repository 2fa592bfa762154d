"""Columns of consecutive events: what ring records decode to, and what a chunk of a file holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from wdbg.trace.events import FIELDS, KINDS_OF, TABLE_OF, Kind, Table

U8 = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]
Places = npt.NDArray[np.intp]
Column = npt.NDArray[np.uint32] | npt.NDArray[np.int32]
Columns = dict[str, Column]
Rows = npt.NDArray[np.void]

RUN = np.dtype([("start", "<u4"), ("cpu", "<u4"), ("task", "<u4"), ("skipped", "<u8")])
"""Events from number `start` on were on this CPU, in this task (a number of the table of tasks),
and their virtual time is `skipped` nanoseconds more than tick * ns_per_tick."""

COMMON = (
    ("tick", "<u8"),
    ("time", "<u8"),
    ("seq", "<u4"),
    ("task", "<u4"),
    ("cpu", "<u2"),
    ("kind", "u1"),
)
"""First fields of every structured array: tick, virtual nanoseconds, number of the event in its
batch, task number, CPU, `Kind`."""

TABLE_BY_KIND = np.zeros(256, np.uint8)
for _kind, _table in TABLE_OF.items():
    TABLE_BY_KIND[_kind] = _table
TABLE_BY_KIND.flags.writeable = False



def _spans(kinds: Sequence[Kind]) -> tuple[tuple[np.uint8, np.uint8], ...]:
    """Kinds as ranges of numbers: the first, and how many come behind it."""
    spans: list[list[int]] = []
    for kind in sorted(kinds):
        if spans and kind == sum(spans[-1]) + 1:
            spans[-1][1] += 1
        else:
            spans.append([int(kind), 0])
    return tuple((np.uint8(first), np.uint8(span)) for first, span in spans)


_SPANS = {table: _spans(kinds) for table, kinds in KINDS_OF.items()}

ROW_TYPES: Mapping[Table, np.dtype[np.void]] = {
    table: np.dtype(
        [*COMMON, *((f.name, "<i4" if f.signed else "<u4") for f in fields)], align=True
    )
    for table, fields in FIELDS.items()
}
"""The structured array of each table."""


BLOCK = 1 << 12
"""Rows that are put together at a time."""


@dataclass(slots=True)
class Batch:
    """Events in order. `tables[t]` has a column a field, a value for each event of table t."""

    kind: U8
    tick: U64
    runs: Rows
    """Of type RUN, the first starts at 0; empty only if there is no event."""
    tables: dict[Table, Columns]
    lost: int = 0
    """Records that were damaged and left out."""
    _places: dict[Table, Places] = field(default_factory=dict, repr=False)
    _spread: dict[str, Any] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.kind)

    def places(self, table: Table) -> Places:
        """Numbers of the events of a table, ascending."""
        found = self._places.get(table)
        if found is None:
            if self.only(table):
                found = np.arange(len(self.kind))
            elif table is self._largest():
                found = np.flatnonzero(self._is_largest())
            else:
                others, kinds = self._others()
                found = others[self._of(kinds, table)]
            self._places[table] = found
        return found

    def _largest(self) -> Table | None:
        """The table with the most events."""
        sizes = {table: len(next(iter(c.values()))) for table, c in self.tables.items()}
        return max(sizes, key=sizes.__getitem__, default=None)

    def _others(self) -> tuple[Places, U8]:
        """Events that are not of the largest table: mostly few, so that they are soon searched."""
        if "others" not in self._spread:
            others = np.flatnonzero(~self._is_largest())
            self._spread["others"] = others, self.kind[others]
        found: tuple[Places, U8] = self._spread["others"]
        return found

    def _is_largest(self) -> npt.NDArray[np.bool_]:
        """Of each event: it is of the largest table."""
        if "largest" not in self._spread:
            largest = self._largest()
            self._spread["largest"] = (
                np.zeros(len(self.kind), bool) if largest is None else self._of(self.kind, largest)
            )
        found: npt.NDArray[np.bool_] = self._spread["largest"]
        return found

    @staticmethod
    def _of(kinds: U8, table: Table) -> npt.NDArray[np.bool_]:
        # Comparisons of bytes are far cheaper than looking each kind's table up.
        mask = None
        for first, span in _SPANS[table]:
            found = kinds == first if not span else (kinds - first) <= span  # wraps below first
            mask = found if mask is None else mask | found
        assert mask is not None
        return mask

    def count(self, table: Table) -> int:
        """Number of the events whose kind is of a table, whatever columns there are."""
        return int(np.count_nonzero(self._of(self.kind, table)))

    def only(self, table: Table) -> bool:
        """Whether the batch has events of this table and of no other."""
        columns = self.tables.get(table)
        return columns is not None and len(next(iter(columns.values()))) == len(self.kind)

    def spread(self, name: str) -> U64:
        """A run's field, once for each event."""
        starts = self.runs["start"].astype(np.int64)
        lengths = np.diff(np.concatenate((starts, [len(self.kind)])))
        return np.repeat(self.runs[name], lengths)

    def cpu(self) -> U32:
        """CPU of each event."""
        return self._cached("cpu")

    def task(self) -> U32:
        """Task number of each event."""
        return self._cached("task")

    def time(self, ns_per_tick: int) -> U64:
        """Virtual nanoseconds of each event."""
        key = f"time {ns_per_tick}"
        if key not in self._spread:
            self._spread[key] = self.tick * np.uint64(ns_per_tick) + self.spread("skipped")
        found: U64 = self._spread[key]
        return found

    def _cached(self, name: str) -> U32:
        if name not in self._spread:
            self._spread[name] = self.spread(name)
        found: U32 = self._spread[name]
        return found

    def rows(self, table: Table, ns_per_tick: int) -> Rows:
        """The events of a table as a structured array of type ROW_TYPES[table]."""
        places = self.places(table)
        rows = np.empty(len(places), ROW_TYPES[table])
        if not len(places):
            return rows
        everything = len(places) == len(self.kind)
        # How many of the rows are in each run: cheaper than to look up the run of each row.
        starts = self.runs["start"]
        if not everything:
            starts = np.searchsorted(places, starts)
        bounds: npt.NDArray[np.int64] = np.append(starts, len(places)).astype(np.int64)
        lengths = bounds[1:] - bounds[:-1]
        columns: dict[str, Any] = {
            "seq": places,
            "cpu": _repeated(self.runs["cpu"].astype(np.uint16), lengths),
            "task": _repeated(self.runs["task"], lengths),
            **self.tables[table],
        }
        skipped = _repeated(self.runs["skipped"], lengths)
        for first in range(0, len(rows), BLOCK):  # a block stays in the cache for all columns
            part = slice(first, first + BLOCK)
            block = rows[part]
            if everything:
                tick, kind = self.tick[part], self.kind[part]
            else:
                tick, kind = self.tick.take(places[part]), self.kind.take(places[part])
            block["tick"], block["kind"] = tick, kind
            time = tick * np.uint64(ns_per_tick)
            time += skipped[part] if skipped.ndim else skipped
            block["time"] = time
            for name, column in columns.items():
                block[name] = column[part] if column.ndim else column
        return rows

    def select(self, wanted: npt.NDArray[np.bool_]) -> Batch:
        """The events that the mask keeps."""
        kept = np.flatnonzero(wanted)
        tables: dict[Table, Columns] = {}
        for table, columns in self.tables.items():
            mask = wanted[self.places(table)]
            if mask.any():
                tables[table] = {name: column[mask] for name, column in columns.items()}
        # A run keeps its place among the events that are left; runs without events go.
        starts = np.searchsorted(kept, self.runs["start"])
        used = np.diff(np.concatenate((starts, [len(kept)]))) > 0
        runs = self.runs[used].copy()
        runs["start"] = starts[used]
        return Batch(self.kind[kept], self.tick[kept], runs, tables)


def _repeated(values: npt.NDArray[Any], lengths: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """Each value as often as its length says; one without dimension if all are the same."""
    if (values == values[0]).all():
        found: npt.NDArray[Any] = values[0, ...]
        return found
    return np.repeat(values, lengths)


def empty() -> Batch:
    """No events."""
    return Batch(np.empty(0, np.uint8), np.empty(0, np.uint64), np.empty(0, RUN), {})


def join(batches: Sequence[Batch]) -> Batch:
    """Batches one after the other."""
    if len(batches) == 1:
        return batches[0]
    if not batches:
        return empty()
    tables: dict[Table, Columns] = {}
    for table in sorted({table for batch in batches for table in batch.tables}):
        parts = [batch.tables[table] for batch in batches if table in batch.tables]
        tables[table] = {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
    runs, first = [], 0
    for batch in batches:
        moved = batch.runs.copy()
        moved["start"] += first
        runs.append(moved)
        first += len(batch)
    return Batch(
        np.concatenate([batch.kind for batch in batches]),
        np.concatenate([batch.tick for batch in batches]),
        np.concatenate(runs),
        tables,
        sum(batch.lost for batch in batches),
    )


def counts(batch: Batch) -> dict[Kind, int]:
    """Events of each kind."""
    found = np.bincount(batch.kind, minlength=1)
    known = {int(kind) for kind in Kind}
    return {Kind(int(k)): int(found[k]) for k in np.flatnonzero(found) if int(k) in known}
