"""Perfetto's protobuf (protos/perfetto/trace/perfetto_trace.proto), written by hand.

Scheduling and interrupts are ftrace events, from which Perfetto makes its own tracks. A task's
calls, system calls and work are slices on its thread track. A lock has a track (one a task below,
which Perfetto draws as one since they are named alike) with who holds it and who waits. Flows lead
from the waking to the woken task, and from a release to the acquisition that waited for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from wdbg.trace.batch import ROW_TYPES, Batch, Places, Rows
from wdbg.trace.events import KINDS_OF, Kind, MemFlag, Table
from wdbg.trace.export import Counts, large_batches
from wdbg.trace.export.perfetto_ftrace import FTRACE_TABLES, FtraceBundles
from wdbg.trace.export.protobuf import (
    FIXED64,
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
)
from wdbg.trace.export.words import Records, scatter, sizes
from wdbg.trace.lockclass import LockClasses
from wdbg.trace.locks import LockMatcher
from wdbg.trace.names import Names
from wdbg.trace.reader import Trace
from wdbg.trace.upstream import EVENTS

SEQUENCE = 1
"""trusted_packet_sequence_id of all packets."""
BEGIN, END, INSTANT = 1, 2, 3
"""TrackEvent.type."""
SLOTS = 4
"""Packets that an event may become."""

# Track uuids by what the track is of; the low bits tell which one.
_THREAD, _CPU, _LOCK, _GROUP = 1 << 56, 2 << 56, 3 << 56, 4 << 56
_LOCKS_GROUP, _CPUS_GROUP, _CONSOLE = _GROUP + 1, _GROUP + 2, _GROUP + 3

_OWNER_BITS = 32
"""Lock tracks: uuid has the task number above the lock's address."""

_CATEGORIES = ("call", "syscall", "work", "lock_held", "lock_wait", "irq_state", "event", "flow")
_CATEGORY = {name: place + 1 for place, name in enumerate(_CATEGORIES)}


def write(trace: Trace, target: Path) -> Counts:
    """Export; returns the number of events by name."""
    with open(target, "wb") as out:
        return Exporter(trace, out).run()


