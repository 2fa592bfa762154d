"""The debugger on the real kernel, without a client: what it sees, and that it leaves no trace."""

from __future__ import annotations

import random

import pytest

from wdbg.cli.debugging import make_session
from wdbg.debugger.model import IDLE_TID, Action, Place, Resume, StopReason, TaskState, WatchKind
from wdbg.runtime.boot import BootOptions, boot
from wdbg.runtime.console import StreamConsole
from wdbg.runtime.engine import unwatch_parks
from wdbg.runtime.symbolindex import open_index

pytestmark = pytest.mark.guest

CONTINUE, STEP = Action(Resume.CONTINUE), Action(Resume.STEP)


class Guest:
    """The default guest with a scripted command, under a session."""

    def __init__(self, files, command: str, seed: int | None = None) -> None:
        words = command.replace("%", "%25").replace(" ", "%20").replace(";", "%3B")
        self.options = BootOptions(
            files.kernel, files.initrd, f"quiet WDBG_EXEC={words}", seed=seed,
            schedule="rr" if seed is None else "random", variant="debug",
        )  # fmt: skip
        self.symbols = open_index(files.kernel)
        self.session = make_session(boot(self.options, StreamConsole(None)), self.options)

    def function(self, name: str) -> Place:
        return Place(0, self.symbols.find_function(name)[0].low)

    def run(self, actions=None, *, modules: bool = False):
        """Go on to the next stop; those for new programs are passed unless `modules`."""
        while True:
            self.session.resume(actions or {}, CONTINUE)
            while (event := self.session.pump()) is None:
                pass
            if event.reason is not StopReason.MODULES or modules:
                return event

    def plain_hash(self) -> str:
        """The run hash without a debugger."""
        options = BootOptions(**{
            name: getattr(self.options, name) for name in self.options.__slots__
        } | {"variant": "tick"})  # fmt: skip
        machine = boot(options, StreamConsole(None))
        machine.run()
        try:
            return machine.digest(memory=True)
        finally:
            machine.close()


@pytest.fixture(name="start")
def start_fixture(guest):
    made = []

    def start(command: str, seed: int | None = None) -> Guest:
        made.append(Guest(guest, command, seed))
        return made[-1]

    yield start
    for each in made:
        each.session.machine.close()
    unwatch_parks()


def test_a_debugged_run_is_the_run(start):
    guest = start("cat /proc/uptime; ls / | wc", seed=5)
    draw = random.Random(1)
    places = [guest.function(name) for name in ("vfs_read", "do_sys_openat2", "mutex_lock")]
    for place in places:
        guest.session.add_breakpoint(place)
    for _ in range(60):
        event = guest.run()
        assert event.reason is StopReason.BREAKPOINT
        if draw.random() < 0.3:
            assert guest.session.frames(event.tid)
        for _ in range(draw.randrange(4)):
            event = guest.run({event.tid: STEP})
        guest.session.interrupt()
    guest.session.detach()
    while (event := guest.session.pump()) is None or event.reason is not StopReason.EXITED:
        if event is not None:
            guest.session.resume({}, CONTINUE)
    assert guest.session.machine.digest(memory=True) == guest.plain_hash()


def test_tasks_are_the_kernels(start):
    guest = start("cat /proc/uptime")
    guest.session.add_breakpoint(guest.function("vfs_read"))
    event = guest.run()
    threads = {thread.tid: thread for thread in guest.session.threads()}
    assert threads[event.tid].name == "cat"
    assert threads[event.tid].state is TaskState.RUNNING
    assert threads[2].name == "kthreadd"
    assert threads[2].detail == "S (sleeping)"
    assert {IDLE_TID, IDLE_TID + 1, IDLE_TID + 2, IDLE_TID + 3} <= set(threads)
    frames = {tid: [f.function for f in guest.session.frames(tid)] for tid in threads}
    assert frames[2][0] == "__switch_to"
    assert frames[2][-1] == "ret_from_fork"
    assert frames[event.tid][-1] == "_start", "the program's"
    assert "ksys_read" in frames[event.tid]


def test_the_log_is_read_from_memory(start):
    guest = start("true")
    guest.session.add_breakpoint(guest.function("machine_restart"))
    guest.session.add_breakpoint(guest.function("machine_power_off"))
    guest.run()
    log = guest.session.monitor("dmesg").splitlines()
    assert "Linux version 6.12" in log[0]
    assert len(log) > 30
    assert "cpu" in guest.session.monitor("tasks")


def test_a_watchpoint_sees_the_clock_tick(start):
    guest = start("cat /proc/uptime; sleep 1")
    guest.session.add_breakpoint(guest.function("vfs_read"))
    guest.run()
    guest.session.remove_breakpoint(guest.function("vfs_read"))
    jiffies = guest.symbols.variable("jiffies_64").address
    guest.session.add_watchpoint(WatchKind.WRITE, jiffies, 8)
    last = None
    for _ in range(3):
        event = guest.run()
        assert event.reason is StopReason.WATCHPOINT
        old, new = (int.from_bytes(raw, "little") for raw in (event.hit.old, event.hit.new))
        assert new > old
        assert last in (None, old)
        last = new
    guest.session.remove_watchpoint(WatchKind.WRITE, jiffies, 8)
    assert guest.run().reason is StopReason.EXITED
    assert guest.session.machine.digest(memory=True) == guest.plain_hash()


def test_a_written_local_is_what_the_kernel_goes_on_with(start):
    guest = start("cat /proc/uptime")
    place = guest.function("vfs_read")
    guest.session.add_breakpoint(place)
    event = guest.run()
    buffer, count = (guest.session.local(event.tid, 0, index) for index in (1, 2))
    assert count == 4096
    guest.session.set_local(event.tid, 0, 2, 3)
    assert guest.session.local(event.tid, 0, 2) == 3
    again = guest.run()
    assert (again.reason, again.tid) == (StopReason.BREAKPOINT, event.tid)
    assert guest.session.read_memory(buffer, 4) == b"0.0\0"


def test_a_trap_in_the_kernel_stops_with_the_stack_that_it_ended(start):
    guest = start("echo divide > /sys/module/traptest/parameters/trap; echo survived")
    event = guest.run()
    assert event.reason is StopReason.TRAP
    assert "divide" in event.message
    functions = [frame.function for frame in guest.session.frames(event.tid)]
    assert functions[:2] == ["raise_exception", "trap_divide"]
    depths = [frame.depth for frame in guest.session.frames(event.tid)]
    assert depths == list(range(len(depths) - 1, -1, -1))
    event = guest.run()
    assert event.reason is StopReason.PANIC
    assert "panic" in [frame.function for frame in guest.session.frames(event.tid)]
    assert guest.run().reason is StopReason.EXITED
