"""Wasm globals of a task's instance of a module, as far as the module lets them be seen."""

from __future__ import annotations

from typing import Any

from wdbg.instrument.layout import STACK_POINTER_EXPORT
from wdbg.runtime.probes import ProbedModule
from wdbg.runtime.task import Task


def global_item(task: Task, module: ProbedModule, index: int) -> Any | None:
    """The engine's object for a global, an int for one whose value never changes, None if the
    module does not let it be seen. Only exported and imported globals can be."""
    facts = module.code.facts
    if module.number and (task.user is None or not _runs(task, module)):
        return None
    if module.number and 0 <= index < len(facts.globals):
        return _imported(task, facts.globals[index].name)
    instance = task.user.instance if module.number and task.user is not None else task.kernel
    for name, kind, number in facts.exports:
        if kind == "global" and number == index:
            return instance.export(name)
    if module.number == 0 and index == 0:
        return instance.export(STACK_POINTER_EXPORT)  # the linker makes it the first global
    return None


def _runs(task: Task, module: ProbedModule) -> bool:
    return task.image is not None and task.image.program.probed is module


def _imported(task: Task, name: str) -> Any | None:
    if task.user is None or task.image is None:
        return None
    if name == "__stack_pointer":
        return task.user.stack_pointer
    return {"__memory_base": task.image.data_start, "__table_base": task.image.table_start}.get(
        name
    )


def unsigned(item: Any, task: Task) -> int | None:
    """A global's value, without its sign; None for what is no integer."""
    value = item.value(task.fiber.store)
    if not isinstance(value, int):
        return None
    bits = 64 if "i64" in str(item.type(task.fiber.store).content) else 32
    return value & ((1 << bits) - 1)


def stack_pointer(task: Task, module: int) -> int | None:
    """__stack_pointer of a task's instance of the kernel (module 0) or of its program."""
    if module:
        return None if task.user is None else unsigned(task.user.stack_pointer, task)
    for name in (STACK_POINTER_EXPORT, "__stack_pointer"):
        value = task.kernel.global_value(name)
        if value is not None:
            return value
    return None
