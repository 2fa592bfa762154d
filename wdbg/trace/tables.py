"""Tables of a trace: functions, tasks, lock classes, strings; their rows and their chunks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields

import numpy as np

from wdbg.trace.columns import Coding, Damaged, Written, numbers, pack, texts, unpack
from wdbg.trace.feed import FunctionRow, LockClassRow
from wdbg.trace.layout import ChunkType

MAX_ROWS = 1 << 24
MOST = {"tick": 2**63 - 1, "pid": 2**31 - 1, "tgid": 2**31 - 1}
"""Largest numbers of columns; others are below 2^32. The smallest is -1."""


@dataclass(frozen=True, slots=True)
class TaskLife:
    """A task is called this from `tick` on. Numbers of tasks count from 1, 0 is none."""

    tick: int
    number: int
    address: int
    """Guest address of its task_struct."""
    pid: int
    """-1: not known."""
    tgid: int
    comm: str


@dataclass(frozen=True, slots=True)
class StringRow:
    """A text that fields of events refer to by its number."""

    number: int
    text: str


Row = FunctionRow | TaskLife | LockClassRow | StringRow

ROWS: dict[ChunkType, type] = {
    ChunkType.FUNCTIONS: FunctionRow,
    ChunkType.TASKS: TaskLife,
    ChunkType.CLASSES: LockClassRow,
    ChunkType.STRINGS: StringRow,
}
"""Row of each type of chunk. Its fields are the columns: numbered in order, of table 0; texts are
coded as texts, numbers modulo 2^64."""


def pack_rows(rows: Sequence[Row]) -> bytes:
    """Payload of a chunk with these rows, all of one class."""
    columns = []
    for number, item in enumerate(fields(rows[0])):
        values = [getattr(row, item.name) for row in rows]
        if item.type == "str":
            columns.append(Written(0, number, values, Coding.TEXT))
        else:
            array = np.array([value & (2**64 - 1) for value in values], np.uint64)
            columns.append(Written(0, number, array))
    return pack(columns)


def unpack_rows(kind: ChunkType, payload: bytes) -> list[Row]:
    """The rows of a table's chunk. Raises Damaged."""
    row = ROWS[kind]
    wanted = fields(row)
    columns: list[list[str] | list[int] | None] = [None] * len(wanted)
    for head, body in unpack(payload):
        if head.table != 0 or head.field >= len(wanted):
            continue
        if wanted[head.field].type == "str":
            columns[head.field] = texts(head, body)
        else:
            values = numbers(head, body, np.uint64, MAX_ROWS)
            signed = values.view(np.int64)
            most = MOST.get(wanted[head.field].name, 2**32 - 1)
            if len(signed) and (int(signed.min()) < -1 or int(signed.max()) > most):
                raise Damaged(f"a {wanted[head.field].name} in a table is out of range")
            columns[head.field] = signed.tolist()
    full = [column for column in columns if column is not None]
    if len(full) != len(wanted) or len({len(column) for column in full}) > 1:
        raise Damaged("a table's chunk has columns of several lengths")
    make: Callable[..., Row] = row
    return [make(*values) for values in zip(*full, strict=True)]


@dataclass(slots=True)
class Tables:
    """All tables of a trace. Names of unknown numbers are made from the number."""

    functions: list[FunctionRow] = field(default_factory=list)
    tasks: list[TaskLife] = field(default_factory=list)
    classes: list[LockClassRow] = field(default_factory=list)
    strings: list[StringRow] = field(default_factory=list)

    def add(self, rows: Sequence[Row]) -> None:
        """More rows, of any table."""
        for row in rows:
            if isinstance(row, FunctionRow):
                self.functions.append(row)
            elif isinstance(row, TaskLife):
                self.tasks.append(row)
            elif isinstance(row, LockClassRow):
                self.classes.append(row)
            else:
                self.strings.append(row)
