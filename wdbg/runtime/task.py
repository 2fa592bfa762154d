"""A guest task: the fiber that runs it, and what its user program needs."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wdbg.instrument import layout
from wdbg.runtime.backtrace import Frame
from wdbg.runtime.engine import Fiber, Instance

if TYPE_CHECKING:
    from wdbg.runtime.program import Program


class Phase(enum.Enum):
    """What the call under way on the task's fiber is."""

    CPU = "cpu"
    """_start or _start_secondary: a CPU's idle task, which never returns."""
    KERNEL = "kernel"
    """ret_from_fork, which returns to enter a user program."""
    USER = "user"
    """A function of the user program (and the system calls on top of it)."""
    DYING = "dying"
    """raise_exception after a trap: the guest's verdict on itself."""


@dataclass(frozen=True, slots=True)
class Image:
    """A loaded user program: where the kernel put it."""

    program: Program
    data_start: int
    table_start: int


class Task:
    """Mutable state of one guest task; `answer` is what its parked call will return."""

    __slots__ = (
        "answer", "calls", "fiber", "frames", "fresh", "image", "kernel", "name", "phase",
        "pointer", "redo_signal", "tick", "user",
    )  # fmt: skip

    def __init__(self, pointer: int, name: str, fiber: Fiber, kernel: Instance) -> None:
        self.pointer = pointer
        """Guest address of its task_struct (what the kernel calls it)."""
        self.name = name
        self.fiber = fiber
        self.kernel = kernel
        self.tick: Any = kernel.export(layout.TICK_EXPORT)
        """The instance's tick global: spilled by every park, set by hand for a fresh call."""
        self.phase = Phase.KERNEL
        self.answer: int | None = 0
        """Result of the host call it is parked in; None: parked at a tick, decided at resume."""
        self.fresh = True
        """The call has not been polled yet: nothing refills its tick global."""
        self.calls: list[tuple[Any, Sequence[int]]] = []
        """Functions to run after the present one returns (start of a user program)."""
        self.image: Image | None = None
        self.user: UserSide | None = None
        self.frames: tuple[Frame, ...] = ()
        """Where it trapped, for the guest's own report; empty otherwise."""
        self.redo_signal = False
        """A signal arrived while a handler returned: call its handler once unwound."""

    def call(self, function: Any, args: Sequence[int] = ()) -> None:
        """Drop what the fiber was doing and call `function` at the next poll."""
        self.fiber.start(function, args)
        self.fresh = True

    def get_tick(self) -> int:
        """The tick global as it stands (after a call that ended without a park)."""
        return int(self.tick.value(self.fiber.store))

    def set_tick(self, value: int) -> None:
        """Ticks left, for a fresh call."""
        self.tick.set_value(self.fiber.store, value)

    def close(self) -> None:
        """Free the fiber, its store and all its instances."""
        self.fiber.close()


@dataclass(frozen=True, slots=True)
class UserSide:
    """The user instance's parts that the host touches."""

    instance: Instance
    stack_pointer: Any
    """The mutable global env.__stack_pointer."""
    set_tls_base: Any | None
    handle_signal: Any | None
