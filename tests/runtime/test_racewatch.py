"""Races that are seen to happen, on mini kernels with two CPUs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wdbg.instrument.variant import TICK
from wdbg.runtime.racewatch import RaceWatch, Where
from wdbg.runtime.scheduler import SeededRandom
from wdbg.runtime.stop import StopKind

SAMPLES = replace(TICK, samples=True)
WHERE = Where(preempt_count=4, irqs_off=12, stack=28, stack_size=0)

CPUS = """
  (data (i32.const 16384) "done")
  (func $nothing)
  (func $add (call $nothing) {add})
  (func $work (param $done i32) (param $other i32) (local $n i32)
    (loop $again
      (call $add)
      {work}
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $n) (i32.const 200))))
    (i32.atomic.store (local.get $done) (i32.const 1)))
  (func (export "_start_secondary") (param i32)
    (call $work (i32.const 12304) (i32.const 12352))
    (loop $rest
      (drop (memory.atomic.wait32 (i32.const 12308) (i32.const 0) (i64.const -1)))
      (br $rest)))
  (func (export "_start")
    (call $start_cpu (i32.const 1) (i32.const 5000) (i32.const 60000))
    (call $work (i32.const 12300) (i32.const 12356))
    (loop $wait
      (drop (memory.atomic.wait32 (i32.const 12308) (i32.const 0) (i64.const 1000)))
      (br_if $wait (i32.eqz (i32.atomic.load (i32.const 12304)))))
    (call $panic (i32.const 16384)))"""
PLAIN = "(i32.store (i32.const 12288) (i32.add (i32.load (i32.const 12288)) (i32.const 1)))"
ATOMIC = "(drop (i32.atomic.rmw.add (i32.const 12288) (i32.const 1)))"
SAME = "(i32.store (i32.const 12288) (i32.const 7))"
READ = "(drop (i32.load (i32.const 12288)))"
OWN = "(i32.store (local.get $other) (local.get $n))"


@pytest.fixture(name="watch")
def fixture_watch(boot):
    def watch(add: str, work: str = "", seed: int = 1, window: int = 50):
        text = CPUS.replace("{add}", add).replace("{work}", work)
        machine = boot(text, variant=SAMPLES, scheduler=SeededRandom(seed, 30))
        races = RaceWatch(machine, WHERE, seed, 10, window)
        stop = machine.run()
        assert stop is not None
        assert (stop.kind, stop.message) == (StopKind.PANIC, "done")
        return races, machine

    return watch


def test_a_lost_update_is_seen(watch):
    races, _ = watch(PLAIN)
    pairs = {(s.held.write, s.other.write) for s in races.sightings.values() if s.other is not None}
    assert pairs >= {(False, True), (True, False), (True, True)}
    for sighting in races.sightings.values():
        assert sighting.held.address == 12288
        assert sighting.held.size == 4
        assert sighting.held.task != sighting.other.task
        assert "add" in sighting.held.frames[0].function
        assert sighting.changed
        assert sighting.old != sighting.new


@pytest.mark.parametrize(("add", "work"), [(ATOMIC, ""), (READ, ""), (ATOMIC, OWN)])
def test_what_does_not_race_is_not_seen(watch, add, work):
    races, _ = watch(add, work)
    assert races.sightings == {}
    assert races.samples or add is ATOMIC


def test_a_plain_access_races_with_an_atomic_one(watch):
    races, _ = watch(READ, ATOMIC)
    assert {(s.held.marked, s.other.marked) for s in races.sightings.values()} == {(False, True)}


def test_a_value_that_does_not_change(watch):
    races, _ = watch(SAME)
    assert races.sightings
    late = [s for s in races.sightings.values() if s.held.tick > 200]
    assert not any(s.new for s in late)


def test_a_seed_repeats(watch):
    first, machine = watch(PLAIN, seed=5)
    again, other = watch(PLAIN, seed=5)
    assert machine.digest(memory=True) == other.digest(memory=True)
    assert first.sightings == again.sightings
    digests = {watch(PLAIN, seed=seed)[1].digest() for seed in range(5)}
    assert len(digests) == 5
