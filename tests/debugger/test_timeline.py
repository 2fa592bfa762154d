"""A guest with a past, over mini kernels: the same stops in the other order, the same memory."""

from __future__ import annotations

import random

import pytest

from tests.debugger.conftest import CONTINUE, STEP
from tests.debugger.test_rewind import SAME_TICK, wander
from tests.runtime.conftest import Tape
from tests.runtime.test_journal import ECHO, Fingers
from wdbg.debugger.bounds import Bound
from wdbg.debugger.model import Action, DebugError, Resume, StopReason, WatchKind
from wdbg.debugger.remote import state_of
from wdbg.debugger.timeline import Timeline
from wdbg.runtime.scheduler import SeededRandom
from wdbg.runtime.stop import Stop, StopKind

BACK = Action(Resume.CONTINUE, reverse=True)
STEP_BACK = Action(Resume.STEP, reverse=True)


@pytest.fixture(name="with_past")
def with_past_fixture(mini):
    """with_past(body, ...) -> (Mini, Timeline)"""
    made = []

    def start(*arguments, **options):
        guest = mini(*arguments, **options)
        timeline = Timeline(guest.session)
        made.append(timeline)
        return guest, timeline

    yield start
    for timeline in made:
        timeline.close()


def go(timeline, actions=None, default=CONTINUE):
    timeline.resume(actions or {}, default)
    for _ in range(20_000):
        event = timeline.pump()
        if event is not None:
            return event
    raise AssertionError("no stop")


def hits(timeline, default=CONTINUE):
    """What is met on the way, and what ends it."""
    found = []
    while (event := go(timeline, default=default)).reason is StopReason.BREAKPOINT:
        found.append((event.place, event.tick, state(timeline)))
        assert len(found) < 50
    return found, event


def state(timeline):
    return state_of(timeline.machine) if timeline.past is None else timeline.past.state()


def test_arrivals_within_one_tick_are_told_apart(with_past):
    guest, timeline = with_past(SAME_TICK)
    timeline.add_breakpoint(guest.place("count"))
    forth, event = hits(timeline)
    assert len(forth) == 6
    assert event.reason is StopReason.PANIC
    back, event = hits(timeline, BACK)
    assert back == forth[::-1]
    assert (event.reason, event.end) == (StopReason.HISTORY, False)
    again, event = hits(timeline)
    assert again == forth
    assert (event.reason, event.end) == (StopReason.HISTORY, True)
    assert timeline.past is None


@pytest.mark.parametrize("first", range(6))
def test_steps_back_undo_steps(with_past, first):
    guest, timeline = with_past(SAME_TICK)
    timeline.add_breakpoint(guest.place("count"))
    for _ in range(first + 1):
        event = go(timeline)
    timeline.remove_breakpoint(guest.place("count"))
    forth = [(event.place, state(timeline))]
    for _ in range(4):
        event = go(timeline, {event.tid: STEP})
        if event.reason is not StopReason.STEP:
            break
        forth.append((event.place, state(timeline)))
    back = [forth[-1]] if event.reason is StopReason.STEP else []
    while len(back) < len(forth):
        event = go(timeline, {event.tid: STEP_BACK}, BACK)
        back.append((event.place, state(timeline)))
    assert back == forth[::-1]


@pytest.mark.parametrize("seed", range(4))
def test_a_wandering_guest_goes_back_to_where_it_was(with_past, seed, monkeypatch):
    """Stops at stop points, at ticks and idle; writes on the way."""
    monkeypatch.setattr("wdbg.runtime.inputs.POLL_TICKS", 500)
    monkeypatch.setattr("wdbg.debugger.session.MOST_SLICE", 1 << 9)
    draw = random.Random(seed)
    guest, timeline = with_past(ECHO, Fingers(seed), scheduler=lambda: SeededRandom(seed))
    work = guest.place("work")
    timeline.add_breakpoint(work)
    forth, changed = [], set()
    for number in range(4):
        event = go(timeline)
        if event.reason is not StopReason.BREAKPOINT:
            break
        forth.append((event.tick, state(timeline)))
        if number == draw.randrange(4):
            timeline.write_memory(30_000, b"\7")
            changed.add(event.tick)
    timeline.remove_breakpoint(work)
    wander(guest, draw)
    here = state(timeline)
    timeline.add_breakpoint(work)
    back = [(tick, seen) for _, tick, seen in hits(timeline, BACK)[0]]
    assert [tick for tick, _ in back[::-1]][: len(forth)] == [tick for tick, _ in forth]
    unchanged = [pair for pair in forth if pair[0] not in changed]
    assert [pair for pair in back[::-1] if pair[0] not in changed][: len(unchanged)] == unchanged
    timeline.remove_breakpoint(work)
    event = go(timeline)
    assert (event.reason, event.end) == (StopReason.HISTORY, True)
    assert state(timeline) == here


