"""One schedule, in a forked copy of a guest that stands at the workload's start.

Forking costs about a millisecond, so what the parent does for each schedule is kept to that: the
child writes its result into memory that both share, and the parent reads it when it has ended.
"""

from __future__ import annotations

import ctypes
import gc
import hashlib
import mmap
import os
import pickle
import re
import signal
import struct
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from wdbg.errors import WdbgError
from wdbg.explore.history import Log, Replayed, Step
from wdbg.explore.outcome import Outcome, judge
from wdbg.runtime.cpu import Cpu
from wdbg.runtime.machine import Machine
from wdbg.runtime.scheduler import Decision, Point, Scheduler
from wdbg.runtime.stop import Stop, StopKind
from wdbg.runtime.task import Task

RESULT_LIMIT = 16 << 20
"""Bytes of shared memory for a child's result; only what is written of it is ever real."""
CONSOLE_KEPT = 8192
"""Last bytes of the console that an outcome keeps."""
PIECE = 1 << 18
"""Ticks between two looks at the number of quanta."""
NOT_DONE = "not done in time"
"""Of a hang that has timers, or spins."""
_LINE_LIMIT = 1024

_LENGTH = struct.Struct("<I")
_PR_SET_PDEATHSIG = 1
_NO_ROWS = array("q")
_prctl = ctypes.CDLL(None).prctl


class TrialError(WdbgError):
    """A child did not end as it should: exit status 3."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a schedule is given up, or is over."""

    ticks: int
    """Tick of the run."""
    nanoseconds: int
    """Virtual time of the run."""
    quanta: int
    """Quanta of the run."""
    over: str = ""
    """A console line that contains this ends a schedule, with nothing found."""
    patterns: tuple[tuple[str, str], ...] = ()
    """(kind of finding, regular expression) for console lines."""


def die_with_parent(parent: int) -> None:
    """Have the host kernel end this process when its parent ends; `parent` is that one's id."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


@lru_cache(maxsize=8)
def _compiled(
    patterns: tuple[tuple[str, str], ...],
) -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Compiled before the first fork, so that no child has to."""
    return tuple((kind, re.compile(text)) for kind, text in patterns)


class WatchedConsole:
    """Takes what the guest writes, and ends the run at certain lines or when time is up."""

    interactive = False

    def __init__(self, machine: Machine, limits: Limits) -> None:
        self.text = bytearray()
        self.matched: tuple[str, str] | None = None
        self._machine = machine
        self._limits = limits
        self._line = bytearray()
        self._over = limits.over.encode()
        self._patterns = _compiled(limits.patterns)

    def write(self, data: bytes) -> None:
        """Look at each complete line."""
        self.text += data
        if len(self.text) > 2 * CONSOLE_KEPT:
            del self.text[:-CONSOLE_KEPT]
        self._line += data
        while (end := self._line.find(b"\n")) >= 0:
            line = bytes(self._line[:end])
            del self._line[: end + 1]
            self._look(line[:_LINE_LIMIT])
        del self._line[:-_LINE_LIMIT]

    def _look(self, line: bytes) -> None:
        if self.matched is None and self._patterns:
            text = line.decode("utf-8", "replace")
            kind = next((kind for kind, pattern in self._patterns if pattern.search(text)), None)
            if kind is not None:
                self.matched = kind, text
                self._end("a line on the console")
        if self._over and self._over in line:
            self._end("")

    def _end(self, why: str) -> None:
        self._machine.request_stop(Stop(StopKind.INTERRUPTED, why))
        self._machine.end_quantum_soon()

    def poll(self) -> bytes:
        """Nobody types."""
        return b""

    def idle(self, wait_ns: int | None) -> tuple[bytes, int] | None:
        """Let the alarm come, if there is time for it."""
        if wait_ns is None:
            return None
        if self._machine.now() + wait_ns > self._limits.nanoseconds:
            self._machine.request_stop(Stop(StopKind.HANG, NOT_DONE))
            return b"", 0
        return b"", wait_ns

    def look(self) -> None:
        """Nobody types."""

    def wake_on(self, fds: Sequence[int]) -> None:
        """It never waits."""

    def window_size(self) -> tuple[int, int]:
        """Unknown."""
        return 0, 0

    def left(self) -> bool:
        """Nobody is there to leave."""
        return False

    def close(self) -> None:
        """Nothing to restore."""


