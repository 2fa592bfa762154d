"""Which events `wdbg trace show` shows."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wdbg.errors import BadInput
from wdbg.trace.batch import Batch, Rows
from wdbg.trace.calls import NEVER, Matched
from wdbg.trace.events import GROUPS, KINDS_OF, Kind, Table
from wdbg.trace.names import Names
from wdbg.trace.upstream import EVENTS

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Filter:
    """What is wanted; all of it must hold. None and empty mean everything."""

    first_tick: int = 0
    last_tick: int | None = None
    first_time: int = 0
    """Virtual nanoseconds."""
    last_time: int | None = None
    tasks: tuple[str, ...] = ()
    """pids, or globs of comm."""
    cpus: tuple[int, ...] = ()
    kinds: frozenset[Kind] | None = None
    functions: tuple[str, ...] = ()
    """Globs of names. Only calls of these functions, and no other events, are wanted."""
    max_depth: int | None = None
    """Calls deeper than this, counted from 0, are not wanted."""
    min_duration: int = 0
    """Virtual nanoseconds: only calls that took as long, and no other events, are wanted."""


class Selection:
    """A filter applied to one trace."""

    def __init__(self, wanted: Filter, names: Names) -> None:
        self._filter = wanted
        self._names = names
        self._lives = _lives(wanted.tasks, names)
        self._functions = _matching(wanted.functions, names)

    def tables(self) -> list[Table] | None:
        """Tables that events are wanted of; None: all."""
        kinds = self._filter.kinds
        if self._calls_only() and kinds is None:
            return [Table.CALL]
        if kinds is None:
            return None
        return [table for table, its in KINDS_OF.items() if kinds & set(its)]

    def past(self, batch: Batch, ns_per_tick: int) -> bool:
        """Whether everything wanted comes before this batch."""
        last, last_time = self._filter.last_tick, self._filter.last_time
        if last is not None and int(batch.tick[0]) > last:
            return True
        first = int(batch.tick[0]) * ns_per_tick + int(batch.runs["skipped"][0])
        return last_time is not None and first > last_time

    def select(self, table: Table, rows: Rows, matched: Matched | None) -> Mask:
        """See `upstream.Select`."""
        wanted = self._filter
        mask = np.ones(len(rows), bool)
        if self._calls_only() and table is not Table.CALL:
            return ~mask
        if wanted.first_tick:
            mask &= rows["tick"] >= wanted.first_tick
        if wanted.last_tick is not None:
            mask &= rows["tick"] <= wanted.last_tick
        if wanted.first_time:
            mask &= rows["time"] >= wanted.first_time
        if wanted.last_time is not None:
            mask &= rows["time"] <= wanted.last_time
        if wanted.cpus:
            mask &= np.isin(rows["cpu"], wanted.cpus)
        if wanted.kinds is not None:
            mask &= np.isin(rows["kind"], list(wanted.kinds))
        if self._lives is not None:
            mask &= self._lives[self._names.life(rows["task"], rows["tick"])]
        if matched is not None:
            mask &= self._calls(rows, matched)
        return mask

    def _calls(self, rows: Rows, matched: Matched) -> Mask:
        wanted = self._filter
        mask = np.ones(len(rows), bool)
        if self._functions is not None:
            mask &= self._functions[self._names.function_rows(rows["function"])]
        if wanted.max_depth is not None:
            mask &= matched.depth <= wanted.max_depth
        if wanted.min_duration:
            # An entry whose exit is not in the same batch counts as long.
            took = np.where(matched.ended == NEVER, np.uint64(NEVER), matched.ended)
            mask &= (took - matched.started >= wanted.min_duration) & matched.entered
        return mask

    def _calls_only(self) -> bool:
        return self._functions is not None or self._filter.min_duration > 0


def kinds_named(names: Sequence[str]) -> frozenset[Kind]:
    """Kinds by group (call, lock ...), by name (LOCK_ACQUIRE), or by the kernel's event name
    (globs: sched_*). Raises BadInput."""
    found: set[Kind] = set()
    for name in names:
        if name in GROUPS:
            found |= {kind for table in GROUPS[name] for kind in KINDS_OF[table]}
            continue
        matching = {
            kind
            for kind, event in EVENTS.items()
            if fnmatch.fnmatchcase(event.name, name) or kind.name == name.upper()
        }
        if not matching:
            raise BadInput(
                f"no event is called {name}", f"groups: {', '.join(GROUPS)}; or names, sched_*"
            )
        found |= matching
    return frozenset(found)


def _lives(tasks: tuple[str, ...], names: Names) -> Mask | None:
    """By life: whether the task is wanted; None without a filter."""
    if not tasks:
        return None
    pids = {int(task) for task in tasks if task.isdecimal()}
    globs = [task for task in tasks if not task.isdecimal()]
    return np.array(
        [
            life.pid in pids or any(fnmatch.fnmatchcase(life.comm, glob) for glob in globs)
            for life in names.lives
        ]
    )


def _matches(name: str, file: str, glob: str) -> bool:
    """A glob with a slash is one of source files, from any directory of theirs on."""
    if "/" not in glob:
        return fnmatch.fnmatchcase(name, glob)
    return fnmatch.fnmatchcase(file, glob) or fnmatch.fnmatchcase(file, f"*/{glob}")


def _matching(globs: tuple[str, ...], names: Names) -> Mask | None:
    """By row: whether the function is wanted; None without a filter. BadInput if none is."""
    if not globs:
        return None
    shown = [name.decode("utf-8", "replace") for name in names.function_names.tolist()]
    files = ["", *(function.file for function in names.tables.functions)]
    mask = np.array(
        [
            any(_matches(name, file, glob) for glob in globs)
            for name, file in zip(shown, files, strict=True)
        ]
    )
    if not mask.any():
        raise BadInput(f"no function in the trace is called {' or '.join(globs)}")
    return mask