def test_watchpoints_backwards(with_past):
    guest, timeline = with_past(SAME_TICK)
    timeline.add_breakpoint(guest.place("say"))
    assert go(timeline).reason is StopReason.BREAKPOINT
    timeline.remove_breakpoint(guest.place("say"))
    timeline.add_watchpoint(WatchKind.WRITE, 20_000, 4)
    for value in (2, 1, 0):
        event = go(timeline, default=BACK)
        assert event.reason is StopReason.WATCHPOINT
        assert timeline.read_memory(20_000, 4)[0] == value
        assert timeline.frames(event.tid)[0].function == "count"
    assert go(timeline, default=BACK).reason is StopReason.HISTORY
    for value in (1, 2, 3):
        assert go(timeline).reason is StopReason.WATCHPOINT
        assert timeline.read_memory(20_000, 4)[0] == value
    assert "written last" in timeline.monitor("lastwrite 20000,4")
    assert "nobody" in timeline.monitor("lastwrite 21000,4")
    for wrong in ("lastwrite", "lastwrite 5,0", "lastwrite x", "lastfree 5"):
        with pytest.raises(DebugError):
            timeline.monitor(wrong)


def test_a_changed_past_is_the_run_from_there_on(with_past):
    guest, timeline = with_past(SAME_TICK)
    count = guest.place("count")
    timeline.add_breakpoint(count)
    for _ in range(4):
        go(timeline)
    for _ in range(2):
        event = go(timeline, default=BACK)
    assert timeline.read_memory(20_000, 4)[0] == 1
    timeline.write_memory(20_000, b"\x20")
    assert timeline.read_memory(20_000, 4)[0] == 0x20
    event = go(timeline)
    assert "is gone" in event.message
    assert timeline.past is None
    assert timeline.read_memory(20_000, 4)[0] == 0x21
    assert go(timeline, default=BACK).reason is StopReason.BREAKPOINT
    assert timeline.read_memory(20_000, 4)[0] in (1, 0x20)
    _, event = hits(timeline)
    assert event.end
    assert timeline.read_memory(20_000, 4)[0] == 0x21
    _, event = hits(timeline)
    assert event.reason is StopReason.PANIC
    assert timeline.read_memory(20_000, 4)[0] == 0x25


def test_a_recorded_run_is_repeated_with_what_was_done_to_it(mini):
    first = mini(SAME_TICK)
    count = first.place("count")
    first.session.add_breakpoint(count)
    first.run()
    first.run()
    first.session.write_memory(20_000, b"\x40")
    first.session.remove_breakpoint(count)
    assert first.run().reason is StopReason.PANIC
    journal, moment = first.session.machine.journal, first.session.machine.moment()
    digest = first.session.machine.digest(memory=True)
    assert len(journal.interventions) == 1

    second = mini(SAME_TICK)
    machine = second.session.machine
    machine.replay(journal, Stop(StopKind.RECORDED))
    machine.source = journal
    end = Bound(moment, ended=True), Stop(StopKind.PANIC)
    timeline = Timeline(second.session, journal.interventions, end)
    try:
        timeline.add_breakpoint(count)
        values = []
        while (event := go(timeline)).reason is StopReason.BREAKPOINT:
            values.append(timeline.read_memory(20_000, 4)[0])
            assert len(values) < 50
        assert values == [0, 0x41, 0x42, 0x43, 0x44]
        assert (event.reason, event.end) == (StopReason.HISTORY, True)
        assert timeline.machine.digest(memory=True) == digest
        back = []
        while (event := go(timeline, default=BACK)).reason is StopReason.BREAKPOINT:
            back.append(timeline.read_memory(20_000, 4)[0])
            assert len(back) < 50
        assert back == [0x44, 0x43, 0x42, 0x41, 0x40, 0]
        timeline.detach()
        while (event := timeline.pump()) is None:
            pass
        assert event.reason is StopReason.EXITED
    finally:
        timeline.close()


def test_an_interrupted_search_leaves_everything_as_it_is(with_past):
    guest, timeline = with_past(SAME_TICK, Tape())
    timeline.add_breakpoint(guest.place("count"))
    here = go(timeline)
    timeline.resume({}, BACK)
    timeline.interrupt()
    while (event := timeline.pump()) is None:
        pass
    assert event.reason in (StopReason.INTERRUPT, StopReason.HISTORY)
    if event.reason is StopReason.INTERRUPT:
        assert (event.place, event.tick) == (here.place, here.tick)
