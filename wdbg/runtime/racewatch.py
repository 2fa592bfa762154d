"""Observed races, as KCSAN and DataCollider do it: hold a task at an access, and see who comes.

In a variant that samples, a plain access of the kernel parks now and then. Its task is held there
for a window of ticks while the other CPUs go on, and what it is about to access is watched: a
conflicting access in the window is a race that happened. All choices come from a seed, so the same
run shows the same again.
"""

from __future__ import annotations

import ctypes
import random
from collections import Counter
from dataclasses import dataclass, field

from wdbg.instrument import layout
from wdbg.runtime.backtrace import Frame
from wdbg.runtime.cpu import Cpu
from wdbg.runtime.machine import Machine
from wdbg.runtime.memory import GuestFault
from wdbg.runtime.scheduler import Point, Turn
from wdbg.runtime.stacks import read_backtraces
from wdbg.runtime.task import Task

EVERY = 20
"""Plain accesses between two samples, in the mean, while several CPUs have something to do: a guest
does more than one thing at a time for short moments only. (KCSAN skips 4000 on machines that have
all day.)"""
WINDOW = 200
"""Ticks that a task is held, in the mean: less than a virtual microsecond. In longer windows the
others are done before the next sample."""
RETRY = 64
"""Accesses, in the mean, after a place that has had its share."""
MOST_SEEN = 1000
"""Different pairs of places that are kept."""
_LONGEST = 64
"""Bytes of an accessed object whose value is compared."""


@dataclass(frozen=True, slots=True)
class Where:
    """What is asked of a task at each access: bytes from the start of its task_struct."""

    preempt_count: int
    irqs_off: int
    stack: int
    """A pointer to its kernel stack."""
    stack_size: int


@dataclass(frozen=True, slots=True)
class Side:
    """One access of a race."""

    task: int
    """Guest address of the task_struct."""
    cpu: int
    tick: int
    address: int
    size: int
    write: bool
    read: bool
    marked: bool
    position: int
    preempt_count: int
    irqs_off: bool
    frames: tuple[Frame, ...] = ()


@dataclass(slots=True)
class Sighting:
    """A race that has happened, between two places."""

    held: Side
    other: Side | None
    """None: the value changed, nobody was seen to do it."""
    old: bytes
    """The held access's bytes when it was held."""
    new: bytes = b""
    """The same when it went on."""
    count: int = 1
    changed: int = 0
    """How often the value was another one at the end."""


@dataclass(slots=True)
class _Held:
    task: Task
    side: Side
    until: int
    old: bytes
    seen: list[Sighting] = field(default_factory=list)


