"""The machine's loop: quanta, clock, interrupts, waits, ends of a run."""

from __future__ import annotations

import pytest

from tests.runtime.conftest import Tape
from wdbg.runtime.machine import NS_PER_TICK
from wdbg.runtime.scheduler import RoundRobin, SeededRandom
from wdbg.runtime.stop import Stop, StopKind

HELLO = """
  (data (i32.const 16384) "hello\\00")
  (func (export "_start")
    (call $say (i32.const 16384) (i32.const 5))
    (call $panic (i32.const 16384)))"""

SPIN = '(func (export "_start") (loop $again (br $again)))'

TWO_CPUS = """
  (data (i32.const 16384) "01")
  (func $work (param $char i32)
    (local $n i32)
    (loop $again
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (if (i32.eqz (i32.rem_u (local.get $n) (i32.const 1000)))
        (then (call $say (local.get $char) (i32.const 1))))
      (br_if $again (i32.lt_u (local.get $n) (i32.const 50000))))
    (call $panic (local.get $char)))
  (func (export "_start")
    (call $start_cpu (i32.const 1) (i32.const 5000) (i32.const 60000))
    (call $work (i32.const 16384)))
  (func (export "_start_secondary") (param i32)
    (call $work (i32.const 16385)))"""

IDLE = """
  (func (export "_start")
    (call $timer (i32.const 0) (i64.const 5000000))
    (drop (memory.atomic.wait32 (i32.const 2048) (i32.const 0) (i64.const -1)))
    (i64.store (i32.const 16384) (call $clock))
    (call $panic (i32.const 100)))"""


def test_console_output_and_panic(boot, tape):
    stop = boot(HELLO).run()
    assert tape.written == b"hello"
    assert stop.kind is StopKind.PANIC
    assert stop.message == "hello"
    assert [frame.function for frame in stop.frames] == ["_start"]


def test_a_run_to_a_tick_stops_exactly_there(boot):
    machine = boot(SPIN)
    for tick in (1, 2, 777, 20_001, 20_002, 1_000_000):
        assert machine.run(until=tick) is None
        assert machine.ticks == tick


@pytest.mark.parametrize("scheduler", [RoundRobin, lambda: SeededRandom(7)])
def test_stops_to_look_leave_no_trace(boot, scheduler):
    plain = boot(TWO_CPUS, scheduler=scheduler())
    plain.run()
    looked_at = boot(TWO_CPUS, scheduler=scheduler())
    tick = 0
    while looked_at.run(until=tick) is None:
        tick = looked_at.ticks + 1 + tick % 977
    assert looked_at.digest(memory=True) == plain.digest(memory=True)
    assert looked_at.ticks == plain.ticks


def test_a_seed_repeats_and_another_differs(boot):
    digests = []
    for seed in (1, 1, 2):
        machine = boot(TWO_CPUS, scheduler=SeededRandom(seed))
        machine.run()
        digests.append(machine.digest(memory=True))
    assert digests[0] == digests[1] != digests[2]


def test_round_robin_shares_the_time(boot, tape):
    boot(TWO_CPUS).run()
    assert tape.written.count(b"0") == pytest.approx(tape.written.count(b"1"), abs=25)


def test_the_clock_is_the_tick_count_and_jumps_over_idle_time(boot):
    machine = boot(IDLE)
    machine.run()
    assert machine.now() >= 5_000_000
    assert machine.skipped > 4_900_000
    assert machine.now() == machine.skipped + machine.ticks * NS_PER_TICK
    now = int.from_bytes(machine.memory.read(16384, 8), "little")
    assert 5_000_000 <= now < 5_001_000


def test_the_timer_sets_its_bit_in_the_interrupt_word(boot):
    machine = boot(IDLE)
    machine.run()
    assert machine.memory.read_u32(2048) == 2


