"""Bringing a guest to the same place in another variant, from wherever it stands."""

from __future__ import annotations

import random

import pytest

from tests.debugger.conftest import CONTINUE, STEP, STOPPED
from tests.runtime.conftest import Tape
from tests.runtime.test_journal import ECHO, Fingers
from wdbg.debugger.levels import Level
from wdbg.debugger.model import IDLE_TID, DebugError, StopReason, WatchKind
from wdbg.debugger.rewind import bring_to, fingerprint, position
from wdbg.runtime.console import StreamConsole
from wdbg.runtime.journal import Moment, Position, ReplayError
from wdbg.runtime.scheduler import SeededRandom

SAME_TICK = """
  (data (i32.const 16384) "bye")
  (func $count (i32.store (i32.const 20000) (i32.add (i32.load (i32.const 20000)) (i32.const 1))))
  (func $twice (call $count) (call $count) (call $count))
  (func (export "_start")
    (call $twice)
    (call $say (i32.const 16384) (i32.const 1))
    (call $twice)
    (call $panic (i32.const 16384)))"""
"""$count has no call and no loop: it costs no tick, so three arrivals fall into one."""


def wander(guest, draw: random.Random) -> None:
    """Some stops, at stop points, at ticks and idle."""
    places = [guest.place(name) for name in ("work", "say")]
    for _ in range(draw.randrange(1, 6)):
        kind = draw.randrange(3)
        if kind == 0:
            place = draw.choice(places)
            guest.session.add_breakpoint(place)
            event = guest.run()
            guest.session.remove_breakpoint(place)
        elif kind == 1:
            guest.session.resume({}, CONTINUE)
            event = guest.session.pump()
            while event is None:
                guest.session.interrupt()
                event = guest.session.pump()
        else:
            event = guest.run({guest.session.stop_event().tid: STEP})
        if event.reason is StopReason.PANIC:
            return
        if draw.random() < 0.3:
            guest.session.write_memory(30000 + draw.randrange(100), bytes([draw.randrange(256)]))


@pytest.mark.parametrize("seed", range(12))
def test_any_place_is_found_again(mini, seed, monkeypatch):
    monkeypatch.setattr("wdbg.runtime.inputs.POLL_TICKS", 500)
    monkeypatch.setattr("wdbg.debugger.session.MOST_SLICE", 1 << 9)
    draw = random.Random(seed)
    guest = mini(ECHO, Fingers(seed), scheduler=lambda: SeededRandom(seed))
    wander(guest, draw)
    old = guest.session.machine
    assert old.stop is None
    before = position(old)
    frames = {thread.tid: guest.session.frames(thread.tid) for thread in guest.session.threads()}
    digest, moment, interventions = old.digest(memory=True), old.moment(), old.journal.interventions
    guest.session._switch(Level.WATCH)
    new = guest.session.machine
    assert new is not old
    assert new.moment() == moment
    assert new.digest(memory=True) == digest
    assert position(new) == before
    assert new.journal.inputs == old.journal.inputs
    assert len(new.journal.interventions) == len(interventions)
    assert {t.tid: guest.session.frames(t.tid) for t in guest.session.threads()} == frames
    assert guest.run().reason is StopReason.PANIC


def test_arrivals_within_one_tick_are_told_apart(mini):
    for arrival in (1, 2, 3):
        guest = mini(SAME_TICK)
        guest.session.add_breakpoint(guest.place("count"))
        ticks = {guest.run().tick for _ in range(arrival)}
        assert len(ticks) == 1
        guest.session.add_watchpoint(WatchKind.WRITE, 20000, 4)
        guest.session.remove_breakpoint(guest.place("count"))
        event = guest.run()
        assert int.from_bytes(event.hit.old, "little") == arrival - 1
        assert int.from_bytes(event.hit.new, "little") == arrival


def test_changes_at_several_arrivals_are_made_again(mini):
    guest = mini(SAME_TICK)
    guest.session.add_breakpoint(guest.place("count"))
    for value in (10, 20, 30):
        guest.run()
        guest.session.write_memory(20000, bytes([value]))
        guest.session.write_memory(20001, b"\1")
    guest.session.remove_breakpoint(guest.place("count"))
    guest.session.add_watchpoint(WatchKind.READ, 20000, 4)
    event = guest.run()
    assert event.hit.old == bytes([30, 1, 0, 0])


def test_stopped_cpus_stay_so_when_it_is_done_again(mini):
    guest = mini(ECHO, Fingers(1))
    guest.session.add_breakpoint(guest.place("_start_secondary"))
    event = guest.run()
    guest.session.remove_breakpoint(guest.place("_start_secondary"))
    for _ in range(3):
        event = guest.run({event.tid: STEP}, default=STOPPED)
        assert event.tid == IDLE_TID + 1
    digest = guest.session.machine.digest(memory=True)
    guest.session._switch(Level.WATCH)
    assert guest.session.machine.digest(memory=True) == digest
    assert guest.run().reason is StopReason.PANIC


def test_a_place_that_is_not_reached_leaves_the_guest_as_it_was(mini):
    guest = mini(SAME_TICK)
    guest.session.add_breakpoint(guest.place("count"))
    guest.run()
    old = guest.session.machine
    here = position(old)
    for wrong in (
        Position(here.moment, here.place, 4),
        Position(here.moment, here.place, 0, "another"),
        Position(here.moment, (0, here.place[1] + 1), 1),
        Position(here.moment, (5, 0), 1),
        Position(Moment(here.moment.ticks, here.moment.quanta, 99)),
        Position(Moment(1 << 40, 1, 0)),
    ):
        with pytest.raises(ReplayError):
            bring_to(old, lambda: guest.boot("watch", StreamConsole(None)), wrong)
    assert fingerprint(old) == here.fingerprint
    assert guest.run().reason is StopReason.BREAKPOINT


def test_another_run_is_noticed(mini):
    guest = mini(ECHO, Fingers(1))
    other = mini(SAME_TICK)
    guest.session._rebuild = lambda old, variant, place, *_: bring_to(
        old, lambda: other.boot(variant, Tape()), place
    )
    guest.session.add_breakpoint(guest.place("work"))
    guest.run()
    with pytest.raises(DebugError, match="another variant"):
        guest.session._switch(Level.WATCH)
    assert guest.run().reason is StopReason.BREAKPOINT
