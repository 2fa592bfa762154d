"""The interface between the machine and a port of Linux to WebAssembly; one module a port."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from wdbg.instrument.port import Port
from wdbg.instrument.result import FunctionTable
from wdbg.runtime.backtrace import Frame

if TYPE_CHECKING:
    from wdbg.runtime.cpu import Cpu
    from wdbg.runtime.machine import Machine
    from wdbg.runtime.task import Task


class Abi(Protocol):
    """What a port's host interface has to offer.

    The machine calls `attach` once, then `boot`; `handlers` and `returned` only while a CPU's
    task is parked or has returned, so that no host code ever runs inside the guest.
    """

    name: str
    port: Port
    """What the instrumenter has to know of the port."""
    codes: dict[str, tuple[str, Any]]
    """What backtraces can name: engine module name to (shown name, code)."""
    handlers: list[Callable[[Cpu, Task], None]]
    """Host calls by number: each does its work and sets the task's answer, or switches the
    CPU's task."""

    def attach(self, machine: Machine) -> None:
        """Take the machine that this object works for."""
        ...

    def observe_parks(self) -> None:
        """Become the one whose stack-reading host calls are watched: that is one registration for
        a process, and the machine attached last has it."""
        ...

    def boot(self, command_line: str, initrd: bytes | None, cpus: int) -> None:
        """Fill the memory and start CPU 0; BadInput if the guest cannot take what is given."""
        ...

    def returned(self, cpu: Cpu, task: Task) -> None:
        """The call on the task's fiber has returned or trapped: start what follows."""
        ...

    def interrupt_pending(self, cpu: int) -> bool:
        """An interrupt waits to be taken by that CPU (it may have them disabled)."""
        ...

    def raise_timer(self, cpu: int) -> None:
        """Raise the timer interrupt of a CPU and wake it if it is idle."""
        ...

    def functions(self) -> FunctionTable:
        """The kernel's functions."""
        ...

    def backtrace(self, task: Task) -> tuple[Frame, ...]:
        """Stack of a parked task, innermost first; () if it cannot be had."""
        ...

    def console_ready(self) -> None:
        """Console input has come, or the window size has changed."""
        ...
