"""A made-up guest that fills rings like a real one: tasks, calls, locks, interrupts, console.

`guest_records` is a small simulation, so that traces make sense: calls nest, locks are held by one
task, every switch's prev was running. It also returns what it wrote, event by event, as the truth
for tests.
"""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, field

from wdbg.trace import ring
from wdbg.trace.batch import Batch
from wdbg.trace.chunk import Compressor
from wdbg.trace.events import (
    LOCK_KIND_SHIFT,
    Kind,
    LockFlag,
    LockKind,
    MemFlag,
)
from wdbg.trace.feed import FunctionRow, LockClassRow, TaskRow, TraceHeader
from wdbg.trace.lives import Lives
from wdbg.trace.raw import Context, decode
from wdbg.trace.tables import StringRow
from wdbg.trace.writer import TraceFile, TraceWriter

NS_PER_TICK = 4
QUANTUM = 20_000

HEADER = TraceHeader(
    kernel_hash="ab" * 32,
    kernel="vmlinux.wasm",
    seed=7,
    cpus=2,
    ns_per_tick=NS_PER_TICK,
    command_line="console=hvc0 quiet",
    events="call,lock,sched,irq",
    banner="Linux version 6.12.0 (synthetic)",
)

NAMES = (
    "schedule", "try_to_wake_up", "vfs_read", "vfs_write", "do_sys_open", "kmem_cache_alloc",
    "ext2_lookup", "tick_handle", "run_timer_softirq", "rcu_core", "do_exit", "copy_process",
)  # fmt: skip


def functions(count: int = 400) -> list[FunctionRow]:
    """A table of functions with the subsystems of a kernel."""
    places = ("kernel/sched/core.c", "fs/read_write.c", "mm/slub.c", "kernel/time/timer.c")
    return [
        FunctionRow(
            number, f"{NAMES[number % len(NAMES)]}" + (f"_{number}" if number >= 12 else ""),
            places[number % len(places)], 10 * number, 0x1000 + 64 * number, 64, number + 1,
        )
        for number in range(count)
    ]  # fmt: skip


CLASSES = [
    LockClassRow(1, "&rq->__lock", 0x8000, LockKind.RAW_SPINLOCK),
    LockClassRow(2, "&sb->s_type->i_mutex_key", 0x8010, LockKind.RWSEM),
    LockClassRow(3, "console_lock", 0x8020, LockKind.MUTEX),
]


