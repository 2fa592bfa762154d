"""Every configuration of the example guest boots, and its own judges find nothing wrong."""

from __future__ import annotations

import re

import pytest

from tests.guest.conftest import run_guest
from wdbg.runtime.guest import default_guest

pytestmark = pytest.mark.guest

COMPLAINTS = re.compile(r"BUG: (?!KCSAN)|WARNING:|INFO: .*(lock|stall|hung)|Oops|not ok|FAIL|!!!")
"""Not what KCSAN reports: data races of Linux itself (one is in hvc_write) are what it is for."""


def complaints(console: str) -> list[str]:
    return [line for line in console.splitlines() if COMPLAINTS.search(line)]


@pytest.mark.parametrize("name", ["torture", "lockdep", "kcsan", "og"])
def test_boots_to_user_space(name):
    default_guest([name])
    done = run_guest("--config", name, "--exec", "selftest", "--timeout", 600, deadline=620)
    assert re.search(r"^# (\d+) of \1 passed", done.console, re.M), done.messages
    assert done.status == 0
    assert not complaints(re.sub(r"^ok .*\n", "", done.console, flags=re.M))


def test_lockdeps_self_test_passes():
    done = run_guest("--config", "lockdep", "--exec", "dmesg")
    assert re.search(r"Good, all +\d+ testcases passed!", done.console)
    assert "debugging disabled" not in done.console


def test_kcsans_self_test_passes():
    done = run_guest("--config", "kcsan", "--exec", "dmesg")
    assert re.search(r"selftest: (\d+)/\1 tests passed", done.console)


LOCKS = ["spin_lock", "spin_lock_irq", "rw_lock", "mutex_lock", "rtmutex_lock", "rwsem_lock"]


@pytest.mark.parametrize(
    ("lock", "seed"), [*((lock, []) for lock in LOCKS), ("spin_lock_irq", ["--seed", 3])]
)
def test_locktorture_has_no_complaint(lock, seed):
    done = run_guest(
        "--config", "torture", *seed, "--timeout", 200, "--exec", "sleep 600", "--append",
        f"locktorture.torture_type={lock} locktorture.shutdown_secs=1 locktorture.stat_interval=1",
    )  # fmt: skip
    assert "End of test: SUCCESS" in done.console, done.messages
    writes = [int(n) for n in re.findall(r"Writes: +Total: (\d+)", done.console)]
    assert writes
    assert writes[-1] > 100
    assert done.status == 0


def test_rcutorture_has_no_complaint():
    done = run_guest(
        "--config", "torture", "--timeout", 200, "--exec", "sleep 600", "--append",
        "rcutorture.torture_type=rcu rcutorture.shutdown_secs=2 rcutorture.stat_interval=1",
    )  # fmt: skip
    assert "End of test: SUCCESS" in done.console, done.messages
    assert done.status == 0


def kunit(console: str) -> list[str]:
    """The lines of the test protocol, without time stamps and what the tests say about time."""
    text = re.sub(r"^\[ *[\d.]+\] ", "", console, flags=re.M)
    return re.findall(r"^ *(?:not )?ok \d+ .*", text, re.M)


def test_kunit_passes_and_ticks_change_nothing():
    append = "kunit.enable=1 kunit.filter=speed>slow"
    flags = ["--config", "torture", "--timeout", 300, "--cpus", 1, "--append", append]
    ticks = run_guest(*flags, "--exec", "dmesg")
    plain = run_guest(*flags, "--exec", "dmesg", "--variant", "plain", "--freeze-clock")
    results = kunit(ticks.console)
    assert len(results) > 50
    assert not [line for line in results if line.lstrip().startswith("not ok")]
    assert results == kunit(plain.console)
