"""Who waits for whom: a directed graph of tasks and of what they wait for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import networkx as nx

from wdbg.analysis.hang.scene import Actor, Scene
from wdbg.linux.blocked import OWNED, On
from wdbg.linux.locks import Holding, holding

MOST_CYCLES = 32
LONGEST_CYCLE = 64

Node = tuple[str, int]
"""("task", address of the task_struct) or (a kind of lock, its address)."""


def task_node(task: int) -> Node:
    """A task's node."""
    return "task", task


@dataclass(frozen=True, slots=True)
class Edge:
    """A task waits for a lock (`why` is ""), or a lock is held by a task."""

    sure: bool
    why: str = ""
    """Where an edge from a lock to a task comes from."""


class WaitGraph:
    """The graph of the tasks that wait, and of those that they wait for."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.graph: nx.DiGraph[Node] = nx.DiGraph()
        self.words: dict[Node, Holding] = {}
        """What each lock says of itself."""
        self._add(actor for actor in scene.actors() if _waits(actor))

    def _add(self, actors: Iterable[Actor]) -> None:
        for actor in actors:
            wait = actor.wait
            if wait is None or not (wait.address or wait.on in OWNED):
                continue
            node: Node = wait.on.value, wait.address or -actor.task
            self.graph.add_edge(task_node(actor.task), node, edge=Edge(True))
            if wait.address:
                self._owners(wait.on, wait.address, node)

    def _owners(self, on: On, address: int, node: Node) -> None:
        scene = self.scene
        if on is On.RCU:
            for task in scene.holdouts:
                self._held(node, task, Edge(True, "it has not passed a quiescent state"))
            return
        found = holding(scene.image, on, address, scene.snapshot.tasks)
        if found is not None:
            self.words[node] = found
        if on not in OWNED:
            return
        history = scene.history
        traced = history.holders_of(address) if history is not None else []
        for moment in traced:
            if moment.task in scene.snapshot.tasks:
                self._held(node, moment.task, Edge(True, "the trace"))
        if found is not None and found.owner:
            sure = found.sure
            if not traced or sure:
                why = f"{on.value}.owner" if sure else "the last reader that came"
                self._held(node, found.owner, Edge(sure, why))

    def _held(self, node: Node, task: int, edge: Edge) -> None:
        if not self.graph.has_edge(node, task_node(task)):
            self.graph.add_edge(node, task_node(task), edge=edge)

    def likely(self, node: Node, task: int, why: str) -> None:
        """A task that would signal what others wait for."""
        if not self.graph.has_edge(node, task_node(task)):
            self.graph.add_edge(node, task_node(task), edge=Edge(False, why))

    # ---- questions

    def cycles(self) -> list[list[Node]]:
        """Cycles, the shortest first; each begins with a task."""
        found: list[list[Node]] = []
        for part in nx.strongly_connected_components(self.graph):
            if len(part) < 2:
                continue
            inside = self.graph.subgraph(part)
            for cycle in nx.simple_cycles(inside, length_bound=LONGEST_CYCLE):
                at = next(i for i, node in enumerate(cycle) if node[0] == "task")
                found.append(cycle[at:] + cycle[:at])
                if len(found) >= MOST_CYCLES:
                    break
        return sorted(found, key=lambda cycle: (len(cycle), cycle))

    def edge(self, start: Node, end: Node) -> Edge:
        """What an edge says."""
        found = self.graph.edges[start, end]["edge"]
        assert isinstance(found, Edge)
        return found

    def sure(self, cycle: list[Node]) -> bool:
        """Nothing in it is guessed."""
        ends = [*cycle[1:], cycle[0]]
        return all(self.edge(a, b).sure for a, b in zip(cycle, ends, strict=True))

    def behind(self, task: int) -> list[Node]:
        """Everything that a task waits for in the end, without itself."""
        start = task_node(task)
        return list(nx.descendants(self.graph, start)) if start in self.graph else []

    def owners(self, node: Node) -> list[int]:
        """Tasks that hold it, or would signal it."""
        return [end[1] for end in self.graph.successors(node)]


def _waits(actor: Actor) -> bool:
    """In the graph: tasks that cannot go on by themselves."""
    if actor.wait is None:
        return False
    if actor.cpu is not None:
        return True
    return actor.uninterruptible or actor.wait.on in OWNED or actor.wait.on is On.SEMAPHORE
