"""Recording a trace: empties the ring that rewritten code fills, and adds what only the host knows.

The ring's records tell how many ticks were left; a CONTEXT record, put in before a fiber goes on
whenever something of it has changed, tells who runs where and when the quantum ends. Nothing here
is visible to the guest: the run hash is the same with and without (docs/tracing.md).
"""

from __future__ import annotations

import ctypes
import fcntl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wdbg.instrument import layout
from wdbg.trace.events import Kind
from wdbg.trace.feed import Feed, TaskRow
from wdbg.trace.ring import CONTEXT_SIZE, context, record

if TYPE_CHECKING:
    from wdbg.runtime.machine import Machine
    from wdbg.runtime.task import Task

DRAIN_TICKS = 1 << 22
"""Ticks after which the ring is emptied however little is in it: some 20 ms of work."""
PIPE_SIZE = 1 << 20
"""Bytes that the pipe to the writer holds, if the system allows it."""
_LONGEST = 64
"""Bytes of the longest record of the host's."""
_F_SETPIPE_SZ = 1031
COMM_LENGTH = 16
"""TASK_COMM_LEN (include/linux/sched.h)."""
TASK_REPORT_MAX = 0x100
"""Previous state in a switch of a task that was preempted: as the tracepoint has it."""


@dataclass(frozen=True, slots=True)
class TaskOffsets:
    """Where struct task_struct has what a trace tells of tasks; bytes from its start."""

    pid: int
    tgid: int
    comm: int
    state: int
    on_rq: int
    prio: int


class Tracer:
    """Feeds one trace. Inactive in forked copies (`detach`)."""

    def __init__(
        self,
        machine: Machine,
        feed: Feed,
        offsets: TaskOffsets | None,
        *,
        scheduling: bool = True,
    ) -> None:
        """`offsets`: None if they are not known; `scheduling`: switches and idleness too."""
        self._scheduling = scheduling
        self._machine = machine
        self._feed = feed
        self._offsets = offsets
        base = machine.mailbox.memory.address
        self._ring = base + layout.RING
        self._head = ctypes.c_uint32.from_address(base + layout.RING_HEAD)
        self._bytes = memoryview((ctypes.c_ubyte * layout.RING_SIZE).from_address(self._ring))
        self._context: tuple[int, int, int, int] = (0, 0, 0, 0)
        self._context_at = -1
        """Where in the ring the context in force ends, if nothing has come after it."""
        self._names: dict[int, bytes] = {}
        self._idle: set[int] = set()
        self._drained = 0
        self.bytes = 0
        """Of ring records handed over."""
        try:
            fcntl.fcntl(feed.fileno(), _F_SETPIPE_SZ, PIPE_SIZE)
        except OSError:
            pass  # a smaller pipe only waits more often

    # ---- what the machine calls ----------------------------------------------------------------

    def enter(self, cpu: int, task: Task, end: int, skipped: int) -> None:
        """A fiber goes on: on `cpu`, in a quantum that ends at tick `end`."""
        now = (cpu, task.pointer, end, skipped)
        if now != self._context:
            if task.pointer not in self._names:
                self._name(task)
            self._set_context(now)
        if cpu in self._idle:
            self._idle.discard(cpu)
            self._add(Kind.IDLE_EXIT, {})
        if self._machine.ticks - self._drained > DRAIN_TICKS:
            self.drain()

    def switch(self, prev: Task, new: Task) -> None:
        """Context switch on the CPU of the context in force."""
        self._name(prev)
        self._name(new)
        if not self._scheduling:
            return
        values = {"prev": prev.pointer, "next": new.pointer}
        offsets = self._offsets
        if offsets is not None:
            read = self._machine.memory.read_u32
            state = read(prev.pointer + offsets.state)
            preempted = state and read(prev.pointer + offsets.on_rq)
            values["prev_state"] = TASK_REPORT_MAX if preempted else state
            values["prev_prio"] = read(prev.pointer + offsets.prio)
            values["next_prio"] = read(new.pointer + offsets.prio)
        self._add(Kind.SCHED_SWITCH, values)

    def idle(self, cpu: int) -> None:
        """The CPU of the context in force waits for an interrupt."""
        if not self._scheduling:
            return
        self._idle.add(cpu)
        self._add(Kind.IDLE_ENTER, {"state": 1})

    def console(self, data: bytes) -> None:
        """The guest has written this."""
        text = data.decode("utf-8", "backslashreplace")
        self._add(Kind.CONSOLE, {"text": self._feed.string(text)})

    def executed(self, task: Task) -> None:
        """The task starts a new program."""
        self._name(task)
        if not self._scheduling:
            return
        comm = self._names.get(task.pointer, b"").decode("utf-8", "backslashreplace")
        self._add(Kind.SCHED_EXEC, {"target": task.pointer, "value": self._feed.string(comm)})

    def panic(self, message: str) -> None:
        """The guest has panicked."""
        self._add(Kind.PANIC, {"text": self._feed.string(message)})
        self.trigger("panic")

    def drain(self) -> None:
        """Empty the ring."""
        size = self._head.value
        self._drained = self._machine.ticks
        if size:
            self._feed.raw(self._bytes[:size])
            self._head.value = 0
            self._context_at = -1
            self.bytes += size

    def trigger(self, reason: str) -> None:
        """Have a flight recorder write what it holds."""
        self.drain()
        self._feed.trigger(reason)

    def close(self, facts: dict[str, object]) -> None:
        """The end of the run."""
        self.drain()
        self._feed.close(facts)

    # ---- records -------------------------------------------------------------------------------

    def _add(self, kind: Kind, values: dict[str, int]) -> None:
        """A record of the host's, at this tick, in the context in force."""
        cpu, task, end, skipped = self._context
        left = end - self._machine.ticks
        if left < 0 or skipped != self._machine.skipped:
            left = 0
            self._set_context((cpu, task, self._machine.ticks, self._machine.skipped))
        self._append(record(kind, left, values))

    def _set_context(self, now: tuple[int, int, int, int]) -> None:
        if self._context_at == self._head.value >= CONTEXT_SIZE:
            self._head.value -= CONTEXT_SIZE  # nothing happened in the last one
        self._context = now
        self._append(context(*now))
        self._context_at = self._head.value

    def _append(self, data: bytes) -> None:
        head = self._head.value
        if head + _LONGEST > layout.RING_SIZE:
            self.drain()
            head = 0
        ctypes.memmove(self._ring + head, data, len(data))
        self._head.value = head + len(data)

    def _name(self, task: Task) -> None:
        """Tell the name of a task that is new or has another one now."""
        offsets, pointer = self._offsets, task.pointer
        if offsets is None:
            if pointer not in self._names:
                self._names[pointer] = task.name.encode()
                self._row(pointer, 0, 0, task.name)
            return
        memory = self._machine.memory
        identity = memory.read(pointer + offsets.comm, COMM_LENGTH)
        identity += memory.read(pointer + offsets.pid, 4)
        if self._names.get(pointer) == identity:
            return
        self._names[pointer] = identity
        comm = identity[:COMM_LENGTH].split(b"\0")[0].decode("utf-8", "backslashreplace")
        pid = int.from_bytes(identity[COMM_LENGTH:], "little")
        self._row(pointer, pid, memory.read_u32(pointer + offsets.tgid), comm)

    def _row(self, pointer: int, pid: int, tgid: int, comm: str) -> None:
        self.drain()  # rows count before the records that follow them
        self._feed.task(TaskRow(self._machine.ticks, pointer, pid, tgid, comm))
