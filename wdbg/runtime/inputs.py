"""What reaches the guest from outside: the console's input and size, or a journal in its place.

Everything comes at scheduling points, and is noted in the journal with its exact position.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wdbg.runtime.console import Console
from wdbg.runtime.journal import Journal, Keys, Replay, ReplayError, Resize
from wdbg.runtime.stop import Stop, StopKind

if TYPE_CHECKING:
    from wdbg.runtime.machine import Machine

POLL_TICKS = 1 << 20
"""Ticks between two looks at an interactive console while the guest is busy."""

INPUT_LIMIT = 4096
"""Console bytes held for the guest before more are taken from the host."""


class Inputs:
    """One machine's."""

    def __init__(self, machine: Machine, console: Console) -> None:
        self.console = console
        self.resized = False
        """The console's size is to be looked at."""
        self.window = (0, 0)
        """(rows, columns) that the guest may know."""
        self._machine = machine
        self._unread = bytearray()
        self._next_poll = 0
        self._replay: Replay | None = None
        self._end: Stop | None = None

    # ---- the guest's side

    def read(self, limit: int) -> bytes:
        """Up to `limit` bytes for the guest to read now."""
        data = bytes(self._unread[:limit])
        del self._unread[: len(data)]
        return data

    def feed(self, data: bytes, *, idle: bool) -> None:
        """Input from outside, at this point of the run; `idle`: every CPU waits."""
        machine = self._machine
        machine.note(Keys(machine.moment(), data, idle))
        machine.hash.data(machine.ticks, data)
        self._unread += data
        machine.abi.console_ready()

    def resize(self, size: tuple[int, int]) -> None:
        """Tell the guest the console's size, at this point of the run: an input."""
        machine = self._machine
        self.window = size
        machine.note(Resize(machine.moment(), *size))
        machine.abi.console_ready()

    # ---- replay

    def replay(self, journal: Journal, end: Stop | None = None) -> None:
        """Take all inputs from a journal until `go_live`. `end`: what ends the run where it waits
        for more input than there is."""
        self._replay = Replay(journal.inputs)
        self._end = end

    @property
    def replaying(self) -> bool:
        """Inputs come from a journal."""
        return self._replay is not None

    def go_live(self, console: Console) -> None:
        """From here on `console` is the guest's. ReplayError if the journal holds more input."""
        if self._replay is not None and self._replay.left:
            raise ReplayError(f"{self._replay.left} inputs of the journal were not reached")
        self._replay = None
        self.console = console
        if console.interactive and console.window_size() != self.window:
            self.resized = True

    # ---- scheduling points

    def take_size(self) -> None:
        """A scheduling point: the console's size, if there is something new to know of it."""
        machine = self._machine
        if self._replay is not None:
            size = self._replay.resize(machine.quanta, machine.skipped)
            if size is not None:
                self.resize(size)
        elif self.resized:
            self.resized = False
            self.resize(self.console.window_size())

    def take_keys(self) -> None:
        """A scheduling point with a CPU that is ready: what has been typed."""
        machine = self._machine
        if self._replay is not None:
            data = self._replay.keys(machine.quanta, machine.skipped, idle=False)
            if data:
                self.feed(data, idle=False)
        elif self.console.interactive and machine.ticks >= self._next_poll:
            self._next_poll = machine.ticks + POLL_TICKS
            self._poll()

    def _poll(self) -> None:
        if self.console.left():
            self._machine.request_stop(Stop(StopKind.INTERRUPTED, "left"))
        elif len(self._unread) < INPUT_LIMIT:
            data = self.console.poll()
            if data:
                self.feed(data, idle=False)

    def idle(self, alarm: int, goal: tuple[int, int] | None) -> None:
        """Every CPU waits: take input, or jump to the alarm, or find that nothing can come.
        `goal`: (quanta, skipped) where `run_to` is to stop."""
        machine = self._machine
        if not machine.online():
            machine.end(Stop(StopKind.HALT, "all CPUs have stopped"))
            return
        wait = max(0, alarm - machine.now()) if alarm else None
        came: tuple[bytes, int | None] | None
        if self._replay is not None:
            most = goal[1] - machine.skipped if goal and goal[0] == machine.quanta else None
            came = self._replay.idle(machine.quanta, machine.skipped, wait, most)
        elif self.console.left():
            machine.end(Stop(StopKind.INTERRUPTED, "left"))
            return
        elif len(self._unread) >= INPUT_LIMIT:
            came = (b"", wait) if wait is not None else None
        else:
            if machine.tracer is not None and self.console.interactive:
                machine.tracer.drain()  # this may take long
            if machine.recorder is not None and self.console.interactive:
                machine.recorder.rest()
            came = self.console.idle(wait)
        if came is None or came[1] is None:
            if machine.held:
                machine.pause()
                return
            message = "every CPU is idle, no timer is armed, no input can come"
            machine.end(self._end or Stop(StopKind.HANG, message))
            return
        data, passed = came
        machine.skipped += passed
        if data:
            self.feed(data, idle=True)
        if machine.pause_when_idle:
            machine.pause()
