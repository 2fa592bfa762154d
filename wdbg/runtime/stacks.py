"""The stacks of parked tasks with their locals, read in a forked copy of the machine.

In the copy every stop point is armed and `layout.UNWIND` is set: a fiber that goes on returns from
function to function, and each hands over its locals at the instruction after the call it was in.
Nothing of the original code runs in between, and the machine itself is not touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from wdbg.instrument import layout
from wdbg.runtime.backtrace import Frame, original_frames
from wdbg.runtime.engine import unwatch_parks
from wdbg.runtime.probes import Captured
from wdbg.runtime.task import Task

if TYPE_CHECKING:
    from wdbg.runtime.machine import Machine

MAX_FRAMES = 1024
"""Frames of one task that are read."""

_PLENTY = 1 << 30
"""Ticks granted in the copy: nothing there may end a quantum."""


def read_stacks(machine: Machine, tasks: Sequence[Task]) -> dict[int, list[Captured]]:
    """Frames of each task by its pointer, innermost first: kernel and program frames alike.

    A task that has not run yet, or whose call has ended, has none. The machine must stand still
    and have probes.
    """
    probes = machine.probes
    assert probes is not None
    stopped = machine.stopped_at
    wanted = [t for t in tasks if t.fiber.suspended and not t.fresh]

    def unwind(task: Task) -> list[tuple[int, list[int]]]:
        mailbox = machine.mailbox
        frames = []
        # The task that stands at a stop point has handed over its innermost frame already.
        answer = 1 if stopped is not None and stopped[0] is task else 0
        for _ in range(2 * MAX_FRAMES):
            mailbox.result.value = answer
            mailbox.tick.value = _PLENTY
            if task.fiber.poll():
                break
            answer = 0
            if mailbox.call.value == layout.CALL_PROBE:
                address = mailbox.argument(0)
                module, stop = probes.find(address)
                frames.append((address, probes.slots(module, stop)))
                if len(frames) >= MAX_FRAMES:
                    break
                answer = 1
        return frames

    def unwind_all() -> list[list[tuple[int, list[int]]]]:
        unwatch_parks()
        machine.mailbox.unwind.value = 1
        probes.fill(1)
        return [unwind(task) for task in wanted]

    stacks: dict[int, list[Captured]] = {task.pointer: [] for task in tasks}
    if not wanted:
        return stacks
    for task, raw in zip(wanted, machine.in_fork(unwind_all), strict=True):
        frames = stacks[task.pointer]
        if stopped is not None and stopped[0] is task:
            frames.append(stopped[1])
        frames += [probes.decode(address, slots, outer=True) for address, slots in raw]
    return stacks


def read_backtraces(machine: Machine, tasks: Sequence[Task]) -> dict[int, tuple[Frame, ...]]:
    """The same without values, in any variant: each task traps in the copy where it is parked."""
    wanted = [t for t in tasks if t.fiber.suspended and not t.fresh]

    def trap(task: Task) -> list[tuple[str, int, int, int, str]]:
        machine.mailbox.tick.value = _PLENTY
        if not task.fiber.poll() or task.fiber.trap is None:
            return []
        frames = original_frames(task.fiber.trap.frames[:MAX_FRAMES], machine.abi.codes)
        return [(f.function, f.code_offset, f.offset, f.size, f.module) for f in frames]

    def trap_all() -> list[list[tuple[str, int, int, int, str]]]:
        unwatch_parks()
        machine.mailbox.trap.value = 1
        return [trap(task) for task in wanted]

    stacks: dict[int, tuple[Frame, ...]] = {task.pointer: () for task in tasks}
    if wanted:
        for task, raw in zip(wanted, machine.in_fork(trap_all), strict=True):
            stacks[task.pointer] = tuple(Frame(*fields) for fields in raw)
    return stacks
