"""Build variants of a guest by what a debugger can do with them."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from wdbg.runtime.journal import Journal, Position
from wdbg.runtime.machine import Machine


class Level(enum.IntEnum):
    """Each can do more than the one before, and is slower."""

    DEBUG = 0
    """Stop points."""
    WATCH = 1
    """Watchpoints."""
    EDIT = 2
    """Locals can be written."""

    @property
    def variant(self) -> str:
        """The variant's name."""
        return self.name.lower()


Keep = Callable[[Machine, Position | None], None]
"""Called with a machine that is being brought somewhere, at places where a checkpoint would be of
use; right after a debugger's intervention with the place where that was."""


class Rebuild(Protocol):
    """Brings the guest to a place in its run again."""

    def __call__(
        self, old: Machine, variant: str, place: Position, keep: Keep | None = None,
        past: Past | None = None,
    ) -> Machine:
        """A machine of that variant that stands there. WdbgError: `old` is as it was."""


@dataclass(frozen=True, slots=True)
class Past:
    """Another run than the one of the machine that is at hand: it goes back, and its future is
    changed."""

    journal: Journal
    digest: str
    """Run hash at the place, without memory."""
