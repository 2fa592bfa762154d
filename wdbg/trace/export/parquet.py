"""Parquet: a directory with a file an event kind, for DuckDB, pandas, Polars.

Columns of every file: seq (number of the event in the trace), tick, time (virtual ns), cpu, task
(its number), pid, comm; then the fields of the kind's table (see docs/trace-format.md), and for a
field that is a number in a table the name in a column behind it, a dictionary of strings. Tables of
the trace are files, too: functions, tasks, lock_classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wdbg.errors import BadInput
from wdbg.trace.batch import Rows
from wdbg.trace.calls import CallMatcher, Matched
from wdbg.trace.events import FIELDS, TABLE_OF, Field, Kind, Meaning, Table
from wdbg.trace.export import Counts, large_batches
from wdbg.trace.feed import FunctionRow, LockClassRow
from wdbg.trace.lockclass import LockClasses
from wdbg.trace.names import Names
from wdbg.trace.reader import Trace
from wdbg.trace.tables import TaskLife

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError as error:
    raise BadInput(
        "Parquet needs pyarrow, which is not installed", "pip install 'wdbg[parquet]'"
    ) from error


def write(trace: Trace, target: Path) -> Counts:
    """Export into the directory `target`, which must be new or empty."""
    target.mkdir(exist_ok=True)
    if any(target.iterdir()):
        raise BadInput(f"{target}: not empty", "a Parquet export is a directory of its own")
    return Exporter(trace, target).run()


class Exporter:
    """State of one export: the files that are open."""

    def __init__(self, trace: Trace, target: Path) -> None:
        self._trace, self._target = trace, target
        self._names = Names(trace.tables)
        self._matcher = CallMatcher()
        self._lock_classes = LockClasses()
        self._files: dict[Kind, Any] = {}
        self._counts: Counts = {}
        names = self._names
        self._comms = _strings(names.comms)
        self._functions = _strings(names.function_names)
        self._classes = _strings(names.class_names)

    def run(self) -> Counts:
        """Write everything."""
        self._tables()
        before = 0
        try:
            for batch in large_batches(self._trace):
                if Table.LOST in batch.tables:
                    self._matcher.forget()
                for table in batch.tables:
                    rows = batch.rows(table, self._trace.header.ns_per_tick)
                    matched = self._matcher.feed(rows) if table is Table.CALL else None
                    if table is Table.LOCK:
                        self._lock_classes.fill(rows)
                    self._add(rows, matched, before)
                before += len(batch)
        finally:
            for file in self._files.values():
                file.close()
        return self._counts

    def _add(self, rows: Rows, matched: Matched | None, before: int) -> None:
        for number in np.flatnonzero(np.bincount(rows["kind"], minlength=1)).tolist():
            kind = Kind(number)
            mine = rows["kind"] == kind
            columns = dict(self._columns(kind, rows[mine], before))
            if matched is not None:
                columns["depth"] = pa.array(matched.depth[mine])
                if kind is Kind.CALL_EXIT:
                    took = (matched.ended - matched.started)[mine]
                    columns["duration"] = pa.array(took, mask=~matched.entered[mine])
            table = pa.table(columns)
            if kind not in self._files:
                path = self._target / f"{kind.name.lower()}.parquet"
                # Dictionaries pay for names only; of numbers they cost more than they save.
                named = [c.name for c in table.schema if pa.types.is_dictionary(c.type)]
                self._files[kind] = pq.ParquetWriter(
                    path, table.schema, compression="zstd", compression_level=1,
                    use_dictionary=named, write_statistics=["seq", "tick", "time", "cpu"],
                )  # fmt: skip
            self._files[kind].write_table(table)
            name = kind.name.lower()
            self._counts[name] = self._counts.get(name, 0) + len(table)

    def _columns(self, kind: Kind, rows: Rows, before: int) -> Iterator[tuple[str, Any]]:
        names = self._names
        life = names.life(rows["task"], rows["tick"])
        yield "seq", pa.array(rows["seq"].astype(np.uint64) + np.uint64(before))
        for name in ("tick", "time", "cpu", "task"):
            yield name, pa.array(np.ascontiguousarray(rows[name]))
        yield "pid", pa.array(names.pids[life])
        yield "comm", _dictionary(life, self._comms)
        for item in FIELDS[TABLE_OF[kind]]:
            values = np.ascontiguousarray(rows[item.name])
            yield item.name, pa.array(values)
            yield from self._named(item, values, rows)

    def _named(
        self, item: Field, values: npt.NDArray[np.uint32], rows: Rows
    ) -> Iterator[tuple[str, Any]]:
        """What a number stands for."""
        names = self._names
        if item.meaning is Meaning.FUNCTION:
            found = names.function_rows(values)
            yield f"{item.name}_name", _dictionary(found, self._functions)
        elif item.meaning is Meaning.POINTER:
            found = names.pointer_rows(values)
            yield f"{item.name}_name", _dictionary(found, self._functions)
        elif item.meaning is Meaning.POSITION:
            found = names.position_rows(values)
            yield f"{item.name}_function", _dictionary(found, self._functions)
        elif item.meaning is Meaning.CLASS:
            yield f"{item.name}_name", _dictionary(names.class_rows(values), self._classes)
        elif item.meaning is Meaning.TASK:
            life = names.life(values, rows["tick"])
            yield f"{item.name}_pid", pa.array(names.pids[life])
            yield f"{item.name}_comm", _dictionary(life, self._comms)
        elif item.meaning is Meaning.STRING:
            texts = names.texts(values.tolist())
            yield f"{item.name}_string", pa.array(texts, pa.string())

    def _tables(self) -> None:
        tables = self._trace.tables
        for name, row, rows in (
            ("functions", FunctionRow, tables.functions),
            ("tasks", TaskLife, tables.tasks),
            ("lock_classes", LockClassRow, tables.classes),
        ):
            columns = {
                item.name: pa.array(
                    [getattr(one, item.name) for one in rows],
                    pa.string() if item.type == "str" else pa.int64(),
                )
                for item in fields(row)
            }
            pq.write_table(pa.table(columns), self._target / f"{name}.parquet")


def _strings(names: npt.NDArray[np.bytes_]) -> Any:
    return pa.array([name.decode("utf-8", "replace") for name in names.tolist()], pa.string())


def _dictionary(rows: npt.NDArray[np.intp], strings: Any) -> Any:
    indices = pa.array(rows.astype(np.int32))
    return pa.DictionaryArray.from_arrays(indices, strings)
