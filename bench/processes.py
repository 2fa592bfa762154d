"""Fresh processes, measured from outside: wall time, CPU time, time to a text on the terminal."""

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

WDBG = Path(sys.executable).with_name("wdbg")
"""The command as a user starts it."""

DEADLINE = 300.0
"""Seconds after which a measured process counts as hung."""


class BenchError(Exception):
    """A measured process failed, so there is no figure. The message has its last output."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process took, in seconds; CPU time is user and system time of all its threads."""

    wall: float
    cpu: float


def cost_of(command: Sequence[str], deadline: float = DEADLINE) -> tuple[Cost, str]:
    """Run a command to its end; what it took and what it printed.

    Raises BenchError when it does not end with status 0 in so many seconds.
    """
    start = time.monotonic()
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        output = _read_until(process.stdout.fileno(), None, start + deadline)
        if output is None:
            os.killpg(process.pid, signal.SIGKILL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - start
    text = (output or b"").decode(errors="replace")
    if process.returncode != 0:
        raise BenchError(f"{' '.join(command)}: status {process.returncode}: {text[-600:]}")
    return Cost(wall, usage.ru_utime + usage.ru_stime), text


def time_to_text(command: Sequence[str], text: bytes) -> Cost:
    """Start a command on a terminal of its own; what it took until `text` was shown there.

    The process is ended then. Raises BenchError when it ends before, or takes too long.
    """
    start = time.monotonic()
    pid, terminal = pty.fork()
    if pid == 0:
        try:
            os.execvp(command[0], list(command))
        finally:
            os._exit(127)
    try:
        output = _read_until(terminal, text, start + DEADLINE)
        wall = time.monotonic() - start
    finally:
        os.kill(pid, signal.SIGKILL)
        _, _, usage = os.wait4(pid, 0)
        os.close(terminal)
    if output is None or text not in output:
        shown = (output or b"")[-600:].decode(errors="replace")
        raise BenchError(f"{' '.join(command)}: never showed {text!r}: {shown}")
    return Cost(wall, usage.ru_utime + usage.ru_stime)


def _read_until(fd: int, text: bytes | None, deadline: float) -> bytes | None:
    """Read up to `text` or, without one, up to the end of file; None: the deadline has passed."""
    output = bytearray()
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([fd], [], [], left)[0]:
            return None
        try:
            data = os.read(fd, 1 << 16)
        except OSError:  # a terminal whose last process has ended reads as an error
            data = b""
        output += data
        if not data or (text is not None and text in output):
            return bytes(output)
