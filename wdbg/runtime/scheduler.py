"""Who runs next and for how long: the only source of interleaving.

A scheduler is asked at scheduling points only (end of a quantum, a CPU going idle or waking up),
and must be a pure function of its seed and of what it was asked before: that makes a run
repeatable (docs/determinism.md).
"""

from __future__ import annotations

import random
from typing import Protocol

from wdbg.runtime.cpu import Cpu

DEFAULT_QUANTUM = 20_000
"""Ticks that a CPU runs while others are ready too (80 virtual microseconds)."""


class Scheduler(Protocol):
    """Chooses among the ready virtual CPUs."""

    def pick(self, ready: list[Cpu]) -> tuple[Cpu, int]:
        """The CPU to run and its quantum in ticks (>= 1); `ready` is in CPU order, not empty."""
        ...


class RoundRobin:
    """Each ready CPU in turn, all with the same quantum."""

    def __init__(self, quantum: int = DEFAULT_QUANTUM) -> None:
        self._quantum = quantum
        self._last = -1

    def pick(self, ready: list[Cpu]) -> tuple[Cpu, int]:
        """The next CPU number after the one that ran last."""
        chosen = next((c for c in ready if c.number > self._last), ready[0])
        self._last = chosen.number
        return chosen, self._quantum


class SeededRandom:
    """Any ready CPU; quanta from 1 to twice the mean, short ones more often (square law).

    Only `random.Random.random` is used: its sequence for a seed is the same in every Python.
    """

    def __init__(self, seed: int, quantum: int = DEFAULT_QUANTUM) -> None:
        self._draw = random.Random(seed).random
        self._span = 2 * quantum

    def pick(self, ready: list[Cpu]) -> tuple[Cpu, int]:
        """A random CPU with a random quantum."""
        chosen = ready[int(self._draw() * len(ready))] if len(ready) > 1 else ready[0]
        return chosen, 1 + int(self._draw() ** 2 * self._span)
