"""The demonstration believes no run that went wrong."""

import demo
import pytest


def test_a_torture_run_must_come_to_its_end() -> None:
    demo.check_torture("spin_lock-torture:--- End of test: SUCCESS: acq=0\n")
    with pytest.raises(demo.DemoError, match="did not end"):
        demo.check_torture("spin_lock-torture:--- Start of test\n")


@pytest.mark.parametrize("line", ["WARNING: CPU: 0", "BUG: soft", "Writes: 3 !!!", "rcu stall"])
def test_complaints_are_seen(line: str) -> None:
    with pytest.raises(demo.DemoError):
        demo.check_torture(f"{line}\nEnd of test: SUCCESS\n")


def test_the_run_hash_is_found() -> None:
    assert demo.run_hash("wdbg: run hash 00ff\n") == "00ff"
    with pytest.raises(demo.DemoError):
        demo.run_hash("nothing\n")
