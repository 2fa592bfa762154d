"""Sessions: stops, steps, threads, frames, writes and watchpoints on mini kernels."""

from __future__ import annotations

import pytest

from tests.debugger.conftest import CONTINUE, STEP, STOPPED
from tests.runtime.conftest import Tape
from wdbg.debugger.model import (
    IDLE_TID,
    Action,
    DebugError,
    Place,
    Resume,
    StopReason,
    TaskState,
    WatchKind,
)
from wdbg.runtime.scheduler import SeededRandom

ENTRY, AFTER_CALL = 1, 4

CALLS = """
  (data (i32.const 16384) "bye")
  (func $leaf (param i32) (result i32)
    (call $say (i32.const 16384) (i32.const 1))
    (i32.add (local.get 0) (i32.const 1)))
  (func $middle (param i32) (result i32)
    (i32.store (i32.const 20000) (call $leaf (local.get 0)))
    (call $leaf (i32.load (i32.const 20000))))
  (func (export "_start")
    (drop (call $middle (i32.const 40)))
    (drop (call $middle (i32.const 50)))
    (call $panic (i32.const 16384)))"""

FOREVER = """
  (func $tick (i32.store (i32.const 20000) (i32.add (i32.load (i32.const 20000)) (i32.const 1)))
    (call $say (i32.const 0) (i32.const 0)))
  (func $work (loop $again (call $tick) (br $again)))
  (func (export "_start_secondary") (param i32)
    (loop $again (call $say (i32.const 0) (i32.const 0)) (br $again)))
  (func (export "_start")
    (call $start_cpu (i32.const 1) (i32.const 5000) (i32.const 60000))
    (call $work))"""

IDLE = """
  (func (export "_start")
    (loop $again
      (call $timer (i32.const 0) (i64.add (call $clock) (i64.const 1000000)))
      (drop (memory.atomic.wait32 (i32.const 2048) (i32.const 0) (i64.const -1)))
      (i32.store (i32.const 2048) (i32.const 0))
      (br $again)))"""


def test_a_session_starts_before_the_first_instruction(mini):
    guest = mini(CALLS)
    event = guest.session.stop_event()
    assert (event.reason, event.tid, event.tick) == (StopReason.ATTACH, IDLE_TID, 0)
    assert guest.names(IDLE_TID) == ["_start"]
    assert guest.session.frames(IDLE_TID)[0].place == guest.place("_start")


def test_a_breakpoint_stops_each_time_with_its_frames(mini):
    guest = mini(CALLS)
    place = guest.place("leaf")
    guest.session.add_breakpoint(place)
    for caller in (0, 1, 0, 1):
        event = guest.run()
        assert (event.reason, event.place) == (StopReason.BREAKPOINT, place)
        assert guest.names(event.tid) == ["leaf", "middle", "_start"]
        frames = guest.session.frames(event.tid)
        assert [frame.depth for frame in frames] == [2, 1, 0]
        assert frames[1].place == guest.place("middle", AFTER_CALL, caller)
    assert guest.run().reason is StopReason.PANIC
    assert guest.run().reason is StopReason.EXITED


def test_a_removed_breakpoint_does_not_stop(mini):
    guest = mini(CALLS)
    place = guest.place("leaf")
    guest.session.add_breakpoint(place)
    guest.session.add_breakpoint(place)
    guest.session.remove_breakpoint(place)
    assert guest.run().reason is StopReason.BREAKPOINT, "it was asked for twice"
    guest.session.remove_breakpoint(place)
    guest.session.remove_breakpoint(place)
    assert guest.run().reason is StopReason.PANIC


def test_breakpoints_in_a_header_mean_the_entry(mini):
    guest = mini(CALLS)
    entry = guest.place("leaf")
    header = Place(0, entry.offset - 1)
    guest.session.add_breakpoint(header)
    event = guest.run()
    assert event.place == header
    assert guest.session.frames(event.tid)[0].place == header


def test_a_place_between_stop_points_is_hit_virtually(mini):
    guest = mini(CALLS)
    entry = guest.place("leaf")
    between = Place(0, entry.offset + 2)
    guest.session.add_breakpoint(entry)
    guest.session.add_breakpoint(between)
    first = guest.run()
    tick = first.tick
    assert first.place == entry
    second = guest.run()
    assert (second.reason, second.place, second.tick) == (StopReason.BREAKPOINT, between, tick)
    assert guest.session.frames(second.tid)[0].place == between
    third = guest.run({second.tid: STEP})
    assert (third.reason, guest.names(third.tid)[0]) == (StopReason.STEP, "say")


