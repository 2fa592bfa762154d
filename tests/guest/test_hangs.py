"""Kernels that hang, and those that do not: what the watchdog ends, and what it says of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.guest.conftest import run_guest
from wdbg.analysis.hang.watch import HangWatcher
from wdbg.cli.debugging import make_session
from wdbg.runtime.boot import BootOptions, boot
from wdbg.runtime.console import StreamConsole
from wdbg.runtime.machine import Machine
from wdbg.runtime.scheduler import SeededRandom
from wdbg.runtime.stop import StopKind
from wdbg.runtime.symbolindex import open_index
from wdbg.runtime.watchdog import Watchdog

pytestmark = pytest.mark.guest

SEEDS = 200
"""Schedules that are tried until one hangs."""
QUANTUM = 60
"""Mean ticks of a turn, so that tasks meet in the middle of what they do."""
BUGS = Path(__file__).resolve().parents[2] / "examples" / "bugs"


def line_of(file: str, text: str, number: int = 0) -> int:
    """The line of a case's source that has a text, the `number`-th one."""
    lines = (BUGS / file).read_text().splitlines()
    return [at for at, line in enumerate(lines, 1) if text in line][number]


def documented() -> list[str]:
    """What the page shows of such a run."""
    page = Path(__file__).resolve().parents[2] / "docs" / "hangs.md"
    block = page.read_text().split("```")[1].splitlines()
    return [line for line in block if line.strip() not in ("", "...") and line[0] != "$"]


def plain(text: str) -> str:
    """Without numbers, which are another kernel's."""
    return re.sub(r"[0-9.]+", "N", text)


def case(name: str, *flags: object) -> tuple[int, str]:
    """`wdbg run` of a case: exit status and messages."""
    done = run_guest("--append", f"quiet bugs.case={name}", "--exec", "true", *flags)
    return done.status, done.messages


def test_a_lock_that_its_owner_wants_again(guest):
    status, messages = case("self_deadlock")
    assert status == 1
    assert re.search(r"hang: self-deadlock: self_deadlock/0 \(\d+\) waits for mutex device.lock, "
                     "which it holds", messages)  # fmt: skip
    taken = line_of("self_deadlock.c", "mutex_lock(&device.lock)", 1)
    assert re.search(rf"holds mutex device.lock, taken 2\d\.\d+ s ago at tick \d+ in device_resume "
                     rf"\(arch/wasm/bugs/self_deadlock.c:{taken}\)", messages)  # fmt: skip
    wanted = line_of("self_deadlock.c", "mutex_lock(&device.lock)", 0)
    assert f"    device_flush  arch/wasm/bugs/self_deadlock.c:{wanted}\n" in messages
    assert "    mutex_lock  kernel/locking/mutex.c:" in messages
    for line in documented():
        assert plain(line) in plain(messages)


def test_an_owner_that_has_gone(guest):
    status, messages = case("missed_unlock")
    assert status == 1
    assert "hang: missed-unlock: missed_unlock/0 (" in messages
    taken = line_of("missed_unlock.c", "mutex_lock(&buffer_mutex)")
    assert re.search(rf"missed_unlock/0 \(has exited\) took mutex buffer_mutex .* in buffer_write "
                     rf"\(arch/wasm/bugs/missed_unlock.c:{taken}\), and has exited without "
                     "releasing it", messages)  # fmt: skip


def test_a_grace_period_that_waits_for_a_reader_that_waits_for_it(guest):
    status, messages = case("rcu_stall")
    assert status == 1
    assert re.search(r"hang: rcu-stall: .* it waits for rcu_stall/0 \(\d+\)", messages)
    assert re.search(r"rcu_stall/0 \(\d+\) waits for completion updated, to be signalled by "
                     r"rcu_stall/1 \(\d+\) \(updater\(\) refers to it\)", messages)  # fmt: skip
    assert re.search(r"rcu_stall/1 \(\d+\) waits for an RCU grace period, held up by rcu_stall/0",
                     messages)  # fmt: skip


def test_a_timer_that_nobody_arms(guest):
    status, messages = case("timer_never_armed")
    assert status == 1
    assert "hang: timer-not-armed: timer_never_a" in messages
    assert "timer request.timer, whose function is request_timeout(), is not armed" in messages
    assert "nobody has ever signalled it" in messages


def test_a_request_without_an_answer(guest):
    status, messages = case("hung_task")
    assert status == 1
    assert re.search(r"hang: hung-task: hung_task/0 \(\d+\) waits for completion "
                     r"requests\[3\]\.done since 2\d\.", messages)  # fmt: skip
    assert re.search(r"requests\[2\]\.done was signalled last at tick \d+ by hung_task/1 "
                     r"\(has exited\) in serve", messages)  # fmt: skip


def test_the_limit_is_the_flags(guest):
    status, messages = case("hung_task", "--watch-hang", "2")
    assert status == 1
    assert re.search(r"since [2-3]\.\d+ s", messages)


def test_the_trace_of_the_run_serves_if_there_is_one(guest, tmp_path):
    status, messages = case("self_deadlock", "--trace", tmp_path / "t.wdt", "--events",
                            "lock,sched,irq,syscall")  # fmt: skip
    assert status == 1
    assert re.search(r"holds mutex device.lock, taken .* in device_resume", messages)


