"""Schedules that cut straight-line code, and schedules by list."""

from __future__ import annotations

import random

import pytest

from tests.runtime.minikernel import COUNTING
from wdbg.instrument.variant import CUTS, TICK
from wdbg.runtime.scheduler import (
    FORCED,
    Decision,
    Pct,
    Point,
    RoundRobin,
    Scripted,
    SeededRandom,
    Takeover,
    Turn,
)
from wdbg.runtime.stop import StopKind

COUNTERS = COUNTING + """
  (data (i32.const 16384) "lost")
  (data (i32.const 16400) "whole")
  (func (export "_start")
    (call $start_cpu (i32.const 1) (i32.const 5000) (i32.const 60000))
    (call $work (i32.const 12300))
    (loop $wait
      (drop (memory.atomic.wait32 (i32.const 12308) (i32.const 0) (i64.const 1000)))
      (br_if $wait (i32.eqz (i32.atomic.load (i32.const 12304)))))
    (if (i32.eq (i32.load (i32.const 12288)) (i32.const 80))
      (then (call $panic (i32.const 16400))))
    (call $panic (i32.const 16384)))"""
"""Two CPUs count to 40 each in one word; between load and store there is no tick."""


class Logged:
    """Another scheduler, and what it was asked and has answered."""

    def __init__(self, inner) -> None:
        self.inner = inner
        self.turns: list[tuple[Point, Turn]] = []

    def pick(self, ready, point):
        turn = self.inner.pick(ready, point)
        self.turns.append((point, turn))
        return turn

    def decisions(self) -> list[Decision]:
        return [Decision(p.tick, p.access, turn.cpu.number) for p, turn in self.turns]


def outcome(machine) -> tuple[str, str]:
    stop = machine.run()
    assert stop is not None
    assert stop.kind is StopKind.PANIC
    return stop.message, machine.digest(memory=True)


def messages(boot, variant, make) -> set[str]:
    return {outcome(boot(COUNTERS, variant=variant, scheduler=make(seed)))[0] for seed in range(24)}


def test_an_increment_is_lost_only_with_cuts(boot):
    def make(seed):
        return SeededRandom(seed, 8, 6)

    assert messages(boot, TICK, make) == {"whole"}
    assert messages(boot, CUTS, make) == {"whole", "lost"}


def test_pct_finds_it_too(boot):
    def make(seed):
        return Pct(seed, 3, length=160, accesses=2)

    assert "lost" in messages(boot, CUTS, make)
    assert messages(boot, TICK, make) == {"whole"}


@pytest.mark.parametrize("seed", range(6))
def test_observations_inside_cut_quanta_change_nothing(boot, seed):
    plain = boot(COUNTERS, variant=CUTS, scheduler=SeededRandom(seed, 8, 6))
    expected = outcome(plain)
    looked_at = boot(COUNTERS, variant=CUTS, scheduler=SeededRandom(seed, 8, 6))
    steps = random.Random(seed)
    until = 0
    while looked_at.stop is None:
        until += steps.randrange(1, 4)
        if looked_at.run(until=until) is None:
            assert looked_at.ticks == until
    assert outcome(looked_at) == expected


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("kind", [SeededRandom, Pct])
def test_what_a_schedule_did_can_be_written_down(boot, seed, kind):
    scheduler = SeededRandom(seed, 8, 6) if kind is SeededRandom else Pct(seed, 6, 0, 200, 6)
    log = Logged(scheduler)
    first = boot(COUNTERS, variant=CUTS, scheduler=log)
    expected = outcome(first)
    script = Scripted(log.decisions())
    assert outcome(boot(COUNTERS, variant=CUTS, scheduler=script)) == expected
    assert (script.missed, script.left) == (0, 0)
    again = Logged(Scripted(log.decisions()))
    assert outcome(boot(COUNTERS, variant=CUTS, scheduler=again)) == expected
    assert again.decisions() == log.decisions()


def test_one_cut_is_enough_to_lose_an_increment(boot):
    """Between a load and the store of CPU 1, for as long as CPU 0 wants."""
    log = Logged(RoundRobin())
    assert outcome(boot(COUNTERS, variant=CUTS, scheduler=log))[0] == "whole"
    lost = [
        (tick, access)
        for tick in range(30, 34)
        for access in range(4)
        for script in [Scripted([Decision(tick, access, 0)])]
        if outcome(boot(COUNTERS, variant=CUTS, scheduler=script))[0] == "lost"
    ]
    assert lost, "no position is between load and store"
    assert all(access for _, access in lost)


def test_a_takeover_cuts_the_quantum_where_it_is_due(boot):
    log = Logged(RoundRobin())
    machine = boot(COUNTERS, variant=CUTS, scheduler=Takeover(RoundRobin(), log, 77))
    outcome(machine)
    assert log.turns[0][0] == Point(77, 0, False)


def test_decisions_that_do_not_come_are_counted(boot):
    script = Scripted(
        [Decision(5, 0, 9), Decision(6, FORCED, 0), Decision(7, 0, 0), Decision(1 << 40, 0, 0)]
    )
    assert outcome(boot(COUNTERS, variant=CUTS, scheduler=script))[0] == "whole"
    assert script.left == 1
    assert script.missed >= 2
