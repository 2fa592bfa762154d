"""Recording a trace: empties the ring that rewritten code fills, and adds what only the host knows.

The ring's records tell how many ticks were left; a CONTEXT record, put in before a fiber goes on
whenever something of it has changed, tells who runs where and when the quantum ends. Nothing here
is visible to the guest: the run hash is the same with and without (docs/tracing.md).
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
import sys
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from wdbg.instrument import layout
from wdbg.runtime.memory import GuestFault
from wdbg.trace.events import Kind
from wdbg.trace.feed import TaskRow
from wdbg.trace.ring import ARG_SHIFT, CONTEXT_SIZE, CONTINUED, record, wide
from wdbg.trace.shared import SharedRing

if TYPE_CHECKING:
    from wdbg.runtime.machine import Machine
    from wdbg.runtime.task import Task

NAMING_TURNS = 8
"""Turns of a new task at which its name is looked at: kernel threads get theirs after the first.
Later on names are looked at when a program is started and whenever the ring is emptied."""
DRAIN_TICKS = 1 << 22
"""Ticks after which the ring is emptied however little is in it: some 20 ms of work."""
PIPE_SIZE = 1 << 20
"""Bytes that the pipe to the writer holds, if the system allows it."""
_F_SETPIPE_SZ = 1031
COMM_LENGTH = 16
"""TASK_COMM_LEN (include/linux/sched.h)."""

FILE_NAME_LENGTH = 256
"""Most bytes of a program's file name."""

_CONTEXT = struct.Struct("<QQQ")
# Reading a member of an enumeration is slow.
_CONTEXT_KIND, _SWITCH, _SWITCHED = int(Kind.CONTEXT), int(Kind.SCHED_SWITCH), int(Kind.SWITCHED)
_HEAD = CONTINUED | 0xFF
"""Bits of a unit's low word that tell a head's kind."""
_COMM = struct.Struct("<QQ")


class Sink(Protocol):
    """Where a trace goes: `wdbg.trace.feed.Feed`, or a flight recorder before one."""

    def raw(self, records: memoryview) -> None:
        """Take ring records, which are overwritten afterwards."""

    def task(self, row: TaskRow) -> None:
        """A task's name from here on."""

    def string(self, text: str) -> int:
        """The number of a text."""

    def trigger(self, reason: str) -> None:
        """Write what a flight recorder holds."""

    def close(self, facts: dict[str, object]) -> None:
        """Finish the file."""

    def fileno(self) -> int:
        """Of the pipe to the writer."""


@dataclass(frozen=True, slots=True)
class TaskOffsets:
    """Where struct task_struct has what names a task; bytes from its start."""

    pid: int
    tgid: int
    comm: int
    mm: int = -1
    env_end: int = -1
    """Of struct mm_struct; behind the environment stands the name of the program's file."""