def test_no_code_is_no_place(mini):
    guest = mini(CALLS)
    for offset in (-1, 1 << 20, 1 << 31):
        with pytest.raises(DebugError):
            guest.session.add_breakpoint(Place(0, offset))
    with pytest.raises(DebugError):
        guest.session.add_breakpoint(Place(-1, 0))
    guest.session.add_breakpoint(Place(7, 100))  # a program that may come
    assert guest.run().reason is StopReason.PANIC


def test_steps_go_through_callees_and_back(mini):
    guest = mini(CALLS)
    guest.session.add_breakpoint(guest.place("middle"))
    event = guest.run()
    seen = []
    for _ in range(8):
        event = guest.run({event.tid: STEP})
        assert event.reason is StopReason.STEP
        seen.append(guest.names(event.tid)[0])
    assert seen == ["leaf", "say", "say", "leaf", "middle", "leaf", "say", "say"]


def test_a_range_step_leaves_the_range(mini):
    guest = mini(CALLS)
    leaf = guest.place("leaf")
    guest.session.add_breakpoint(leaf)
    event = guest.run()
    here = Action(Resume.RANGE, leaf.offset, leaf.offset + 100)
    event = guest.run({event.tid: here})
    assert (event.reason, guest.names(event.tid)[0]) == (StopReason.STEP, "say")


def test_a_return_is_a_stop_in_the_caller(mini):
    guest = mini(CALLS)
    leaf = guest.place("leaf")
    guest.session.add_breakpoint(leaf)
    guest.run()
    event = guest.run()
    assert guest.session.frames(event.tid)[1].place == guest.place("middle", AFTER_CALL, 1)
    guest.session.remove_breakpoint(leaf)
    module = guest.session.probes.modules[0]
    index = module.functions.index("leaf")
    end = Place(0, module.functions.start(index) + module.functions.size(index) - 1)
    guest.session.add_breakpoint(end, at_return=True)
    event = guest.run()
    assert (event.reason, event.place) == (StopReason.STEP, guest.place("middle", AFTER_CALL, 1))
    assert guest.session.return_value(event.tid) in (None, 42)
    guest.session.remove_breakpoint(end)
    assert guest.run().reason is StopReason.PANIC


def test_an_interrupt_stops_a_busy_guest_and_leaves_no_trace(mini):
    guest = mini(FOREVER, scheduler=lambda: SeededRandom(3))
    plain = guest.boot("tick", Tape())
    for _ in range(3):
        guest.session.resume({}, CONTINUE)
        guest.session.pump()
        guest.session.interrupt()
        event = guest.pump()
        assert event.reason is StopReason.INTERRUPT
        assert event.place is not None
        assert guest.session.frames(event.tid)
    plain.run(until=event.tick)
    assert plain.digest(memory=True) == guest.session.machine.digest(memory=True)


def test_an_interrupt_of_an_idle_guest_stops_in_its_idle_task(mini):
    guest = mini(IDLE)
    guest.session.resume({}, CONTINUE)
    guest.session.pump()
    while not guest.session.machine.idle():
        guest.session.machine.run(until=guest.session.machine.ticks + 1)
    guest.session.interrupt()
    event = guest.pump()
    assert (event.reason, event.tid) == (StopReason.INTERRUPT, IDLE_TID)
    assert guest.session.thread(IDLE_TID).state is TaskState.IDLE
    assert event.place == guest.place("_start", AFTER_CALL, 2)


def test_a_step_from_a_tick_does_not_stay_where_it_is(mini):
    guest = mini(FOREVER)
    for _ in range(10):
        guest.session.resume({}, CONTINUE)
        guest.session.pump()
        guest.session.interrupt()
        before = guest.pump()
        after = guest.run({before.tid: STEP})
        assert after.reason is StopReason.STEP
        assert after.tid == before.tid


def test_a_step_follows_its_task_while_others_run(mini):
    guest = mini(FOREVER)
    place = guest.place("tick")
    guest.session.add_breakpoint(place)
    event = guest.run()
    guest.session.remove_breakpoint(place)
    tid = event.tid
    for _ in range(20):
        event = guest.run({tid: STEP})
        assert (event.reason, event.tid) == (StopReason.STEP, tid)
    assert {t.tid for t in guest.session.threads()} == {IDLE_TID, IDLE_TID + 1}


