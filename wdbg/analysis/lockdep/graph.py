"""The graph of dependencies: an edge from each held lock's class to that of a lock taken then.

A cycle can deadlock only if it is *strong*: where a dependency ends in a recursive reader, the next
one must not begin with a shared holder, as that one does not block the reader
(Documentation/locking/lockdep-design.rst, "Recursive read locks"). And its dependencies must be
possible at once: not in one task, and not with a lock held in all of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import networkx as nx
import numpy as np

from wdbg.analysis.lockdep.model import DEP_EN, DEP_SN, DEP_SR, Witness

WITNESSES = 12
"""Of each kind of a dependency: more are not kept."""
MOST_CYCLES = 200
"""Of a strongly connected component: enough of them, the shortest first."""
_ENDS_N, _BEGINS_S = DEP_SN | DEP_EN, DEP_SR | DEP_SN
_SHIFT = 32


@dataclass(frozen=True, slots=True)
class Cycle:
    """Witnesses whose dependencies follow each other round; `doubt` tells why it may be none."""

    witnesses: tuple[Witness, ...]
    doubt: str = ""


class Graph:
    """Edges with their witnesses. Classes are numbers."""

    def __init__(self) -> None:
        self.edges: dict[int, dict[int, list[Witness]]] = {}
        """holder << 32 | waiter to kind of dependency to witnesses."""
        self._seen: set[tuple[int, int, int, frozenset[tuple[int, bool]], bool]] = set()

    def __len__(self) -> int:
        return len(self.edges)

    def add(self, witness: Witness) -> None:
        """A dependency that was seen."""
        edge = witness.holder.number << _SHIFT | witness.waiter.number
        mark = (edge, witness.kind, witness.waiter.task, witness.gates, witness.sure)
        if mark in self._seen:
            return
        kinds = self.edges.setdefault(edge, {})
        known = kinds.setdefault(witness.kind, [])
        if len(known) < WITNESSES:
            self._seen.add(mark)
            known.append(witness)
            return
        # Full: one without gates is worth more than one with, and a second task than the first.
        worst = max(range(len(known)), key=lambda i: (not known[i].sure, len(known[i].gates), i))
        if (not witness.sure, len(witness.gates)) < (
            not known[worst].sure,
            len(known[worst].gates),
        ):
            known[worst] = witness
            self._seen.add(mark)

    def kinds(self, holder: int, waiter: int) -> int:
        """Bits of the dependencies between two classes."""
        found = 0
        for kind in self.edges.get(holder << _SHIFT | waiter, ()):
            found |= kind
        return found

    def successors(self) -> dict[int, list[tuple[int, int]]]:
        """Class to (class, kinds) of its edges."""
        found: dict[int, list[tuple[int, int]]] = {}
        for edge, kinds in self.edges.items():
            holder, waiter = edge >> _SHIFT, edge & 0xFFFFFFFF
            bits = 0
            for kind in kinds:
                bits |= kind
            found.setdefault(holder, []).append((waiter, bits))
        return found

    # ---- cycles --------------------------------------------------------------------------------

    def cycles(self, skip: frozenset[int] = frozenset(), *, tasks: bool = True) -> list[Cycle]:
        """All that could deadlock, the shortest first. `skip`: classes that nobody waits for;
        `tasks`: those of one task only are doubtful (else they count: self tests)."""
        found = []
        for nodes in self._rings(skip):
            cycle = self._possible(nodes, tasks)
            if cycle is not None:
                found.append(cycle)
        return sorted(found, key=lambda cycle: len(cycle.witnesses))

    def _rings(self, skip: frozenset[int]) -> Iterator[list[int]]:
        """Simple cycles of classes."""
        core = nx.DiGraph()
        core.add_edges_from(
            (a, b) for a, b in self._core() if a not in skip and b not in skip and a != b
        )
        for component in nx.strongly_connected_components(core):
            if len(component) < 2:
                continue
            part = core.subgraph(component)
            seen: set[tuple[int, ...]] = set()
            for bound in (2, 3, 4, 6, 10, None):
                for ring in nx.simple_cycles(part, length_bound=bound):
                    key = _rotated(ring)
                    if key not in seen:
                        seen.add(key)
                        yield list(key)
                    if len(seen) >= MOST_CYCLES:
                        break
                if len(seen) >= MOST_CYCLES:
                    break

    def _core(self) -> Iterable[tuple[int, int]]:
        """The edges that are left when classes without edges in, or out, are taken away."""
        edges = np.fromiter(self.edges, np.uint64, len(self.edges))
        source = (edges >> np.uint64(_SHIFT)).astype(np.int64)
        target = (edges & np.uint64(0xFFFFFFFF)).astype(np.int64)
        while len(source):
            size = int(max(source.max(), target.max())) + 1
            has_in = np.zeros(size, bool)
            has_out = np.zeros(size, bool)
            has_in[target] = True
            has_out[source] = True
            keep = has_in[source] & has_out[target]
            if keep.all():
                break
            source, target = source[keep], target[keep]
        return zip(source.tolist(), target.tolist(), strict=True)

    def _possible(self, ring: Sequence[int], tasks: bool) -> Cycle | None:
        """A choice of witnesses that could all be at once; the least doubtful one."""
        pairs = list(zip(ring, [*ring[1:], ring[0]], strict=True))
        options = [
            [w for kind in self.edges[a << _SHIFT | b].values() for w in kind] for a, b in pairs
        ]
        single: tuple[Witness, ...] | None = None
        unsure: tuple[Witness, ...] | None = None
        for chosen in _choices(options):
            if not all(witness.sure for witness in chosen):
                unsure = unsure or chosen
            elif not tasks or len({witness.waiter.task for witness in chosen}) > 1:
                return Cycle(chosen)
            else:
                single = single or chosen
        if unsure is not None:
            return Cycle(unsure, "what else was held is not known: the trace is not whole")
        if single is not None:
            return Cycle(single, "all of it was seen in one task, which cannot wait for itself")
        return None

    # ---- paths ---------------------------------------------------------------------------------

    def paths(
        self, starts: dict[int, int], ends: dict[int, int], skip: frozenset[int]
    ) -> list[tuple[int, ...]]:
        """Strong paths, a shortest one for each pair that has any. `starts`: class to the kinds
        (ending in it) of what comes before the path: DEP bits; `ends`: class to the kinds of what
        follows it. A path has at least one edge."""
        after = self.successors()
        if not self._reaches(after, set(starts), set(ends)):
            return []
        found = []
        for start, bits in starts.items():
            if start in skip:
                continue
            found += self._from(start, bits, ends, after, skip)
        return found

    @staticmethod
    def _reaches(after: dict[int, list[tuple[int, int]]], starts: set[int], ends: set[int]) -> bool:
        """Whether any end can be reached at all."""
        seen, queue = set(starts), deque(starts)
        while queue:
            for other, _ in after.get(queue.popleft(), ()):
                if other in ends:
                    return True
                if other not in seen:
                    seen.add(other)
                    queue.append(other)
        return False

    @staticmethod
    def _from(
        start: int,
        bits: int,
        ends: dict[int, int],
        after: dict[int, list[tuple[int, int]]],
        skip: frozenset[int],
    ) -> list[tuple[int, ...]]:
        # A state is a class and whether it was reached by a dependency that ends in "recursive
        # reader" only; the other state can do all that this one can.
        first = (start, not bits & _ENDS_N)
        before: dict[tuple[int, bool], tuple[int, bool] | None] = {first: None}
        queue = deque([first])
        found: dict[int, tuple[int, ...]] = {}
        while queue:
            state = queue.popleft()
            node, only_r = state
            for other, kinds in after.get(node, ()):
                allowed = kinds & ~_BEGINS_S if only_r else kinds
                if not allowed or other in skip:
                    continue
                reached = (other, not allowed & _ENDS_N)
                end = ends.get(other, 0)
                if reached[1]:
                    end &= ~_BEGINS_S
                if end and other not in found:
                    path, at = [other], state
                    while True:
                        path.append(at[0])
                        previous = before[at]
                        if previous is None:
                            break
                        at = previous
                    found[other] = tuple(reversed(path))
                if reached not in before and (other, False) not in before:
                    before[reached] = state
                    queue.append(reached)
        return list(found.values())

    def witness(self, holder: int, waiter: int) -> Witness:
        """A witness of an edge, a sure one if there is any."""
        kinds = self.edges[holder << _SHIFT | waiter]
        every = [witness for known in kinds.values() for witness in known]
        return min(every, key=lambda witness: (not witness.sure, len(witness.gates)))


def _rotated(ring: Sequence[int]) -> tuple[int, ...]:
    """A cycle, beginning with its smallest number."""
    at = ring.index(min(ring))
    return (*ring[at:], *ring[:at])


def _choices(options: Sequence[Sequence[Witness]]) -> Iterator[tuple[Witness, ...]]:
    """Choices of a witness for each edge: strong all round, and without a common gate."""
    budget = 4096

    def extend(chosen: tuple[Witness, ...]) -> Iterator[tuple[Witness, ...]]:
        nonlocal budget
        if len(chosen) == len(options):
            if _follow(chosen[-1].kind, chosen[0].kind):
                yield chosen
            return
        for witness in options[len(chosen)]:
            budget -= 1
            if budget < 0:
                return
            if chosen and not _follow(chosen[-1].kind, witness.kind):
                continue
            if any(_excluded(witness, other) for other in chosen):
                continue
            yield from extend((*chosen, witness))

    yield from extend(())


def _follow(kind: int, following: int) -> bool:
    """Whether a dependency of one kind and then one of another are strong together."""
    return bool(kind & _ENDS_N) or not following & _BEGINS_S


def _excluded(left: Witness, right: Witness) -> bool:
    """Whether a lock that both hold keeps them from being at once."""
    shared = dict(left.gates)
    return any(lock in shared and not (read and shared[lock]) for lock, read in right.gates)
