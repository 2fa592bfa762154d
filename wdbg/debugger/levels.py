"""Build variants of a guest by what a debugger can do with them."""

from __future__ import annotations

import enum
from collections.abc import Callable

from wdbg.runtime.journal import Position
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


Rebuild = Callable[[Machine, str, Position], Machine]
"""(machine, name of a variant, where the machine stands) -> a machine that stands there."""
