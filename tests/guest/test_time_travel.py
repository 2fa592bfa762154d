"""Backwards on the real guest: the past is what it was, and the guest goes on from its present."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.guest.conftest import wdbg
from wdbg.cli.debugging import boot_silent, make_timeline
from wdbg.debugger.model import Action, DebugError, Resume, StopEvent, StopReason, WatchKind
from wdbg.debugger.places import entry_of
from wdbg.debugger.remote import state_of
from wdbg.debugger.timeline import Timeline
from wdbg.runtime.boot import BootOptions, boot
from wdbg.runtime.console import StreamConsole

pytestmark = pytest.mark.guest

PAIRS = int(os.environ.get("WDBG_TICK_PAIRS", "12"))
"""`make nightly` asks for 200."""
DEADLINE = 240.0
ON, BACK = Action(Resume.CONTINUE), Action(Resume.CONTINUE, reverse=True)
STEP, STEP_BACK = Action(Resume.STEP), Action(Resume.STEP, reverse=True)


def options(guest, work="cat /proc/uptime") -> BootOptions:
    work = work.replace(" ", "%20").replace("/", "%2F")
    return BootOptions(
        kernel=guest.kernel, initrd=guest.initrd, command_line=f"quiet WDBG_EXEC={work}",
        variant="debug",
    )  # fmt: skip


@pytest.fixture
def timeline(guest):
    """A guest before its first instruction, with a past."""
    made = options(guest)
    found = make_timeline(boot(made, StreamConsole(None)), made)
    yield found
    found.close()


def go(timeline: Timeline, actions, default=ON) -> StopEvent:
    timeline.resume(actions, default)
    deadline = time.monotonic() + DEADLINE
    while (event := timeline.pump()) is None or event.reason is StopReason.MODULES:
        assert time.monotonic() < deadline
        if event is not None:
            timeline.resume(actions, default)
    return event


def to_open(timeline: Timeline) -> StopEvent:
    place = entry_of(timeline.probes.modules[0], "do_sys_openat2")
    timeline.add_breakpoint(place)
    event = go(timeline, {})
    timeline.remove_breakpoint(place)
    assert event.reason is StopReason.BREAKPOINT
    return event


def test_ten_steps_there_and_ten_back(timeline):
    """QEMU's recipe (tests/functional/reverse_debugging.py) for the debugger's own interface."""
    event = to_open(timeline)
    places = [event.place]
    for _ in range(10):
        event = go(timeline, {event.tid: STEP})
        places.append(event.place)
    for place in places[-2::-1]:
        event = go(timeline, {event.tid: STEP_BACK}, BACK)
        assert (event.reason, event.place) == (StopReason.STEP, place)
    for place in places:
        timeline.add_breakpoint(place)
    met = [go(timeline, {}).place for _ in range(9)]
    assert met == places[1:10]
    end = go(timeline, {})
    assert (end.reason, end.end, end.place) == (StopReason.HISTORY, True, places[10])
    met = [go(timeline, {}, BACK).place for _ in range(10)]
    assert met == places[9::-1]


def test_both_ends_of_history(timeline):
    there = to_open(timeline)
    first = go(timeline, {}, BACK)
    assert (first.reason, first.end, first.tick) == (StopReason.HISTORY, False, 0)
    assert go(timeline, {}, BACK).reason is StopReason.HISTORY
    again = go(timeline, {there.tid: STEP})  # no such task yet: it runs
    assert (again.reason, again.end, again.place) == (StopReason.HISTORY, True, there.place)
    assert go(timeline, {}).reason is StopReason.EXITED


def test_pairs_of_ticks(guest, timeline):
    to_open(timeline)
    draw = random.Random(1)
    last = timeline.machine.ticks
    ticks = sorted({draw.randrange(1, last) for _ in range(2 * PAIRS)})
    forwards = {}
    machine = boot_silent(options(guest), "debug")
    for tick in ticks:
        while machine.ticks < tick:
            machine.run(until=tick)
        forwards[tick] = state_of(machine)
    machine.close()
    for _ in range(PAIRS):
        before, after = sorted(draw.sample(ticks, 2))
        timeline.travel(after)
        timeline.travel(before)
        assert timeline.at.state() == forwards[before], (before, after)


def test_watchpoint_backwards_and_last_writer(timeline):
    live = timeline.live
    jiffies = live.view.image.address("jiffies_64")
    event = to_open(timeline)
    counter = live.view.image.address("total_forks")
    now = timeline.read_memory(counter, 4)
    told = timeline.monitor("lastwrite total_forks")
    assert "written last at tick " in told
    assert "copy_process" in told
    timeline.add_watchpoint(WatchKind.WRITE, counter, 4)
    event = go(timeline, {}, BACK)
    assert event.reason is StopReason.WATCHPOINT
    assert event.hit.address == counter
    frames = [frame.function for frame in timeline.frames(event.tid)]
    assert "copy_process" in frames
    before = timeline.read_memory(counter, 4)
    assert int.from_bytes(before, "little") + 1 == int.from_bytes(now, "little")
    forward = go(timeline, {})
    assert forward.reason is StopReason.WATCHPOINT
    assert timeline.read_memory(counter, 4) == now
    timeline.remove_watchpoint(WatchKind.WRITE, counter, 4)
    with pytest.raises(DebugError):
        timeline.monitor("lastwrite no_such_variable")
    assert "nobody" in timeline.monitor(f"lastwrite {jiffies:#x},8") or jiffies
    end = go(timeline, {})
    assert (end.reason, end.end) == (StopReason.HISTORY, True)


def test_a_change_of_the_past_is_another_run(timeline):
    event = to_open(timeline)
    here = event.tick
    saved = timeline.live.view.image.address("saved_command_line")
    event = go(timeline, {event.tid: STEP_BACK}, BACK)
    timeline.write_memory(saved, bytes(4))
    assert timeline.read_memory(saved, 4) == bytes(4)
    place = entry_of(timeline.probes.modules[0], "do_sys_openat2")
    timeline.add_breakpoint(place)
    event = go(timeline, {})
    assert (event.reason, event.tick) == (StopReason.BREAKPOINT, here)
    assert "what came after it is gone" in event.message
    assert timeline.past is None
    assert timeline.read_memory(saved, 4) == bytes(4)
    assert len(timeline.machine.journal.interventions) == 1
    # back over the change: before it the memory is what it was
    timeline.travel(here - 5000)
    assert timeline.read_memory(saved, 4) != bytes(4)
    event = go(timeline, {})
    assert event.reason is StopReason.HISTORY
    assert timeline.read_memory(saved, 4) == bytes(4)


def test_checkpoints_by_hand(timeline):
    to_open(timeline)
    timeline.travel(400_000)
    said = timeline.monitor("snapshot")
    assert said.startswith("checkpoint ")
    number = said.split()[1]
    state = timeline.at.state()
    timeline.travel(100_000)
    timeline.monitor(f"restart {number}")
    assert timeline.at.state() == state
    assert f"{number:>6} {400_000:>14}  hand" in timeline.monitor("snapshots")
    for wrong in ("restart 999", "restart x", "goto", "goto 99999999999"):
        with pytest.raises(DebugError):
            timeline.monitor(wrong)


def family(token: str) -> list[int]:
    """All processes with a word in their environment; zombies have none any more."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if token.encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


