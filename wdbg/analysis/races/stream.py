"""Cuts a trace down to the accesses that can matter, in columns.

Most accesses are of memory that one context alone uses: stacks, private objects. A first pass over
the trace notes for each word who uses it and how; of plain accesses only those to words that
several contexts use, and one of them writes, are looked at one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wdbg.analysis.races.interrupts import HARDIRQ_BITS, SERVING, SOFTIRQ_BITS
from wdbg.analysis.races.order import HARDIRQ, SOFTIRQ
from wdbg.analysis.races.shadow import WORD
from wdbg.trace.batch import Batch
from wdbg.trace.events import MemFlag, Table
from wdbg.trace.reader import Trace

I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_PAGE_BITS = 13
"""Words of a page of the first pass: 64 KiB of guest memory."""
_MAX_CPUS = 64
_MULTIPLE, _WRITTEN, _PLAIN = 1, 2, 4


@dataclass(frozen=True, slots=True)
class Layout:
    """What must be known of a kernel to read its accesses; bytes from the start of task_struct,
    -1 where it is not known."""

    preempt_count: int = -1
    irqs_off: int = -1
    stack: int = -1
    stack_size: int = 16384
    """Of a task's kernel stack, which is aligned to this."""
    initial_stack: int = 0
    """Guest address of the first task's."""
    per_cpu: int = 0
    """Guest address of `__per_cpu_offset`, an array of u32; 0 = none."""
    run_queue_lock: int = 0
    """Address of the run queue's lock, before the CPU's offset is added; 0 = not known."""
    task_lock: int = -1
    """`pi_lock` in task_struct."""


@dataclass(frozen=True, slots=True)
class Accesses:
    """The accesses of a batch that are not of the running task's stack; a value for each."""

    seq: I64
    """Number of the event in the batch."""
    task: I64
    cpu: I64
    context: I64
    address: I64
    size: I64
    flags: I64
    position: I64
    value: I64
    control: I64
    """1 = changes in what way the task's preemption count forbids interrupts or softirqs, 2 = sets
    its interrupt flag to off or on; else 0. Of those words other accesses are left out."""


