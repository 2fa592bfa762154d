"""Search, minimisation and reproduction on a kernel of two CPUs."""

from __future__ import annotations

import os
import signal

import pytest

from tests.explore.conftest import COUNTERS
from wdbg.errors import BadInput
from wdbg.explore.history import Replayed, steps_of
from wdbg.explore.minimise import Minimiser
from wdbg.explore.schedules import STRATEGIES, make_schedule
from wdbg.explore.search import Search
from wdbg.explore.start import Start, default_start, go_to_start, parse_start
from wdbg.explore.trial import TrialError
from wdbg.instrument.variant import CUTS
from wdbg.runtime.scheduler import RoundRobin, Scripted, SeededRandom, Takeover
from wdbg.runtime.stop import StopKind


def search(surveyed, strategy="random", jobs=2, most=1, count=300):
    trials, work = surveyed
    hunt = Search(
        trials, strategy, work, jobs=jobs, wanted=lambda outcome: bool(outcome.kind), most=most
    )
    return hunt.run(count, lambda progress: None)


def silent(_trials, _steps):
    pass


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_each_strategy_loses_an_increment(surveyed, strategy):
    result = search(surveyed, strategy)
    [(number, outcome)] = result.found.values()
    assert (outcome.kind, outcome.title) == ("panic", "panic: lost")
    assert 1 <= number <= result.done
    assert 0 < len(result.orders) <= result.done


def test_the_finding_does_not_depend_on_the_number_of_workers(surveyed):
    found = [search(surveyed, jobs=jobs).found for jobs in (1, 2, 3)]
    assert found[0] == found[1] == found[2]


def test_a_search_without_findings_tries_all(surveyed):
    trials, work = surveyed
    hunt = Search(trials, "random", work, jobs=2, wanted=lambda outcome: False)
    shown = []
    result = hunt.run(50, shown.append)
    assert (result.done, result.found) == (50, {})
    assert shown[-1].done == 50


def test_a_minimal_schedule_reproduces_fifty_times_from_the_boot(surveyed, boot):
    trials, _ = surveyed
    [(_, outcome)] = search(surveyed).found.values()
    minimal = Minimiser(trials, outcome, silent).run()
    assert minimal.preemptions <= 2
    assert len(minimal.steps) <= minimal.before
    assert minimal.outcome.identity == outcome.identity
    decisions = minimal.decisions
    assert any(decision.access > 0 for decision in decisions)
    digests = set()
    for _ in range(50):
        scheduler = Takeover(RoundRobin(), Scripted(decisions), decisions[0].tick)
        machine = boot(COUNTERS, variant=CUTS, scheduler=scheduler)
        stop = machine.run()
        assert (stop.kind, stop.message) == (StopKind.PANIC, "lost")
        digests.add(machine.digest())
        machine.close()
    assert digests == {minimal.outcome.digest}


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_steps_are_the_whole_schedule(surveyed, strategy, number):
    trials, work = surveyed
    outcome = trials.run(make_schedule(strategy, number, work), keep=True)
    again = trials.run(Replayed(steps_of(outcome.rows)), keep=True)
    assert (again.digest, again.rows) == (outcome.digest, outcome.rows)


def test_a_child_that_fails_is_reported(surveyed):
    trials, _ = surveyed

    class Broken:
        def pick(self, ready, point):
            raise ZeroDivisionError

    class Deadly:
        def pick(self, ready, point):
            os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(TrialError, match="ZeroDivisionError"):
        trials.run(Broken())
    with pytest.raises(TrialError, match="status 9"):
        trials.run(Deadly())
    assert not trials.run(RoundRobin()).kind


def test_the_start_is_the_same_tick_whatever_tells_it(boot):
    machine = boot(COUNTERS, variant=CUTS)
    assert go_to_start(machine, Start(text="begin")) is None
    other = boot(COUNTERS, variant=CUTS)
    assert go_to_start(other, Start(tick=machine.ticks)) is None
    assert machine.ticks == other.ticks
    assert machine.between_quanta()
    assert machine.digest() == other.digest()


def test_a_start_that_does_not_come(boot):
    machine = boot(COUNTERS, variant=CUTS, scheduler=SeededRandom(1))
    stop = go_to_start(machine, Start(text="never"))
    assert stop is not None
    assert stop.kind is StopKind.POWER_OFF


def test_places_in_words():
    assert parse_start("console:a:b") == Start(text="a:b")
    assert parse_start("exec:3") == Start(program=3)
    assert parse_start("tick:77") == Start(tick=77)
    assert default_start("quiet bugs.case=abba x", None) == (
        Start(text="bugs: abba start"), "bugs: abba done",
    )  # fmt: skip
    for bad in ("", "tick:", "tick:-1", "tick:0", "exec:x", "console:", "elsewhere:1"):
        with pytest.raises(BadInput):
            parse_start(bad)
    with pytest.raises(BadInput):
        default_start("quiet", None)