def test_stopped_tasks_keep_their_cpus_from_running(mini):
    guest = mini(FOREVER)
    guest.session.add_breakpoint(guest.place("_start_secondary"))
    assert guest.run().tid == IDLE_TID + 1
    before = guest.session.read_memory(20000, 4)
    for _ in range(50):
        event = guest.run({IDLE_TID + 1: STEP}, default=STOPPED)
        assert event.tid == IDLE_TID + 1
    assert guest.session.read_memory(20000, 4) == before
    event = guest.run({IDLE_TID: STEP}, default=STOPPED)
    assert event.tid == IDLE_TID


def test_memory_is_read_as_far_as_it_exists(mini):
    session = mini(CALLS).session
    size = session.machine.memory.size()
    assert len(session.read_memory(size - 4, 100)) == 4
    for address in (-1, size, 1 << 40):
        with pytest.raises(DebugError):
            session.read_memory(address, 4)
        with pytest.raises(DebugError):
            session.write_memory(address, b"abcd")
    with pytest.raises(DebugError):
        session.write_memory(size - 2, b"abcd")


def test_a_watchpoint_brings_the_guest_to_the_same_place_in_another_variant(mini):
    guest = mini(CALLS)
    leaf = guest.place("leaf")
    guest.session.add_breakpoint(leaf)
    guest.run()
    event = guest.run()
    digest = guest.session.machine.digest(memory=True)
    guest.session.remove_breakpoint(leaf)
    guest.session.add_watchpoint(WatchKind.WRITE, 20000, 4)
    event = guest.run()
    assert guest.boots == 2
    assert event.reason is StopReason.WATCHPOINT
    hit = event.hit
    assert (hit.kind, hit.address, hit.length, hit.accessed) == (WatchKind.WRITE, 20000, 4, 20000)
    assert (hit.old, hit.new) == ((41).to_bytes(4, "little"), (51).to_bytes(4, "little"))
    assert not hit.by_host
    assert digest != guest.session.machine.digest(memory=True)
    guest.session.remove_watchpoint(WatchKind.WRITE, 20000, 4)
    assert guest.run().reason is StopReason.PANIC
    plain = guest.boot("tick", Tape())
    plain.run()
    assert guest.session.machine.digest(memory=True) == plain.digest(memory=True)
    assert guest.console.written == b"bbbb", "nothing was written twice"


def test_reads_are_watched_too(mini):
    guest = mini(CALLS)
    guest.session.add_watchpoint(WatchKind.READ, 20000, 1)
    event = guest.run()
    assert event.hit.kind is WatchKind.READ
    assert event.hit.old == event.hit.new
    assert guest.names(event.tid)[0] == "leaf"


def test_a_changed_run_is_repeated_with_its_changes(mini):
    guest = mini(CALLS)
    middle, leaf = guest.place("middle"), guest.place("leaf")
    guest.session.add_breakpoint(leaf)
    guest.run()
    guest.run()
    guest.session.write_memory(24000, b"changed!")
    guest.session.write_memory(20000, b"\x07")
    guest.session.remove_breakpoint(leaf)
    guest.session.add_breakpoint(middle)
    guest.run()
    guest.session.write_memory(24008, b"again")
    guest.session.add_watchpoint(WatchKind.WRITE, 20000, 4)
    event = guest.run()
    assert event.hit.old == (7).to_bytes(4, "little")
    assert guest.session.read_memory(24000, 13) == b"changed!again"
    assert [e.position.occurrence for e in guest.session.machine.journal.interventions] == [1] * 3


def test_a_debugger_without_another_variant_says_so(mini):
    guest = mini(CALLS)
    guest.session._rebuild = None
    with pytest.raises(DebugError, match="variant"):
        guest.session.add_watchpoint(WatchKind.WRITE, 20000, 4)
    with pytest.raises(DebugError):
        guest.session.add_watchpoint(WatchKind.WRITE, 1 << 31, 4)


def test_detached_guests_run_on(mini):
    guest = mini(CALLS)
    guest.session.add_breakpoint(guest.place("leaf"))
    guest.run()
    guest.session.detach()
    assert guest.pump().reason is StopReason.PANIC


def test_a_killed_guest_is_gone(mini):
    guest = mini(FOREVER)
    guest.session.resume({}, CONTINUE)
    guest.session.pump()
    guest.session.kill()
    assert guest.pump().reason is StopReason.EXITED


def test_running_backwards_is_refused(mini):
    guest = mini(CALLS)
    with pytest.raises(DebugError, match="backwards"):
        guest.session.resume({}, Action(Resume.CONTINUE, reverse=True))


@pytest.mark.parametrize("command", ["help", "tasks", "cpus", "tick", "seed"])
def test_monitor_commands_say_something(mini, command):
    guest = mini(CALLS)
    guest.session.add_breakpoint(guest.place("leaf"))
    guest.run()
    assert guest.session.monitor(command).endswith("\n")