class RaceWatch:
    """Samples the accesses of a machine that has not run yet; it is its scheduler, too."""

    def __init__(
        self, machine: Machine, where: Where, seed: int, every: int = EVERY, window: int = WINDOW
    ) -> None:
        self._machine = machine
        self._where = where
        self._draw = random.Random(seed).random
        self._every = every
        self._window = window
        self._schedule = machine.scheduler
        self._places: Counter[int] = Counter()
        """How often a task was held at each place."""
        self._held: _Held | None = None
        self.sightings: dict[tuple[int, int], Sighting] = {}
        """By the two places; -1 for an unknown one."""
        self.samples = 0
        self._map = machine.mailbox.memory.address + layout.WATCH_MAP
        machine.scheduler = self
        machine.on_access = self._accessed

    def pick(self, ready: list[Cpu], point: Point) -> Turn:
        """As the schedule has it, without the CPU that is held."""
        held = self._held
        if held is not None:
            others = [cpu for cpu in ready if cpu.number != held.side.cpu]
            left = held.until - point.tick
            if left > 0 and others:
                turn = self._schedule.pick(others, point)
                return turn._replace(ticks=min(turn.ticks, left), longest=min(turn.longest, left))
            self._let_go(held)
        if len(ready) < 2:
            self._machine.mailbox.sample.value = 0  # nobody could come
        elif self._machine.mailbox.sample.value <= 0:
            self._next(self._every)
        return self._schedule.pick(ready, point)

    def _next(self, mean: int) -> None:
        self._machine.mailbox.sample.value = 1 + int(self._draw() * 2 * mean)

    def _accessed(self, task: Task, address: int, size: int, bits: int) -> bool:
        """An access that is sampled or watched; True: hold its task."""
        held = self._held
        if held is not None and task is not held.task:
            self._conflict(held, task, address, size, bits)
        if bits & layout.ACCESS_MARKED or self._machine.mailbox.sample.value:
            return False
        if held is not None or not self._others_ready(task) or self._private(task, address):
            self._next(self._every if held is not None else RETRY)
            return False
        place = bits >> layout.ACCESS_POSITION
        if self._draw() * (1 + self._places[place]) >= 1:
            self._next(RETRY)
            return False
        self._next(self._every)
        return self._hold(task, address, size, bits)

    def _hold(self, task: Task, address: int, size: int, bits: int) -> bool:
        try:
            old = self._machine.memory.read(address, min(size, _LONGEST))
        except GuestFault:
            return False  # it is about to trap
        self.samples += 1
        self._places[bits >> layout.ACCESS_POSITION] += 1
        until = self._machine.ticks + 1 + int(self._draw() * 2 * self._window)
        self._held = _Held(task, self._side(task, address, size, bits), until, old)
        self._mark(address, size, 1)
        return True

    def _conflict(self, held: _Held, task: Task, address: int, size: int, bits: int) -> None:
        side = held.side
        apart = address >= side.address + side.size or side.address >= address + size
        if apart or not (side.write or bits & layout.ACCESS_WRITE):
            return
        key = (side.position, bits >> layout.ACCESS_POSITION)
        known = self.sightings.get(key)
        if known is not None:
            known.count += 1
            held.seen.append(known)
        elif len(self.sightings) < MOST_SEEN:
            stacks = read_backtraces(self._machine, [held.task, task])
            first = self._side(
                held.task, side.address, side.size, _bits(side), stacks[held.task.pointer], side
            )
            second = self._side(task, address, size, bits, stacks[task.pointer])
            self.sightings[key] = sighting = Sighting(first, second, held.old)
            held.seen.append(sighting)

    def _let_go(self, held: _Held) -> None:
        """The window is over."""
        self._held = None
        side = held.side
        self._mark(side.address, side.size, 0)
        new = self._machine.memory.read(side.address, len(held.old))
        if new == held.old:
            return
        written = False
        for sighting in held.seen:
            sighting.changed += 1
            if not sighting.new:
                sighting.old, sighting.new = held.old, new
            written = written or (sighting.other is not None and sighting.other.write)
        key = (side.position, -1)
        if written:
            return
        known = self.sightings.get(key)
        if known is not None:
            known.count += 1
            known.changed += 1
        elif len(self.sightings) < MOST_SEEN:
            frames = read_backtraces(self._machine, [held.task])[held.task.pointer]
            first = self._side(held.task, side.address, side.size, _bits(side), frames, side)
            self.sightings[key] = Sighting(first, None, held.old, new, changed=1)

    def _mark(self, address: int, size: int, value: int) -> None:
        first = max(0, address - 15) >> layout.WATCH_GRANULE
        last = address + size - 1 >> layout.WATCH_GRANULE
        ctypes.memset(self._map + first, value, last - first + 1)

    def _others_ready(self, task: Task) -> bool:
        return any(cpu.ready and cpu.task is not task for cpu in self._machine.online())

    def _private(self, task: Task, address: int) -> bool:
        """On the task's own stack, or a word that only the task itself uses."""
        where, words = self._where, self._machine.memory.words
        own = (task.pointer + where.preempt_count, task.pointer + where.irqs_off)
        stack = words[task.pointer + where.stack >> 2]
        return address in own or stack <= address < stack + where.stack_size

    def _side(
        self,
        task: Task,
        address: int,
        size: int,
        bits: int,
        frames: tuple[Frame, ...] = (),
        before: Side | None = None,
    ) -> Side:
        """`before`: the same access when it was held."""
        machine, where = self._machine, self._where
        if before is not None:
            cpu, tick = before.cpu, before.tick
            count, off = before.preempt_count, before.irqs_off
        else:
            cpu = next((c.number for c in machine.online() if c.task is task), 0)
            tick, words = machine.ticks, machine.memory.words
            count = words[task.pointer + where.preempt_count >> 2]
            off = bool(words[task.pointer + where.irqs_off >> 2])
        return Side(
            task.pointer, cpu, tick, address, size,
            bool(bits & layout.ACCESS_WRITE), bool(bits & layout.ACCESS_READ),
            bool(bits & layout.ACCESS_MARKED), bits >> layout.ACCESS_POSITION, count, off, frames,
        )  # fmt: skip


def _bits(side: Side) -> int:
    bits = layout.ACCESS_WRITE * side.write | layout.ACCESS_READ * side.read
    return bits | layout.ACCESS_MARKED * side.marked | side.position << layout.ACCESS_POSITION
