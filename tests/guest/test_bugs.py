"""Bugs on demand (examples/bugs): each does what cases.toml says of it; its twin does not."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from wdbg.runtime.boot import BootOptions, boot
from wdbg.runtime.console import StreamConsole
from wdbg.runtime.stop import Stop, StopKind

pytestmark = pytest.mark.guest

BUGS = Path(__file__).resolve().parents[2] / "examples" / "bugs"
CASES = tomllib.loads((BUGS / "cases.toml").read_text())["case"]

HUNG = 300_000_000_000
"""Virtual nanoseconds after which a guest that has not ended is said to hang: the kernel itself
complains of a task after 120 seconds."""
STEP = 1_000_000
"""Ticks between two looks at the clock."""

COMPLAINT = re.compile(r"BUG|WARNING|INFO: |Oops|detected")


@dataclass
class Tape(StreamConsole):
    """A console that keeps what is written."""

    written: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        super().__init__(None)

    def write(self, data: bytes) -> None:
        self.written += data

    @property
    def text(self) -> str:
        return self.written.decode(errors="replace").replace("\r", "")


def run_case(guest, name: str) -> tuple[Stop | None, str]:
    """Boot with `bugs.case=NAME` and let the shell power off: how it ended, None if it hung."""
    tape = Tape()
    line = f"bugs.case={name} WDBG_EXEC=true"
    machine = boot(BootOptions(kernel=guest.kernel, initrd=guest.initrd, command_line=line), tape)
    try:
        stop = None
        while stop is None and machine.now() < HUNG:
            stop = machine.run(until=machine.ticks + STEP)
        return stop, tape.text
    finally:
        machine.close()


def test_every_file_is_a_case_and_every_case_has_a_file():
    files = {path.stem for path in BUGS.glob("*.c")} - {"bugs", "kcsan"}
    assert files == {case["name"] for case in CASES}
    for case in CASES:
        assert case["file"] == f"{case['name']}.c"
        assert case["twin"] == f"{case['name']}_ok"
        for name in (case["name"], case["twin"]):
            assert f"void bug_{name}(void)" in (BUGS / case["file"]).read_text()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_bug_shows_and_its_twin_does_not(guest, case):
    name, twin = case["name"], case["twin"]
    stop, text = run_case(guest, name)
    assert f"bugs: {name} start" in text
    if case["default"] == "runs":
        assert f"bugs: {name} done" in text
        assert stop.exit_code == 0
    elif case["default"] == "hangs":
        assert stop is None
        assert f"bugs: {name} done" not in text
        assert re.search(rf"task {name[:13]}/\d:\d+ blocked for more than", text)
    else:
        assert stop.kind is StopKind.PANIC
        assert f"bugs: {name} done" not in text
    stop, text = run_case(guest, twin)
    assert stop.exit_code == 0
    assert f"bugs: {twin} done" in text
    assert not COMPLAINT.search(text)


def test_situations_of_kcsan_come_to_their_end(guest):
    cases = tomllib.loads((BUGS / "kcsan.toml").read_text())["case"]
    source = (BUGS / "kcsan.c").read_text()
    for case in cases:
        first, second = case["functions"]
        name = case["name"].removeprefix("kcsan_")
        assert f"CASE({name}, {first}, {second})" in source
    assert source.count("\nCASE(") == len(cases)
    for case in cases[::5]:
        stop, text = run_case(guest, case["name"])
        assert stop.exit_code == 0
        assert f"bugs: {case['name']} done" in text
        assert not COMPLAINT.search(text)
