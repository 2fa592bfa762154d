"""Calls: how often each function was called and how long that took, by chain of callers.

Time is virtual, from entry to exit, less the time that the task was switched out, if switches were
recorded and it is not asked for otherwise. Calls that had not ended when their task was last seen
count to that moment.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from wdbg.analysis.cputime import CpuTime
from wdbg.trace.batch import Places, Rows
from wdbg.trace.calls import CallMatcher, Matched
from wdbg.trace.events import Kind, Table
from wdbg.trace.reader import Trace

_SEQ_BITS = 24
_FUNCTION_BITS = 24
ROOT = 0


@dataclass(slots=True)
class CallTree:
    """Chains of callers. Node 0 is the root, which no function is; a node's parent comes before it.
    Lists are indexed by node; times in virtual ns."""

    parent: list[int] = field(default_factory=lambda: [ROOT])
    function: list[int] = field(default_factory=lambda: [-1])
    """Numbers as in CALL events."""
    calls: list[int] = field(default_factory=lambda: [0])
    time: list[int] = field(default_factory=lambda: [0])
    """With what was called."""
    longest: list[int] = field(default_factory=lambda: [0])

    def own_times(self) -> list[int]:
        """Time of each node without what it called."""
        own = list(self.time)
        for node in range(1, len(own)):
            own[self.parent[node]] -= self.time[node]
        return [max(0, time) for time in own]


class _Builder:
    """Makes the tree a chunk at a time, a depth at a time."""

    def __init__(self) -> None:
        self.tree = CallTree()
        self._nodes: dict[int, int] = {}
        """(parent << bits | function) to node."""
        self._open: dict[tuple[int, int], tuple[int, int]] = {}
        """(task, depth) to (node, time) of calls under way."""
        self._last: dict[int, int] = {}
        """Task to the time of its last event."""

    def feed(self, rows: Rows, matched: Matched) -> None:
        """CALL events in order."""
        tasks, depths = rows["task"].astype(np.uint64), matched.depth
        enters = rows["kind"] == Kind.CALL_ENTER
        key = tasks << np.uint64(_SEQ_BITS) | np.arange(len(rows), dtype=np.uint64)
        by_depth = np.argsort(depths, kind="stable")
        levels, starts = np.unique(depths[by_depth], return_index=True)
        bounds = [*starts.tolist(), len(rows)]
        changed: dict[tuple[int, int], tuple[int, int] | None] = {}
        above_keys, above = np.empty(0, np.uint64), np.empty(0, np.int64)
        last_level: int | None = None
        for place, level in enumerate(levels.tolist()):
            mine = by_depth[bounds[place] : bounds[place + 1]]
            if last_level is not None and level != last_level + 1:
                above_keys, above = above_keys[:0], above[:0]
            entry = mine[enters[mine]]
            entry = entry[np.argsort(key[entry])]
            parents = self._of(above_keys, above, key[entry], level - 1)
            nodes = self._intern(parents, rows["function"][entry])
            keys = key[entry]
            ends = mine[~enters[mine]]
            ends = ends[matched.entered[ends]]
            ended = self._of(keys, nodes, key[ends], level)
            self._add(nodes, ended, (rows["time"] - matched.started)[ends])
            above_keys, above, last_level = keys, nodes, level
            self._carry(mine, rows, enters, keys, nodes, key, level, changed)
        for where, opened in changed.items():  # until here what was open before this chunk counts
            if opened is None:
                self._open.pop(where, None)
            else:
                self._open[where] = opened
        task, last = np.unique(rows["task"][::-1], return_index=True)
        times = rows["time"][::-1][last]
        self._last.update(zip(task.tolist(), times.tolist(), strict=True))

    def finish(self) -> CallTree:
        """The tree, with the calls that never ended."""
        for (task, _), (node, start) in self._open.items():
            took = max(0, self._last.get(task, start) - start)
            self.tree.time[node] += took
            self.tree.longest[node] = max(self.tree.longest[node], took)
        return self.tree

    def _of(
        self,
        keys: npt.NDArray[np.uint64],
        nodes: npt.NDArray[np.int64],
        wanted: npt.NDArray[np.uint64],
        level: int,
    ) -> npt.NDArray[np.int64]:
        """Node of the last call of `level` that was entered in the task before each key."""
        bits = np.uint64(_SEQ_BITS)
        found = np.full(len(wanted), -1, np.int64)
        if len(keys):
            at = np.searchsorted(keys, wanted) - 1
            same = (at >= 0) & (keys[at] >> bits == wanted >> bits)
            found[same] = nodes[at[same]]
        missing = np.flatnonzero(found < 0)
        if len(missing):  # entered in an earlier chunk, or never seen
            tasks, which = np.unique(wanted[missing] >> bits, return_inverse=True)
            known = [self._open.get((task, level), (ROOT, 0))[0] for task in tasks.tolist()]
            found[missing] = np.array(known, np.int64)[which]
        return found

    def _intern(
        self, parents: npt.NDArray[np.int64], functions: npt.NDArray[np.uint32]
    ) -> npt.NDArray[np.int64]:
        combined = parents << _FUNCTION_BITS | functions & np.uint32((1 << _FUNCTION_BITS) - 1)
        different, which = np.unique(combined, return_inverse=True)
        tree, nodes = self.tree, []
        for one in different.tolist():
            node = self._nodes.get(one)
            if node is None:
                node = self._nodes[one] = len(tree.parent)
                tree.parent.append(one >> _FUNCTION_BITS)
                tree.function.append(one & (1 << _FUNCTION_BITS) - 1)
                tree.calls.append(0)
                tree.time.append(0)
                tree.longest.append(0)
            nodes.append(node)
        found: npt.NDArray[np.int64] = np.array(nodes, np.int64)[which]
        return found

    def _add(
        self,
        entered: npt.NDArray[np.int64],
        ended: npt.NDArray[np.int64],
        took: npt.NDArray[np.uint64],
    ) -> None:
        tree = self.tree
        nodes, counts = np.unique(entered, return_counts=True)
        for node, count in zip(nodes.tolist(), counts.tolist(), strict=True):
            tree.calls[node] += count
        if not len(ended):
            return
        order = np.argsort(ended, kind="stable")
        nodes, starts = np.unique(ended[order], return_index=True)
        times = took[order].astype(np.int64)
        sums, longest = np.add.reduceat(times, starts), np.maximum.reduceat(times, starts)
        for node, time, most in zip(nodes.tolist(), sums.tolist(), longest.tolist(), strict=True):
            tree.time[node] += time
            tree.longest[node] = max(tree.longest[node], most)

    def _carry(
        self,
        mine: Places,
        rows: Rows,
        enters: npt.NDArray[np.bool_],
        keys: npt.NDArray[np.uint64],
        nodes: npt.NDArray[np.int64],
        key: npt.NDArray[np.uint64],
        level: int,
        changed: dict[tuple[int, int], tuple[int, int] | None],
    ) -> None:
        """Note in `changed` what each task's last event of this depth leaves open."""
        order = mine[np.argsort(key[mine])]
        tasks = rows["task"][order]
        last = np.ones(len(order), bool)
        last[:-1] = tasks[1:] != tasks[:-1]
        for place in order[last].tolist():
            task = int(rows["task"][place])
            if enters[place]:
                node = int(nodes[np.searchsorted(keys, key[place])])
                changed[task, level] = node, int(rows["time"][place])
            else:
                changed[task, level] = None


