"""Where struct task_struct has what a trace records, from the kernel's debug information."""

from __future__ import annotations

from symbols.dwarf.index import Index
from symbols.errors import SymbolsError
from wdbg.linux.schedpoints import TaskFields

_MEMBERS = {
    "pid": ("pid",),
    "tgid": ("tgid",),
    "comm": ("comm",),
    "state": ("__state", "state"),
    "on_rq": ("on_rq",),
    "delayed": ("se.sched_delayed",),
    "prio": ("prio",),
    "cpu": ("thread_info.cpu", "cpu"),
    "preempt_count": ("thread_info.preempt_count",),
    "irqs_off": ("thread_info.irqs_off",),
    "softirq": ("softirq_context",),
    "hardirq_threaded": ("hardirq_threaded",),
    "irq_config": ("irq_config",),
}
"""Fields and the members that they may be, the newest kernels' names first."""


def file_name_fields(index: Index) -> tuple[int, int]:
    """Where struct task_struct has its `mm`, and that the end of its environment: there the kernel
    has put the name of the program's file (fs/exec.c: copy_string_kernel() comes first). (-1, -1)
    if that is not known."""
    try:
        task, space = index.struct("task_struct"), index.struct("mm_struct")
        if task is not None and space is not None:
            return task.member("mm").offset, space.member("env_end").offset
    except SymbolsError:
        pass
    return -1, -1


def task_fields(index: Index) -> TaskFields:
    """The offsets; those of members that the kernel does not have are -1."""
    try:
        task = index.struct("task_struct")
    except SymbolsError:
        task = None
    if task is None:
        return TaskFields()
    found: dict[str, int] = {}
    for field, paths in _MEMBERS.items():
        for path in paths:
            try:
                found[field] = task.member(path).offset
                break
            except SymbolsError:
                continue
    return TaskFields(**found)
