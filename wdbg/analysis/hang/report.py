"""What a person reads about a hang."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wdbg.analysis.hang.graph import Node, WaitGraph
from wdbg.analysis.hang.history import History, Moment
from wdbg.analysis.hang.scene import Actor, Scene
from wdbg.linux.blocked import OWNED, On
from wdbg.linux.locks import holding

MOST_FRAMES = 40


def duration(ns: int) -> str:
    """A length of virtual time."""
    if ns >= 1_000_000_000:
        return f"{ns / 1e9:.3f} s"
    return f"{ns / 1e6:.3f} ms" if ns >= 1_000_000 else f"{ns / 1e3:.1f} us"


class Report:
    """Texts about one scene."""

    def __init__(self, scene: Scene, graph: WaitGraph) -> None:
        self.scene = scene
        self.graph = graph
        self.now = scene.snapshot.virtual_ns

    def name(self, node: Node) -> str:
        """A node of the graph."""
        if node[0] == "task":
            return self.task(node[1])
        return self.scene.lock_name(On(node[0]), max(node[1], 0))

    def task(self, address: int) -> str:
        """A task by name and pid."""
        actor = self.scene.actor(address)
        if actor is not None:
            return str(actor)
        history = self.scene.history
        gone = history.gone.get(address, "") if history is not None else ""
        return f"{gone} (has exited)" if gone else f"task {address:#x}, which is gone"

    def state(self, actor: Actor) -> str:
        """What a task is doing, in a few words."""
        if actor.cpu is not None:
            how = "with interrupts off" if actor.irqs_off else "with preemption off"
            return f"on CPU {actor.cpu}" + (f" {how}" if actor.atomic else "")
        if actor.queued:
            return "ready to run"
        when = f" since {duration(self.now - actor.since)}"
        timer = ", with a timer armed" if actor.timer is not None else ""
        return f"asleep ({actor.letter}){when}{timer}"

    def waits(self, actor: Actor) -> str:
        """What it waits for, in a few words; "" if for nothing."""
        wait = actor.wait
        if wait is None:
            return ""
        how = "spins for" if actor.cpu is not None else "waits for"
        shared = " (shared)" if wait.read and wait.on in OWNED else ""
        what = self.scene.lock_name(wait.on, wait.address)
        if wait.on is On.EVENT:
            return f"{how} somebody to wake it, in {wait.function}()" if wait.function else ""
        if wait.on is On.RCU:
            readers = ", ".join(map(self.task, self.scene.holdouts))
            behind = f", which waits for {readers}" if readers else ""
            return f"{how} the end of an RCU grace period{behind}"
        return f"{how} {what}{shared}{self._status(wait.on, wait.address)}"

    def _status(self, on: On, address: int) -> str:
        if not address or on not in OWNED:
            return ""
        node: Node = on.value, address
        parts = []
        for owner in self.graph.owners(node) if node in self.graph.graph else ():
            edge = self.graph.edge(node, ("task", owner))
            parts.append(self.task(owner) + ("" if edge.sure else f" ({edge.why})"))
        said = self.graph.words.get(node)
        if parts:
            return f", held by {' and '.join(parts)}"
        if said is not None and said.held:
            return f", held{f': {said.words}' if said.words else ''}; by whom is not known"
        return ", which is free" if said is not None else ""

    def holds(self, actor: Actor) -> list[str]:
        """The locks that a task has, a line each."""
        scene = self.scene
        if scene.history is not None:
            traced = scene.history.held_by(actor.task)
            lines = [self._held(moment) for moment in traced]
            known = {moment.lock for moment in traced}
        else:
            lines, known = [], set()
        for node, _ in self.graph.graph.in_edges(("task", actor.task)):
            if node[1] not in known and node[0] in {on.value for on in OWNED}:
                lines.append(f"holds {self.name(node)}")
        return lines

    def _held(self, moment: Moment) -> str:
        shared = " (shared)" if moment.read else ""
        name = self.scene.lock_name(moment.on, moment.lock)
        where = f" in {self.scene.place(moment.position)}" if moment.position else ""
        ago = duration(max(0, self.now - moment.time))
        return f"holds {name}{shared}, taken {ago} ago at tick {moment.tick}{where}"

    def participant(self, actor: Actor) -> list[str]:
        """A paragraph on a task: state, wait, locks, backtrace."""
        lines = [f"{actor}: {self.state(actor)}"]
        waits = self.waits(actor)
        lines += [f"  {waits}"] if waits else []
        lines += [f"  {line}" for line in self.holds(actor)]
        frames = self.scene.lines(actor.task)
        lines += [f"    {line}" for line in frames[:MOST_FRAMES]]
        if len(frames) > MOST_FRAMES:
            lines.append(f"    ... {len(frames) - MOST_FRAMES} more")
        return lines

    def participants(self, tasks: Iterable[int]) -> list[str]:
        """A paragraph on each."""
        lines = []
        for task in dict.fromkeys(tasks):
            actor = self.scene.actor(task)
            if actor is not None:
                lines += ["", *self.participant(actor)]
        return lines

    def cycle(self, cycle: Sequence[Node]) -> list[str]:
        """The cycle, a line for each of its tasks."""
        lines = []
        around = [*cycle, cycle[0]]
        for at, node in enumerate(cycle):
            if node[0] != "task":
                continue
            lock = around[at + 1]
            following = around[at + 2] if at + 2 < len(around) else cycle[0]
            edge = self.graph.edge(lock, following)
            verb = "held by" if lock[0] in {on.value for on in OWNED} else "to be signalled by"
            if lock[0] == On.RCU.value:
                verb = "held up by"
            note = "" if edge.sure else f" ({edge.why})"
            actor = self.scene.actor(node[1])
            how = "spins for" if actor is not None and actor.cpu is not None else "waits for"
            lines.append(
                f"  {self.name(node)} {how} {self.name(lock)}, {verb} {self.name(following)}{note}"
            )
        return lines

    def overview(self) -> list[str]:
        """The wait-for graph, a line for each task in it."""
        lines = []
        for node in self.graph.graph.nodes:
            if node[0] == "task" and self.graph.graph.out_degree(node):
                actor = self.scene.actor(node[1])
                if actor is not None:
                    lines.append(f"  {actor}, {self.state(actor)}, {self.waits(actor)}")
        for node in self.graph.graph.nodes:
            if node[0] == "task" and not self.graph.graph.out_degree(node):
                actor = self.scene.actor(node[1])
                if actor is not None:
                    lines.append(f"  {actor}, {self.state(actor)}")
        return lines

    def all_locks(self) -> list[str]:
        """Every task that holds a lock, from the trace."""
        history = self.scene.history
        if history is None:
            return []
        return [
            f"  {actor} {self._held(moment)}"
            for actor in self.scene.actors()
            for moment in history.held_by(actor.task)
        ]

    def signals(self, history: History, address: int, since: int) -> list[str]:
        """Signals of an object, and whether they came before somebody slept on it."""
        lines = []
        for moment in history.signals.get(address, ()):
            relation = "before the sleep" if moment.time < since else "after it went to sleep"
            lines.append(
                f"  signalled {relation}, at tick {moment.tick} by {self.task(moment.task)} "
                f"in {self.scene.place(moment.position)}"
            )
        return lines

    def words_of(self, on: On, address: int) -> str:
        """What a lock says of itself."""
        found = holding(self.scene.image, on, address, self.scene.snapshot.tasks)
        return found.words if found is not None else ""
