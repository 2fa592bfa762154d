"""Verdicts on a guest that stands still."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import networkx as nx

from symbols.errors import SymbolsError
from wdbg.analysis.findings import Finding, identity_of
from wdbg.analysis.hang.graph import Node, WaitGraph, task_node
from wdbg.analysis.hang.history import History, read_history
from wdbg.analysis.hang.report import Report, duration
from wdbg.analysis.hang.scene import Actor, Scene
from wdbg.analysis.hang.statics import held_statics
from wdbg.analysis.hang.wakers import Wakers
from wdbg.dump.snapshot import Snapshot
from wdbg.linux import rcu
from wdbg.linux.blocked import OWNED, On
from wdbg.linux.image import Unknown
from wdbg.trace.reader import Trace

LIMIT = 20_000_000_000
"""Virtual ns that a task may sleep uninterruptibly with nothing that will wake it. The kernel's own
limit is 120 s, because its disks and networks may be slow; this guest has none."""
PATIENCE = 6
"""How many times the limit a sleeper may take while something that it may wait for goes on."""
LEAST_GRACE = 2_000_000_000
"""ns that any grace period may last, also in a guest that is known to hang."""
NS_PER_JIFFY = 10_000_000
"""Of a kernel with CONFIG_HZ=100, as the guest's is."""


MOST_BESIDE = 4
"""Neighbours of an object whose signals are told."""
_ROUNDING = 100_000
"""ns by which the kernel's account of when a task ran last may be early."""


@dataclass(frozen=True, slots=True)
class Stuck:
    """What a watchdog has seen over time, and one look cannot see."""

    spinning: tuple[int, ...] = ()
    """Tasks that have not left an atomic section for too long."""
    lost: tuple[int, ...] = ()
    """CPUs that idle with runnable tasks."""
    starving: tuple[int, ...] = ()
    """Tasks that are ready to run and do not."""
    grace_period: bool = False
    """An RCU grace period does not end."""


@dataclass(frozen=True, slots=True)
class Hang:
    """What was found."""

    findings: list[Finding]
    graph: nx.DiGraph[Node]
    """Nodes: ("task", address of its task_struct) and (kind of a lock, address)."""
    text: str
    """All of it for people: findings, then the wait-for graph."""
    data: dict[str, object] = field(default_factory=dict)


def explain(
    snapshot: Snapshot,
    trace: Trace | Path | History | None = None,
    *,
    limit: int = LIMIT,
    stuck: Stuck | None = None,
) -> Hang:
    """Why nothing goes on, as far as it does not: no findings for a guest that is well.

    `limit`: virtual ns after which a sleep counts as one too many; 0 for a guest that is known to
    hang, so that whoever waits is suspect. `stuck`: what was seen over time. BadInput if a trace
    cannot be read.
    """
    history = trace if isinstance(trace, History) or trace is None else _history(trace)
    try:
        scene = Scene(snapshot, history)
    except Unknown as error:
        return Hang([], nx.DiGraph(), f"nothing is known of its locks: {error}")
    if stuck is None:
        stuck = Stuck() if limit else Stuck(spinning=_atomic(scene))
    return _Judge(scene, limit, stuck).judge()


def _atomic(scene: Scene) -> tuple[int, ...]:
    """Tasks on CPUs that are in an atomic section just now."""
    return tuple(
        actor.task
        for actor in scene.actors()
        if actor.cpu is not None and actor.atomic and not actor.idle
    )


def locks_text(snapshot: Snapshot) -> str:
    """Who waits for whom and which locks are held, for a guest that may be well."""
    hang = explain(snapshot)
    lines = [hang.text] if hang.text else ["Nobody waits for a lock."]
    try:
        scene = Scene(snapshot)
    except Unknown:
        return hang.text
    report = Report(scene, WaitGraph(scene))
    held = []
    for on, address, owner, sure in held_statics(scene):
        who = report.task(owner) if owner else "nobody who is known"
        held.append(
            f"  {scene.lock_name(on, address)}: {who}{'' if sure else ' or another reader'}"
        )
    lines += ["Static locks that are held:", *held] if held else []
    return "\n".join(lines)


def _history(trace: Trace | Path) -> History:
    if isinstance(trace, Trace):
        return read_history(trace)
    with Trace(trace) as opened:
        return read_history(opened)