class Exporter:
    """State of one export: interned names, tracks that were declared, open flows."""

    def __init__(self, trace: Trace, out: IO[bytes]) -> None:
        self._trace, self._out = trace, out
        self._ns_per_tick = trace.header.ns_per_tick
        self._names = Names(trace.tables)
        self._locks = LockMatcher()
        self._classes = LockClasses()
        self._declared: set[int] = set()
        self._flows = count(1)
        self._woken: dict[int, int] = {}
        """Tasks that have not run since they were woken, and the flow of that."""
        self.counts: Counts = {}
        names = self._names
        # Interned names: functions by row, tasks' lives, kinds, system calls.
        self._life_name = len(names.function_names)
        self._kind_name = self._life_name + len(names.lives)
        self._syscall_name = self._kind_name + 256
        # A thread has one name in Perfetto: its last one.
        self._latest = {life.number: life for life in names.lives}
        self._bundles = FtraceBundles(names)

    def run(self) -> Counts:
        """Write everything."""
        self._start()
        for batch in large_batches(self._trace):
            if Table.LOST in batch.tables:
                self._locks.forget()
            self._ftrace(batch)
            self._tracks(batch)
        return self.counts

    def _start(self) -> None:
        names = self._names
        interned = []
        named = [name.decode("utf-8", "replace") for name in names.function_names.tolist()]
        named += [f"{life.comm} {life.pid}" for life in names.lives]
        kinds = {int(kind): event.name for kind, event in EVENTS.items()}
        kinds |= {kind + 128: f"{name} end" for kind, name in kinds.items()}
        kinds |= {int(Kind.MEM): "read", Kind.MEM + 128: "write", 255: "wake", 254: "woken"}
        kinds |= {253: "handed over", int(Kind.IRQS_OFF): "irqs off", 252: "preemption off"}
        named += [kinds.get(place, "?") for place in range(256)]
        named += [f"sys_{place}" for place in range(512)]
        for place, category in enumerate(_CATEGORIES):
            interned.append(text(1, number(1, place + 1) + text(2, category)))
        for place, name in enumerate(named):
            interned.append(text(2, number(1, place + 1) + text(2, name)))
        self._packet(number(13, 1) + text(12, b"".join(interned)))
        self._packet(text(2, b"".join(self._processes())))
        for uuid, name in (
            (_LOCKS_GROUP, "Locks"),
            (_CPUS_GROUP, "Interrupts and preemption"),
            (_CONSOLE, "Console"),
        ):
            self._track(uuid, name)

    def _processes(self) -> Iterator[bytes]:
        """ProcessTree: processes, then threads."""
        lives = [life for life in self._latest.values() if life.pid > 0]
        leaders = {life.pid for life in lives}
        for tgid in sorted({life.tgid for life in lives}):
            name = next((x.comm for x in reversed(lives) if x.pid == tgid), "?")
            yield text(1, number(1, tgid) + number(2, 0) + text(3, name))
        for life in lives:
            if life.pid != life.tgid and life.tgid in leaders:
                yield text(2, number(1, life.pid) + text(2, life.comm) + number(3, life.tgid))

    def _packet(self, body: bytes) -> None:
        self._out.write(text(1, body + number(10, SEQUENCE)))

    def _track(self, uuid: int, name: str, parent: int = 0, more: bytes = b"") -> None:
        if uuid not in self._declared:
            self._declared.add(uuid)
            body = number(1, uuid) + (text(2, name) if name else b"") + more
            self._packet(text(60, body + (number(5, parent) if parent else b"")))

    def _thread_tracks(self, tasks: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint64]:
        """Uuids of tasks' tracks, which are declared if need be."""
        for task in np.unique(tasks).tolist():
            found = self._latest.get(task, self._names.lives[0])
            if found.pid > 0:
                thread = number(1, found.tgid) + number(2, found.pid) + text(5, found.comm)
                self._track(_THREAD + task, "", more=text(4, thread))
            else:
                self._track(_THREAD + task, f"{found.comm} (idle)")
        return tasks.astype(np.uint64) + np.uint64(_THREAD)

    def _ftrace(self, batch: Batch) -> None:
        """Scheduling and interrupts."""
        chosen = {t: self._rows(batch, t) for t in FTRACE_TABLES if t in batch.tables}
        for rows in chosen.values():
            self._count(rows)
        for body in self._bundles.bundles(batch, chosen):
            self._packet(text(1, body))

    def _count(self, rows: Rows) -> None:
        for kind in np.flatnonzero(np.bincount(rows["kind"], minlength=1)).tolist():
            name = EVENTS[Kind(kind)].name
            self.counts[name] = self.counts.get(name, 0) + int((rows["kind"] == kind).sum())

    # ---- track events

    def _tracks(self, batch: Batch) -> None:
        """Slices and instants, in the order of the events."""
        parts: list[Records] = []
        for table in batch.tables:
            rows = batch.rows(table, self._ns_per_tick)
            if table is Table.CALL:
                parts += self._calls(rows)
            elif table is Table.LOCK:
                parts += self._lock_tracks(rows)
            elif table in (Table.SYSCALL_ENTER, Table.SYSCALL_EXIT):
                parts += self._syscalls(rows)
            elif table is Table.WORK:
                parts += self._work(rows)
            elif table is Table.STATE:
                parts += self._states(rows)
            elif table is Table.TEXT:
                self._texts(rows)
            elif table not in (Table.SWITCH, Table.WAKE, Table.IRQ):
                parts += self._instants(rows)
        if Table.WAKE in batch.tables or (self._woken and Table.SWITCH in batch.tables):
            parts += self._wake_flows(batch)
        if not parts:
            return
        words = sizes(parts, len(batch) * SLOTS)
        ends = np.cumsum(words)
        out = np.zeros(int(ends[-1]), "<u4")
        scatter(parts, ends - words, out)
        out.tofile(self._out)

    def _event(
        self,
        rows: Rows,
        slot: int,
        kind: int,
        track: npt.NDArray[np.uint64],
        name: npt.NDArray[np.integer] | None = None,
        category: str = "",
        flow: tuple[int, npt.NDArray[np.uint64]] | None = None,
    ) -> Records:
        """TrackEvent packets; `name` numbers interned names from 0 on; `flow`: (field, ids)."""
        event: list[Part] = [number(9, kind)]
        if name is not None:
            event += [tag(10, VARINT), Varint(name + 1, 4)]
        if category:
            event.append(number(3, _CATEGORY[category]))
        if flow is not None:
            ids = flow[1].astype("<u8").view(np.uint8).reshape(-1, 8)
            event += [tag(flow[0], FIXED64), Blob(ids)]
        for widths in ((8, 9), (9, 9), (10, 9), (10, 10)):
            inner = nested(11, [*event, tag(11, VARINT), Varint(track, widths[1])])
            whole = nested(
                1,
                [
                    tag(8, VARINT), Varint(rows["time"], widths[0]),
                    number(10, SEQUENCE) + number(13, 2), *inner,
                ],
            )  # fmt: skip
            if size(whole) % 4 == 0:
                break
        seq = rows["seq"].astype(np.int64) * SLOTS + slot
        return Records(seq, assemble(len(rows), whole).view("<u4"))

    def _calls(self, rows: Rows) -> Iterator[Records]:
        self._count(rows)
        track = self._thread_tracks(rows["task"])
        entry = rows["kind"] == Kind.CALL_ENTER
        enters = rows[entry]
        if len(enters):
            name = self._names.function_rows(enters["function"])
            yield self._event(enters, 0, BEGIN, track[entry], name, "call")
        if len(enters) < len(rows):
            yield self._event(rows[~entry], 0, END, track[~entry])

    def _syscalls(self, rows: Rows) -> Iterator[Records]:
        self._count(rows)
        track = self._thread_tracks(rows["task"])
        if rows["kind"][0] == Kind.SYSCALL_ENTER:
            name = np.minimum(rows["number"], 511) + np.uint32(self._syscall_name)
            yield self._event(rows, 0, BEGIN, track, name, "syscall")
        else:
            yield self._event(rows, 0, END, track)

    def _work(self, rows: Rows) -> Iterator[Records]:
        self._count(rows)
        track = self._thread_tracks(rows["task"])
        entry = np.isin(rows["kind"], (Kind.TIMER_ENTER, Kind.HRTIMER_ENTER, Kind.WORK_ENTER))
        enters = rows[entry]
        if len(enters):
            found = self._names.pointer_rows(enters["function"])
            name = np.where(found > 0, found, enters["kind"].astype(np.int64) + self._kind_name)
            yield self._event(enters, 0, BEGIN, track[entry], name, "work")
        if len(enters) < len(rows):
            yield self._event(rows[~entry], 0, END, track[~entry])

    def _states(self, rows: Rows) -> Iterator[Records]:
        """Tracks a CPU: interrupts off, preemption off."""
        self._count(rows)
        for off, on, name, label in (
            (Kind.IRQS_OFF, Kind.IRQS_ON, int(Kind.IRQS_OFF), "irqs off"),
            (Kind.PREEMPT_OFF, Kind.PREEMPT_ON, 252, "preemption off"),
        ):
            for cpu in np.unique(rows["cpu"]).tolist():
                self._track(_CPU + cpu * 4 + off % 4, f"CPU {cpu}: {label}", _CPUS_GROUP)
            track = rows["cpu"].astype(np.uint64) * np.uint64(4) + np.uint64(_CPU + off % 4)
            begin, end = rows["kind"] == off, rows["kind"] == on
            if begin.any():
                named = np.full(int(begin.sum()), self._kind_name + name)
                yield self._event(rows[begin], 0, BEGIN, track[begin], named, "irq_state")
            if end.any():
                yield self._event(rows[end], 0, END, track[end])

    def _instants(self, rows: Rows) -> Iterator[Records]:
        """Everything without a form of its own: a mark on the task's track."""
        self._count(rows)
        track = self._thread_tracks(rows["task"])
        name = rows["kind"].astype(np.int64) + self._kind_name
        if rows["kind"][0] in KINDS_OF[Table.MEM]:
            name += np.where(rows["flags"] & MemFlag.WRITE, 128, 0)
        yield self._event(rows, 0, INSTANT, track, name, "event")

    def _texts(self, rows: Rows) -> None:
        """Console output, panics, marks: their text is the name. One by one: they are few."""
        self._count(rows)
        tracks = self._thread_tracks(rows["task"])
        for row, track, words in zip(
            rows, tracks.tolist(), self._names.texts(rows["text"].tolist()), strict=True
        ):
            where = track if row["kind"] == Kind.MARK else _CONSOLE
            event = number(9, INSTANT) + number(11, where) + number(3, _CATEGORY["event"])
            event += text(23, words.rstrip("\n") or " ")
            self._packet(number(8, int(row["time"])) + number(13, 2) + text(11, event))

    # ---- locks

    def _lock_tracks(self, rows: Rows) -> Iterator[Records]:
        """Slices: waits from LOCK_CONTENDED on, holds from the acquisition on."""
        self._count(rows)
        self._classes.fill(rows)
        times = self._locks.feed(rows)
        used = (rows["kind"] != Kind.LOCK_ACQUIRE) & (rows["kind"] != Kind.LOCK_INIT)
        track = self._owner_tracks(rows, times.holder, used)
        life = self._names.life(rows["task"], rows["tick"]) + self._life_name
        waits = rows["kind"] == Kind.LOCK_CONTENDED
        if waits.any():
            yield self._event(rows[waits], 0, BEGIN, track[waits], life[waits], "lock_wait")
        waited = times.contended
        if waited.any():
            yield self._event(rows[waited], 0, END, track[waited])
        released = rows["kind"] == Kind.LOCK_RELEASE
        givers, takers = _hand_overs(rows, released, waited)
        ids = np.array([next(self._flows) for _ in range(len(givers))], np.uint64)
        if len(givers):
            name = np.full(len(givers), self._kind_name + 253)
            yield self._event(rows[givers], 0, INSTANT, track[givers], name, "flow", flow=(47, ids))
            yield self._event(
                rows[takers], 1, BEGIN, track[takers], life[takers], "lock_held", flow=(48, ids)
            )
        plain = times.taken.copy()
        plain[takers] = False
        if plain.any():
            yield self._event(rows[plain], 1, BEGIN, track[plain], life[plain], "lock_held")
        if released.any():
            yield self._event(rows[released], 1, END, track[released])

    def _owner_tracks(
        self, rows: Rows, owners: npt.NDArray[np.uint32], used: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.uint64]:
        """Uuid of the track of each event's lock and task; those in use are declared."""
        key = owners.astype(np.uint64) << np.uint64(_OWNER_BITS) | rows["lock"]
        different, first = np.unique(key[used], return_index=True)
        new = [
            place
            for place, one in zip(first.tolist(), different.tolist(), strict=True)
            if _LOCK + one not in self._declared
        ]
        chosen = rows[used][new]
        uuids = key[used][new] + np.uint64(_LOCK)
        names = self._names.lock_names(chosen["lock"], chosen["lock_class"])
        for row, name, uuid in zip(chosen, names, uuids.tolist(), strict=True):
            label = name if name.startswith("0x") else f"{name} {int(row['lock']):#x}"
            self._track(uuid, label, _LOCKS_GROUP)
        found: npt.NDArray[np.uint64] = key + np.uint64(_LOCK)
        return found

    # ---- wake-ups

    def _rows(self, batch: Batch, table: Table) -> Rows:
        if table in batch.tables:
            return batch.rows(table, self._ns_per_tick)
        return np.empty(0, ROW_TYPES[table])

    def _wake_flows(self, batch: Batch) -> Iterator[Records]:
        """A flow from each waking to the switch to the woken task."""
        wakes, switches = self._rows(batch, Table.WAKE), self._rows(batch, Table.SWITCH)
        wakes = wakes[wakes["kind"] == Kind.SCHED_WAKING]
        ids = np.array([next(self._flows) for _ in range(len(wakes))], np.uint64)
        if len(wakes):
            track = self._thread_tracks(wakes["task"])
            name = np.full(len(wakes), self._kind_name + 255)
            yield self._event(wakes, 0, INSTANT, track, name, "flow", flow=(47, ids))
        earlier = np.array(list(self._woken), np.uint32)
        earlier_ids = np.array(list(self._woken.values()), np.uint64)
        # Behind each waking of a task, the first switch to it.
        woken = np.concatenate((earlier, wakes["target"]))
        flows = np.concatenate((earlier_ids, ids))
        task = np.concatenate((woken, switches["next"]))
        seq = np.concatenate((np.full(len(earlier), -1), wakes["seq"], switches["seq"]))
        order = np.lexsort((seq, task))
        is_switch = order >= len(woken)
        same = task[order][1:] == task[order][:-1]
        hits = np.flatnonzero(is_switch[1:] & ~is_switch[:-1] & same)
        open_ones = order[~is_switch & ~np.append(same, False)]
        self._woken = dict(zip(woken[open_ones].tolist(), flows[open_ones].tolist(), strict=True))
        if len(hits):
            target = switches[order[hits + 1] - len(woken)]
            name = np.full(len(target), self._kind_name + 254)
            track = self._thread_tracks(target["next"])
            flow = (48, flows[order[hits]])
            yield self._event(target, 0, INSTANT, track, name, "flow", flow=flow)


def _hand_overs(
    rows: Rows, released: npt.NDArray[np.bool_], waited: npt.NDArray[np.bool_]
) -> tuple[Places, Places]:
    """Places of releases, and of the contended acquisitions that each made possible."""
    places = np.flatnonzero(released | waited)
    order = places[np.lexsort((places, rows["lock"][places]))]
    lock = rows["lock"][order]
    follows = np.flatnonzero(waited[order][1:] & released[order][:-1] & (lock[1:] == lock[:-1]))
    return order[follows], order[follows + 1]