def test_a_wait_times_out(boot):
    machine = boot("""
      (func (export "_start")
        (i32.store (i32.const 16384)
          (memory.atomic.wait32 (i32.const 2048) (i32.const 0) (i64.const 1000)))
        (i32.store (i32.const 16388)
          (memory.atomic.wait32 (i32.const 2048) (i32.const 1) (i64.const 1000)))
        (i32.store (i32.const 16392)
          (memory.atomic.wait64 (i32.const 2048) (i64.const 0) (i64.const 0)))
        (call $panic (i32.const 100)))""")
    machine.run()
    assert [machine.memory.read_u32(a) for a in (16384, 16388, 16392)] == [2, 1, 2]
    assert 1000 <= machine.now() < 1100


def test_notify_wakes_one_waiter(boot):
    machine = boot("""
      (func (export "_start_secondary") (param i32)
        (i32.store (local.get 0)
          (memory.atomic.wait32 (i32.const 3000) (i32.const 0) (i64.const -1)))
        (drop (i32.atomic.rmw.add (i32.const 3004) (i32.const 1)))
        (loop $idle (drop (memory.atomic.wait32 (i32.const 3008) (i32.const 0) (i64.const -1)))
          (br $idle)))
      (func (export "_start")
        (i32.store (i32.const 20000) (i32.const 9))
        (i32.store (i32.const 20004) (i32.const 9))
        (call $start_cpu (i32.const 1) (i32.const 5000) (i32.const 20000))
        (call $start_cpu (i32.const 2) (i32.const 6000) (i32.const 20004))
        (drop (memory.atomic.wait32 (i32.const 4000) (i32.const 0) (i64.const 1000000)))
        (i32.store (i32.const 20008) (memory.atomic.notify (i32.const 3000) (i32.const 1)))
        (drop (memory.atomic.wait32 (i32.const 4000) (i32.const 0) (i64.const 1000000)))
        (call $panic (i32.const 100)))""")
    machine.run()
    assert [machine.memory.read_u32(a) for a in (20000, 20004, 20008, 3004)] == [0, 9, 1, 1]


def test_a_guest_that_can_never_wake_is_a_hang(boot):
    stop = boot("""(func (export "_start")
      (drop (memory.atomic.wait32 (i32.const 2048) (i32.const 0) (i64.const -1))))""").run()
    assert stop.kind is StopKind.HANG


def test_a_request_ends_a_spinning_guest(boot):
    machine = boot(SPIN)
    machine.run(until=100)
    machine.request_stop(Stop(StopKind.TIMEOUT, "enough"))
    assert machine.run() == Stop(StopKind.TIMEOUT, "enough")


def test_input_arrives_at_idle_points_with_an_interrupt(boot):
    tape = Tape(b"ab", b"c")
    machine = boot(
        """(func (export "_start") (local $n i32)
        (loop $again
          (drop (memory.atomic.wait32 (i32.const 2048) (i32.const 0) (i64.const -1)))
          (i32.store (i32.const 2048) (i32.const 0))
          (local.set $n (call $get (i32.const 16384) (i32.const 16)))
          (call $say (i32.const 16384) (local.get $n))
          (br $again)))""",
        console=tape,
    )
    stop = machine.run()
    assert stop.kind is StopKind.HANG
    assert tape.written == b"abc"
    assert [entry.data for entry in machine.journal.inputs] == [b"ab", b"c"]


def test_power_off_carries_the_commands_exit_status(boot):
    stop = boot("""(data (i32.const 16384) "exit=3\\00")
      (func (export "_start") (call $machine_stop (i32.const 1) (i32.const 16384)))""").run()
    assert (stop.kind, stop.exit_code) == (StopKind.POWER_OFF, 3)


def test_unconfigured_system_calls_are_refused(boot):
    machine = boot("""(func (export "_start")
      (i32.store (i32.const 16384) (call $bpf (i32.const 1) (i32.const 2) (i64.const 3)))
      (call $panic (i32.const 100)))""")
    machine.run()
    assert machine.memory.read_u32(16384) == (1 << 32) - 38


