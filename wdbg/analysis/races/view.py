"""A race as a picture: what each context did with the object, in columns, in the order of ticks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from wdbg.analysis.races.locks import kind_of
from wdbg.analysis.races.report import Names
from wdbg.analysis.races.stream import Layout, Stream
from wdbg.trace.batch import Batch
from wdbg.trace.events import MEM_OP_SHIFT, Kind, LockFlag, LockKind, MemFlag, MemOp, Table
from wdbg.trace.reader import Trace

MOST_COLUMNS = 6
WIDTH = 34
"""Characters of a column."""
_KINDS = frozenset(
    {LockKind.SPINLOCK, LockKind.RWLOCK, LockKind.MUTEX, LockKind.RWSEM, LockKind.SEMAPHORE}
)


@dataclass(frozen=True, slots=True)
class Step:
    """Something that a context did."""

    tick: int
    seq: int
    context: int
    task: int
    cpu: int
    text: str
    access: bool
    position: int = 0


def steps(
    trace: Trace, layout: Layout, names: Names, low: int, high: int, last_tick: int
) -> list[Step]:
    """All accesses to the bytes [low, high) up to a tick, and what locks their contexts took and
    released between the first and the last of them."""
    stream = Stream(trace, layout)
    found: list[Step] = []
    locks: list[Step] = []
    base = 0
    for batch in trace.batches():
        if len(batch) and int(batch.tick[0]) > last_tick:
            break
        accesses = stream.accesses(batch)
        if accesses is not None:
            inside = (accesses.address < high) & (accesses.address + accesses.size > low)
            for at in np.flatnonzero(inside & (accesses.control == 0)).tolist():
                seq, flags = int(accesses.seq[at]), int(accesses.flags[at])
                tick, position = int(batch.tick[seq]), int(accesses.position[at])
                if tick > last_tick:
                    continue
                function = names.sites.site(position).function
                text = f"{_what(flags, int(accesses.value[at]))} {function}"
                found.append(
                    Step(tick, base + seq, int(accesses.context[at]), int(accesses.task[at]),
                         int(accesses.cpu[at]), text, True, position)
                )  # fmt: skip
        locks += _locks(batch, names, base)
        base += len(batch)
    if not found:
        return []
    users = {step.task for step in found}
    first = found[0].tick
    found += [s for s in locks if s.task in users and first <= s.tick <= last_tick]
    return sorted(found, key=lambda step: step.seq)


def _locks(batch: Batch, names: Names, base: int) -> Iterator[Step]:
    places = batch.places(Table.LOCK)
    if not len(places):
        return
    columns = batch.tables[Table.LOCK]
    task, cpu = batch.task()[places], batch.cpu()[places]
    kinds, ticks = batch.kind[places], batch.tick[places]
    for at, seq in enumerate(places.tolist()):
        kind, flags = int(kinds[at]), int(columns["flags"][at])
        taken = kind == Kind.LOCK_ACQUIRED or bool(
            kind == Kind.LOCK_TRY and flags & LockFlag.SUCCESS
        )
        if kind_of(flags) not in _KINDS or not (taken or kind == Kind.LOCK_RELEASE):
            continue
        lock = int(columns["lock"][at])
        text = f"{'┌ lock' if taken else '└ unlock'} {lock:#x}"
        who = int(task[at])
        yield Step(int(ticks[at]), base + seq, who, who, int(cpu[at]), text, False)


def _what(flags: int, value: int) -> str:
    reads, writes = flags & MemFlag.READ, flags & MemFlag.WRITE
    marked = "marked " if flags & MemFlag.MARKED else ""
    if reads and writes:
        return f"{marked}{MemOp(flags >> MEM_OP_SHIFT).name.lower()}"
    if writes:
        known = f" {value:#x}" if flags & MemFlag.VALUE_KNOWN else ""
        return f"{marked}write{known}"
    return f"{marked}read"


def columns(
    found: Sequence[Step], names: Names, racing: frozenset[tuple[int, int]], limit: int
) -> list[str]:
    """The last `limit` steps as lines, and the accesses that race: `racing` has the tick and the
    position of each. They get a star."""
    last = len(found) - limit
    shown = [
        step
        for at, step in enumerate(found)
        if at >= last or (step.access and (step.tick, step.position) in racing)
    ]
    if not shown:
        return ["no access of it is in the trace"]
    users = list(dict.fromkeys(step.task for step in shown if step.access))[:MOST_COLUMNS]
    shown = [step for step in shown if step.task in users]
    head = [f"{names.task(task, shown[0].tick)}" for task in users]
    lines = [f"{'tick':>12} {'CPU':>3}  " + "".join(f"{text:<{WIDTH}}" for text in head).rstrip()]
    depth = dict.fromkeys(users, 0)
    for step in shown:
        star = step.access and (step.tick, step.position) in racing
        inner = depth[step.task]
        if step.text.startswith("└"):
            depth[step.task] = inner = max(0, inner - 1)
        text = "│" * inner + step.text + (" *" if star else "")
        if step.text.startswith("┌"):
            depth[step.task] += 1
        cells = []
        for task in users:
            cell = text if task == step.task else "│" * depth[task]
            cells.append(f"{cell[: WIDTH - 1]:<{WIDTH}}")
        lines.append(f"{step.tick:>12} {step.cpu:>3}  {''.join(cells).rstrip()}")
    return lines
