"""A kernel that loses increments in some schedules, and a machine that stands before it."""

from __future__ import annotations

import pytest

from tests.runtime.conftest import boot_fixture, tape_fixture
from tests.runtime.minikernel import COUNTING
from wdbg.explore.schedules import Workload
from wdbg.explore.search import survey
from wdbg.explore.start import Start, go_to_start
from wdbg.explore.trial import Limits, Trials
from wdbg.instrument.variant import CUTS

__all__ = ["boot_fixture", "tape_fixture"]

COUNTERS = COUNTING + """
  (data (i32.const 16384) "begin\\n")
  (data (i32.const 16400) "lost")
  (data (i32.const 16420) "done\\n")
  (func (export "_start")
    (call $say (i32.const 16384) (i32.const 6))
    (call $start_cpu (i32.const 1) (i32.const 5000) (i32.const 60000))
    (call $work (i32.const 12300))
    (loop $wait
      (drop (memory.atomic.wait32 (i32.const 12308) (i32.const 0) (i64.const 1000)))
      (br_if $wait (i32.eqz (i32.atomic.load (i32.const 12304)))))
    (if (i32.ne (i32.load (i32.const 12288)) (i32.const 80))
      (then (call $panic (i32.const 16400))))
    (call $say (i32.const 16420) (i32.const 5))
    (call $machine_stop (i32.const 1) (i32.const 0)))"""
"""Two CPUs count to 40 each in one word; between load and store there is no tick."""

NEVER = 1 << 62
LIMITS = Limits(NEVER, NEVER, NEVER)


@pytest.fixture(name="surveyed")
def surveyed_fixture(boot):
    """(trials, workload) of the counters, with cuts."""
    machine = boot(COUNTERS, variant=CUTS)
    assert go_to_start(machine, Start(text="begin")) is None
    trials = Trials(machine, LIMITS)
    first, work = survey(trials, Workload(machine.ticks, 1, (), 3), LIMITS)
    assert not first.kind
    return trials, work
