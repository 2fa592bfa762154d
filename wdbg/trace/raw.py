"""Ring records (see `ring`) into columns, without a Python loop over events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from wdbg.trace.batch import RUN, TABLE_BY_KIND, U32, U64, Batch, Column, Columns, Places, Rows
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
    tables_of = TABLE_BY_KIND[kinds]
    known = tables_of != 0
    is_context = kinds == Kind.CONTEXT
    contexts = np.flatnonzero(is_context)
    runs, after = _contexts(words, heads[contexts], context)
    # Events before each context: there its run starts.
    starts = np.concatenate(([0], np.cumsum(known)[contexts])).astype(np.int64)
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
    stands = np.concatenate(([0], heads[contexts]))[used]
    batch_runs["task"] = number_of(runs["task"][used], stands)
    batch_runs["skipped"] = runs["skipped"][used]
    damaged = len(heads) - len(contexts) - len(places)
    return Batch(kinds, tick, batch_runs, tables, damaged), after


_RAW_RUN = np.dtype(
    [("cpu", np.uint32), ("task", np.uint32), ("tick_end", np.uint64), ("skipped", np.uint64)]
)


def _contexts(words: U32, heads: Places, context: Context) -> tuple[Rows, Context]:
    """The contexts in force: that at the start, then one a CONTEXT record at units `heads`."""
    runs = np.empty(len(heads) + 1, _RAW_RUN)
    runs[0] = (context.cpu, context.task, context.tick_end, context.skipped)
    word = heads * 2
    runs["cpu"][1:] = words[word] >> ARG_SHIFT
    runs["task"][1:] = words[word + 1]
    runs["tick_end"][1:] = _wide(words, word + 2)
    runs["skipped"][1:] = _wide(words, word + 4)
    last = runs[-1]
    return runs, Context(
        int(last["cpu"]), int(last["task"]), int(last["tick_end"]), int(last["skipped"])
    )


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
