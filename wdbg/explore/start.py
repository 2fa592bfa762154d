"""Where the schedules of a search part: bringing a fresh machine there.

The place is a tick, the first one after something that tells that the workload begins. The quantum
is cut there, by `Takeover`, so that a script can begin there in a machine booted anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from wdbg.errors import BadInput
from wdbg.runtime.console import Console
from wdbg.runtime.machine import Machine
from wdbg.runtime.scheduler import Scheduler, Takeover
from wdbg.runtime.stop import Stop
from wdbg.runtime.task import Task

_BUG_CASE = re.compile(r"(?:^|\s)bugs\.case=(\S+)")
COMMAND_EXEC = 2
"""The guest's init is the first program, the shell that runs the command the second."""
_LINE_LIMIT = 1024
_PATIENCE = 100_000_000_000
"""Virtual ns within which a workload has to begin: a guest that waits at its prompt never ends."""
_LOOK_EVERY = 1_000_000
"""Ticks."""


@dataclass(frozen=True, slots=True)
class Start:
    """What tells that the workload begins: exactly one of these."""

    text: str = ""
    """Part of a console line."""
    program: int = 0
    """So many programs have been executed."""
    tick: int = 0

    def __str__(self) -> str:
        if self.text:
            return f'the console line "{self.text}"'
        return f"program {self.program}" if self.program else f"tick {self.tick}"


def parse_start(text: str) -> Start:
    """`console:TEXT`, `exec:N` or `tick:N`. BadInput for anything else."""
    kind, _, value = text.partition(":")
    if kind == "console" and value:
        return Start(text=value)
    if kind in ("exec", "tick") and value.isdecimal() and int(value) < 1 << 60 and int(value):
        return Start(program=int(value)) if kind == "exec" else Start(tick=int(value))
    raise BadInput(f"--from {text}: console:TEXT, exec:N or tick:N are possible")


def default_start(append: str, command: str | None) -> tuple[Start, str]:
    """Where a workload begins and the console line that ends it ("": the end of the run)."""
    case = _BUG_CASE.search(append)
    if case is not None:
        return Start(text=f"bugs: {case[1]} start"), f"bugs: {case[1]} done"
    if command is not None:
        return Start(program=COMMAND_EXEC), ""
    raise BadInput(
        "what is to be explored?", "--exec COMMAND, --append bugs.case=NAME, or --from PLACE"
    )


class _Lines:
    """A console in front of another one: looks for a text in what passes."""

    def __init__(self, inner: Console, text: str, found: Callable[[], None]) -> None:
        self._inner = inner
        self._text = text.encode()
        self._found = found
        self._line = b""

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def write(self, data: bytes) -> None:
        """Pass on, and look."""
        self._inner.write(data)
        *whole, rest = (self._line + data).split(b"\n")
        if any(self._text in line for line in whole):
            self._found()
        self._line = rest[-_LINE_LIMIT:]


def go_to_start(machine: Machine, start: Start) -> Stop | None:
    """Run to the first tick after the start. The end of the run if it comes before.

    From there on `machine.scheduler` may be replaced: a quantum has ended. BadInput if the start
    does not come.
    """
    latest = machine.now() + _PATIENCE
    base: Scheduler = machine.scheduler
    takeover = Takeover(base)
    machine.scheduler = takeover
    console = machine.inputs.console
    programs = 0

    def begin() -> None:
        if not takeover.set:
            takeover.tick = machine.ticks + 1
            machine.end_quantum_soon()
            machine.pause()

    def executed(_task: Task) -> None:
        nonlocal programs
        programs += 1
        if programs == start.program:
            begin()

    if start.tick:
        takeover.tick = start.tick
    elif start.text:
        # the rest of a Console by __getattr__
        machine.inputs.console = _Lines(console, start.text, begin)  # type: ignore[assignment]
    else:
        machine.on_exec = executed
    try:
        while not takeover.set:
            if machine.run(until=machine.ticks + _LOOK_EVERY) is not None:
                return machine.stop
            if machine.now() > latest:
                raise BadInput(
                    f"{start} did not come within {_PATIENCE // 10**9} virtual seconds",
                    "the kernel parameter quiet keeps the kernel's lines from the console"
                    if start.text
                    else "--from PLACE says where the workload begins",
                )
        while machine.ticks < takeover.tick:
            if machine.run(until=takeover.tick) is not None:
                return machine.stop
    finally:
        machine.on_exec = None
        machine.inputs.console = console
    return None
