"""Where two runs part."""

from __future__ import annotations

from tests.explore.conftest import COUNTERS
from wdbg.explore.compare import part
from wdbg.instrument.variant import CUTS
from wdbg.runtime.scheduler import Decision, RoundRobin, Scripted, Takeover


def scripted(boot, *decisions):
    def fresh():
        first = decisions[0].tick if decisions else 0
        scheduler = Takeover(RoundRobin(), Scripted(decisions), first)
        return boot(COUNTERS, variant=CUTS, scheduler=scheduler)

    return fresh


def run(machine):
    while machine.stop is None:
        machine.run()


def test_equal_runs(boot):
    fresh = scripted(boot, Decision(20, 0, 1))
    assert part((fresh, fresh), (run, run)) is None


def test_runs_that_part_at_a_cut(boot):
    first = scripted(boot, Decision(20, 0, 1), Decision(40, 2, 0))
    second = scripted(boot, Decision(20, 0, 1), Decision(44, 0, 0))
    parting = part((first, second), (run, run))
    assert parting is not None
    assert [side.tick for side in parting.sides] == [40, 44]
    assert [side.cpu for side in parting.sides] == [0, 0]
    assert parting.tick == 20
    assert parting.sides[0].stack_before[0].function == "add"
    assert {frame.function for frame in parting.sides[0].stack_before} >= {"add", "work"}