class Tracer:
    """Feeds one trace."""

    def __init__(
        self,
        machine: Machine,
        sink: Sink,
        offsets: TaskOffsets | None,
        *,
        scheduling: bool = True,
        shared: SharedRing | None = None,
    ) -> None:
        """`offsets`: None if they are not known; `scheduling`: idleness and new programs too;
        `shared`: memory for the ring that outlives this process."""
        self._sink = sink
        self._offsets = offsets
        self._scheduling = scheduling
        self._shared = shared
        self._places = (0, 0)
        self._resumes = 0
        """Up to this tick all has been recorded before."""
        self._bind(machine)
        if shared is not None:
            ours = weakref.WeakMethod(self._forked)
            os.register_at_fork(after_in_child=lambda: (f := ours()) and f())
        self._task: Task | None = None
        self._cpu = self._end = self._skipped = 0
        """The context in force."""
        self._end_unit = self._skipped_unit = wide(0)
        self._context_at = -1
        """Where in the ring the context in force ends, if nothing has come after it."""
        self._names: dict[int, tuple[int, ...]] = {}
        """The comm of each known task as two numbers; () where it cannot be read."""
        self._turns: dict[int, int] = {}
        self._settled: set[int] = set()
        """Turns of new tasks, and those that have had NAMING_TURNS."""
        self._idle: set[int] = set()
        self._drained = 0
        self._handed_over = 0
        self._comm_at = 0 if offsets is None else offsets.comm
        try:
            fcntl.fcntl(sink.fileno(), _F_SETPIPE_SZ, PIPE_SIZE)
        except OSError:
            pass  # a smaller pipe only waits more often

    def _bind(self, machine: Machine) -> None:
        """Record what this machine does."""
        self._machine = machine
        base = machine.mailbox.memory.address
        self._places = base + layout.RING_HEAD, base + layout.RING
        if self._shared is not None:
            self._shared.lay_under(*self._places)
        self._head = memoryview(machine.mailbox.ring_head).cast("B").cast("I")
        ring = (ctypes.c_ubyte * layout.RING_SIZE).from_address(base + layout.RING)
        self._ring = memoryview(ring).cast("B")
        self._words = self._ring.cast("I")
        self._guest = memoryview(machine.memory.words).cast("B")

    def move(self, machine: Machine) -> None:
        """Another machine goes on where this one stands, or at an earlier place: then what it does
        again is not recorded again."""
        old = self._machine
        self.drain()
        self._resumes = max(self._resumes, old.ticks)
        old.tracer = None
        self._bind(machine)
        self._head[0] = 0
        self._task, self._context_at = None, -1
        machine.tracer = self

    def limit(self, ticks: int) -> int:
        """Last tick of a quantum that begins at this one: the trace is to be on disk soon."""
        return min(ticks + DRAIN_TICKS, self._resumes if ticks < self._resumes else sys.maxsize)

    # ---- what the machine calls ----------------------------------------------------------------

    def enter(self, cpu: int, task: Task, end: int, skipped: int) -> None:
        """A fiber goes on: on `cpu`, in a quantum that ends at tick `end`."""
        same = end == self._end and cpu == self._cpu and skipped == self._skipped
        if same and not self._idle and not self._resumes:  # nearly always, and often
            if task is self._task:
                return
            if task.pointer in self._settled and self._told(task.pointer):
                self._task = task
                return
        if not same or task is not self._task:
            if task.pointer not in self._settled:
                self._look_at(task)
            ticks = self._machine.ticks
            if ticks - self._drained >= DRAIN_TICKS or self._resumes:
                self.drain()
            if same and self._task is not None and self._told(task.pointer):
                self._task = task
            else:
                self._set_context(cpu, task, end, skipped)
        if self._idle and cpu in self._idle:
            self._idle.discard(cpu)
            self._add(Kind.IDLE_EXIT, {})

    def _told(self, pointer: int) -> bool:
        """The last record is that of a switch to this task."""
        words, end = self._words, self._head[0] >> 2
        return (
            end >= 6
            and words[end - 1] == pointer
            and (words[end - 6] & _HEAD == _SWITCH or words[end - 4] & _HEAD == _SWITCHED)
        )

    def idle(self, cpu: int) -> None:
        """The CPU of the context in force waits for an interrupt."""
        if self._scheduling:
            self._idle.add(cpu)
            self._add(Kind.IDLE_ENTER, {"state": 1})

    def forget(self, pointer: int) -> None:
        """No task has this address any more."""
        self._names.pop(pointer, None)
        self._turns.pop(pointer, None)
        self._settled.discard(pointer)

    def console(self, data: bytes) -> None:
        """The guest has written this."""
        text = data.decode("utf-8", "backslashreplace")
        self._add(Kind.CONSOLE, {"text": self._sink.string(text)})

    def executed(self, task: Task) -> None:
        """The task starts a new program."""
        self._identify(task)
        if self._scheduling:
            name = self._file_name(task.pointer) or self._comm(task)
            self._add(Kind.SCHED_EXEC, {"target": task.pointer, "value": self._sink.string(name)})

    def panic(self, message: str) -> None:
        """The guest has panicked."""
        self._add(Kind.PANIC, {"text": self._sink.string(message)})

    def drain(self) -> None:
        """Empty the ring."""
        size = self._head[0]
        self._drained = self._machine.ticks
        if self._resumes:
            self._head[0] = size = 0
            self._task, self._context_at = None, -1
            if self._drained >= self._resumes:
                self._resumes = 0
        if size:
            self._sink.raw(self._ring[:size])
            self._handed_over += size
            self._head[0] = 0
            if self._shared is not None:
                self._shared.control.base = self._handed_over
            self._look_at_all()
            if self._task is not None:  # what a flight recorder keeps may begin here
                self._set_context(self._cpu, self._task, self._end, self._skipped)

    def _forked(self) -> None:
        """In a forked copy of the process: it records nothing more."""
        if self._shared is not None:
            self._shared.copy_under(*self._places)
            self._shared = None
        self._sink = Nowhere()

    def recorded(self) -> int:
        """Bytes of ring records so far."""
        return self._handed_over + self._head[0]

    def trigger(self, reason: str) -> None:
        """Have a flight recorder write what it holds."""
        self.drain()
        self._sink.trigger(reason)

    def close(self, facts: dict[str, object]) -> None:
        """The end of the run."""
        self.drain()
        self._sink.close(facts)

    # ---- records -------------------------------------------------------------------------------

    def _add(self, kind: Kind, values: dict[str, int]) -> None:
        """A record of the host's, at this tick, in the context in force."""
        machine = self._machine
        left = self._end - machine.ticks
        if self._task is not None and (left < 0 or self._skipped != machine.skipped):
            left = 0
            self._set_context(self._cpu, self._task, machine.ticks, machine.skipped)
        data = record(kind, left, values)
        head = self._room()
        self._ring[head : head + len(data)] = data
        self._head[0] = head + len(data)

    def _set_context(self, cpu: int, task: Task, end: int, skipped: int) -> None:
        head = self._head[0]
        if self._context_at == head and head:
            head -= CONTEXT_SIZE  # nothing has happened in the last one
        elif head > layout.RING_FULL:
            self.drain()
            head = self._head[0]
        self._task, self._cpu = task, cpu
        if end != self._end:
            self._end, self._end_unit = end, wide(end)
        if skipped != self._skipped:
            self._skipped, self._skipped_unit = skipped, wide(skipped)
        first = _CONTEXT_KIND | cpu << ARG_SHIFT | task.pointer << 32
        _CONTEXT.pack_into(self._ring, head, first, self._end_unit, self._skipped_unit)
        self._head[0] = self._context_at = head + CONTEXT_SIZE

    def _room(self) -> int:
        """Where in the ring the next record goes."""
        head = self._head[0]
        if head > layout.RING_FULL:
            self.drain()
            head = self._head[0]
        return head

    # ---- names ---------------------------------------------------------------------------------

    def _look_at(self, task: Task) -> None:
        """One of the first turns of a task: its name may change yet."""
        pointer = task.pointer
        turns = self._turns[pointer] = self._turns.get(pointer, 0) + 1
        if turns >= NAMING_TURNS:
            self._settled.add(pointer)
        if self._renamed(pointer):
            self._identify(task)

    def _look_at_all(self) -> None:
        """The ring is empty: see who is called otherwise."""
        for pointer, task in self._machine.tasks.items():
            if pointer in self._settled and self._renamed(pointer):
                self._identify(task)

    def _renamed(self, pointer: int) -> bool:
        known = self._names.get(pointer)
        if known is None or not known:
            return known is None
        return _COMM.unpack_from(self._guest, pointer + self._comm_at) != known

    def _identify(self, task: Task) -> None:
        """Tell the name of a task that is new or has another one now."""
        offsets, pointer = self._offsets, task.pointer
        if offsets is None or not self._readable(pointer):
            if pointer not in self._names:
                self._names[pointer] = ()
                self._row(pointer, 0, 0, task.name)
            return
        self._names[pointer] = _COMM.unpack_from(self._guest, pointer + self._comm_at)
        words = self._machine.memory.words
        pid, tgid = words[pointer + offsets.pid >> 2], words[pointer + offsets.tgid >> 2]
        self._row(pointer, pid, tgid, self._comm(task))

    def _readable(self, pointer: int) -> bool:
        """The guest has memory where a task's names would be; memory does not shrink."""
        offsets = self._offsets
        if offsets is None:
            return False
        try:
            self._machine.memory.check(pointer, max(offsets.pid, offsets.tgid, offsets.comm) + 16)
        except GuestFault:
            return False
        return True

    def _file_name(self, pointer: int) -> str:
        """Of the program that a task starts; "" if it cannot be read."""
        offsets, memory = self._offsets, self._machine.memory
        if offsets is None or offsets.mm < 0:
            return ""
        try:
            space = memory.read_u32(pointer + offsets.mm)
            place = memory.read_u32(space + offsets.env_end) if space else 0
            raw = memory.read(place, FILE_NAME_LENGTH) if place else b""
        except GuestFault:
            return ""
        name = raw.split(b"\0")[0].decode("utf-8", "backslashreplace")
        return name if name.isprintable() else ""

    def _comm(self, task: Task) -> str:
        if self._offsets is None or not self._names.get(task.pointer):
            return task.name
        at = task.pointer + self._offsets.comm
        raw = bytes(self._guest[at : at + COMM_LENGTH])
        return raw.split(b"\0")[0].decode("utf-8", "backslashreplace")

    def _row(self, pointer: int, pid: int, tgid: int, comm: str) -> None:
        at = self.recorded()
        if self._context_at == self._head[0]:
            at -= CONTEXT_SIZE  # the next context may come in the place of the last one
        self._sink.task(TaskRow(self._machine.ticks, pointer, pid, tgid, comm, max(at, 0)))


class Nowhere:
    """A sink that keeps nothing."""

    def raw(self, records: memoryview) -> None:
        """Nothing."""

    def task(self, row: TaskRow) -> None:
        """Nothing."""

    def string(self, text: str) -> int:
        """No number."""
        return 0

    def trigger(self, reason: str) -> None:
        """Nothing."""

    def close(self, facts: dict[str, object]) -> None:
        """Nothing."""

    def fileno(self) -> int:
        """There is no pipe."""
        raise OSError("no pipe")