class Trials:
    """Runs schedules in forked copies of one machine, one after the other."""

    def __init__(self, machine: Machine, limits: Limits) -> None:
        """`machine` stands between two quanta. The limits may be changed between trials."""
        self.machine = machine
        self.limits = limits
        _compiled(limits.patterns)
        self._shared = mmap.mmap(-1, RESULT_LIMIT)
        gc.collect()
        gc.freeze()  # or the first collection in a child would copy every page of the heap

    def of_own(self) -> Trials:
        """The same for a forked process, which must not write where its parent does."""
        return Trials(self.machine, self.limits)

    def decisions_of(self, steps: Sequence[Step]) -> tuple[Outcome, tuple[Decision, ...]]:
        """How a schedule of these steps ends, and its decisions in ticks of all CPUs."""
        scheduler = Replayed(steps)
        outcome = self.run(scheduler, keep=True)
        rows = outcome.rows
        # The scheduler's own notes were made in the child: the rows are the same run's.
        again = Replayed(steps)
        for tick, access, _, mask in zip(*(rows[i::4] for i in range(4)), strict=True):
            ready = [Cpu(number) for number in range(mask.bit_length()) if mask >> number & 1]
            again.pick(ready, Point(tick, access, False))
        return outcome, tuple(again.decisions)

    def run(self, scheduler: Scheduler, *, keep: bool = False) -> Outcome:
        """How the schedule ends; `keep`: with its rows, whatever it comes to."""
        parent = os.getpid()
        gc.disable()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                die_with_parent(parent)
                self._child(scheduler, keep)
                status = 0
            except BaseException as error:
                self._give(error)
            finally:
                os._exit(status)
        gc.enable()
        status = os.waitpid(pid, 0)[1]
        size = _LENGTH.unpack_from(self._shared, 0)[0]
        if status and not size:
            raise TrialError(f"a schedule's process ended with status {status}")
        result = pickle.loads(self._shared[4 : 4 + size])  # our own child's
        _LENGTH.pack_into(self._shared, 0, 0)
        if isinstance(result, BaseException):
            raise TrialError(f"a schedule's process failed: {result!r}")
        return Outcome(*result)

    def _give(self, result: object) -> None:
        data = pickle.dumps(result)
        if len(data) > RESULT_LIMIT - 4:
            data = pickle.dumps(TrialError("a result that is too long"))
        self._shared[4 : 4 + len(data)] = data
        _LENGTH.pack_into(self._shared, 0, len(data))

    def _child(self, scheduler: Scheduler, keep: bool) -> None:
        outcome = play(self.machine, scheduler, self.limits)
        wanted = keep or outcome.kind
        # A plain tuple: each module that a child enters costs it some page faults.
        self._give(
            (
                outcome.kind, outcome.identity, outcome.title, outcome.ticks, outcome.quanta,
                outcome.skipped, outcome.schedule, outcome.digest,
                outcome.rows if wanted else _NO_ROWS, outcome.console if wanted else "",
            )
        )  # fmt: skip


def play(machine: Machine, scheduler: Scheduler, limits: Limits) -> Outcome:
    """Run the machine to the end of the workload under a schedule."""
    log = Log(scheduler)
    order = array("I")
    last = 0

    def turn(task: Task) -> None:
        nonlocal last
        if task.pointer != last:
            last = task.pointer
            order.append(last)

    machine.scheduler = log
    machine.on_turn = turn
    stop, console = play_on(machine, limits)
    ended = machine.moment()
    digest = machine.digest()
    kind, identity, title = judge(machine, stop, console.matched)
    return Outcome(
        kind, identity, title, ended.ticks, ended.quanta, ended.skipped,
        hashlib.blake2b(order.tobytes(), digest_size=8).hexdigest(), digest, log.rows,
        bytes(console.text[-CONSOLE_KEPT:]).decode("utf-8", "replace"),
    )  # fmt: skip


def play_on(machine: Machine, limits: Limits) -> tuple[Stop, WatchedConsole]:
    """Run the machine to the end of the workload: how that came, and what was seen."""
    console = WatchedConsole(machine, limits)
    machine.inputs.console = console
    stop = None
    while stop is None:
        # Multiples of it, so that the same run ends at the same place wherever it began.
        piece = (machine.ticks // PIECE + 1) * PIECE
        stop = machine.run(until=min(limits.ticks, piece))
        if stop is None and (machine.ticks >= limits.ticks or machine.quanta >= limits.quanta):
            stop = Stop(StopKind.HANG, NOT_DONE)
    return stop, console
