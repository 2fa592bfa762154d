"""What the watchdog knows of Linux: who sleeps for too long, which CPU is stuck."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from symbols.dwarf.index import Index
from wdbg.analysis.hang.verdicts import NS_PER_JIFFY, Hang, Stuck, explain
from wdbg.dump.snapshot import Snapshot
from wdbg.linux import rcu
from wdbg.linux.image import Corrupt, Image, Unknown
from wdbg.linux.timers import percpu
from wdbg.runtime.console import StreamConsole
from wdbg.runtime.machine import Machine
from wdbg.runtime.scheduler import RoundRobin

_UNINTERRUPTIBLE, _EXEMPT = 0x2, 0x100 | 0x400 | 0x800
"""TASK_UNINTERRUPTIBLE; TASK_WAKEKILL, TASK_NOLOAD, TASK_NEW: they take as long as they take."""
_PREEMPTION = 0xFFFFFF
_STEPS = 40_000
"""Steps of the copy that shows whether a CPU is stuck: most of them are a tick of that CPU."""
_QUANTUM = 512
_OTHERS = 128
"""Ticks of a step of other CPUs."""


class HangWatcher:
    """See `wdbg.runtime.watchdog.Watcher`."""

    def __init__(self, index: Callable[[], Index | None], limit: int) -> None:
        """`index` opens the kernel's symbols, which takes a while: it is called when they are
        needed. `limit`: virtual ns."""
        self._open = index
        self._limit = limit
        self._sleeping: dict[int, tuple[int, int, int]] = {}
        """Uninterruptible tasks: (pid, switches, since when in virtual ns)."""
        self._ready: dict[int, tuple[int, int, int]] = {}
        """The same for tasks that are ready to run and are not running."""
        self._grace: tuple[int, int] = 0, 0
        """Number of the grace period under way; when it was first seen."""
        self._lost: dict[int, tuple[int, int]] = {}
        """CPUs that idle with runnable tasks: (switches, since when)."""
        self._stuck = Stuck()
        self.hang: Hang | None = None
        """What ended the run."""

    @cached_property
    def index(self) -> Index | None:
        """The kernel's symbols; None if there are none."""
        found = self._open()
        return found if found is not None and found.has_dwarf else None

    def _image(self, machine: Machine) -> Image | None:
        if self.index is None:
            return None
        return Image(machine.memory.read, self.index)

    @cached_property
    def _offsets(self) -> dict[str, int] | None:
        """Of the members that are read often; None if they are not known."""
        if self.index is None:
            return None
        image = Image(lambda _address, _length: b"", self.index)
        paths = {
            "state": "__state", "on_rq": "on_rq", "pid": "pid", "voluntary": "nvcsw",
            "forced": "nivcsw", "count": "thread_info.preempt_count", "off": "thread_info.irqs_off",
            "delayed": "se.sched_delayed", "ran": "se.exec_start",
        }  # fmt: skip
        try:
            return {key: image.member("task_struct", path)[0] for key, path in paths.items()}
        except Unknown:
            return None

    # ---- a CPU

    def atomic(self, machine: Machine, cpu: int) -> bool:
        """See Watcher."""
        at, task = self._offsets, machine.cpus[cpu].task
        if at is None or task is None:
            return False
        read = machine.memory.read_u32
        return bool(
            read(task.pointer + at["count"]) & _PREEMPTION or read(task.pointer + at["off"])
        )

    def stays(self, machine: Machine, cpu: int) -> bool:
        """See Watcher. A spinlock's waiter may get it from the others, so those go on as well."""
        return bool(machine.in_fork(lambda: self._goes_nowhere(machine, cpu)))

    def _goes_nowhere(self, machine: Machine, number: int) -> bool:
        machine.watchdog = None
        machine.inputs.console = StreamConsole(None)
        machine.scheduler = RoundRobin(_QUANTUM)
        machine.on_probe = machine.on_turn = machine.on_access = None
        cpu = machine.cpus[number]
        turn = cpu.task, cpu.switches
        for _ in range(_STEPS):
            mine = machine.running is cpu.task
            if machine.run(until=machine.ticks + (1 if mine else _OTHERS)) is not None:
                return False
            if (cpu.task, cpu.switches) != turn or not cpu.ready:
                return False
            if not self.atomic(machine, number):
                return False
        return True

    # ---- all tasks

    def scan(self, machine: Machine) -> bool:
        """See Watcher."""
        at = self._offsets
        if at is None:
            return False
        now = machine.now()
        running = {cpu.task.pointer for cpu in machine.online() if cpu.task is not None}
        sleeping: dict[int, tuple[int, int, int]] = {}
        ready: dict[int, tuple[int, int, int]] = {}
        read = machine.memory.read_u32
        for address in machine.tasks:
            if address in running:
                continue
            state = read(address + at["state"])
            if state & _UNINTERRUPTIBLE and not state & _EXEMPT:
                self._age(machine, address, self._sleeping, sleeping, now)
            elif read(address + at["on_rq"]) and not read(address + at["delayed"]) & 0xFF:
                self._age(machine, address, self._ready, ready, now)
        self._sleeping, self._ready = sleeping, ready
        starving = tuple(task for task, seen in ready.items() if now - seen[2] >= self._limit)
        lost = self._idle_with_work(machine, now)
        self._stuck = Stuck((), lost, starving, self._endless(machine))
        overdue = any(now - seen[2] >= self._limit for seen in sleeping.values())
        stuck = self._stuck
        return overdue or bool(stuck.lost or stuck.starving or stuck.grace_period)

    def _age(
        self,
        machine: Machine,
        address: int,
        before: dict[int, tuple[int, int, int]],
        after: dict[int, tuple[int, int, int]],
        now: int,
    ) -> None:
        at = self._offsets
        assert at is not None
        read = machine.memory.read_u32
        pid = read(address + at["pid"])
        switches = read(address + at["voluntary"]) + read(address + at["forced"])
        known = before.get(address)
        same = known is not None and known[:2] == (pid, switches)
        if same and known is not None:
            after[address] = known
            return
        # When it was last accounted for as running: rq_clock_task(), which is the virtual time.
        ran = int.from_bytes(machine.memory.read(address + at["ran"], 8), "little")
        after[address] = pid, switches, ran if 0 < ran < now else now

    def _idle_with_work(self, machine: Machine, now: int) -> tuple[int, ...]:
        image = self._image(machine)
        found: dict[int, tuple[int, int]] = {}
        for cpu in machine.online():
            if cpu.ready or image is None:
                continue
            try:
                queue = percpu(image, "runqueues", cpu.number)
                running = image.field(queue, "rq", "nr_running")
            except (Corrupt, Unknown):
                continue
            if running:
                known = self._lost.get(cpu.number)
                same = known is not None and known[0] == cpu.switches
                found[cpu.number] = known if same and known is not None else (cpu.switches, now)
        self._lost = found
        return tuple(n for n, seen in found.items() if now - seen[1] >= self._limit)

    def _endless(self, machine: Machine) -> bool:
        image, now = self._image(machine), machine.now()
        period = rcu.grace_period(image) if image is not None else None
        number = period.number if period is not None else 0
        if self._grace[0] != number >> 2 or not number:
            self._grace = number >> 2, now
        # Jiffies stand still while all CPUs idle, so both clocks count.
        age = period.jiffies * NS_PER_JIFFY if period is not None else 0
        return bool(number) and max(age, now - self._grace[1]) >= self._limit

    # ---- the verdict

    def judge(self, machine: Machine, spinning: frozenset[int]) -> str:
        """See Watcher."""
        tasks = tuple(
            cpu.task.pointer
            for cpu in machine.online()
            if cpu.number in spinning and cpu.task is not None
        )
        stuck = Stuck(tasks, self._stuck.lost, self._stuck.starving, self._stuck.grace_period)
        snapshot = Snapshot.of_machine(machine, index=self.index)
        hang = explain(snapshot, limit=self._limit, stuck=stuck)
        if not hang.findings:
            return ""
        self.hang, self._stuck = hang, stuck
        return f"{hang.findings[0].kind}: {hang.findings[0].title}"

    @property
    def stuck(self) -> Stuck:
        """What was seen over time when the run was ended."""
        return self._stuck