@dataclass
class Synthetic:
    """The simulation's state, its ring contents and the truth."""

    seed: int = 1
    cpus: int = 2
    tasks: int = 6
    random: random.Random = field(init=False)
    data: bytearray = field(default_factory=bytearray)
    truth: list[dict[str, int]] = field(default_factory=list)
    rows: list[tuple[int, TaskRow]] = field(default_factory=list)
    strings: list[StringRow] = field(default_factory=list)
    tick: int = 1000
    skipped: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.pids: dict[int, int] = {}
        self.comms: dict[int, str] = {}
        self.next_pid = 100
        self.running = [0x10000 + 0x1000 * cpu for cpu in range(self.cpus)]
        self.stacks: dict[int, list[int]] = {}
        self.held: dict[int, list[int]] = {}
        self.holder: dict[int, int] = {}
        self.asleep: list[int] = []
        self.free: list[int] = []
        self.cpu = 0
        self.end = 0
        for cpu, address in enumerate(self.running):
            self.name(address, 0, f"swapper/{cpu}")
        for number in range(self.tasks):
            address = 0x40000 + 0x1000 * number
            self.name(address, 1 + number, "init" if number == 0 else f"worker{number}")
            self.asleep.append(address)
        self.context(0)

    def name(self, address: int, pid: int, comm: str) -> None:
        """A task row, as the recorder would send it."""
        self.pids[address], self.comms[address] = pid, comm
        self.stacks.setdefault(address, [])
        self.held.setdefault(address, [])
        row = TaskRow(self.tick, address, pid, pid, comm)
        self.rows.append((len(self.data) // 8, row))

    def context(self, cpu: int) -> None:
        """A change of fiber."""
        self.cpu = cpu
        self.end = self.tick + QUANTUM
        self.data += ring.context(cpu, self.running[cpu], self.end, self.skipped)

    def event(self, kind: Kind, **values: int) -> None:
        """A record, and its truth."""
        self.data += ring.record(kind, self.end - self.tick, values)
        self.truth.append(
            {
                "kind": kind, "tick": self.tick, "cpu": self.cpu,
                "pid": self.pids[self.running[self.cpu]],
                "time": self.tick * NS_PER_TICK + self.skipped, **values,
            }
        )  # fmt: skip

    def string(self, text: str) -> int:
        """Number of a new string."""
        self.strings.append(StringRow(len(self.strings) + 1, text))
        return len(self.strings)

    def run(self, steps: int) -> Synthetic:
        """Do so many steps of about two events."""
        for _ in range(steps):
            self.tick += self.random.choice((0, 1, 1, 2, 3, 8, 200))
            if self.tick >= self.end - 300:
                self.change()
            self.step()
        return self

    def change(self) -> None:
        """Another CPU's turn; sometimes all were idle and time has jumped."""
        if self.random.random() < 0.2:
            self.skipped += self.random.randrange(1, 4_000_000)
        self.context(self.random.randrange(self.cpus))

    def step(self) -> None:
        """One thing that happens on the present CPU."""
        task = self.running[self.cpu]
        stack = self.stacks[task]
        what = self.random.random()
        if what < 0.35 and len(stack) < 30:
            stack.append(self.random.randrange(12) if what < 0.2 else self.random.randrange(400))
            self.event(Kind.CALL_ENTER, function=stack[-1])
        elif what < 0.70 and stack:
            self.event(Kind.CALL_EXIT, function=stack.pop())
        elif what < 0.80:
            self.lock(task)
        elif what < 0.86:
            self.interrupt()
        elif what < 0.92:
            self.switch(task)
        elif what < 0.93:
            self.change()
        elif what < 0.94:
            flags = MemFlag.WRITE if self.random.random() < 0.5 else MemFlag.READ
            self.event(
                Kind.MEM, address=self.random.randrange(1 << 32), size=4, flags=flags,
                position=0x1234, value=self.random.randrange(1 << 32),
            )  # fmt: skip
        elif what < 0.95:
            self.event(Kind.SYSCALL_ENTER, number=63, arg0=3, arg1=0xC0000000, arg2=100, arg3=9)
            self.event(Kind.SYSCALL_EXIT, number=63, result=(-11) & 0xFFFFFFFF)
        elif what < 0.955:
            self.event(Kind.CONSOLE, text=self.string(f"line {self.tick} of the console\n"))
        elif what < 0.96:
            self.event(Kind.MARK, text=self.string("a mark"), value=self.tick & 0xFFFF)
        elif what < 0.965:
            self.event(Kind.IRQS_OFF, position=0x2000)
            self.event(Kind.IRQS_ON, position=0x2010)

    def lock(self, task: int) -> None:
        """Take or release a lock; a held one is waited for by another CPU's task only."""
        held = self.held[task]
        flags = LockKind.SPINLOCK << LOCK_KIND_SHIFT | LockFlag.STATE_KNOWN | LockFlag.PREEMPT_OFF
        if held and self.random.random() < 0.6:
            lock = held.pop()
            del self.holder[lock]
            values = {"lock": lock, "lock_class": 1 + lock % 3, "flags": flags}
            self.event(Kind.LOCK_RELEASE, **values, position=0x3000)
            return
        lock = 0x9000 + 16 * self.random.randrange(20)
        values = {"lock": lock, "lock_class": 1 + lock % 3, "flags": flags, "position": 0x3010}
        if lock in self.holder:
            self.event(Kind.LOCK_TRY, **values | {"flags": flags | LockFlag.TRY})
            return
        self.event(Kind.LOCK_ACQUIRE, **values)
        if self.random.random() < 0.2:
            self.event(Kind.LOCK_CONTENDED, **values)
            self.tick += 50
        self.event(Kind.LOCK_ACQUIRED, **values)
        self.holder[lock] = task
        held.append(lock)

    def interrupt(self) -> None:
        """A timer interrupt with a softirq, which may wake a task."""
        self.event(Kind.IRQ_ENTER, number=1)
        self.tick += 5
        if self.asleep and self.random.random() < 0.5:
            target = self.random.choice(self.asleep)
            self.event(Kind.SCHED_WAKING, target=target, target_cpu=self.cpu, prio=120)
            self.event(Kind.SCHED_WAKEUP, target=target, target_cpu=self.cpu, prio=120)
        self.event(Kind.IRQ_EXIT, number=1, result=1)
        self.event(Kind.SOFTIRQ_ENTER, number=1)
        self.event(Kind.TIMER_ENTER, object=0x7000, function=3)
        self.tick += 3
        self.event(Kind.TIMER_EXIT, object=0x7000, function=3)
        self.event(Kind.SOFTIRQ_EXIT, number=1)

    def switch(self, task: int) -> None:
        """Switch to another task; sometimes fork or exit before."""
        idle = 0x10000 + 0x1000 * self.cpu
        if task != idle and self.random.random() < 0.15 and len(self.asleep) > 2:
            self.event(Kind.SCHED_EXIT, target=task, value=0)
            for lock in self.held[task]:
                self.holder.pop(lock, None)
            self.held[task], self.stacks[task] = [], []
            self.free.append(task)
            gone = True
        else:
            gone = False
        if task != idle and not gone and self.random.random() < 0.3:
            new = (
                self.free.pop(0)
                if self.free and self.free[0] not in self.running
                else 0x100000 + 0x1000 * self.next_pid
            )
            self.next_pid += 1
            # The pid and name come later, as from a recorder that reads them at the switch.
            self.pids[new] = self.next_pid
            self.event(Kind.SCHED_FORK, target=new)
            self.name(new, self.next_pid, f"child{self.next_pid}")
            self.event(Kind.SCHED_WAKEUP_NEW, target=new, target_cpu=self.cpu, prio=120)
            self.asleep.append(new)
        choices = [t for t in self.asleep if t not in self.running]
        following = self.random.choice(choices) if choices and (gone or what_else(self)) else idle
        if following == task:
            return
        self.event(
            Kind.SCHED_SWITCH, prev=task, next=following, prev_prio=120, next_prio=120,
            prev_state=0x10 if gone else self.random.choice((0, 1, 2)),
        )  # fmt: skip
        if following in self.asleep:
            self.asleep.remove(following)
        if task != idle and not gone:
            self.asleep.append(task)
        self.running[self.cpu] = following
        self.context(self.cpu)


def what_else(guest: Synthetic) -> bool:
    """Whether a switch goes to a task rather than to the idle one."""
    return guest.random.random() < 0.8


def to_batch(guest: Synthetic, lives: Lives | None = None) -> tuple[Batch, Lives]:
    """The ring contents decoded in one go."""
    import numpy as np

    lives = lives or Lives()
    data = bytes(guest.data)
    lives.begin(np.frombuffer(data, np.uint32), guest.rows, 0)
    batch, _ = decode(data, Context(), lives.number_of)
    return batch, lives


def write_trace(path, guest: Synthetic, chunks: int = 5, header: TraceHeader = HEADER) -> Batch:
    """A whole file of a guest's records in about so many chunks; returns all events."""
    import numpy as np

    batch, lives = to_batch(guest)
    compressor = Compressor()
    writer = TraceWriter(TraceFile(path, header, compressor), header, compressor)
    writer.rows(functions())
    writer.rows(CLASSES)
    writer.rows(lives.rows)
    writer.rows(guest.strings)
    bounds = np.linspace(0, len(batch), chunks + 1).astype(int)
    places = np.arange(len(batch))
    for first, last in itertools.pairwise(bounds):
        writer.events(batch.select((places >= first) & (places < last)))
    writer.close({"clean": True})
    return batch
