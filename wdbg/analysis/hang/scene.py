"""The tasks of a guest that stands still, each with what it does and what it waits for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import PurePosixPath

from symbols.dwarf.index import Index
from symbols.dwarf.types import TypeKind
from symbols.errors import SymbolsError
from wdbg.analysis.findings import printable
from wdbg.analysis.hang.history import History
from wdbg.dump.snapshot import Snapshot
from wdbg.dump.state import FrameState
from wdbg.linux import rcu
from wdbg.linux.blocked import On, Stack, Wait, kernel_stack, sleeping, spinning
from wdbg.linux.image import Corrupt, Image, Unknown
from wdbg.linux.timers import Timer, armed

_UNINTERRUPTIBLE, _WAKEKILL, _NOLOAD, _NEW = 0x2, 0x100, 0x400, 0x800
_PREEMPTION = 0xFFFFFF
"""preempt_count without NMI and the like: preemption, softirqs, interrupts."""
_SOURCE = "/usr/src/"
_DEPTH = 12
"""Levels of members that a name can have."""
_LOCKS = frozenset(
    {
        "mutex", "rw_semaphore", "rt_mutex", "rt_mutex_base", "semaphore", "spinlock",
        "raw_spinlock", "qrwlock", "completion", "wait_queue_head", "swait_queue_head",
        "percpu_rw_semaphore", "timer_list",
    }
)  # fmt: skip
"""Structs whose members' names say no more."""


@dataclass(frozen=True, slots=True)
class Actor:
    """A task."""

    task: int
    pid: int
    comm: str
    state: int
    """__state as it is."""
    letter: str
    cpu: int | None
    """The CPU that it is on; None: it is switched out."""
    idle: bool
    """A CPU's idle task."""
    queued: bool
    """Switched out but ready to run."""
    since: int
    """Virtual ns of the last time that it ran, about; of a task on a CPU: now."""
    wait: Wait | None
    timer: Timer | None
    """Armed, and on its own stack: it will be woken by it."""
    atomic: bool = False
    """Preemption, softirqs or interrupts are off in it."""
    irqs_off: bool = False

    @property
    def uninterruptible(self) -> bool:
        """Asleep in D, and not for a reason that may take for ever (killable, idle, new)."""
        others = _WAKEKILL | _NOLOAD | _NEW
        return bool(self.state & _UNINTERRUPTIBLE) and not self.state & others and self.asleep

    @property
    def asleep(self) -> bool:
        """It waits to be woken."""
        return self.cpu is None and not self.queued and self.state != 0

    def __str__(self) -> str:
        return f"{self.comm} ({self.pid})" if not self.idle else self.comm