def call_tree(trace: Trace, elapsed: bool = False) -> CallTree:
    """The tree of all calls in a trace; `elapsed`: with the time that tasks were switched out."""
    matcher, builder, clock = CallMatcher(), _Builder(), CpuTime()
    ns_per_tick = trace.header.ns_per_tick
    for batch in trace.batches((Table.CALL, Table.SWITCH, Table.LOST)):
        if Table.LOST in batch.tables:
            matcher.forget()
        rows = batch.rows(Table.CALL, ns_per_tick)
        if not elapsed:
            clock.apply(rows, batch.rows(Table.SWITCH, ns_per_tick))
        if len(rows):
            builder.feed(rows, matcher.feed(rows))
    return builder.finish()


@dataclass(slots=True)
class FunctionTimes:
    """Sums of one function. Times in virtual ns."""

    function: int
    calls: int = 0
    own: int = 0
    total: int = 0
    """With what it called; calls of itself on the way are not counted twice."""
    longest: int = 0
    callers: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Function (-1: none) to calls and time in them."""
    callees: dict[int, tuple[int, int]] = field(default_factory=dict)


def function_times(tree: CallTree) -> list[FunctionTimes]:
    """Sums by function, most own time first."""
    found: dict[int, FunctionTimes] = {}
    own = tree.own_times()
    for node in range(1, len(tree.parent)):
        number, parent = tree.function[node], tree.parent[node]
        mine = found.setdefault(number, FunctionTimes(number))
        mine.calls += tree.calls[node]
        mine.own += own[node]
        mine.longest = max(mine.longest, tree.longest[node])
        if not _has_caller(tree, parent, number):
            mine.total += tree.time[node]
        caller = tree.function[parent]
        _count(mine.callers, caller, tree.calls[node], tree.time[node])
        if parent != ROOT:
            other = found.setdefault(caller, FunctionTimes(caller))
            _count(other.callees, number, tree.calls[node], tree.time[node])
    return sorted(found.values(), key=lambda item: -item.own)


def _has_caller(tree: CallTree, node: int, function: int) -> bool:
    while node != ROOT:
        if tree.function[node] == function:
            return True
        node = tree.parent[node]
    return False


def _count(sums: dict[int, tuple[int, int]], key: int, calls: int, time: int) -> None:
    before = sums.get(key, (0, 0))
    sums[key] = before[0] + calls, before[1] + time


def collapsed(tree: CallTree, names: dict[int, str]) -> Iterator[str]:
    """Lines for flame graphs: "outer;inner;innermost TIME", time in virtual ns."""
    chains = [""]
    for node, own in enumerate(tree.own_times()):
        if node == ROOT:
            continue
        name = names.get(tree.function[node], f"function-{tree.function[node]}")
        parent = chains[tree.parent[node]]
        chains.append(f"{parent};{name}" if parent else name)
        if own:
            yield f"{chains[node]} {own}"
