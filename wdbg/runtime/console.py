"""The guest's console on the host's side: output, and input at points that a run can repeat.

`poll` is asked while the guest is busy, `idle` when every CPU waits.  What they return becomes
input of the guest at that very point of the run.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import struct
import termios
import time
import tty
from collections.abc import Sequence
from typing import Protocol

ESCAPE = 0x01
"""Ctrl-A, as in QEMU's and minicom's terminals."""
CTRL_D = b"\x04"
READ_SIZE = 1024
IDLE_POLL_NS = 50_000_000
"""Longest sleep without a look at requests to stop, real nanoseconds."""

HELP = (
    "\r\nCtrl-A x  leave\r\nCtrl-A a  send Ctrl-A to the guest\r\nCtrl-A h  this help\r\n"
)  # fmt: skip


class Console(Protocol):
    """What the machine asks of a console."""

    interactive: bool
    """`poll` can return input at any time."""

    def write(self, data: bytes) -> None:
        """Bytes from the guest."""
        ...

    def poll(self) -> bytes:
        """Input that is there now; b"" if none."""
        ...

    def idle(self, wait_ns: int | None) -> tuple[bytes, int] | None:
        """All CPUs wait; the next alarm is `wait_ns` virtual ns away, or there is none (None).

        Returns (input, virtual ns that have passed); ("", wait_ns) lets the alarm come;
        None: no alarm and no input can ever come.
        """
        ...

    def look(self) -> None:
        """Take in what has been typed while the guest stands still: for `left`, and for the guest
        when it goes on."""
        ...

    def wake_on(self, fds: Sequence[int]) -> None:
        """End a wait in `idle` when one of these file descriptors is readable."""
        ...

    def window_size(self) -> tuple[int, int]:
        """(rows, columns); (0, 0) if unknown."""
        ...

    def left(self) -> bool:
        """The user asked to leave."""
        ...

    def close(self) -> None:
        """Give the terminal back as it was."""
        ...


def _write_all(fd: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(fd, data) :]
        except InterruptedError:
            continue
        except BlockingIOError:
            select.select([], [fd], [])


class StreamConsole:
    """Output to a descriptor; input, if any, from a script that is known from the start.

    The script is typed piece by piece whenever every CPU is idle, and ends with Ctrl-D: a run
    depends on what was typed, never on when.
    """

    interactive = False

    def __init__(self, out_fd: int | None, script: bytes | None = None) -> None:
        """`out_fd` None: output is dropped; `script` None: no input, and no Ctrl-D."""
        self._out = out_fd
        self._keys = bytearray() if script is None else bytearray(script + CTRL_D)

    def write(self, data: bytes) -> None:
        """Pass on; a closed pipe is not the guest's fault and ends the output only."""
        if self._out is None:
            return
        try:
            _write_all(self._out, data)
        except BrokenPipeError:
            self._out = None

    def poll(self) -> bytes:
        """Never anything: see the class."""
        return b""

    def idle(self, wait_ns: int | None) -> tuple[bytes, int] | None:
        """The next piece of the script, with no virtual time gone; else the alarm."""
        if self._keys:
            data = bytes(self._keys[:READ_SIZE])
            del self._keys[:READ_SIZE]
            return data, 0
        return None if wait_ns is None else (b"", wait_ns)

    def look(self) -> None:
        """Nobody types."""

    def wake_on(self, fds: Sequence[int]) -> None:
        """It never waits."""

    def window_size(self) -> tuple[int, int]:
        """Unknown."""
        return 0, 0

    def left(self) -> bool:
        """A stream does not leave."""
        return False

    def close(self) -> None:
        """Nothing to restore."""


class TerminalConsole:
    """The user's terminal in raw mode.  Ctrl-C goes to the guest; Ctrl-A x leaves.

    With `real`, idle time passes as on a clock on the wall; without it idle guests jump to
    their next alarm and only a guest without one waits for the keyboard.
    """

    interactive = True

    def __init__(self, in_fd: int, out_fd: int, *, real: bool) -> None:
        self._in = in_fd
        self._out = out_fd
        self._real = real
        self._escaped = False
        self._leave = False
        self._eof = False
        self._wakers: Sequence[int] = ()
        self._kept = bytearray()
        self._saved = termios.tcgetattr(in_fd)
        tty.setraw(in_fd, termios.TCSANOW)

    def write(self, data: bytes) -> None:
        """Show; a terminal that is gone ends the run at the next `left`."""
        try:
            _write_all(self._out, data)
        except OSError:
            self._leave = True

    def _read(self) -> bytes:
        try:
            raw = os.read(self._in, READ_SIZE)
        except OSError as error:
            if error.errno not in (errno.EIO, errno.ENXIO):
                raise
            raw = b""
        if not raw:
            self._eof = self._leave = True
            return b""
        out = bytearray()
        for byte in raw:
            if not self._escaped:
                if byte == ESCAPE:
                    self._escaped = True
                else:
                    out.append(byte)
                continue
            self._escaped = False
            if byte in b"xX":
                self._leave = True
                break
            if byte in (ESCAPE, *b"aA"):
                out.append(ESCAPE)
            elif byte in b"hH?":
                self.write(HELP.encode())
        return bytes(out)

    def _wait(self, seconds: float | None) -> bytes:
        if self._kept:
            data = bytes(self._kept)
            self._kept.clear()
            return data
        if self._eof:
            return b""
        ready, _, _ = select.select([self._in, *self._wakers], [], [], seconds)
        return self._read() if self._in in ready else b""

    def poll(self) -> bytes:
        """What has been typed by now."""
        return self._wait(0)

    def idle(self, wait_ns: int | None) -> tuple[bytes, int] | None:
        """Sleep until the alarm or a key (real pace), or look at the keyboard and go on."""
        if self._eof:
            return None if wait_ns is None else (b"", wait_ns)
        if wait_ns is not None and not self._real:
            data = self._wait(0)
            return data, (0 if data else wait_ns)
        nap = IDLE_POLL_NS if wait_ns is None else min(wait_ns, IDLE_POLL_NS)
        start = time.monotonic_ns()
        data = self._wait(nap / 1e9)
        passed = time.monotonic_ns() - start if self._real else 0
        return data, (passed if wait_ns is None else min(passed, wait_ns))

    def look(self) -> None:
        """See Console."""
        if len(self._kept) < READ_SIZE and not self._eof:
            ready, _, _ = select.select([self._in], [], [], 0)
            if ready:
                self._kept += self._read()

    def wake_on(self, fds: Sequence[int]) -> None:
        """See Console."""
        self._wakers = tuple(fds)

    def window_size(self) -> tuple[int, int]:
        """The terminal's present size."""
        try:
            packed = fcntl.ioctl(self._out, termios.TIOCGWINSZ, bytes(8))
        except OSError:
            return 0, 0
        rows, columns, _, _ = struct.unpack("4H", packed)
        return rows, columns

    def left(self) -> bool:
        """Ctrl-A x was typed, or the terminal is gone."""
        return self._leave

    def close(self) -> None:
        """Back to the mode it had."""
        termios.tcsetattr(self._in, termios.TCSADRAIN, self._saved)
