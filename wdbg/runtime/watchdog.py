"""The watchdog: looks at the guest now and then, in virtual time, and ends a run that hangs.

It only reads. When to look is decided by the guest's clock alone, so a run that hangs is ended at
the same place every time. What a hang is, is known above: see `Watcher`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from wdbg.runtime.stop import Stop, StopKind

if TYPE_CHECKING:
    from wdbg.runtime.machine import Machine

LIMIT = 20.0
"""Virtual seconds that a task may sleep uninterruptibly, be ready to run without running, or an RCU
grace period may last."""
SPIN_PART = 40
"""A CPU may be in one atomic section for this part of the limit: half a second."""
_LOOKS = 25
"""Looks in that time."""
_SCANS = 20
"""Looks at all tasks in the time of the limit."""


class Watcher(Protocol):
    """What knows the kernel."""

    def atomic(self, machine: Machine, cpu: int) -> bool:
        """The CPU's task has preemption, softirqs or interrupts off."""

    def stays(self, machine: Machine, cpu: int) -> bool:
        """It does not leave that section in a copy of the machine that goes on."""

    def scan(self, machine: Machine) -> bool:
        """A look at all tasks; True if something has been waiting for too long."""

    def judge(self, machine: Machine, spinning: frozenset[int]) -> str:
        """Whether the guest hangs, in a line; "" if it does not. `spinning`: CPUs that stay in an
        atomic section."""


class Watchdog:
    """One guest's."""

    def __init__(self, make: Callable[[], Watcher], limit: float = LIMIT) -> None:
        """`make` is called when there is something to look at for the first time: it may take a
        while. `limit`: virtual seconds."""
        self._make = make
        self.limit = int(limit * 1e9)
        self._spin = self.limit // SPIN_PART
        self._period = max(1, self._spin // _LOOKS)
        self._scan_period = max(1, self.limit // _SCANS)
        self.due = self._spin
        """Virtual ns of the next look."""
        self.bit = False
        """It has ended a run."""
        self._next_scan = self.limit
        self._turns: dict[int, tuple[int, int]] = {}
        """By CPU: its task, its count of switches when it was looked at last."""
        self._since: dict[int, int] = {}
        """By CPU: virtual ns from which on it was in an atomic section at each look."""
        self._patience: dict[int, int] = {}
        """By CPU: ns that it may be; more after it has been found to be well."""

    @cached_property
    def watcher(self) -> Watcher:
        """What knows the kernel."""
        return self._make()

    def look(self, machine: Machine) -> None:
        """A scheduling point at or after `due`. Ends the run if the guest hangs."""
        now = machine.now()
        self.due = now + self._period
        if machine.held:
            self._turns.clear()
            self._since.clear()
            return
        spinning = self._spinners(machine, now)
        overdue = False
        if now >= self._next_scan:
            self._next_scan = now + self._scan_period
            overdue = self.watcher.scan(machine)
        if spinning or overdue:
            reason = self.watcher.judge(machine, frozenset(spinning))
            if reason:
                self.bit = True
                machine.end(Stop(StopKind.HANG, reason))

    def _spinners(self, machine: Machine, now: int) -> list[int]:
        """CPUs that have been in one atomic section for too long."""
        found = []
        for cpu in machine.online():
            number, task = cpu.number, cpu.task
            turn = (task.pointer if task is not None else 0, cpu.switches)
            same = self._turns.get(number) == turn and cpu.ready
            self._turns[number] = turn
            if not same:
                self._since.pop(number, None)
                self._patience.pop(number, None)
                continue
            if not self.watcher.atomic(machine, number):
                self._since.pop(number, None)
                continue
            since = self._since.setdefault(number, now)
            if now - since >= self._patience.get(number, self._spin):
                if self.watcher.stays(machine, number):
                    found.append(number)
                else:
                    self._patience[number] = 2 * self._patience.get(number, self._spin)
                    del self._since[number]
        return found
