"""A guest that records a trace while GDB drives it."""

import re
import time
from pathlib import Path

import pytest

from tests.clients.live import live_guest
from tests.guest.conftest import run_guest
from wdbg.runtime.guest import Guest
from wdbg.trace.batch import join
from wdbg.trace.events import Table
from wdbg.trace.reader import Trace

pytestmark = pytest.mark.guest

WORK = "cat /proc/uptime; cat /proc/uptime; pingpong 200"
COMMON = ("--events", "sched,syscall", "--print-hash", "--exec", WORK)
DEADLINE = 60


def test_a_flight_recorder_writes_at_breakpoints_and_changes_nothing(
    guest: Guest, tmp_path: Path
) -> None:
    path, whole = tmp_path / "ring.wdt", tmp_path / "all.wdt"
    bare = run_guest("--append", "quiet", "--trace", whole, *COMMON)
    flags = ("--gdb", "0", "--wait", "--trace", str(path), "--ring", "8M", *COMMON)
    with live_guest(tmp_path, *flags) as live:
        live.gdb(
            'break do_sys_openat2 if $_streq(filename, "/proc/uptime")',
            "continue",
            "detach",
            before=[f"shell test $(stat -c %s {path}) -lt 1000000"],
        )
        assert live.end() == 0
        said = live.said.decode()
    assert re.search(r"run hash (\w+)", said)[1] == bare.hash
    until = time.monotonic() + DEADLINE
    while not path.read_bytes().endswith(b"WDTEND\r\n"):
        assert time.monotonic() < until
    with Trace(path) as trace, Trace(whole) as other:
        assert "breakpoint" in trace.facts["triggers"]
        assert trace.facts["trigger"] == "restart"
        assert trace.facts["overwritten_bytes"] == 0
        for table in (Table.SWITCH, Table.WAKE, Table.SYSCALL_ENTER, Table.SYSCALL_EXIT):
            found, wanted = (join(list(each.batches())) for each in (trace, other))
            assert len(found.rows(table, 4)) > 20
            assert (found.rows(table, 4)["tick"] == wanted.rows(table, 4)["tick"]).all()