@pytest.mark.parametrize(
    "call",
    [
        "(drop (call $put (i32.const 0x7ffffff0) (i32.const 64)))",
        "(drop (call $get (i32.const -4) (i32.const 64)))",
        "(drop (call $put (i32.const 0) (i32.const -1)))",
        "(call $dump (i32.const 0x7ffffff0) (i32.const 64))",
        "(call $panic (i32.const 0x7ffffff0))",
        "(drop (call $switch (i32.const 1) (i32.const 77)))",
        "(drop (call $create (i32.const 1) (i32.const 2) (i32.const -1) (i32.const 0)"
        " (i32.const 0) (i32.const 0) (i32.const 0)))",
    ],
)
def test_bad_arguments_end_the_guest_not_the_host(boot, call):
    stop = boot(f'(func (export "_start") {call})').run()
    assert stop.kind is StopKind.TRAP


def test_command_line_and_initrd_are_where_the_kernel_looks(boot):
    machine = boot(HELLO, command_line="quiet x=1", initrd=b"070701" + b"x" * 70000, cpus=3)
    assert machine.memory.read_string(8192) == "nr_cpus=3 quiet x=1"
    start, end = machine.memory.read_u32(1024), machine.memory.read_u32(1028)
    assert (start, end - start) == (4 * 65536, 70006)
    assert machine.memory.size() == 6 * 65536
    assert machine.memory.read(start, 6) == b"070701"


def test_a_stopped_cpu_never_runs_again(boot, tape):
    stop = boot("""
      (data (i32.const 16384) "x")
      (func (export "_start_secondary") (param i32)
        (loop $again (call $say (i32.const 16384) (i32.const 1)) (br $again)))
      (func (export "_start")
        (call $start_cpu (i32.const 1) (i32.const 5000) (i32.const 60000))
        (call $stop_cpu (i32.const 1))
        (drop (memory.atomic.wait32 (i32.const 2048) (i32.const 0) (i64.const 1000000)))
        (call $panic (i32.const 16384)))""").run()
    assert stop.kind is StopKind.PANIC
    assert len(tape.written) < 20_000, "one quantum at most; the wait lasts more than ten"


def test_a_lone_cpu_that_spins_in_silence_has_halted(boot):
    """Upstream powers off by stopping the other CPUs and looping for ever."""
    stop = boot("""
      (func (export "_start_secondary") (param i32)
        (loop $idle (drop (memory.atomic.wait32 (i32.const 3008) (i32.const 0) (i64.const -1)))
          (br $idle)))
      (func (export "_start")
        (call $start_cpu (i32.const 1) (i32.const 5000) (i32.const 60000))
        (call $stop_cpu (i32.const 1))
        (loop $again (br $again)))""").run()
    assert stop.kind is StopKind.HALT


def test_a_guest_with_too_many_tasks_ends(boot, monkeypatch):
    monkeypatch.setattr("wdbg.runtime.machine.MAX_TASKS", 50)
    machine = boot("""
      (func (export "ret_from_fork") (param $prev i32) (param $new i32) (result i32)
        (drop (call $create (local.get $new) (i32.add (local.get $new) (i32.const 64))
          (i32.const 16384) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
        (i32.const 0))
      (func (export "_start")
        (drop (call $create (i32.const 4096) (i32.const 32768) (i32.const 16384)
          (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))))""")
    stop = machine.run()
    assert stop.kind is StopKind.LIMIT
    assert len(machine.tasks) <= 51


def test_released_tasks_are_freed(boot):
    """A task_struct's address is used again for the next task."""
    machine = boot("""
      (func (export "ret_from_fork") (param $prev i32) (param $new i32) (result i32)
        (drop (call $switch (local.get $new) (i32.const 4096)))
        (i32.const 0))
      (func (export "_start") (local $n i32)
        (loop $again
          (drop (call $create (i32.const 4096) (i32.const 32768) (i32.const 16384)
            (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
          (call $release (i32.const 32768))
          (br_if $again
            (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 300))))
        (call $panic (i32.const 100)))""")
    assert machine.run().kind is StopKind.PANIC
    assert len(machine.tasks) == 1
    assert machine.switches == 600
