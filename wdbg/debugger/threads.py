"""Guest tasks as the threads that front ends see."""

from __future__ import annotations

from typing import Protocol

from wdbg.debugger.model import IDLE_TID, TaskState, Thread
from wdbg.linux.tasks import TaskFacts
from wdbg.runtime.machine import Machine
from wdbg.runtime.task import Phase, Task

UNKNOWN_TID = 2_000_000_000
"""Tasks whose pid is not known, or not theirs alone, count from here."""


class TaskReader(Protocol):
    """What knows the guest's task_struct."""

    def task(self, address: int) -> TaskFacts | None:
        """What it says of itself; None if that makes no sense."""

    def pid(self, address: int) -> int:
        """Its pid alone; 0 if that makes no sense."""


class Threads:
    """The threads of one machine. Without a reader (no DWARF) tasks are numbered as they come."""

    def __init__(self, reader: TaskReader | None) -> None:
        self.reader = reader
        self._unknown: dict[int, int] = {}
        self._tids: dict[int, Task] = {}
        self._threads: tuple[Thread, ...] | None = None
        self._last: tuple[int, Task] | None = None
        """A task whose thread was asked for while the others were not read."""

    def forget(self) -> None:
        """The guest goes on: what was read does not hold any more."""
        self._threads = None

    def all(self, machine: Machine) -> tuple[Thread, ...]:
        """All tasks in the order in which they were made."""
        if self._threads is None:
            where = {c.task.pointer: c.number for c in machine.cpus.values() if c.task}
            self._tids = {}
            threads = []
            for task in machine.tasks.values():
                thread = self._thread(machine, task, where.get(task.pointer))
                self._tids[thread.tid] = task
                threads.append(thread)
            self._threads = tuple(threads)
        return self._threads

    def task(self, machine: Machine, tid: int) -> Task | None:
        """The machine's task behind a thread."""
        last = self._last
        alone = self._threads is None and last is not None and last[0] == tid
        if alone and last is not None and self._alone(machine, last[1]) == tid:
            return last[1]
        self.all(machine)
        return self._tids.get(tid)

    def tid(self, machine: Machine, task: Task) -> int:
        """The thread of a task; 0 if the task is gone. A stop that does not last asks for one
        thread only: if a task's pid says it all, the others are not read."""
        alone = self._alone(machine, task) if self._threads is None else 0
        if alone:
            self._last = alone, task
            return alone
        self.all(machine)
        return next((tid for tid, other in self._tids.items() if other is task), 0)

    def _alone(self, machine: Machine, task: Task) -> int:
        """The thread of a task by what it says itself; 0 if that does not tell."""
        if machine.tasks.get(task.pointer) is not task:
            return 0
        idle = idle_cpu(task)
        if idle is not None:
            return IDLE_TID + idle
        pid = self.reader.pid(task.pointer) if self.reader is not None else 0
        return pid if pid < IDLE_TID else 0

    def _thread(self, machine: Machine, task: Task, cpu: int | None) -> Thread:
        facts = self.reader.task(task.pointer) if self.reader is not None else None
        name = facts.comm if facts is not None and facts.comm else task.name
        pid = facts.pid if facts is not None else 0
        idle = idle_cpu(task)
        if idle is not None:
            tid = IDLE_TID + idle
            name = task.name
        elif 0 < pid < IDLE_TID and pid not in self._tids:
            tid = pid
        else:
            known = self._unknown.setdefault(task.pointer, len(self._unknown))
            tid = UNKNOWN_TID + known
        state = TaskState.ASLEEP
        if cpu is not None:
            ready = machine.cpus[cpu].ready
            state = TaskState.IDLE if idle is not None and not ready else TaskState.RUNNING
        return Thread(
            tid,
            name,
            pid,
            facts.tgid if facts is not None else 0,
            cpu,
            state,
            facts.state if facts is not None else "",
            task.pointer,
        )


def idle_cpu(task: Task) -> int | None:
    """Number of the CPU whose idle task this is, None for any other task."""
    number = task.name.rpartition("/")[2]
    return int(number) if task.phase is Phase.CPU and number.isdigit() else None
