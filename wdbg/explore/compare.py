"""Where two runs part: the first turn that is another task's, or comes at another tick."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass

from wdbg.runtime.backtrace import Frame
from wdbg.runtime.machine import Machine
from wdbg.runtime.task import Task


@dataclass(frozen=True, slots=True)
class Side:
    """One run at the place where they part."""

    tick: int
    """Of its first turn that the other run does not have; of its end if it has none."""
    cpu: int
    """The CPU whose turn that is; -1: the run has ended."""
    task: str
    """Name of the task that goes on."""
    stack: tuple[Frame, ...]
    """Of that task, as it goes on, innermost first."""
    before: str
    """The task that ran until then, ..."""
    stack_before: tuple[Frame, ...]
    """... and where it stands."""


@dataclass(frozen=True, slots=True)
class Parting:
    """Where two runs part."""

    turns: int
    """Turns that they have in common."""
    tick: int
    """Tick of the last of these."""
    sides: tuple[Side, Side]


class _Turns:
    """The turns of a run: tick and task."""

    def __init__(self, machine: Machine) -> None:
        self.rows = array("Q")
        self._machine = machine
        machine.on_turn = self._turn

    def _turn(self, task: Task) -> None:
        self.rows.extend((self._machine.ticks, task.pointer))


def part(
    fresh: tuple[Callable[[], Machine], Callable[[], Machine]],
    drive: tuple[Callable[[Machine], object], Callable[[Machine], object]],
) -> Parting | None:
    """Compare two runs, each booted by `fresh` and run to its end by `drive`; None if they are the
    same."""
    rows = []
    for boot, play in zip(fresh, drive, strict=True):
        machine = boot()
        turns = _Turns(machine)
        play(machine)
        rows.append(turns.rows)
        machine.close()
    first, second = rows
    if first == second:
        return None
    shorter = min(len(first), len(second))
    at = next((i for i in range(0, shorter, 2) if first[i : i + 2] != second[i : i + 2]), shorter)
    sides = [_side(boot(), own, at) for boot, own in zip(fresh, rows, strict=True)]
    return Parting(at // 2, first[at - 2] if at else 0, (sides[0], sides[1]))


class _Found(Exception):
    """The turn has come."""


def _side(machine: Machine, rows: array[int], at: int) -> Side:
    """Run again up to the turn with index `at`."""
    count = 0
    last: Task | None = None

    def turn(task: Task) -> None:
        nonlocal count, last
        if count == at:
            raise _Found
        count += 2
        last = task

    machine.on_turn = turn
    try:
        if at >= len(rows):
            while machine.stop is None and count < len(rows):
                machine.run(until=machine.ticks + (1 << 20))
            return Side(machine.ticks, -1, "", (), _name(last), _stack(machine, last))
        while machine.stop is None:
            machine.run()
        raise AssertionError("the run does not come to its own turn")
    except _Found:
        task = machine.tasks[rows[at + 1]]
        cpu = next((c.number for c in machine.online() if c.task is task), -1)
        before = () if last is task else _stack(machine, last)
        return Side(
            machine.ticks, cpu, _name(task), _stack(machine, task), _name(last), before
        )
    finally:
        machine.on_turn = None


def _name(task: Task | None) -> str:
    return "" if task is None else task.name


def _stack(machine: Machine, task: Task | None) -> tuple[Frame, ...]:
    if task is None or machine.tasks.get(task.pointer) is not task:
        return ()
    return machine.abi.backtrace(task)
