"""How much of their kernel stacks the tasks have used."""

from __future__ import annotations

from typing import Any

from wdbg.analysis.crash.symbols import Names, thread_size
from wdbg.linux.image import Corrupt, Unknown

STACK_END_MAGIC = 0x57AC6E9D
"""include/uapi/linux/magic.h: what the last word of an intact stack holds."""


def stack_uses(names: Names) -> list[dict[str, Any]]:
    """For each task with a stack, the fullest first: bytes in use now and at most so far."""
    snapshot = names.snapshot
    image = snapshot.image
    if image is None:
        return []
    size = thread_size(snapshot)
    rows: list[dict[str, Any]] = []
    for address, task in snapshot.tasks.items():
        try:
            start = image.field(address, "task_struct", "stack")
            raw = image.bytes(start, size)
        except (Corrupt, Unknown):
            continue
        pointer = task.globals.get((0, 0), 0)
        now = start + size - pointer if start <= pointer <= start + size else 0
        whole = int.from_bytes(raw[:4], "little") == STACK_END_MAGIC
        # What was never used is zero, behind the magic word; a new stack may hold old contents.
        untouched = len(raw) - len(raw[4:].lstrip(b"\0")) - 4 if whole else 0
        rows.append(
            {
                "task": names.task_name(address), "now": now, "most": size - untouched,
                "size": size, "intact": whole,
            }
        )  # fmt: skip
    rows.sort(key=lambda row: (row["intact"], -row["now"]))
    return rows
