"""The cases of lib/locking-selftest.c, told apart by what its `dotest` and lockdep_reset() tell.

Each case is judged by an engine of its own. Its parts stand for different tasks, though one task
runs them all; and the deliberate faults are no findings about the kernel.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from wdbg.analysis.lockdep.model import Problem
from wdbg.trace.tables import Tables


@dataclass(frozen=True, slots=True)
class Case:
    """A case of the self test."""

    function: int
    """C function pointer of the case."""
    expected: bool
    """Whether it should find no fault."""
    problems: tuple[Problem, ...]

    @property
    def clean(self) -> bool:
        """Whether no fault was found."""
        return not self.problems

    @property
    def right(self) -> bool:
        """Whether the verdict is the expected one."""
        return self.clean == self.expected


def table(cases: Iterable[Case], tables: Tables) -> Iterator[str]:
    """A Markdown table of the cases."""
    names = {row.pointer: row.name for row in tables.functions if row.pointer}
    yield "| case | expected | verdict | found | |"
    yield "| --- | --- | --- | --- | --- |"
    for case in cases:
        words = {True: "clean", False: "fault"}
        found = ", ".join(dict.fromkeys(each.kind for each in case.problems)) or "-"
        yield (
            f"| {names.get(case.function, hex(case.function))} | {words[case.expected]} "
            f"| {words[case.clean]} | {found} | {'✓' if case.right else '✗'} |"
        )