class Stream:
    """Reads the accesses of a trace, batch by batch, in order. Make one for each pass."""

    def __init__(self, trace: Trace, layout: Layout) -> None:
        self._layout = layout
        self._tasks = {row.number: row.address for row in trace.tables.tasks}
        self._addresses = frozenset(self._tasks.values())
        count = max(self._tasks, default=0) + 1
        self._address = np.zeros(count, np.int64)
        for number, address in self._tasks.items():
            self._address[number] = address
        self._known = np.unique(self._address)
        self.per_cpu: dict[int, int] = {}
        """What has been written to `__per_cpu_offset`, by CPU."""
        self._stack_of: dict[int, int] = {}
        """Stack by the address of the task_struct."""
        first = min(self._tasks, default=0)
        if layout.initial_stack and first:
            self._stack_of[self._tasks[first]] = layout.initial_stack
        self._state: dict[int, tuple[int, bool]] = {}
        """By task: its preemption count as far as it matters, and whether interrupts are off."""

    def schedulers_lock(self, lock: int) -> bool:
        """Whether a lock is a run queue's, or the one that wake-ups of a task take."""
        layout = self._layout
        if layout.run_queue_lock and any(
            lock == layout.run_queue_lock + offset & 0xFFFFFFFF for offset in self.per_cpu.values()
        ):
            return True
        return layout.task_lock >= 0 and lock - layout.task_lock in self._addresses

    def accesses(self, batch: Batch) -> Accesses | None:
        """Those of a batch; None if it has none."""
        places = batch.places(Table.MEM)
        if not len(places):
            return None
        columns = {name: c.astype(np.int64) for name, c in batch.tables[Table.MEM].items()}
        task = batch.task()[places].astype(np.int64)
        cpu = batch.cpu()[places].astype(np.int64)
        address, flags, value = columns["address"], columns["flags"], columns["value"]
        own = self._address[np.minimum(task, len(self._address) - 1)]
        writes = flags & MemFlag.WRITE != 0
        layout = self._layout
        control = np.zeros(len(places), np.int64)
        if layout.preempt_count >= 0:
            control[address == own + layout.preempt_count] = 1
        if layout.irqs_off >= 0:
            control[address == own + layout.irqs_off] = 2
        self._learn_stacks(address, value, writes)
        self._learn_per_cpu(address, value, writes)
        context, changed = self._contexts(task, cpu, value, control * writes)
        stacks = np.zeros(len(self._address), np.int64) - 1
        for number in np.unique(task).tolist():
            stacks[number] = self._stack_of.get(int(self._address[number]), -1)
        base = stacks[task]
        stacked = (base >= 0) & (address >= base) & (address < base + layout.stack_size)
        wanted = ~stacked & ((control == 0) | changed)
        kept = np.flatnonzero(wanted)
        return Accesses(
            places[kept].astype(np.int64), task[kept], cpu[kept], context[kept], address[kept],
            columns["size"][kept], flags[kept], columns["position"][kept], value[kept],
            control[kept],
        )  # fmt: skip

    def _learn_per_cpu(self, address: I64, value: I64, writes: Mask) -> None:
        start = self._layout.per_cpu
        if start:
            found = writes & (address >= start) & (address < start + 4 * _MAX_CPUS)
            for place in np.flatnonzero(found).tolist():
                self.per_cpu[(int(address[place]) - start) // 4] = int(value[place])

    def _learn_stacks(self, address: I64, value: I64, writes: Mask) -> None:
        offset = self._layout.stack
        if offset < 0:
            return
        target = address - offset
        at = np.minimum(np.searchsorted(self._known, target), len(self._known) - 1)
        found = np.flatnonzero(writes & (self._known[at] == target) & (value != 0))
        for place in found.tolist():
            self._stack_of[int(target[place])] = int(value[place])

    def _contexts(self, task: I64, cpu: I64, value: I64, control: I64) -> tuple[I64, Mask]:
        """The context of each access, from the last write of the task's preemption count; and
        which writes of the two words change something."""
        context = task.copy()
        changed = np.zeros(len(task), bool)
        for number in np.unique(task).tolist():
            mine = np.flatnonzero(task == number)
            kinds = control[mine]
            before, off = self._state.get(number, (0, True))
            counts = np.flatnonzero(kinds == 1)
            bits = value[mine[counts]] & (HARDIRQ_BITS | SOFTIRQ_BITS)
            levels = np.concatenate(([before], bits))
            changed[mine[counts]] = levels[1:] != levels[:-1]
            flags = np.flatnonzero(kinds == 2)
            offs = np.concatenate(([off], value[mine[flags]] != 0))
            changed[mine[flags]] = offs[1:] != offs[:-1]
            self._state[number] = int(levels[-1]), bool(offs[-1])
            if not levels.any():
                continue
            # The write itself still belongs to what was before.
            level = levels[np.searchsorted(counts, np.arange(len(mine)), side="left")]
            hard = level & HARDIRQ_BITS != 0
            soft = ~hard & (level & SERVING != 0)
            context[mine[hard]] = HARDIRQ | cpu[mine[hard]]
            context[mine[soft]] = SOFTIRQ | cpu[mine[soft]]
        return context, changed


def spread(accesses: Accesses) -> tuple[I64, I64, I64]:
    """(number of the access, word, mask of bytes) of each word that the accesses touch."""
    first = accesses.address // WORD
    last = (accesses.address + np.maximum(accesses.size, 1) - 1) // WORD
    counts = last - first + 1
    which = np.repeat(np.arange(len(first)), counts)
    starts = np.cumsum(counts) - counts
    words = first[which] + np.arange(len(which)) - starts[which]
    low = np.maximum(accesses.address[which] - words * WORD, 0)
    high = np.minimum((accesses.address + accesses.size)[which] - words * WORD, WORD)
    masks = (np.int64(1) << np.maximum(high, low)) - (np.int64(1) << low)
    return which, words, masks


class Usage:
    """Who uses which words: the result of the first pass. Five bytes for each word of the 64 KiB
    pages of guest memory that are used at all."""

    def __init__(self) -> None:
        self._pages = np.full(1 << 32 - _PAGE_BITS - 3, -1, np.int32)
        self._user = np.zeros((0, 1 << _PAGE_BITS), np.int32)
        self._bits = np.zeros((0, 1 << _PAGE_BITS), np.uint8)
        self._used = 0

    def add(self, words: I64, context: I64, bits: npt.NDArray[np.uint8]) -> None:
        """Accesses of these words."""
        words = words & (1 << 29) - 1
        key = words << 26 | context
        unique, inverse = np.unique(key, return_inverse=True)
        together = np.zeros(len(unique), np.uint8)
        np.bitwise_or.at(together, inverse, bits)
        words, context = unique >> 26, unique & (1 << 26) - 1
        page, at = self._place(words)
        first = np.ones(len(words), bool)
        first[1:] = words[1:] != words[:-1]
        fresh = first & (self._user[page, at] == 0)
        self._user[page[fresh], at[fresh]] = context[fresh]
        other = self._user[page, at] != context
        together[other] |= _MULTIPLE
        np.bitwise_or.at(self._bits, (page, at), together)

    def shared(self, words: I64, *, written: bool = True) -> Mask:
        """Which of the words several contexts use; `written`: at least one plainly, one writing."""
        page, at = self._place(words & (1 << 29) - 1)
        needed = _MULTIPLE | _WRITTEN | _PLAIN if written else _MULTIPLE | _WRITTEN
        found: Mask = self._bits[page, at] & needed == needed
        return found

    def _place(self, words: I64) -> tuple[I64, I64]:
        page = self._pages[words >> _PAGE_BITS]
        missing = np.unique((words >> _PAGE_BITS)[page < 0])
        if len(missing):
            count = self._used + len(missing)
            if count > len(self._user):
                room = max(64, 2 * count)
                user = np.zeros((room, 1 << _PAGE_BITS), np.int32)
                kinds = np.zeros((room, 1 << _PAGE_BITS), np.uint8)
                user[: self._used] = self._user[: self._used]
                kinds[: self._used] = self._bits[: self._used]
                self._user, self._bits = user, kinds
            self._pages[missing] = np.arange(self._used, count)
            self._used = count
            page = self._pages[words >> _PAGE_BITS]
        return page.astype(np.int64), words & (1 << _PAGE_BITS) - 1


def usage(trace: Trace, layout: Layout) -> Usage:
    """The first pass over a trace."""
    found = Usage()
    stream = Stream(trace, layout)
    for batch in trace.batches([Table.MEM]):
        accesses = stream.accesses(batch)
        if accesses is None:
            continue
        which, words, _ = spread(accesses)
        flags = accesses.flags[which]
        bits = np.where(flags & MemFlag.WRITE != 0, _WRITTEN, 0)
        bits |= np.where(flags & MemFlag.MARKED != 0, 0, _PLAIN)
        found.add(words, accesses.context[which], bits.astype(np.uint8))
    return found


def batches(trace: Trace) -> Iterator[Batch]:
    """All batches: events are numbered through them."""
    return trace.batches()
