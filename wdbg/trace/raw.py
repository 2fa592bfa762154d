"""Ring records (see `ring`) into columns, without a Python loop over events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from wdbg.trace.batch import RUN, TABLE_BY_KIND, U8, U32, U64, Batch, Column, Columns, Places, Rows
from wdbg.trace.events import FIELDS, Field, Kind, Meaning, Slot, Table
from wdbg.trace.ring import ARG_SHIFT, LOW_MAX

WORD = np.dtype("<u4")
"""Half of a unit."""
LONGEST = 5
"""Units of the longest record."""

NumberOf = Callable[[U32, Places], U32]
"""Task addresses, and the units where they stand, to task numbers."""


@dataclass(frozen=True, slots=True)
class Context:
    """What the last CONTEXT record said. `task` is a guest address."""

    cpu: int = 0
    task: int = 0
    tick_end: int = 0
    skipped: int = 0


def decode(data: bytes | bytearray, context: Context, number_of: NumberOf) -> tuple[Batch, Context]:
    """Columns of the ring contents `data`, and the context at its end.

    `context` is the one at the start. Records of unknown kinds are left out and counted as lost.
    """
    units = len(data) // 8
    words = np.zeros(2 * (units + LONGEST), WORD)  # a record that is cut off ends in zeros
    words[: 2 * units] = np.frombuffer(data, WORD, 2 * units)
    low = words[0 : 2 * units : 2]
    heads = np.flatnonzero(low.view(np.int32) > 0)
    kinds = low[heads].astype(np.uint8)
    damaged = int(np.count_nonzero(_UNKNOWN[kinds]))
    bounds = _boundaries(low, heads, kinds)
    runs, stands, after = _runs(words, heads[bounds], kinds[bounds], context)
    heads, kinds, bounds = _split_taken(heads, kinds, bounds)
    tables_of = TABLE_BY_KIND[kinds]
    known = tables_of != 0
    # Events before each boundary, a switch itself included: there its run starts.
    starts = np.concatenate(([0], np.cumsum(known)[bounds])).astype(np.int64)
    places, kinds, tables_of = heads[known], kinds[known], tables_of[known]
    lengths = np.diff(np.concatenate((starts, [len(places)])))
    tick = np.repeat(runs["tick_end"], lengths) - words[2 * places + 1]
    tables: dict[Table, Columns] = {}
    for number in np.flatnonzero(np.bincount(tables_of, minlength=1)):
        mine = tables_of == number
        where = places if mine.all() else places[mine]
        tables[Table(int(number))] = _columns(words, where, Table(int(number)), number_of)
    used = lengths > 0
    batch_runs = np.empty(int(np.count_nonzero(used)), RUN)
    batch_runs["start"] = starts[used]
    batch_runs["cpu"] = runs["cpu"][used]
    batch_runs["task"] = number_of(runs["task"][used], stands[used])
    batch_runs["skipped"] = runs["skipped"][used]
    return Batch(kinds, tick, batch_runs, tables, damaged), after


_BOUNDARY = np.zeros(256, bool)
_BOUNDARY[[Kind.CONTEXT, Kind.SWITCHED, Kind.SCHED_SWITCH]] = True
_UNITS = ((Kind.SWITCHED, 1), (Kind.SCHED_SWITCH, 2))
"""Kinds that tell the next task, and the further unit that does."""
_UNKNOWN = TABLE_BY_KIND == 0
_UNKNOWN[[Kind.CONTEXT, Kind.SWITCHED, Kind.LOCK_TAKEN]] = False


def _boundaries(low: U32, heads: Places, kinds: U8) -> Places:
    """Numbers of the records behind which another run begins; whole ones only."""
    bounds = np.flatnonzero(_BOUNDARY[kinds])
    ends = heads[bounds]
    for kind, unit in _UNITS:
        ends = ends + np.where(kinds[bounds] == kind, unit, 0)
    whole = (kinds[bounds] == Kind.CONTEXT) | (low.take(ends, mode="clip") > LOW_MAX)
    found: Places = bounds[whole]
    return found


def _split_taken(heads: Places, kinds: U8, bounds: Places) -> tuple[Places, U8, Places]:
    """LOCK_TAKEN becomes LOCK_ACQUIRE and LOCK_ACQUIRED, both of the same record."""
    taken = kinds == Kind.LOCK_TAKEN
    if not taken.any():
        return heads, kinds, bounds
    times = taken.astype(np.intp) + 1
    ends = np.cumsum(times)
    bounds = ends[bounds] - 1
    heads, kinds = np.repeat(heads, times), np.repeat(kinds, times)
    second = ends[taken] - 1
    kinds[second] = Kind.LOCK_ACQUIRED
    kinds[second - 1] = Kind.LOCK_ACQUIRE
    return heads, kinds, bounds


_RAW_RUN = np.dtype(
    [("cpu", np.uint32), ("task", np.uint32), ("tick_end", np.uint64), ("skipped", np.uint64)]
)


def _runs(words: U32, heads: Places, kinds: U8, context: Context) -> tuple[Rows, Places, Context]:
    """What is in force: at the start, and from each record at units `heads` on; the units that
    tell the task. After a switch CPU and quantum stay what they were."""
    runs = np.empty(len(heads) + 1, _RAW_RUN)
    runs[0] = (context.cpu, context.task, context.tick_end, context.skipped)
    word = heads * 2
    runs["cpu"][1:] = words[word] >> ARG_SHIFT
    runs["task"][1:] = words[word + 1]
    runs["tick_end"][1:] = _wide(words, word + 2)
    runs["skipped"][1:] = _wide(words, word + 4)
    stands = np.concatenate(([0], heads))
    is_context = np.concatenate(([True], kinds == Kind.CONTEXT))
    if not is_context.all():
        last = np.maximum.accumulate(np.where(is_context, np.arange(len(runs)), 0))
        for name in ("cpu", "tick_end", "skipped"):
            runs[name] = runs[name][last]
        for kind, unit in _UNITS:
            mine = np.flatnonzero(kinds == kind)
            runs["task"][mine + 1] = words[word[mine] + 2 * unit + 1]
    last_run = runs[-1]
    return (
        runs,
        stands,
        Context(
            int(last_run["cpu"]), int(last_run["task"]), int(last_run["tick_end"]),
            int(last_run["skipped"]),
        ),
    )  # fmt: skip


def _wide(words: U32, word: Places) -> U64:
    low = (words[word] & np.uint32(LOW_MAX)).astype(np.uint64)
    return low | words[word + 1].astype(np.uint64) << np.uint64(31)


def _columns(words: U32, places: Places, table: Table, number_of: NumberOf) -> Columns:
    """The fields of records of one table whose heads are at units `places`."""
    present: dict[int, Column] = {}
    columns: Columns = {}
    for item in FIELDS[table]:
        column = _slot(words, places, item, present)
        if item.meaning is Meaning.TASK:
            column = number_of(column, places)
        columns[item.name] = column.view(np.int32) if item.signed else column
    return columns


def _slot(words: U32, places: Places, item: Field, present: dict[int, Column]) -> U32:
    """A field's values; zero where the record ends before the field's unit."""
    if item.slot is Slot.ARG:
        return words[2 * places] >> np.uint32(ARG_SHIFT)
    unit = (item.slot + 1) // 2
    mask = _present(words, places, unit, present)
    value = words[2 * places + item.slot + 1]
    if item.slot % 2:
        value &= np.uint32(LOW_MAX)
    value *= mask
    return value


def _present(words: U32, places: Places, unit: int, present: dict[int, Column]) -> Column:
    """1 for each record that has a further unit of this number, else 0."""
    mask = present.get(unit)
    if mask is None:
        mask = words[2 * (places + unit)] >> np.uint32(31)
        if unit > 1:
            mask = mask * _present(words, places, unit - 1, present)
        present[unit] = mask
    return mask