class _Judge:
    def __init__(self, scene: Scene, limit: int, stuck: Stuck) -> None:
        self.scene = scene
        self.limit = limit
        self.stuck = stuck
        self.graph = WaitGraph(scene)
        self.report = Report(scene, self.graph)
        self.wakers = Wakers(scene)
        self.now = scene.snapshot.virtual_ns
        self.accused: set[int] = set()
        self.findings: list[Finding] = []

    def judge(self) -> Hang:
        self._likely_wakers()
        self._grace_period()
        self._cycles()
        self._spinners()
        self._sleepers()
        self._processors()
        lines: list[str] = []
        for finding in self.findings:
            lines += [finding.text, ""]
        overview = self.report.overview()
        if overview:
            lines += ["Who waits for whom:", *overview]
        held = self.report.all_locks()
        if held:
            lines += ["Locks that are held:", *held]
        return Hang(self.findings, self.graph.graph, "\n".join(lines).rstrip())

    # ---- helpers

    def _blocked(self) -> list[Actor]:
        """Tasks that have slept for too long, with nothing that will wake them."""
        return [
            actor
            for actor in self.scene.actors()
            if actor.uninterruptible
            and actor.timer is None
            and self.now - actor.since >= self.limit
        ]

    def _likely_wakers(self) -> None:
        """Edges from what has no owner to the tasks that would signal it."""
        waiting = [
            actor
            for actor in self.scene.actors()
            if actor.uninterruptible or (actor.cpu is not None and actor.wait is not None)
        ]
        for actor in waiting:
            wait = actor.wait
            if wait is None or wait.on in OWNED or not wait.address or wait.on is On.RCU:
                continue
            node: Node = wait.on.value, wait.address
            for task, why in self.wakers.likely(wait.address, actor.task, waiting):
                self.graph.likely(node, task, why)

    def _add(
        self, kind: str, title: str, parts: Iterable[str], tasks: Iterable[int], body: list[str]
    ) -> None:
        tasks = list(dict.fromkeys(tasks))
        self.accused.update(tasks)
        actors = [actor for task in tasks if (actor := self.scene.actor(task)) is not None]
        functions = [actor.wait.function for actor in actors if actor.wait is not None]
        text = "\n".join([f"{kind}: {title}", *body, *self.report.participants(tasks)])
        data = {
            "functions": functions,
            "tasks": [{"pid": actor.pid, "comm": actor.comm} for actor in actors],
        }
        self.findings.append(
            Finding(kind, identity_of(kind, parts), title, self.scene.snapshot.tick, text, data)
        )

    def _part(self, node: Node) -> str:
        """A node's share of a finding's identity: no address, no pid."""
        if node[0] != "task":
            return self.scene.object_name(max(node[1], 0)) or node[0]
        actor = self.scene.actor(node[1])
        if actor is None:
            return "?"
        frames = self.scene.snapshot.frames(node[1])
        names = [name for frame in frames for name in self.scene.names(frame)]
        return next((name for name in names if not _plumbing(name)), actor.comm)

    # ---- verdicts

    def _cycles(self) -> None:
        seen: set[frozenset[Node]] = set()
        for cycle in self.graph.cycles():
            tasks = [node[1] for node in cycle if node[0] == "task"]
            actors = [actor for task in tasks if (actor := self.scene.actor(task)) is not None]
            sure = self.graph.sure(cycle)
            if frozenset(cycle) in seen or any(actor.timer is not None for actor in actors):
                continue
            late = max((self.now - actor.since for actor in actors), default=0) >= self.limit
            if not sure and not late and not set(tasks) & set(self.stuck.spinning):
                continue
            if set(tasks) <= self.accused:
                continue  # another way around among the same tasks
            seen.add(frozenset(cycle))
            names = [self.report.name(node) for node in cycle]
            if len(tasks) == 1:
                kind, title = "self-deadlock", f"{names[0]} waits for {names[1]}, which it holds"
            else:
                kind = "deadlock"
                title = " -> ".join([*names, names[0]])
            self._add(
                kind, title, sorted(self._part(node) for node in cycle), tasks,
                self.report.cycle(cycle),
            )  # fmt: skip

    def _spinners(self) -> None:
        for task in self.stuck.spinning:
            actor = self.scene.actor(task)
            if actor is None or task in self.accused:
                continue
            behind = [node[1] for node in self.graph.behind(task) if node[0] == "task"]
            if set(behind) & self.accused:
                self.accused.add(task)
                continue
            waits = self.report.waits(actor)
            off = "interrupts" if actor.irqs_off else "preemption"
            wait = actor.wait
            if wait is not None and wait.on in OWNED:
                kind, body = self._missed_unlock(actor, behind)
            else:
                kind, body = ("hard-lockup" if actor.irqs_off else "soft-lockup"), []
            what = waits or "does not get on"
            title = f"{actor} {what}, with {off} off, on CPU {actor.cpu}"
            self._add(kind, title, [self._part(task_node(task))], [task, *behind], body)

    def _missed_unlock(self, actor: Actor, behind: list[int]) -> tuple[str, list[str]]:
        """What to call a wait for a lock whose owner does not wait for anything."""
        wait, history = actor.wait, self.scene.history
        assert wait is not None
        body = []
        kind = "hung-task"
        if actor.cpu is not None:
            kind = "hard-lockup" if actor.irqs_off else "soft-lockup"
        for moment in history.holders_of(wait.address) if history is not None else ():
            taker = self.scene.index.function_at(moment.position)
            frames = self.scene.snapshot.frames(moment.task)
            gone = self.scene.actor(moment.task) is None
            left = taker is not None and all(
                frame.module or frame.start != taker.low for frame in frames
            )
            name = self.scene.lock_name(moment.on, moment.lock)
            where = self.scene.place(moment.position)
            ago = duration(max(0, self.now - moment.time))
            if gone or left:
                kind = "missed-unlock"
                way = "has exited" if gone else "has left that function"
                body.append(
                    f"  {self.report.task(moment.task)} took {name} {ago} ago at tick "
                    f"{moment.tick} in {where}, and {way} without releasing it"
                )
        said = self.graph.words.get((wait.on.value, wait.address))
        if said is not None and said.held and not said.owner and wait.on in (On.MUTEX, On.RT_MUTEX):
            kind = "missed-unlock"
            body.append(f"  {self.scene.lock_name(wait.on, wait.address)}: {said.words}")
        for task in behind:
            owner = self.scene.actor(task)
            if owner is not None and owner.wait is None and owner.letter in "ZX":
                kind = "missed-unlock"
        return kind, body

    def _grace_period(self) -> None:
        period = rcu.grace_period(self.scene.image)
        if period is None:
            return
        age = period.jiffies * NS_PER_JIFFY
        if age < max(self.limit, LEAST_GRACE) and not self.stuck.grace_period:
            return
        cpus, readers = rcu.holdouts(self.scene.image)
        tasks = list(self.scene.holdouts)
        body = [f"  grace period {period.number >> 2} began {duration(age)} ago"]
        if readers:
            names = ", ".join(map(self.report.task, readers))
            body.append(f"  it waits for {names}, in a read-side section")
        if cpus:
            body.append(f"  it waits for CPU {', '.join(map(str, cpus))}")
        waiting = [
            actor.task for actor in self.scene.actors() if actor.wait and actor.wait.on is On.RCU
        ]
        for cycle in self.graph.cycles():
            if any(node[0] == On.RCU.value for node in cycle):
                body += ["  the circle:", *(f"  {line}" for line in self.report.cycle(cycle))]
                break
        parts = [self._part(task_node(task)) for task in tasks]
        names = ", ".join(map(self.report.task, tasks)) or "nothing that can be seen"
        title = f"an RCU grace period does not end: it waits for {names}"
        self._add("rcu-stall", title, sorted(parts), [*tasks, *waiting], body)

    def _sleepers(self) -> None:
        for actor in self._blocked():
            if actor.task in self.accused:
                continue
            behind = [node[1] for node in self.graph.behind(actor.task) if node[0] == "task"]
            if set(behind) & self.accused:
                self.accused.add(actor.task)  # a victim: the graph shows it
                continue
            if self._goes_on(actor, behind):
                continue
            wait = actor.wait
            if wait is not None and wait.on in OWNED:
                kind, body = self._missed_unlock(actor, behind)
            else:
                kind, body = self._lost(actor)
            ago = duration(self.now - actor.since)
            title = f"{actor} {self.report.waits(actor) or 'sleeps'} since {ago}"
            stable = f"{self.scene.object_name(wait.address) if wait and wait.address else ''}"
            parts = [self._part(task_node(actor.task)), stable]
            self._add(kind, title, parts, [actor.task, *behind], body)

    def _goes_on(self, actor: Actor, behind: list[int]) -> bool:
        """Somebody may still do what a sleeper waits for."""
        if self.now - actor.since >= PATIENCE * self.limit:
            return False
        if behind:
            others = [other for task in behind if (other := self.scene.actor(task)) is not None]
            return any(map(_alive, others))
        return any(
            other.timer is not None and other.state & 2 and other.asleep
            for other in self.scene.actors()
        )

    def _lost(self, actor: Actor) -> tuple[str, list[str]]:
        """Which wake-up was due."""
        wait, history = actor.wait, self.scene.history
        address = wait.address if wait is not None else 0
        body = []
        kind = "hung-task"
        if address:
            timers = self.wakers.idle_timers(address)
            if timers:
                kind = "timer-not-armed"
                body += [
                    f"  timer {timer.name}, whose function is {timer.function}(), is not armed"
                    for timer in timers
                ]
            functions = [f.name for f in self.wakers.mentioning(address)]
            if functions:
                body.append(f"  functions that refer to it: {', '.join(sorted(functions)[:12])}")
        if history is not None and address:
            earlier = [m for m in history.signals.get(address, ()) if m.time <= actor.since]
            body += self.report.signals(history, address, actor.since)
            if earlier:
                kind = "lost-wakeup"
                asked = history.waits.get(actor.task)
                if asked is not None:
                    body.append(
                        f"  it began to wait at tick {asked.tick} in "
                        f"{self.scene.place(asked.position)}: no signal has come since"
                    )
            elif not history.signals.get(address):
                body.append("  nobody has ever signalled it" if history.complete else
                            "  no signal of it is in the trace")  # fmt: skip
            body += self._beside(history, address)
        elif history is not None:
            waking = history.missed.get(actor.task)
            if waking is not None and waking.time <= actor.since + _ROUNDING:
                kind = "lost-wakeup"
                early = duration(max(0, actor.since - waking.time))
                body.append(
                    f"  {self.report.task(waking.task)} woke it at tick {waking.tick} in "
                    f"{self.scene.place(waking.position)}, {early} before it went to sleep: it "
                    "was awake, and looked before it said that it would sleep"
                )
            else:
                body.append("  nobody has tried to wake it since it ran last")
        return kind, body

    def _beside(self, history: History, address: int) -> list[str]:
        """Signals of other objects of the same variable."""
        variable = self.scene.index.variable_at(address)
        if variable is None:
            return []
        try:
            end = variable.address + variable.type.size
        except SymbolsError:
            return []
        moments = [
            moments[-1]
            for lock, moments in history.signals.items()
            if variable.address <= lock < end and lock != address
        ]
        return [
            f"  {self.scene.lock_name(moment.on, moment.lock)} was signalled last at tick "
            f"{moment.tick} by {self.report.task(moment.task)} in "
            f"{self.scene.place(moment.position)}"
            for moment in moments[:MOST_BESIDE]
        ]

    def _processors(self) -> None:
        for number in self.stuck.lost:
            queued = [actor.task for actor in self.scene.actors() if actor.queued]
            title = f"CPU {number} idles while tasks of its run queue are ready to run"
            parts = [self._part(task_node(task)) for task in queued]
            self._add("lost-runnable", title, sorted(parts), queued, [])
        for task in self.stuck.starving:
            actor = self.scene.actor(task)
            if actor is not None and task not in self.accused:
                ago = duration(self.now - actor.since)
                title = f"{actor} is ready to run and has not run for {ago}"
                on_cpu = [a.task for a in self.scene.actors() if a.cpu is not None and not a.idle]
                self._add("starvation", title, [self._part(task_node(task))], [task, *on_cpu], [])


def _alive(actor: Actor) -> bool:
    """It will go on by itself."""
    runs = actor.cpu is not None and actor.wait is None
    return runs or actor.queued or actor.timer is not None


_PLUMBING = (
    "schedule", "__schedule", "wasm_", "__switch_to", "context_switch", "_raw_", "arch_", "mutex_",
    "__mutex", "down", "__down", "rwsem_", "wait_for", "__wait", "do_wait_for", "rt_mutex", "__rt_",
    "queued_", "spin_", "raw_", "__raw_", "read_lock", "write_lock", "cpu_relax", "ret_from_fork",
    "kthread", "prepare_to_wait", "finish_wait", "rcu_", "__rcu", "synchronize_", "get_current",
)  # fmt: skip


def _plumbing(name: str) -> bool:
    """A function of the locks' own, which says nothing about who called it."""
    return name.startswith(_PLUMBING)
