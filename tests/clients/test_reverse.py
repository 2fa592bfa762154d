"""Stock GDB and LLDB go backwards on the real guest."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients.live import live_guest
from tests.clients.lldb import run
from tests.clients.test_gdb_docs import cut, pattern, sessions, shown
from wdbg.runtime.guest import Guest

pytestmark = pytest.mark.guest

WORK = "for i in 1 2 3; do cat /proc/uptime; sleep 0.1; done"
STEPS = 10


def test_gdb_does_what_qemu_asks_for(guest: Guest, tmp_path: Path) -> None:
    """QEMU's test of its own reverse debugging: ten steps, ten back, the same program counters;
    breakpoints on all of them, continue, reverse-continue lands on the last."""
    counter = "p/x $pc"
    commands = ["tbreak do_sys_openat2", "continue", counter]
    commands += ["stepi", counter] * STEPS
    commands += ["reverse-stepi", counter, "break *$pc"] * STEPS
    commands += ["disable", "tbreak vfs_read", "continue", "continue", "enable"]
    commands += ["reverse-continue", counter, "delete", "reverse-continue", "kill"]
    with live_guest(tmp_path, "--gdb", "0", "--wait", "--exec", WORK) as found:
        seen = found.gdb(*commands)
    *counters, last = [text.split("= ")[1].strip() for text in seen.all(counter)]
    forth, back = counters[: STEPS + 1], counters[STEPS:]
    assert len(set(forth)) > STEPS // 2
    assert back == forth[::-1]
    assert last == forth[STEPS - 1]
    live, further = seen.all("continue")[1:]
    assert "No more reverse-execution history" in live
    assert "vfs_read" in further
    assert "No more reverse-execution history" in seen.all("reverse-continue")[1]


@pytest.mark.usefixtures("variants")
def test_gdb_watches_backwards(guest: Guest, tmp_path: Path) -> None:
    commands = ("break vfs_read", "continue", "delete", "watch total_forks", "reverse-continue",
                "bt 4", "reverse-next", "reverse-finish", "p total_forks",
                "monitor lastwrite total_forks", "continue", "continue", "kill")  # fmt: skip
    with live_guest(tmp_path, "--gdb", "0", "--wait", "--exec", WORK) as found:
        seen = found.gdb(*commands)
    old, new = re.findall(r"(?:Old|New) value = (\d+)", seen["reverse-continue"])
    assert int(new) == int(old) - 1
    assert "copy_process" in seen["bt 4"]
    assert f"= {new}\n" in seen["p total_forks"]
    assert "written last at tick" in seen["monitor lastwrite total_forks"]
    forth, end = seen.all("continue")[1:]
    assert f"New value = {old}" in forth
    assert "No more reverse-execution history" in end


@pytest.mark.usefixtures("variants")
def test_lldb_goes_back_and_forth(guest: Guest, tmp_path: Path) -> None:
    commands = (
        "breakpoint set -n do_sys_openat2", "continue", "continue", "thread step-inst",
        "process continue -R", "process continue -R", "process continue -R",
        "process continue -F", "breakpoint delete -f", "watchpoint set variable total_forks",
        "process continue -R", "bt 4", "process continue -F", "process continue -F",
        "process continue -F", "process kill",
    )  # fmt: skip
    with live_guest(tmp_path, "--lldb", "0", "--wait", "--exec", WORK) as found:
        seen = run(found.ports["lldb"], commands, tmp_path)
    told = [output for command, output, _ in seen.parts if "continue" in command]
    forth, further, back, before, begin, again = told[:6]
    assert "stop reason = breakpoint 1.1" in forth
    assert "stop reason = breakpoint 1.1" in further
    assert frame(further) == frame(back)
    assert frame(before) == frame(forth) == frame(again)
    assert "this is where the history begins" in begin
    watched, changed, next_change, end = told[6:]
    assert "stop reason = watchpoint 1" in watched
    assert "copy_process" in seen["bt 4"]
    assert "stop reason = watchpoint 1" in changed
    assert "stop reason = watchpoint 1" in next_change  # the shell's fork for cat
    assert "this is where the guest is" in end


def frame(output: str) -> str:
    """The line that says where it stands, and in which task."""
    thread = re.search(r"name = '(.*?)'", output)
    place = re.search(r"frame #0: .*", output)
    assert thread
    assert place
    return f"{thread[1]} {place[0]}"


@pytest.mark.usefixtures("variants")
def test_the_session_in_the_page_is_true(guest: Guest, tree: Path, tmp_path: Path) -> None:
    page = (tree / "docs/time-travel.md").read_text()
    lines = [line for block in sessions(page) for line in block]
    commands = [line.removeprefix("(gdb) ") for line in lines if line.startswith("(gdb) ")]
    assert commands
    path = tmp_path / "boot.wdbgrec"
    words = ["run", "--append", "quiet", "--record", str(path), "--exec", WORK]
    subprocess.run([sys.executable, "-m", "wdbg", *words], check=True, capture_output=True)
    with live_guest(tmp_path, "replay", str(path), "--gdb", "0", "--to", "end") as found:
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
    for command, told, output in zip(commands, expected, got, strict=True):
        assert [cut(line) for line in output] == [cut(line) for line in told], command
