"""Writing wasm globals of a task's instance of a module."""

from __future__ import annotations

from wdbg.debugger.model import DebugError
from wdbg.runtime.machine import Machine
from wdbg.runtime.task import Task
from wdbg.runtime.taskglobals import global_item


def signed(value: int, kind: str) -> int:
    """A value as the engine takes it: i32 and i64 are signed there."""
    bits = 64 if "64" in kind else 32
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >= 1 << (bits - 1) else value


def write_global(machine: Machine, task: Task, module: int, index: int, value: int) -> None:
    """Set a mutable global. DebugError if that cannot be done."""
    probes = machine.probes
    item = None
    if probes is not None and 0 <= module < len(probes.modules):
        item = global_item(task, probes.modules[module], index)
    if item is None or isinstance(item, int):
        raise DebugError(f"global {index} cannot be written")
    try:
        kind = str(item.type(task.fiber.store).content)
        item.set_value(task.fiber.store, signed(value, kind))
    except Exception as error:  # the engine's own, for constants; only the runtime knows them
        raise DebugError(f"global {index} cannot be written: {error}") from None
