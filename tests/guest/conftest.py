"""Running the example guest as a user does: `wdbg run` in a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Run:
    """What a finished `wdbg run` left."""

    status: int
    console: str
    """Without carriage returns."""
    messages: str

    @property
    def hash(self) -> str:
        found = re.search(r"run hash ([0-9a-f]{32})", self.messages)
        assert found, self.messages
        return found[1]


def run_guest(*arguments: object, stdin: bytes | None = None, deadline: float = 240) -> Run:
    """`wdbg run --append quiet ARGUMENTS`, with `stdin` piped in."""
    return wdbg("run", "--append", "quiet", *arguments, stdin=stdin, deadline=deadline)


def wdbg(*arguments: object, stdin: bytes | None = None, deadline: float = 240) -> Run:
    """`wdbg ARGUMENTS`."""
    done = subprocess.run(
        [sys.executable, "-m", "wdbg", *map(str, arguments)],
        input=stdin, stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True, timeout=deadline,
    )  # fmt: skip
    console = done.stdout.decode(errors="replace").replace("\r", "")
    return Run(done.returncode, console, done.stderr.decode(errors="replace"))


@pytest.fixture(name="run")
def run_fixture(guest):
    """run(*arguments, stdin=None) -> Run on the default guest, which must be built."""
    return run_guest