@pytest.mark.parametrize("command", ["dmesg", "locks", "snapshot", "nonsense", "nonsense x"])
def test_monitor_commands_that_cannot_be_say_why(mini, command):
    with pytest.raises(DebugError):
        mini(CALLS).session.monitor(command)


HOST_WRITES = """
  (func (export "_start")
    (drop (call $get (i32.const 20000) (i32.const 16)))
    (drop (memory.atomic.wait32 (i32.const 2048) (i32.const 0) (i64.const -1)))
    (drop (call $get (i32.const 20000) (i32.const 16)))
    (call $say (i32.const 20000) (i32.const 2))
    (call $panic (i32.const 100)))"""


def test_what_the_host_writes_is_watched_too(mini):
    guest = mini(HOST_WRITES, Tape(b"hi"))
    guest.session.add_watchpoint(WatchKind.WRITE, 20000, 4)
    event = guest.run()
    assert event.reason is StopReason.WATCHPOINT
    assert event.hit.by_host
    assert (event.hit.old, event.hit.new) == (bytes(4), b"hi\0\0")
    guest.session.write_memory(20000, b"ho")
    assert guest.run().reason is StopReason.PANIC, "a debugger's own writes are no hits"
    assert guest.console.written == b"ho"


def test_the_stack_pointer_is_a_global_that_can_be_written(mini):
    guest = mini(CALLS)
    guest.session.add_breakpoint(guest.place("leaf"))
    event = guest.run()
    assert guest.session.global_value(event.tid, 0, 0) == 65536
    assert guest.session.frames(event.tid)[0].stack_pointer == 65536
    guest.session.set_global(event.tid, 0, 0, 4096)
    assert guest.session.global_value(event.tid, 0, 0) == 4096
    guest.session.add_watchpoint(WatchKind.WRITE, 20000, 4)
    event = guest.run()
    assert guest.session.global_value(event.tid, 0, 0) == 4096, "in the other variant too"
    assert guest.session.global_value(event.tid, 7, 0) is None
    with pytest.raises(DebugError):
        guest.session.set_global(event.tid, 0, 999, 1)


def test_locals_without_dwarf_are_not_available(mini):
    guest = mini(CALLS)
    guest.session.add_breakpoint(guest.place("leaf"))
    event = guest.run()
    assert guest.session.local(event.tid, 0, 0) is None
    assert guest.session.local(event.tid, 99, 0) is None
    assert guest.session.operand(event.tid, 0, 0) is None
    with pytest.raises(DebugError):
        guest.session.set_local(event.tid, 0, 0, 1)
    with pytest.raises(DebugError):
        guest.session.set_local(event.tid, 1, 0, 1)
    assert guest.session.frames(12345) == ()
    assert guest.session.thread(12345) is None


INTERRUPTED = """
  (func $wasm_irq_entry (export "wasm_irq_entry")
    (i32.store (i32.const 2048) (i32.const 0))
    (i32.store (i32.const 20000) (i32.add (i32.load (i32.const 20000)) (i32.const 1)))
    (call $say (i32.const 0) (i32.const 0))
    (call $timer (i32.const 0) (i64.add (call $clock) (i64.const 200))))
  (func $leaf (call $say (i32.const 0) (i32.const 0)))
  (func $work (loop $again (call $leaf) (br $again)))
  (func (export "_start")
    (call $timer (i32.const 0) (i64.const 200))
    (call $work))"""


def test_steps_pass_over_interrupts(mini):
    guest = mini(INTERRUPTED)
    guest.session.add_breakpoint(guest.place("leaf"))
    event = guest.run()
    guest.session.remove_breakpoint(guest.place("leaf"))
    seen = set()
    for _ in range(300):
        event = guest.run({event.tid: STEP})
        assert event.reason is StopReason.STEP
        seen |= set(guest.names(event.tid))
    assert int.from_bytes(guest.session.read_memory(20000, 4), "little") >= 2, "there were some"
    assert seen == {"leaf", "work", "say", "_start"}


def test_an_interrupt_is_stepped_through_from_a_breakpoint_in_it(mini):
    guest = mini(INTERRUPTED)
    guest.session.add_breakpoint(guest.place("wasm_irq_entry"))
    event = guest.run()
    assert guest.names(event.tid)[0] == "wasm_irq_entry"
    event = guest.run({event.tid: STEP})
    assert guest.names(event.tid)[:2] == ["say", "wasm_irq_entry"]