@pytest.mark.parametrize(
    "name", ["self_deadlock_ok", "missed_unlock_ok", "rcu_stall_ok", "timer_never_armed_ok",
             "hung_task_ok", "abba_ok", "abbcca_ok", "completion_cycle_ok", "reader_writer_ok",
             "lost_wakeup_ok", "irq_inversion_ok", "softirq_inversion_ok"],
)  # fmt: skip
def test_twins_are_not_accused(guest, name):
    status, messages = case(name, "--watch-hang", 1)
    assert (status, messages) == (0, "")


def test_hours_of_idling_are_no_hang_and_the_watchdog_leaves_no_trace(guest, run):
    watched = run("--exec", "sleep 7200", "--print-hash")
    alone = run("--exec", "sleep 7200", "--print-hash", "--watch-hang", 0)
    assert watched.status == alone.status == 0
    assert watched.hash == alone.hash


def test_work_is_no_hang(guest, run):
    done = run("--exec", "spawnstorm 60; pingpong 2000", "--watch-hang", 0.5)
    assert (done.status, done.messages) == (0, "")


@pytest.mark.parametrize("seconds", ["-1", "nan", "1e9"])
def test_limits_that_are_none(guest, run, seconds):
    done = run("--exec", "true", f"--watch-hang={seconds}")
    assert done.status == 2
    assert "--watch-hang" in done.messages
    assert "Traceback" not in done.messages


def test_a_debugger_is_told_who_waits(guest):
    options = BootOptions(
        kernel=guest.kernel, initrd=guest.initrd, variant="debug",
        command_line="quiet bugs.case=self_deadlock WDBG_EXEC=true",
    )  # fmt: skip
    machine = boot(options, StreamConsole(None))
    try:
        while machine.now() < 2_000_000_000:
            assert machine.run(until=machine.ticks + 2000) is None
        session = make_session(machine, options)
        text = session.monitor("locks")
        assert text == session.monitor("waits")
    finally:
        machine.close()
    assert text.startswith("self-deadlock: self_deadlock/0 (")
    assert "device_flush  arch/wasm/bugs/self_deadlock.c" in text
    assert re.search(r"Static locks that are held:\n  mutex device.lock: self_deadlock/0 ", text)


# ---- schedules that hang


class Tape(StreamConsole):
    """A console that keeps what is written."""

    def __init__(self) -> None:
        super().__init__(None)
        self.text = b""

    def write(self, data: bytes) -> None:
        self.text += data


def hang_of(guest, name: str, limit: float, cpus: int = 4) -> str:
    """The report of the first of some schedules that hangs. All go on from one boot."""
    tape = Tape()
    options = BootOptions(
        kernel=guest.kernel, initrd=guest.initrd, cpus=cpus,
        command_line=f"bugs.case={name} WDBG_EXEC=true",
    )  # fmt: skip
    machine = boot(options, tape)
    try:
        while b"bugs: " not in tape.text:
            assert machine.run(until=machine.ticks + 500) is None
        index = open_index(guest.kernel)
        for seed in range(SEEDS):
            found = machine.in_fork(lambda seed=seed: attempt(machine, index, seed, limit))
            if found:
                return found
    finally:
        machine.close()
    pytest.fail(f"none of {SEEDS} schedules hangs")


def attempt(machine: Machine, index, seed: int, limit: float) -> str:
    """How a schedule ends: the report of its hang, "" if it does not hang."""
    watcher = HangWatcher(lambda: index, int(limit * 1e9))
    machine.scheduler = SeededRandom(seed, QUANTUM)
    machine.watchdog = Watchdog(lambda: watcher, limit)
    machine.watchdog.due = machine.now()
    stop = machine.run(until=machine.ticks + 20_000_000)
    if stop is None or stop.kind is not StopKind.HANG:
        return ""
    assert watcher.hang is not None
    return watcher.hang.text


@pytest.mark.parametrize(
    ("name", "locks"),
    [
        ("abba", ["cache.lock", "stats.lock"]),
        ("abbcca", ["input_lock", "filter_lock", "output_lock"]),
        ("reader_writer", ["slot_mutex", "map_sem"]),
    ],
)
def test_the_circle_is_named(guest, name, locks):
    text = hang_of(guest, name, 20.0)
    first = text.splitlines()[0]
    assert first.startswith("deadlock: ")
    for lock in locks:
        assert lock in first
    assert first.count(f"{name}/") == len(locks) + 1
    assert f"  {name}/0 (" in text
    assert "Traceback" not in text


def test_a_circle_through_a_completion(guest):
    text = hang_of(guest, "completion_cycle", 20.0)
    assert text.startswith("deadlock: completion_cy")
    assert re.search(r"waits for completion \w+, to be signalled by completion_cy\S+ \(\d+\) "
                     r"\(\w+\(\) refers to it\)", text)  # fmt: skip
    assert "waits for mutex device_mutex, held by completion_cy" in text


def test_cpus_that_spin(guest):
    text = hang_of(guest, "irq_inversion", 2.0)
    assert re.search(r"hard-lockup: irq_inversion/\d \(\d+\) spins for a spinlock, with interrupts "
                     "off, on CPU", text)  # fmt: skip
    assert "event_interrupt  arch/wasm/bugs/irq_inversion.c:" in text
