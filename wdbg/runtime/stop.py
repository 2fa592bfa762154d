"""Why a run ended, and what that means to the caller."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from wdbg.runtime.backtrace import Frame


class StopKind(enum.Enum):
    """The ends that a run can come to."""

    POWER_OFF = "power off"
    HALT = "halt"
    RESTART = "restart"
    PANIC = "panic"
    TRAP = "trap"
    HANG = "hang"
    TIMEOUT = "timeout"
    INTERRUPTED = "interrupted"
    LIMIT = "limit"
    RECORDED = "end of the recording"
    DIVERGED = "divergence"
    """A replay does something else than its recording."""


FINDINGS = frozenset(
    {StopKind.PANIC, StopKind.TRAP, StopKind.HANG, StopKind.TIMEOUT, StopKind.LIMIT}
)
"""Ends that make `wdbg run` exit with status 1."""


@dataclass(frozen=True, slots=True)
class Stop:
    """How the run ended."""

    kind: StopKind
    message: str = ""
    frames: tuple[Frame, ...] = ()
    """Guest backtrace where there is one, innermost first."""
    exit_code: int | None = None
    """Exit status of the scripted command, if the guest's init reported one."""
    signal: int = 0
    """Host signal that ended the run (INTERRUPTED)."""
    tick: int = -1
    """When a trap happened; -1: not noted."""
    task: int = 0
    """Guest address of the task that trapped; 0: not noted."""
