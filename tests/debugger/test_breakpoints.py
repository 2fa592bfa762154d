"""Breakpoints as data, against a model that is nothing but a list."""

from __future__ import annotations

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from wdbg.debugger.breakpoints import Breakpoints
from wdbg.debugger.model import Place
from wdbg.debugger.watchpoints import WatchKind, Watchpoint, Watchpoints
from wdbg.instrument.layout import ACCESS_READ, ACCESS_WRITE

SEGMENT = 10
LOADED = 2
"""Modules 0 and 1 are loaded at first."""
places = st.builds(Place, st.integers(0, 3), st.integers(0, 59))


def stop_of(place: Place) -> int:
    return place.offset // SEGMENT


class AgainstAList(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.real = Breakpoints()
        self.model: Counter[Place] = Counter()
        self.loaded = LOADED
        self.armed: set[tuple[int, int]] = set()

    def known(self, place: Place) -> int | None:
        return stop_of(place) if place.module < self.loaded else None

    @rule(place=places)
    def add(self, place: Place) -> None:
        stop = self.known(place)
        self.real.add(place, stop)
        self.model[place] += 1
        if stop is not None:
            self.armed.add((place.module, stop))

    @rule(place=places)
    def remove(self, place: Place) -> None:
        idle = self.real.remove(place)
        self.model -= Counter({place: 1})
        if idle is not None:
            self.armed.remove(idle)

    @rule()
    def load(self) -> None:
        if self.loaded > 3:
            return
        for place in self.real.pending(self.loaded):
            self.real.resolve(place, stop_of(place))
            self.armed.add((place.module, stop_of(place)))
        self.loaded += 1

    @rule()
    def another_variant(self) -> None:
        self.real.forget_stops(self.known)

    @rule()
    def clear(self) -> None:
        self.real.clear()
        self.model.clear()
        self.armed.clear()

    @invariant()
    def what_is_armed_is_what_is_needed(self) -> None:
        needed = {(p.module, stop_of(p)) for p in self.model if p.module < self.loaded}
        assert set(self.real.stops()) == needed == self.armed
        assert len(self.real) == len(self.model)
        assert all(place in self.real for place in self.model)

    @invariant()
    def segments_are_walked_in_order(self) -> None:
        for module, stop in self.real.stops():
            wanted = sorted(p for p in self.model if (p.module, stop_of(p)) == (module, stop))
            walked = [self.real.first(module, stop)]
            while (following := self.real.next(walked[-1], stop)) is not None:
                walked.append(following)
            assert walked == wanted

    @invariant()
    def the_others_wait(self) -> None:
        for module in range(4):
            waiting = {p for p in self.model if p.module == module >= self.loaded}
            assert set(self.real.pending(module)) == waiting


TestAgainstAList = AgainstAList.TestCase
TestAgainstAList.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_removing_what_is_not_there_does_nothing():
    points = Breakpoints()
    assert points.remove(Place(0, 5)) is None
    points.add(Place(0, 5), 0)
    assert points.remove(Place(0, 6)) is None
    assert points.remove(Place(0, 5)) == (0, 0)


def test_watchpoints_touch_what_overlaps():
    watch = Watchpoint(WatchKind.WRITE, 100, 4)
    assert watch.touched_by(96, 8, ACCESS_WRITE)
    assert watch.touched_by(103, 1, ACCESS_READ | ACCESS_WRITE)
    assert not watch.touched_by(104, 4, ACCESS_WRITE)
    assert not watch.touched_by(96, 4, ACCESS_WRITE)
    assert not watch.touched_by(100, 4, ACCESS_READ)
    assert Watchpoint(WatchKind.ACCESS, 100, 4).touched_by(100, 1, ACCESS_READ)


def test_watchpoints_are_counted():
    points, watch = Watchpoints(), Watchpoint(WatchKind.WRITE, 100, 4)
    points.add(watch)
    points.add(watch)
    assert not points.remove(watch)
    assert points.first(100, 1, ACCESS_WRITE) == watch
    assert points.remove(watch)
    assert not points.remove(watch)
    assert points.first(100, 1, ACCESS_WRITE) is None
