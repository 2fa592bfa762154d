"""The session in docs/gdb.md is what GDB prints, but for numbers."""

import re
from pathlib import Path

import pytest

from tests.clients.live import live_guest
from wdbg.runtime.guest import Guest

pytestmark = pytest.mark.guest

COMMAND = "for i in 1 2 3; do cat /proc/uptime; sleep 0.1; done"
CUT = " ..."
WIDTH = 110
"""Longer lines are cut in the page."""


def sessions(page: str) -> list[list[str]]:
    """Lines of the page's blocks that show GDB at work."""
    blocks = re.findall(r"^```\n(\(gdb\) .*?)^```", page, re.MULTILINE | re.DOTALL)
    return [block.splitlines() for block in blocks]


def pattern(line: str) -> str:
    """A line without its numbers and addresses."""
    return re.sub(r"\d+", "N", re.sub(r"0x[0-9a-f]+", "N", line)).strip()


def shown(text: str) -> list[str]:
    """GDB's output as the page has it: without the news of threads, long lines cut."""
    lines = [line for line in text.splitlines() if not re.match(r"\[(New|Switching)", line)]
    return [line if len(line) <= WIDTH else line[: WIDTH - len(CUT)] + CUT for line in lines]


@pytest.mark.usefixtures("variants")
def test_sessions_are_true(guest: Guest, tree: Path, tmp_path: Path) -> None:
    lines = [line for block in sessions((tree / "docs/gdb.md").read_text()) for line in block]
    commands = [line.removeprefix("(gdb) ") for line in lines if line.startswith("(gdb) ")]
    with live_guest(tmp_path, "--gdb", "0", "--wait", "--exec", COMMAND) as found:
        assert found.elf is not None
        script = found.elf.with_suffix(".gdb")
        seen = found.gdb(*commands, before=[f"source {script}"])
    expected: list[list[str]] = []
    for line in lines:
        if line.startswith("(gdb) "):
            expected.append([])
        elif line.strip():
            expected[-1].append(pattern(line))
    got = [[pattern(line) for line in shown(text) if line.strip()] for _, text in seen.parts[1:]]
    for command, page, output in zip(commands, expected, got, strict=True):
        assert [cut(line) for line in output] == [cut(line) for line in page], command


def cut(line: str) -> str:
    """What is sure to be the same of lines that are cut: numbers move the place of the cut."""
    return line[:80] if line.endswith(CUT.strip()) else line
