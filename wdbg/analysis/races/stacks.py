"""The calls that a task was in at an access, from the trace's CALL events."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from wdbg.analysis.races.shadow import Access
from wdbg.analysis.races.stream import batches
from wdbg.trace.events import Kind, Table
from wdbg.trace.reader import Trace


def stacks_of(trace: Trace, accesses: Iterable[Access]) -> dict[int, tuple[int, ...]]:
    """Function numbers, innermost first, by the number of the access; empty without CALL events.

    Functions whose calls were not recorded are not in it."""
    wanted: dict[int, list[int]] = {}
    for access in accesses:
        wanted.setdefault(access.task, []).append(access.seq)
    found: dict[int, tuple[int, ...]] = {}
    open_: dict[int, list[int]] = {task: [] for task in wanted}
    pending = {task: sorted(set(seqs), reverse=True) for task, seqs in wanted.items()}
    base = 0
    for batch in batches(trace):
        places = batch.places(Table.CALL)
        if len(places):
            task = batch.task()[places]
            mine = np.isin(task, list(wanted))
            rows = zip(
                (places[mine] + base).tolist(), task[mine].tolist(),
                batch.kind[places[mine]].tolist(),
                batch.tables[Table.CALL]["function"][mine].tolist(), strict=True,
            )  # fmt: skip
            for seq, who, kind, function in rows:
                stack, left = open_[who], pending[who]
                while left and left[-1] < seq:
                    found[left.pop()] = tuple(reversed(stack))
                if kind == Kind.CALL_ENTER:
                    stack.append(function)
                elif function in stack:  # an exit that unwinding has left out
                    while stack.pop() != function:
                        pass
        base += len(batch)
    for who, left in pending.items():
        for seq in left:
            found[seq] = tuple(reversed(open_[who]))
    return found
