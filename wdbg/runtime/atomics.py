"""memory.atomic.wait and notify (threads proposal): how virtual CPUs idle and are woken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wdbg.instrument import layout

if TYPE_CHECKING:
    from wdbg.runtime.cpu import Cpu
    from wdbg.runtime.machine import Machine
    from wdbg.runtime.task import Task

WAIT_WOKEN, WAIT_NOT_EQUAL, WAIT_TIMED_OUT = 0, 1, 2
"""Results of memory.atomic.wait."""


def wait(machine: Machine, cpu: Cpu, task: Task, call: int) -> bool:
    """memory.atomic.wait32/64; True if the CPU went idle."""
    mailbox = machine.mailbox
    address = mailbox.argument(0)
    timeout = mailbox.long_argument(2)
    if call == layout.CALL_WAIT32:
        same = machine.memory.read_u32(address) == mailbox.argument(1)
    else:
        expected = mailbox.long_argument(1).to_bytes(8, "little", signed=True)
        same = machine.memory.read(address, 8) == expected
    if not same:
        task.answer = WAIT_NOT_EQUAL
        return False
    if timeout == 0:
        task.answer = WAIT_TIMED_OUT
        return False
    cpu.wait(address, machine.now() + timeout if timeout > 0 else 0)
    if machine.tracer is not None:
        machine.tracer.idle(cpu.number)
    return True


def notify(machine: Machine, task: Task) -> bool:
    """memory.atomic.notify; True if a CPU woke up, which is a scheduling point."""
    mailbox = machine.mailbox
    woken = wake_waiters(machine, mailbox.argument(0), mailbox.argument(1))
    task.answer = woken
    return woken > 0


def wake_waiters(machine: Machine, address: int, count: int) -> int:
    """Wake up to `count` CPUs that wait on `address`; how many there were."""
    woken = 0
    for cpu in machine.online():
        if not cpu.ready and cpu.waits_on == address and woken < count:
            cpu.wake(WAIT_WOKEN)
            woken += 1
    return woken
