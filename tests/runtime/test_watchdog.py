"""When the watchdog looks, and that its looks leave no trace."""

from __future__ import annotations

import pytest

from tests.runtime.minikernel import machine
from wdbg.runtime.console import StreamConsole
from wdbg.runtime.stop import StopKind
from wdbg.runtime.watchdog import Watchdog

# CPU 0 counts for a while, then idles in steps of 3 s, eight times, then powers off.
WORK = """
  (func (export "_start") (local $i i32)
    (loop $spin
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $spin (i32.lt_u (local.get $i) (i32.const 130000000))))
    (local.set $i (i32.const 0))
    (loop $idle
      (drop (memory.atomic.wait32 (i32.const 3000) (i32.const 0) (i64.const 3000000000)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $idle (i32.lt_u (local.get $i) (i32.const 8))))
    (call $machine_stop (i32.const 1) (i32.const 0)))
"""


class Watcher:
    """Says what it is told to, and notes what it is asked."""

    def __init__(self, *, atomic=False, stays=False, overdue=False, verdict=""):
        self.answers = atomic, stays, overdue
        self.verdict = verdict
        self.scans: list[int] = []
        self.judged: list[frozenset[int]] = []
        self.asked = 0

    def atomic(self, machine, cpu):
        return self.answers[0]

    def stays(self, machine, cpu):
        self.asked += 1
        return self.answers[1]

    def scan(self, machine):
        self.scans.append(machine.now())
        return self.answers[2]

    def judge(self, machine, spinning):
        self.judged.append(spinning)
        return self.verdict


def run(directory, watcher=None, limit=4.0):
    guest = machine(WORK, directory, StreamConsole(None))
    if watcher is not None:
        guest.watchdog = Watchdog(lambda: watcher, limit)
    return guest, guest.run()


@pytest.fixture(name="without", scope="module")
def without_fixture(tmp_path_factory):
    guest, stop = run(tmp_path_factory.mktemp("without"))
    assert stop.kind is StopKind.POWER_OFF
    return guest.digest(memory=True)


def test_a_guest_that_is_well_runs_as_without(tmp_path, without):
    watcher = Watcher()
    guest, stop = run(tmp_path, watcher)
    assert stop.kind is StopKind.POWER_OFF
    assert guest.digest(memory=True) == without
    assert watcher.scans
    assert watcher.scans[0] >= 4_000_000_000
    assert not watcher.judged


def test_what_is_overdue_is_judged_and_ends_the_run(tmp_path):
    watcher = Watcher(overdue=True, verdict="hung-task: somebody")
    guest, stop = run(tmp_path, watcher)
    assert (stop.kind, stop.message) == (StopKind.HANG, "hung-task: somebody")
    assert watcher.judged == [frozenset()]
    assert guest.now() < 8_000_000_000


def test_an_acquittal_lets_it_run(tmp_path, without):
    watcher = Watcher(overdue=True)
    guest, stop = run(tmp_path, watcher)
    assert stop.kind is StopKind.POWER_OFF
    assert len(watcher.judged) > 1
    assert guest.digest(memory=True) == without


def test_a_cpu_that_stays_atomic_is_judged(tmp_path):
    watcher = Watcher(atomic=True, stays=True, verdict="soft-lockup: it")
    guest, stop = run(tmp_path, watcher, limit=0.1)
    assert (stop.kind, stop.message) == (StopKind.HANG, "soft-lockup: it")
    assert watcher.judged[0] == frozenset({0})
    assert guest.skipped == 0


def test_a_cpu_that_leaves_its_section_is_asked_less_and_less(tmp_path, without):
    watcher = Watcher(atomic=True)
    guest, stop = run(tmp_path, watcher, limit=0.02)
    assert stop.kind is StopKind.POWER_OFF
    assert 1 <= watcher.asked <= 8
    assert guest.digest(memory=True) == without


def test_nothing_is_looked_at_before_it_is_time(tmp_path):
    guest = machine(WORK, tmp_path, StreamConsole(None))
    guest.watchdog = Watchdog(lambda: pytest.fail("too early"), 1000.0)
    assert guest.run().kind is StopKind.POWER_OFF
