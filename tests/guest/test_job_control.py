"""The interactive shell on a terminal: prompts, Ctrl-C, Ctrl-Z, jobs, the terminal's size."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import termios
import time

import pytest

pytestmark = pytest.mark.guest

DEADLINE = 120
CTRL_C, CTRL_D, CTRL_Z = "\x03", "\x04", "\x1a"
PROMPT = r"\n# $"


class Terminal:
    """`wdbg run` on a pseudo-terminal of 30 rows and 100 columns."""

    def __init__(self) -> None:
        self.fd, slave = os.openpty()
        termios.tcsetwinsize(slave, (30, 100))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "wdbg", "run", "--append", "quiet"],
            stdin=slave, stdout=slave, stderr=slave,
        )  # fmt: skip
        os.close(slave)

    def expect(self, pattern: str) -> str:
        """Read until the pattern comes; all that was read."""
        text, end = "", time.monotonic() + DEADLINE
        while not re.search(pattern, text):
            ready, _, _ = select.select([self.fd], [], [], max(0, end - time.monotonic()))
            assert ready, f"no {pattern!r} in {text!r}"
            text += os.read(self.fd, 4096).decode(errors="replace").replace("\r", "")
        return text

    def send(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def command(self, text: str) -> str:
        """What a command prints, its echo and the next prompt taken away."""
        self.send(f"{text}\n")
        lines = self.expect(PROMPT).split("\n")
        assert lines[0] == text
        return "\n".join(lines[1:-1])


@pytest.fixture
def terminal(guest):
    terminal = Terminal()
    terminal.expect(PROMPT)
    yield terminal
    terminal.process.kill()
    terminal.process.wait()
    os.close(terminal.fd)


def start(terminal: Terminal, program: str) -> None:
    """Run something that does not end, and wait until it is in the foreground."""
    terminal.send(f"sh -c 'echo up-$((6*7)); exec {program}'\n")
    terminal.expect("\nup-42\n")


@pytest.mark.parametrize("program", ["sleep 1000", "wild spin", "cat", 'sh -c "sleep 1000"'])
def test_control_c_ends_the_job_and_not_the_shell(terminal, program):
    shell = terminal.command("echo $$")
    start(terminal, program)
    terminal.send(CTRL_C)
    terminal.expect(PROMPT)
    assert terminal.command("echo $?") == "130"
    assert terminal.command("echo $$") == shell


def test_control_c_ends_a_loop_of_the_shell_itself(terminal):
    terminal.send("echo up-$((6*7)); while true; do true; done\n")
    terminal.expect("\nup-42\n")
    terminal.send(CTRL_C)
    terminal.expect(PROMPT)
    terminal.send(f"unfinished{CTRL_C}")
    terminal.expect(PROMPT)
    assert terminal.command("echo on") == "on"


def test_a_stopped_job_goes_on_where_it_is_told(terminal):
    start(terminal, "sleep 1000")
    terminal.send(CTRL_Z)
    assert re.search(r"\[1\]\+ Stopped ", terminal.expect(PROMPT))
    assert "Stopped" in terminal.command("jobs")
    terminal.command("bg")
    assert "Running" in terminal.command("jobs")
    terminal.send("fg\n")
    terminal.expect("sleep 1000'\n")
    terminal.send(CTRL_C)
    terminal.expect(PROMPT)
    assert terminal.command("jobs") == ""


def test_jobs_in_the_background(terminal):
    assert re.fullmatch(r"\[1\] \d+", terminal.command("sleep 1000 &"))
    assert terminal.command("kill %1; wait %1; echo $?") == "143"
    assert re.fullmatch(r"\[1\] \d+", terminal.command("sleep 0.01 &"))
    assert "Done" in terminal.command("sleep 0.1") + terminal.command(":")


def test_size_and_end(terminal):
    assert terminal.command("stty size") == "30 100"
    terminal.send("for i in a b\n")
    terminal.expect("\n> $")
    assert terminal.command("do echo $i; done") == "a\nb"
    terminal.send(CTRL_D)
    terminal.expect("Power down")
    assert terminal.process.wait(DEADLINE) == 0