class Scene:
    """All tasks, read when they are asked for."""

    def __init__(self, snapshot: Snapshot, history: History | None = None) -> None:
        """Raises Unknown if the kernel's types are not known."""
        image = snapshot.image
        if image is None or snapshot.index is None:
            raise Unknown("the kernel has no debug information")
        self.snapshot = snapshot
        self.image: Image = image
        self.index: Index = snapshot.index
        self.history = history
        frames = (frame for task in snapshot.tasks.values() for frame in task.frames)
        self._captured = any(frame.locals or frame.operands for frame in frames)
        self._actors: dict[int, Actor | None] = {}

    # ---- tasks

    @cached_property
    def stacks(self) -> Mapping[int, Stack]:
        """The kernel stacks of all tasks."""
        found = {}
        for address in self.snapshot.facts:
            state = self.snapshot.tasks.get(address)
            pointer = state.globals.get((0, 0), 0) if state is not None else 0
            try:
                found[address] = kernel_stack(self.image, address, pointer)
            except (Corrupt, Unknown):
                continue
        return found

    @cached_property
    def timers(self) -> Sequence[Timer]:
        """All armed timers."""
        return list(armed(self.image, [cpu.number for cpu in self.snapshot.cpus]))

    @cached_property
    def holdouts(self) -> Sequence[int]:
        """Tasks that the RCU grace period under way waits for: those in read-side sections, and
        those on CPUs that have not passed a quiescent state."""
        if rcu.grace_period(self.image) is None:
            return ()
        cpus, readers = rcu.holdouts(self.image)
        on_cpus = (cpu.task for cpu in self.snapshot.cpus if cpu.number in cpus)
        return [*readers, *on_cpus]

    def timer_of(self, task: int) -> Timer | None:
        """The timer that will wake a task."""
        stack = self.stacks.get(task)
        if stack is None:
            return None
        inside = (t for t in self.timers if stack.start <= t.address < stack.end)
        return min(inside, key=lambda timer: timer.expires, default=None)

    def actors(self) -> list[Actor]:
        """All tasks that the kernel and the host know."""
        found = (self.actor(address) for address in self.snapshot.tasks)
        return [actor for actor in found if actor is not None]

    def actor(self, task: int) -> Actor | None:
        """The task at an address; None if there is none."""
        if task not in self._actors:
            try:
                self._actors[task] = self._read(task)
            except (Corrupt, Unknown):
                self._actors[task] = None
        return self._actors[task]

    def _read(self, task: int) -> Actor | None:
        facts, state = self.snapshot.facts.get(task), self.snapshot.tasks.get(task)
        if facts is None or state is None:
            return None
        image = self.image
        cpu = self.snapshot.cpu_of(task)
        idle = state.idle_cpu is not None
        queued = cpu is None and bool(image.field(task, "task_struct", "on_rq"))
        if queued and self._delayed(task):
            queued = False
        raw = image.field(task, "task_struct", "__state")
        since = image.field(task, "task_struct", "se.exec_start")
        actor = Actor(
            task, facts.pid, printable(state.name if idle else facts.comm), raw, facts.state[:1],
            cpu.number if cpu is not None else None, idle, queued,
            self.snapshot.virtual_ns if cpu is not None else min(since, self.snapshot.virtual_ns),
            None, None,
        )  # fmt: skip
        if cpu is not None:
            return replace(
                actor,
                wait=self._spins(task) if cpu.ready else None,
                atomic=bool(self._counts(task) & _PREEMPTION & ~int(idle)) or self._off(task),
                irqs_off=self._off(task),
            )
        if actor.asleep:
            names = [self.names(frame) for frame in state.frames]
            wait = sleeping(image, self.stacks, task, names)
            asked = self.history.waits.get(task) if self.history is not None else None
            if asked is not None and not wait.address and asked.on is wait.on:
                wait = replace(wait, address=asked.lock)
            return replace(actor, wait=wait, timer=self.timer_of(task))
        return actor

    def _delayed(self, task: int) -> bool:
        try:
            return bool(self.image.field(task, "task_struct", "se.sched_delayed"))
        except Unknown:
            return False

    def _counts(self, task: int) -> int:
        return self.image.field(task, "task_struct", "thread_info.preempt_count")

    def _off(self, task: int) -> bool:
        try:
            return bool(self.image.field(task, "task_struct", "thread_info.irqs_off"))
        except Unknown:
            return False

    def _spins(self, task: int) -> Wait | None:
        frames = self.snapshot.frames(task)
        found = spinning([self.names(f) for f in frames], [f.locals for f in frames])
        asked = self.history.waits.get(task) if self.history is not None else None
        if found is not None and asked is not None and asked.on is found.on:
            return replace(found, address=asked.lock)
        return found

    # ---- code and data by name

    def offset(self, frame: FrameState) -> int:
        """An offset inside of what the frame is doing: of a frame that was handed over by a stop
        point, the call lies before the place where it goes on."""
        inside = self._captured and not frame.trapped and frame.offset > frame.start
        return frame.offset - 1 if inside else frame.offset

    def names(self, frame: FrameState) -> list[str]:
        """The functions of a frame, the innermost inlined one first."""
        if frame.module:
            return []
        levels = self.index.frames_at(self.offset(frame))
        return [level.name for level in levels] or [frame.function]

    def lines(self, task: int) -> list[str]:
        """A backtrace in source lines."""
        lines = []
        for frame in self.snapshot.frames(task):
            if frame.module:
                modules = self.snapshot.modules
                where = modules[frame.module].name if 0 < frame.module < len(modules) else "?"
                lines.append(f"{printable(frame.function)}  [{printable(where)}]")
                continue
            levels = self.index.frames_at(self.offset(frame))
            for level in levels:
                note = " (inlined)" if level.inlined else ""
                lines.append(f"{level.name}{note}  {short(level.file)}:{level.line}")
            if not levels:
                lines.append(printable(frame.function))
        return lines

    def place(self, position: int) -> str:
        """A code offset as function and source line."""
        if not position:
            return "?"
        if position >> 26:
            return "a user program"
        levels = self.index.frames_at(position)
        if not levels:
            return f"{position:#x}"
        # A lock is taken by inlined wrappers; the line is that of the function around them.
        for level in levels:
            if not level.file.startswith(_SOURCE) or "/include/" not in level.file:
                return f"{level.name} ({short(level.file)}:{level.line})"
        return f"{levels[-1].name} ({short(levels[-1].file)}:{levels[-1].line})"

    def object_name(self, address: int) -> str:
        """A static object by its variable and member; "" if there is none at the address."""
        try:
            found = self.index.variable_at(address)
            if found is None:
                return ""
            rest, kind, name = address - found.address, found.type.bare, found.name
            for _ in range(_DEPTH):
                if rest == 0 and kind.name in _LOCKS:
                    break
                if kind.kind is TypeKind.ARRAY and kind.target.size:
                    name += f"[{rest // kind.target.size}]"
                    rest, kind = rest % kind.target.size, kind.target.bare
                    continue
                inside = [m for m in kind.members if m.offset <= rest < m.offset + m.size]
                if not inside:
                    break
                name += f".{inside[0].name}" if inside[0].name else ""
                rest, kind = rest - inside[0].offset, inside[0].type.bare
            return printable(f"{name}+{rest:#x}" if rest else name)
        except SymbolsError:
            return ""

    def lock_name(self, on: On, address: int) -> str:
        """What a report calls a lock."""
        if on is On.RCU or not address:
            return f"{'an' if on is On.RCU else 'a'} {on.value}"
        name = self.object_name(address)
        owner = "" if name else self._on_stack(address)
        return f"{on.value} {name or f'{address:#x}'}{owner}"

    def _on_stack(self, address: int) -> str:
        for task, stack in self.stacks.items():
            if stack.end - 16384 <= address < stack.end:
                facts = self.snapshot.facts[task]
                return f" (on the stack of {printable(facts.comm)} ({facts.pid}))"
        return ""


def short(path: str) -> str:
    """A source file from the tree's root on."""
    parts = PurePosixPath(path).parts
    if path.startswith(_SOURCE) and len(parts) > 4:
        return "/".join(parts[4:])
    return path or "?"
