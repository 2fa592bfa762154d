"""Run inside GDB, after the kernel's own scripts: what they cannot know about this machine.

Those ask GDB's architecture, or QEMU's thread numbers, for the current CPU and task. Here GDB's
threads are the guest's tasks: a thread's id is the task's pid, or IDLE_TID plus the CPU's number
for the idle tasks, which have no pid of their own.
"""

from __future__ import annotations

import gdb
from linux import cpus, interrupts, tasks

IDLE_TID = 1_000_000_000
"""Of CPU 0's idle task (wdbg.debugger.model)."""


def selected_tid() -> int:
    """Id of the selected thread."""
    thread = gdb.selected_thread()
    if thread is None:
        raise gdb.GdbError("No thread is selected: attach to a guest first.")
    _, lwp, tid = thread.ptid
    return int(lwp or tid)


def run_queue(cpu: int) -> gdb.Value:
    """A CPU's run queue."""
    return cpus.per_cpu(gdb.parse_and_eval("&runqueues"), cpu)


def selected_task() -> gdb.Value:
    """Pointer to the task of the selected thread."""
    tid = selected_tid()
    if tid >= IDLE_TID:
        return run_queue(tid - IDLE_TID)["idle"]
    task = tasks.get_task_by_pid(tid)
    if task is None:
        raise gdb.GdbError(f"The kernel has no task {tid}.")
    return task


def current_cpu() -> int:
    """The CPU on which the selected thread's task runs, or ran last."""
    tid = selected_tid()
    return tid - IDLE_TID if tid >= IDLE_TID else int(selected_task()["thread_info"]["cpu"])


def current_task(cpu: int) -> gdb.Value:
    """The selected thread's task; of another CPU (not -1) the one that has it."""
    task = selected_task() if int(cpu) == -1 else run_queue(int(cpu))["curr"]
    return task.dereference()


cpus.get_current_cpu = current_cpu
cpus.get_current_task = current_task
# This machine counts its interrupts in the kernel's own tables only.
interrupts.arch_show_interrupts = lambda _width: ""
