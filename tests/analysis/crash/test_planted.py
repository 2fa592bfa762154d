"""Each planted crash of examples/bugs is named by its cause and its line."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from wdbg.analysis.crash.report import crash_report
from wdbg.analysis.crash.show import text_report
from wdbg.cli.dumping import take
from wdbg.dump.file import read_dump, write_dump
from wdbg.dump.state import StopState
from wdbg.runtime.boot import BootOptions, boot
from wdbg.runtime.console import StreamConsole

CASES = {
    "null_deref": (
        "null-dereference", r"arch/wasm/bugs/null_deref\.c:51", "device_start",
        [r"read from 0x8 \(NULL \+ 0x8\)", r"device = NULL", r"written through NULL: 01 00 00 00"],
    ),
    "bad_call": (
        "signature-mismatch", r"arch/wasm/bugs/bad_call\.c:38", "handle",
        [
            r"function pointer 0x\w+ is timeout_handler, of type \(i32\) -> \(i32\)",
            r"the caller expects a function of type \(i32 i32\) -> \(i32\)",
            r"handle\(event=1\)",
        ],
    ),
    "bug_on": (
        "bug", r"arch/wasm/bugs/bug_on\.c:21", "channel_free",
        [r"kernel BUG at arch/wasm/bugs/bug_on\.c:21 in channel_free\(\)", r"channel_close\("],
    ),
    "stack_overflow": (
        "stack-overflow", r"kernel/sched/core\.c:\d+", "__schedule",
        [r"end of the stack of stack_overflo/0\[\d+\] was written over", r"resolver\("],
    ),
    "use_after_free": (
        "use-after-free", r"arch/wasm/bugs/use_after_free\.c:63", "event",
        [r"kmalloc-32 object at 0x\w+.*struct session \* watched.*struct message \* message"],
    ),
    "double_free": (
        "double-free", r"arch/wasm/bugs/double_free\.c:76", "wake_listener",
        [r"is the text 'pppp'", r"bug_packet object at 0x\w+, 32 bytes, FREE"],
    ),
    "slab_overrun": (
        "slab-overrun", r"arch/wasm/bugs/slab_overrun\.c:56", "ports_open",
        [r"the object before goes on into it: 'port-of-the-control-terminal'", r"i = 4"],
    ),
    "list_corruption": (
        "list-corruption", r"arch/wasm/bugs/list_corruption\.c:32", "job_ended",
        [r"next in __list_del\(\) is LIST_POISON1"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(CASES))
def test_the_cause_and_the_line(case, guest, tmp_path):
    kind, place, function, patterns = CASES[case]
    options = BootOptions(guest.kernel, guest.initrd, f"bugs.case={case}", variant="debug")
    machine = boot(options, StreamConsole(None))
    assert machine.run().kind.value == "panic"
    path = tmp_path / "dump"
    write_dump(path, take(machine))
    machine.close()
    report = crash_report(read_dump(path), path)
    text = text_report(report)
    assert report["what"]["kind"] == kind, text[:2000]
    assert report["where"]["function"] == function
    assert re.fullmatch(place, f"{report['where']['file']}:{report['where']['line']}")
    for pattern in patterns:
        assert re.search(pattern, text), f"{pattern}\n{text[:4000]}"


HANGS = {
    "hung_task": ("hung-task", "arch/wasm/bugs/hung_task.c:38", "client"),
    "rcu_stall": ("rcu-stall", "arch/wasm/bugs/rcu_stall.c:31", "read_newest"),
}


@pytest.mark.parametrize("case", sorted(HANGS))
def test_hangs_are_told_by_who_waits(case, guest, tmp_path):
    kind, place, function = HANGS[case]
    line = f"bugs.case={case} WDBG_EXEC=sleep%20100"
    machine = boot(BootOptions(guest.kernel, guest.initrd, line, variant="debug"),
                   StreamConsole(None))  # fmt: skip
    while machine.now() < 30_000_000_000:
        assert machine.run(until=machine.ticks + 50_000) is None
    path = tmp_path / "dump"
    write_dump(path, replace(take(machine), stop=StopState("hang", "stands still")))
    machine.close()
    report = crash_report(read_dump(path), path)
    text = text_report(report)
    assert report["what"]["kind"] == kind, text[:2000]
    assert f"{report['where']['file']}:{report['where']['line']}" == place
    assert report["where"]["function"] == function
    assert "Waits and locks:" in text