_KILLED = """
import sys
from pathlib import Path
from tests.guest.test_time_travel import *
from wdbg.runtime.guest import default_guest
made = options(default_guest())
timeline = make_timeline(boot(made, StreamConsole(None)), made)
event = to_open(timeline)
go(timeline, {event.tid: STEP_BACK}, BACK)
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_no_process_is_left(guest, tree, how):
    token = f"wdbg-test-{os.getpid()}-{how}"
    with subprocess.Popen(
        [sys.executable, "-c", _KILLED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tree,
        env={**os.environ, "TOKEN": token},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        assert len(family(token)) >= 4  # the guest, its beginning, a window's start, the past
        process.send_signal(how)
        process.wait(DEADLINE)
    deadline = time.monotonic() + DEADLINE
    while family(token):
        assert time.monotonic() < deadline


def test_a_recording_under_a_debugger(guest, tmp_path):
    """The whole of it, backwards from its end, and what a debugger did to the run is done again."""
    path = tmp_path / "r"
    run = wdbg("run", "--append", "quiet", "--record", path, "--exec", "cat /proc/uptime")
    assert run.status == 0
    told = wdbg("replay", path, "--quiet", "--last-writer", "total_forks", "--before", "600000")
    assert told.status == 0, told.messages
    assert "written last at tick" in told.console
    assert "copy_process" in told.console
    told = wdbg("replay", path, "--quiet", "--last-writer", "0x10,4")
    assert told.status == 0
    for wrong in (["--last-writer", "nothing_here"], ["--before", "5"]):
        assert wdbg("replay", path, "--quiet", *wrong).status == 2
