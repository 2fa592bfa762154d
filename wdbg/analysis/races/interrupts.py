"""Who executes, and what the order between tasks, softirqs and interrupts of one CPU is.

An interrupt comes after what it interrupts, but the interrupted code does not come after the
interrupt: the two instructions next to each other might as well have been the other way round. Who
switches interrupts (softirqs) off excludes them, as by a lock of the CPU.

All of this is read from the running task's preemption count and interrupt flag: a kernel that
keeps both in ``thread_info`` tells everything by writing them.
"""

from __future__ import annotations

from wdbg.analysis.races.order import HARDIRQ, SOFTIRQ, Order

HARDIRQ_BITS, SOFTIRQ_BITS, SERVING, PREEMPT_BITS = 0xF0000, 0xFF00, 0x100, 0xFF
"""Parts of the preemption count (include/linux/preempt.h)."""


State = tuple[int, int]
"""What a task's thread_info says: preemption count, interrupt flag (not 0 = off)."""
_NEW: State = (0, 1)


def context_of(task: int, cpu: int, preempt_count: int) -> int:
    """The context that executes."""
    if preempt_count & HARDIRQ_BITS:
        return HARDIRQ | cpu
    return SOFTIRQ | cpu if preempt_count & SERVING else task


class Interrupts:
    """Follows the writes of the two words."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._states: dict[int, State] = {}

    def state(self, task: int) -> State:
        """What the task's thread_info says now."""
        return self._states.get(task, _NEW)

    def context(self, task: int, cpu: int) -> int:
        """The context that executes when the task is the current one of the CPU."""
        state = self._states.get(task)
        return task if state is None else context_of(task, cpu, state[0])

    def irqs(self, task: int, cpu: int, value: int) -> None:
        """The running task's interrupt flag is written: not 0 = off."""
        count, was = self.state(task)
        self._states[task] = (count, value)
        if bool(was) != bool(value):
            place = self._order.place(self.context(task, cpu))
            self._exclude(place, ("irqs", cpu), bool(value))

    def count(self, task: int, cpu: int, value: int) -> None:
        """The running task's preemption count is written."""
        was, off = self.state(task)
        self._states[task] = (value, off)
        if not (was ^ value) & (HARDIRQ_BITS | SOFTIRQ_BITS):
            return
        order = self._order
        before = order.place(context_of(task, cpu, was))
        now = order.place(context_of(task, cpu, value))
        if (was ^ value) & HARDIRQ_BITS:
            if value & HARDIRQ_BITS and not was & HARDIRQ_BITS:
                order.follow(now, before)
                order.acquire(now, ("irqs", cpu))
            elif not value & HARDIRQ_BITS:
                order.release(before, ("irqs", cpu), add=True)
        elif (was ^ value) & SERVING:
            if value & SERVING:
                order.follow(now, before)
                order.acquire(now, ("softirqs", cpu))
            else:
                order.release(before, ("softirqs", cpu), add=True)
        elif not value & (HARDIRQ_BITS | SERVING):
            off = bool(value & SOFTIRQ_BITS)
            if off != bool(was & SOFTIRQ_BITS):
                self._exclude(now, ("softirqs", cpu), off)

    def _exclude(self, place: int, key: tuple[str, int], off: bool) -> None:
        if off:
            self._order.acquire(place, key)
        else:
            self._order.release(place, key, add=True)
