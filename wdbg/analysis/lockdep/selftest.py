"""The cases of lib/locking-selftest.c, told apart by what its `dotest` and lockdep_reset() tell.

Each case is judged by an engine of its own. Its parts stand for different tasks, though one task
runs them all; and the deliberate faults are no findings about the kernel.
"""

from __future__ import annotations

from dataclasses import dataclass

from wdbg.analysis.lockdep.engine import Engine
from wdbg.analysis.lockdep.model import Problem


@dataclass(frozen=True, slots=True)
class Case:
    """A case of the self test."""

    function: int
    """C function pointer of the case."""
    expected: bool
    """Whether it should find no fault."""
    problems: tuple[Problem, ...]
    engine: Engine

    @property
    def clean(self) -> bool:
        """Whether no fault was found."""
        return not self.problems
