"""The journal: a run with inputs at odd moments, repeated without a console."""

from __future__ import annotations

import random

import pytest

from tests.runtime.conftest import Tape
from wdbg.runtime.console import StreamConsole
from wdbg.runtime.journal import Keys, Moment, Replay, ReplayError, Resize
from wdbg.runtime.scheduler import RoundRobin, SeededRandom
from wdbg.runtime.stop import StopKind

ECHO = """
  (data (i32.const 16384) "sz")
  (func $work (param $char i32)
    (local $n i32)
    (loop $again
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $n) (i32.const 3000)))))
  (func (export "_start_secondary") (param i32)
    (loop $again
      (call $work (i32.const 1))
      (call $timer (i32.const 1) (i64.add (call $clock) (i64.const 300000)))
      (drop (memory.atomic.wait32 (i32.const 2112) (i32.const 0) (i64.const -1)))
      (i32.store (i32.const 2112) (i32.const 0))
      (br $again)))
  (func (export "_start") (local $n i32)
    (call $start_cpu (i32.const 1) (i32.const 5000) (i32.const 60000))
    (loop $again
      (call $work (i32.const 0))
      (drop (memory.atomic.wait32 (i32.const 2048) (i32.const 0) (i64.const 700000)))
      (i32.store (i32.const 2048) (i32.const 0))
      (local.set $n (call $get (i32.const 20000) (i32.const 16)))
      (call $say (i32.const 20000) (local.get $n))
      (br_if $again
        (i32.ne (i32.load8_u (i32.add (i32.const 19999) (local.get $n))) (i32.const 116))))
    (call $panic (i32.const 16384)))"""
"""Echoes what is typed until a piece ends with t; CPU 1 has a timer of its own."""


class Fingers(Tape):
    """An interactive console: keys at busy and idle moments, odd pieces of idle time."""

    interactive = True

    def __init__(self, seed: int) -> None:
        super().__init__(*(bytes([97 + i]) for i in range(12)), b"quit")
        self.random = random.Random(seed)
        self.size = (25, 80)

    def poll(self) -> bytes:
        return super().poll() if self.random.random() < 0.1 else b""

    def idle(self, wait_ns):
        passed = self.random.randrange(wait_ns + 1) if self.random.random() < 0.7 else wait_ns
        if self.keys and self.random.random() < 0.3:
            return self.keys.pop(0), passed
        return b"", passed

    def window_size(self) -> tuple[int, int]:
        return self.size


def live_run(boot, seed, scheduler, monkeypatch):
    monkeypatch.setattr("wdbg.runtime.inputs.POLL_TICKS", 1000)
    fingers = Fingers(seed)
    machine = boot(ECHO, console=fingers, scheduler=scheduler())
    machine.request_resize()
    for tick in range(10_000, 100_000_000, 10_000):
        if machine.run(until=tick) is not None:
            break
        if fingers.random.random() < 0.1:
            fingers.size = (fingers.size[0] + 1, 80)
            machine.request_resize()
    return machine, fingers


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("scheduler", [RoundRobin, lambda: SeededRandom(7)])
def test_a_journal_repeats_the_run(boot, seed, scheduler, monkeypatch):
    first, fingers = live_run(boot, seed, scheduler, monkeypatch)
    assert first.stop.kind is StopKind.PANIC
    assert {type(entry) for entry in first.journal.inputs} == {Keys, Resize}
    silent = Tape()
    again = boot(ECHO, console=silent, scheduler=scheduler())
    again.replay(first.journal)
    again.run()
    assert again.stop == first.stop
    assert again.digest(memory=True) == first.digest(memory=True)
    assert again.journal == first.journal
    assert silent.written == fingers.written


def test_a_replay_goes_live_where_it_is_told(boot, monkeypatch):
    first, _ = live_run(boot, 3, RoundRobin, monkeypatch)
    cut = [entry for entry in first.journal.inputs if isinstance(entry, Keys)][5].moment
    monkeypatch.setattr("wdbg.runtime.inputs.POLL_TICKS", 1000)
    fingers = Fingers(3)
    second = boot(ECHO, console=fingers)
    second.request_resize()
    second.run(until=cut.ticks)
    third = boot(ECHO, console=StreamConsole(None))
    third.replay(second.journal)
    assert third.run(until=second.ticks) is None
    third.run_to(second.quanta, second.skipped)
    assert third.moment() == second.moment()
    assert third.digest(memory=True) == second.digest(memory=True)
    written = fingers.written
    third.go_live(fingers)
    assert third.run().kind is StopKind.PANIC
    assert fingers.written[len(written) :].endswith(b"quit")


def test_a_run_stops_at_a_moment_of_idle_time(boot):
    live = boot(ECHO, console=Fingers(1))
    live.pause_when_idle = True
    for _ in range(20):
        assert live.run() is None
    assert live.idle()
    again = boot(ECHO, console=StreamConsole(None))
    again.replay(live.journal)
    assert again.run_to(live.quanta, live.skipped) is None
    assert again.moment() == live.moment()
    assert again.digest(memory=True) == live.digest(memory=True)


def test_inputs_that_were_not_reached_are_an_error(boot, monkeypatch):
    first, fingers = live_run(boot, 3, RoundRobin, monkeypatch)
    again = boot(ECHO, console=StreamConsole(None))
    again.replay(first.journal)
    again.run(until=100)
    with pytest.raises(ReplayError, match="not reached"):
        again.go_live(fingers)


def test_a_journal_of_another_run_is_an_error(boot, monkeypatch):
    first, _ = live_run(boot, 3, RoundRobin, monkeypatch)
    again = boot(ECHO, console=StreamConsole(None), scheduler=SeededRandom(1))
    again.replay(first.journal)
    with pytest.raises(ReplayError, match="does not follow"):
        again.run()


def test_a_passed_input_is_an_error():
    replay = Replay([Keys(Moment(5, 1, 10), b"a", True)])
    with pytest.raises(ReplayError):
        replay.keys(2, 0, idle=True)


def test_a_held_cpu_does_not_run(boot):
    machine = boot(ECHO, console=Fingers(1))
    machine.run(until=20_500)
    machine.hold(frozenset({0}))
    ran = set()
    for tick in range(21_000, 60_000, 500):
        machine.run(until=tick)
        ran.add(machine.running.name)
    assert ran == {"swapper/1"}
    machine.hold(frozenset())
    assert machine.run().kind is StopKind.PANIC


def test_pause_is_an_observation(boot, tape):
    plain = boot(ECHO, console=Fingers(1))
    plain.run()
    paused = boot(ECHO, console=Fingers(1))
    pauses = 0
    while paused.stop is None:
        paused.pause()
        assert paused.run() is None
        paused.run(until=paused.ticks + 700)
        pauses += 1
    assert pauses > 10
    assert paused.digest(memory=True) == plain.digest(memory=True)
