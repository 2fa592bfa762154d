"""Scheduling and interrupts in Perfetto's format: ftrace events, in a bundle a CPU and batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from wdbg.trace.batch import Batch, Rows
from wdbg.trace.events import Kind, Table
from wdbg.trace.export.protobuf import (
    VARINT,
    Blob,
    Part,
    Varint,
    assemble,
    nested,
    number,
    size,
    tag,
    text,
    varint,
)
from wdbg.trace.export.words import Records, scatter, sizes
from wdbg.trace.names import COMM_SIZE, Names

FTRACE_TABLES = (Table.SWITCH, Table.WAKE, Table.IRQ)
"""Tables whose events become ftrace events."""


class FtraceBundles:
    """Makes FtraceEventBundle messages."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._comm_blobs = {field: _comm_blobs(names, field) for field in (1, 5)}

    def bundles(self, batch: Batch, tables: Mapping[Table, Rows]) -> Iterator[bytes]:
        """A message for each CPU that has events in these tables of the batch."""
        converters = {
            Table.SWITCH: self._switches, Table.WAKE: self._wakes, Table.IRQ: self._irqs,
        }  # fmt: skip
        parts = [part for table, rows in tables.items() for part in converters[table](rows)]
        if not parts:
            return
        words = sizes(parts, len(batch))
        mine = np.flatnonzero(words)
        cpu = batch.cpu()[mine]
        for one in np.flatnonzero(np.bincount(cpu)).tolist():
            events = mine[cpu == one]
            ends = np.cumsum(words[events])
            offsets = np.full(len(batch), -1, np.int64)
            offsets[events] = ends - words[events]
            body = np.zeros(int(ends[-1]), "<u4")
            for part in parts:
                kept = offsets[part.seq] >= 0
                if kept.any():
                    scatter([Records(part.seq[kept], part.words[kept])], offsets, body)
            yield number(1, one) + body.tobytes()

    def _ftrace_event(self, rows: Rows, field: int, parts: Sequence[Part]) -> Records:
        """FtraceEvent messages as parts of a bundle."""
        life = self._names.life(rows["task"], rows["tick"])
        pid = self._names.pids[life]
        inner = nested(field, parts)
        for width in range(5, 9):  # a width of the pid that makes the size a multiple of 4
            event: list[Part] = [
                tag(1, VARINT), Varint(rows["time"], 9), tag(2, VARINT), Varint(pid, width), *inner,
            ]  # fmt: skip
            whole = nested(2, event)
            if size(whole) % 4 == 0:
                break
        return Records(rows["seq"], assemble(len(rows), whole).view("<u4"))

    def _switches(self, rows: Rows) -> Iterator[Records]:
        prev = self._names.life(rows["prev"], rows["tick"])
        following = self._names.life(rows["next"], rows["tick"])
        yield self._ftrace_event(
            rows, 4,
            [
                Blob(self._comm_blobs[1][prev]),
                tag(3, VARINT), Varint(rows["prev_prio"], 5),
                tag(4, VARINT), Varint(rows["prev_state"], 5),
                Blob(self._comm_blobs[5][following]),
                tag(7, VARINT), Varint(rows["next_prio"], 5),
            ],
        )  # fmt: skip

    def _wakes(self, rows: Rows) -> Iterator[Records]:
        fields = {Kind.SCHED_WAKING: 20, Kind.SCHED_WAKEUP: 17, Kind.SCHED_WAKEUP_NEW: 114}
        for kind, field in fields.items():
            mine = rows[rows["kind"] == kind]
            if len(mine):
                life = self._names.life(mine["target"], mine["tick"])
                yield self._ftrace_event(
                    mine, field,
                    [
                        Blob(self._comm_blobs[1][life]),
                        tag(3, VARINT), Varint(mine["prio"], 5), number(4, 1),
                        tag(5, VARINT), Varint(mine["target_cpu"], 5),
                    ],
                )  # fmt: skip

    def _irqs(self, rows: Rows) -> Iterator[Records]:
        fields = {
            Kind.IRQ_ENTER: 36, Kind.IRQ_EXIT: 37, Kind.SOFTIRQ_ENTER: 24, Kind.SOFTIRQ_EXIT: 25,
            Kind.SOFTIRQ_RAISE: 26,
        }  # fmt: skip
        for kind, field in fields.items():
            mine = rows[rows["kind"] == kind]
            if not len(mine):
                continue
            parts: list[Part] = [tag(1, VARINT), Varint(mine["number"], 4)]
            if kind is Kind.IRQ_ENTER:
                parts.append(text(2, "irq"))
            elif kind is Kind.IRQ_EXIT:
                parts += [tag(2, VARINT), Varint(mine["result"], 5)]
            yield self._ftrace_event(mine, field, parts)


def _comm_blobs(names: Names, field: int) -> npt.NDArray[np.uint8]:
    """For each life the fields comm and pid (numbers `field` and `field` + 1), all of one size:
    what a comm is shorter than the longest, the varints of its length (at most 5 bytes, decoders
    want) and of the pid (10) are longer, and if that is not enough the pid comes twice."""
    rows = []
    for comm, pid in zip(names.comms.tolist(), names.pids.tolist(), strict=True):
        shown = comm or b"?"
        missing = COMM_SIZE - 1 - len(shown)
        twice = b""
        if missing > 9:
            twice = tag(field + 1, VARINT) + varint(pid, 5)
            missing -= len(twice)
        length = varint(len(shown), 1 + min(4, missing))
        number_width = 5 + max(0, missing - 4)
        rows.append(
            tag(field, 2) + length + shown + twice
            + tag(field + 1, VARINT) + varint(pid, number_width)
        )  # fmt: skip
    return np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), -1)
