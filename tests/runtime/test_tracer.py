"""Recording on mini kernels: every record arrives, in order, with its tick, CPU and task."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from wdbg.instrument import layout
from wdbg.instrument.points import Recording, State
from wdbg.instrument.variant import TICK
from wdbg.linux.lockpoints import lock_points
from wdbg.linux.schedpoints import (
    MARK_OPTION,
    PRCTL,
    TaskFields,
    irq_points,
    mark_points,
    preempt_points,
    sched_points,
    switch_points,
    syscall_points,
)
from wdbg.runtime.flight import FlightRecorder
from wdbg.runtime.forked import in_fork
from wdbg.runtime.stop import StopKind
from wdbg.runtime.tracer import TaskOffsets, Tracer
from wdbg.trace.batch import Batch
from wdbg.trace.events import MEM_OP_SHIFT, Kind, LockFlag, MemFlag, MemOp, Table
from wdbg.trace.feed import TaskRow
from wdbg.trace.raw import Context, decode
from wdbg.trace.shared import SharedRing

FIELDS = TaskFields(pid=64, tgid=68, comm=72, state=20, on_rq=24, prio=28, cpu=8)
VARIANT = replace(
    TICK,
    recording=Recording(
        calls="all",
        points=(
            *mark_points(), *lock_points(), *sched_points(FIELDS), *irq_points(),
            *syscall_points(),
        ),
    ),
)  # fmt: skip

NAMES = """
  (func $wdbg_mark (export "wdbg_mark") (param i32))
  (func $_raw_spin_lock (export "_raw_spin_lock") (param i32) (local.set 0 (i32.const 0)))
  (func $mutex_trylock (export "mutex_trylock") (param i32) (result i32)
    (if (i32.eq (local.get 0) (i32.const 64)) (then (return (i32.const 1))))
    (i32.const 0))
  (func $down_interruptible (export "down_interruptible") (param i32) (result i32)
    (i32.sub (i32.const 0) (local.get 0)))
  (func $wasm_syscall_3 (export "wasm_syscall_3") (param i32 i32 i32 i32 i32 i32) (result i32)
    (i32.const -22))
  (table 4 funcref) (elem (i32.const 1) $work $handler)
  (type $work (func (param i32)))
  (type $handler (func (param i32 i32) (result i32)))
  (func $work (type $work))
  (func $handler (type $handler) (i32.const 1))
  (func $process_one_work (export "process_one_work") (param i32)
    (call_indirect (type $work) (local.get 0) (i32.const 1)))
  (func $__handle_irq_event_percpu (export "__handle_irq_event_percpu") (param i32)
    (drop (call_indirect (type $handler) (i32.const 5) (local.get 0) (i32.const 2))))
"""


class Tape:
    """A sink that keeps everything."""

    def __init__(self) -> None:
        self.data = b""
        self.pieces = 0
        self.rows: list[TaskRow] = []
        self.strings: list[str] = [""]
        self.triggers: list[str] = []
        self.facts: dict[str, object] | None = None

    def raw(self, records: memoryview) -> None:
        self.data += bytes(records)
        self.pieces += 1

    def task(self, row: TaskRow) -> None:
        self.rows.append(row)

    def string(self, text: str) -> int:
        self.strings.append(text)
        return len(self.strings) - 1

    def trigger(self, reason: str) -> None:
        self.triggers.append(reason)

    def close(self, facts: dict[str, object]) -> None:
        self.facts = facts

    def fileno(self) -> int:
        raise OSError("no pipe")

    def batch(self) -> Batch:
        return decode(self.data, Context(), lambda tasks, places: tasks)[0]

    def rows_of(self, table: Table) -> np.ndarray:
        return self.batch().rows(table, 4)


@pytest.fixture(name="trace")
def trace_fixture(boot):
    """trace(body) -> (tape, machine) after a run that has recorded everything."""

    def start(body: str, offsets: TaskOffsets | None = None, *, variant=VARIANT, **options):
        machine = boot(NAMES + body, variant=variant, **options)
        tape = Tape()
        machine.tracer = Tracer(machine, tape, offsets)
        machine.run()
        machine.tracer.close({})
        return tape, machine

    return start


def main(code: str) -> str:
    return f'(func (export "_start") {code} (call $machine_stop (i32.const 1) (i32.const 0)))'


def test_marks_of_kernel_and_programs(trace):
    syscall = " ".join(f"(i32.const {n})" for n in (0, 0, PRCTL, MARK_OPTION, 99, 0))
    other = " ".join(f"(i32.const {n})" for n in (0, 0, PRCTL, 15, 98, 0))
    tape, _ = trace(main(
        f"(call $wdbg_mark (i32.const 7)) (drop (call $wasm_syscall_3 {syscall}))"
        f"(drop (call $wasm_syscall_3 {other}))"
    ))  # fmt: skip
    assert tape.rows_of(Table.TEXT)["value"].tolist() == [7, 99]
    assert (tape.rows_of(Table.TEXT)["kind"] == Kind.MARK).all()
    assert tape.rows_of(Table.SYSCALL_ENTER)["number"].tolist() == [PRCTL, PRCTL]
    assert tape.rows_of(Table.SYSCALL_ENTER)["arg0"].tolist() == [MARK_OPTION, 15]
    assert tape.rows_of(Table.SYSCALL_EXIT)["result"].tolist() == [-22, -22]


def test_locks_with_their_results_and_places(trace):
    tape, machine = trace(main(
        "(call $_raw_spin_lock (i32.const 32)) (drop (call $mutex_trylock (i32.const 64)))"
        "(drop (call $mutex_trylock (i32.const 65)))"
        "(drop (call $down_interruptible (i32.const 0)))"
        "(drop (call $down_interruptible (i32.const 4)))"
    ))  # fmt: skip
    rows = tape.rows_of(Table.LOCK)
    assert list(zip(rows["kind"].tolist(), rows["lock"].tolist(), strict=True)) == [
        (Kind.LOCK_ACQUIRE, 32), (Kind.LOCK_ACQUIRED, 32), (Kind.LOCK_TRY, 64),
        (Kind.LOCK_TRY, 65), (Kind.LOCK_ACQUIRE, 0), (Kind.LOCK_ACQUIRED, 0),
        (Kind.LOCK_ACQUIRE, 4), (Kind.LOCK_RELEASE, 4),
    ]  # fmt: skip
    success = rows["flags"][rows["kind"] == Kind.LOCK_TRY] & LockFlag.SUCCESS
    assert (success != 0).tolist() == [True, False]
    table = machine.abi.functions()
    sites = [int(p) for k, p in zip(rows["kind"], rows["position"], strict=True) if k == 8]
    assert [table.name(table.at(site)) for site in sites] == ["_start"] * 3
    assert sites == sorted(set(sites))


def test_indirect_calls_of_work_items_and_handlers(trace):
    tape, _ = trace(
        main(
            "(call $process_one_work (i32.const 123))"
            "(call $__handle_irq_event_percpu (i32.const 9))"
        )
    )
    work = tape.rows_of(Table.WORK)
    assert work["kind"].tolist() == [Kind.WORK_ENTER, Kind.WORK_EXIT]
    assert work["object"].tolist() == [123, 123]
    assert work["function"].tolist() == [1, 1]
    irqs = tape.rows_of(Table.IRQ)
    assert irqs["kind"].tolist() == [Kind.IRQ_ENTER, Kind.IRQ_EXIT]
    assert irqs["number"].tolist() == [5, 5]
    assert irqs["result"].tolist() == [0, 1]


def test_a_full_ring_loses_nothing(trace):
    count = 3 * layout.RING_FULL // 16
    loop = f"""(local $i i32)
      (loop $again
        (call $wdbg_mark (local.get $i))
        (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
                                (i32.const {count}))))"""
    tape, machine = trace(main(loop))
    assert tape.pieces > 3
    assert tape.rows_of(Table.TEXT)["value"].tolist() == list(range(count))
    calls = tape.rows_of(Table.CALL)
    assert len(calls) == 2 * count + 1
    assert calls["kind"].tolist()[1:5] == [Kind.CALL_ENTER, Kind.CALL_EXIT] * 2
    ticks = calls["tick"].astype(np.int64)
    assert (np.diff(ticks) >= 0).all()
    assert ticks[-1] == machine.ticks


SWITCHING = """
  (func (export "_start") (local $left i32)
    (i32.store (i32.const 4116) (i32.const 2))
    (i32.store (i32.const 4124) (i32.const 120))
    (drop (call $create (i32.const 4096) (i32.const 12288) (i32.const 16)
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
    (i32.store (i32.const 4120) (i32.const 1))
    (i32.store8 (i32.const 12360) (i32.const 0x42))
    (drop (call $switch (i32.const 4096) (i32.const 12288)))
    (call $machine_stop (i32.const 1) (i32.const 0)))
  (func (export "ret_from_fork") (param i32 i32) (result i32)
    (i32.store8 (i32.const 12360) (i32.const 0x41))
    (loop $again
      (drop (call $switch (i32.const 12288) (i32.const 4096)))
      (br $again))
    (unreachable))
"""


def test_switches_with_states_and_names(trace):
    tape, machine = trace(SWITCHING, TaskOffsets(pid=64, tgid=68, comm=72))
    rows = tape.rows_of(Table.SWITCH)
    assert rows["prev"].tolist() == [4096, 12288, 4096, 12288]
    assert rows["next"].tolist() == [12288, 4096, 12288, 4096]
    assert rows["prev_state"].tolist() == [2, 0, 0, 0]  # asleep; queued again before the third
    assert rows["task"].tolist() == rows["prev"].tolist()
    assert rows["prev_prio"].tolist()[0] == 120
    assert machine.switches == 4
    assert [row.comm for row in tape.rows if row.address == 12288] == ["", "B"]


def test_console_and_panic_are_in_the_trace(trace):
    tape, _ = trace(
        '(data (i32.const 100) "hello\\0a\\00bad\\00")'
        + main("(call $say (i32.const 100) (i32.const 6)) (call $panic (i32.const 107))")
    )
    rows = tape.rows_of(Table.TEXT)
    assert rows["kind"].tolist() == [Kind.CONSOLE, Kind.PANIC]
    assert [tape.strings[n] for n in rows["text"]] == ["hello\n", "bad"]


def test_a_machine_without_a_tracer_runs_on(boot):
    loop = "(local $i i32) (loop $again (call $wdbg_mark (i32.const 1)) (br_if $again (i32.lt_u "
    loop += "(local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 50000))))"
    machine = boot(NAMES + main(loop), variant=VARIANT)
    assert machine.run() is not None
    tick = boot(NAMES + main(loop))
    tick.run()
    assert (tick.ticks, tick.digest(memory=True)) == (machine.ticks, machine.digest(memory=True))


LOCKS = """
  (func $wasm_cpu_relax (export "wasm_cpu_relax"))
  (func $_raw_spin_lock_irq (export "_raw_spin_lock_irq") (param i32)
    (if (i32.eq (local.get 0) (i32.const 8)) (then (call $wasm_cpu_relax) (call $wasm_cpu_relax)))
    (local.set 0 (i32.const 0)))
  (func $__down (export "__down"))
  (func $down_killable (export "down_killable") (param i32) (result i32)
    (if (i32.eq (local.get 0) (i32.const 16)) (then (call $__down)))
    (if (i32.eq (local.get 0) (i32.const 20)) (then (return (i32.const -4))))
    (i32.const 0))
"""


def test_a_lock_that_was_free_is_one_record(trace):
    tape, machine = trace(LOCKS + main(
        "(call $_raw_spin_lock_irq (i32.const 4)) (call $_raw_spin_lock_irq (i32.const 8))"
        "(drop (call $down_killable (i32.const 12))) (drop (call $down_killable (i32.const 16)))"
        "(drop (call $down_killable (i32.const 20)))"
    ))  # fmt: skip
    rows = tape.rows_of(Table.LOCK)
    assert list(zip(rows["kind"].tolist(), rows["lock"].tolist(), strict=True)) == [
        (Kind.LOCK_ACQUIRE, 4), (Kind.LOCK_ACQUIRED, 4),
        (Kind.LOCK_ACQUIRE, 8), (Kind.LOCK_CONTENDED, 8), (Kind.LOCK_ACQUIRED, 8),
        (Kind.LOCK_ACQUIRE, 12), (Kind.LOCK_ACQUIRED, 12),
        (Kind.LOCK_ACQUIRE, 16), (Kind.LOCK_CONTENDED, 16), (Kind.LOCK_ACQUIRED, 16),
        (Kind.LOCK_ACQUIRE, 20), (Kind.LOCK_RELEASE, 20),
    ]  # fmt: skip
    heads = np.frombuffer(tape.data, np.uint32)[::2]
    assert (heads & (1 << 31 | 0xFF) == Kind.LOCK_TAKEN).sum() == 2
    begun = rows["position"][rows["kind"] == Kind.LOCK_ACQUIRE].tolist()
    table = machine.abi.functions()
    assert [table.name(table.at(site)) for site in begun] == ["_start"] * 5
    assert begun == sorted(set(begun))


def test_the_state_of_interrupts_is_what_the_running_task_says(boot):
    recording = Recording(points=lock_points(), current="current", state=State(4, 12))
    counts = [0, 1, 0xFF, 0x100, 0x200, 0xFF00, 0x10000, 0xF0000, 0x10101, 0x7FFFFFFF]
    code = "".join(
        f"(i32.store (i32.const 8196) (i32.const {count}))"
        f"(i32.store (i32.const 8204) (i32.const {number % 3}))"
        f"(drop (call $mutex_trylock (i32.const {number})))"
        for number, count in enumerate(counts)
    )
    current = '(global $current (export "current") (mut i32) (i32.const 8192))'
    machine = boot(current + NAMES + main(code), variant=replace(TICK, recording=recording))
    tape = Tape()
    machine.tracer = Tracer(machine, tape, None)
    machine.run()
    machine.tracer.close({})
    flags = tape.rows_of(Table.LOCK)["flags"].tolist()
    for number, count in enumerate(counts):
        wanted = LockFlag.STATE_KNOWN | (LockFlag.IRQS_OFF if number % 3 else 0)
        wanted |= LockFlag.PREEMPT_OFF if count & 0xFF else 0
        wanted |= LockFlag.BH_OFF if count & 0xFF00 else 0
        wanted |= LockFlag.IN_SOFTIRQ if count & 0x100 else 0
        wanted |= LockFlag.IN_HARDIRQ if count & 0xF0000 else 0
        assert flags[number] & 0x7E0 == wanted, hex(count)


def test_priorities_tell_the_one_before(trace):
    tape, _ = trace(
        """(func $set_user_nice (export "set_user_nice") (param i32 i32)
          (i32.store offset=28 (local.get 0) (local.get 1)) (local.set 0 (i32.const 0)))"""
        + main(
            "(i32.store (i32.const 8220) (i32.const 120))"
            + "".join(f"(call $set_user_nice (i32.const 8192) (i32.const {n}))" for n in (7, 7, 9))
        )
    )
    rows = tape.rows_of(Table.PRIO)
    assert list(zip(rows["target"], rows["old"], rows["new"], strict=True)) == [
        (8192, 120, 7), (8192, 7, 9),
    ]  # fmt: skip


def test_preemption_where_a_kernel_counts_it_in_functions(boot):
    fields = TaskFields(preempt_count=4)
    recording = Recording(points=preempt_points(fields), current="current")
    code = """
      (global $current (export "current") (mut i32) (i32.const 8192))
      (func $preempt_count_add (export "preempt_count_add") (param i32)
        (i32.store (i32.const 8196) (i32.add (i32.load (i32.const 8196)) (local.get 0))))
      (func $preempt_count_sub (export "preempt_count_sub") (param i32)
        (i32.store (i32.const 8196) (i32.sub (i32.load (i32.const 8196)) (local.get 0))))
    """
    calls = "".join(f"(call $preempt_count_{how} (i32.const 1))" for how in ("add", "sub") * 2)
    first, last = (f"(call $preempt_count_{how} (i32.const 1))" for how in ("add", "sub"))
    variant = replace(TICK, recording=recording)
    begin = "(i32.store (i32.const 8196) (i32.const 0))"
    machine = boot(code + main(begin + calls + first + calls + last), variant=variant)
    tape = Tape()
    machine.tracer = Tracer(machine, tape, None)
    assert machine.run().kind is StopKind.POWER_OFF
    machine.tracer.close({})
    rows = tape.rows_of(Table.STATE)
    assert rows["kind"].tolist() == [Kind.PREEMPT_OFF, Kind.PREEMPT_ON] * 3
    assert (np.diff(rows["position"].astype(int)) > 0).all()


def test_a_ring_of_ends_only_is_emptied_in_time(trace):
    count = layout.RING_SIZE // 16 + 1000
    recording = replace(VARIANT, recording=replace(VARIANT.recording, calls="none"))
    loop = f"""(local $i i32)
      (loop $again
        (drop (call $mutex_trylock (i32.const 64)))
        (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
                                (i32.const {count}))))"""
    tape, _ = trace(main(loop), variant=recording)
    assert len(tape.rows_of(Table.LOCK)) == count


def test_switches_need_no_contexts(trace):
    tape, _ = trace(SWITCHING)
    heads = np.frombuffer(tape.data, np.uint32)[::2]
    assert (heads & (1 << 31 | 0xFF) == Kind.CONTEXT).sum() == 1
    alone = replace(TICK, recording=Recording(points=(*mark_points(), *switch_points())))
    body = SWITCHING.replace(
        "(drop (call $switch", "(call $wdbg_mark (i32.const 1)) (drop (call $switch"
    )
    tape, _ = trace(body, variant=alone)
    marks = tape.rows_of(Table.TEXT)
    assert set(marks["task"].tolist()) == {4096, 12288}


@pytest.mark.parametrize("back", [0, 200, 500])
def test_a_trace_goes_on_with_another_machine(boot, back):
    """Where the old one stands, or earlier: what it does again is not recorded again."""
    loop = """(local $i i32) (loop $again (call $wdbg_mark (local.get $i))
        (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
                                (i32.const 1000))))"""
    old, new = (boot(NAMES + main(loop), variant=VARIANT) for _ in range(2))
    tape = Tape()
    old.tracer = Tracer(old, tape, None, shared=SharedRing(layout.RING_SIZE, 0))
    assert old.run(until=700) is None
    assert new.run(until=700 - back) is None
    old.tracer.move(new)
    assert old.tracer is None
    assert new.run() is not None
    new.tracer.close({})
    assert tape.rows_of(Table.TEXT)["value"].tolist() == list(range(1000))
    ticks = tape.batch().tick.astype(np.int64)
    assert (np.diff(ticks) >= 0).all()


def test_a_forked_copy_records_nothing(boot):
    loop = """(local $i i32) (loop $again (call $wdbg_mark (local.get $i))
        (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
                                (i32.const 100))))"""
    machine = boot(NAMES + main(loop), variant=VARIANT)
    tape = Tape()
    shared = SharedRing(layout.RING_SIZE, 0)
    machine.tracer = Tracer(machine, tape, None, shared=shared)
    machine.run(until=100)
    before = shared.left(0)

    def goes_on() -> int:
        machine.run()
        machine.tracer.close({})
        return len(tape.data)

    assert in_fork(goes_on) == 0
    assert shared.left(0) == before
    machine.run()
    machine.tracer.close({})
    assert tape.rows_of(Table.TEXT)["value"].tolist() == list(range(100))


@pytest.fixture(name="flight")
def flight_fixture():
    """A flight recorder of 1000 bytes over a tape."""
    tape = Tape()
    tape.part, tape.at = tape.raw, tape.rows.append
    return FlightRecorder(tape, SharedRing(layout.PAGE, 1000)), tape


def test_the_flight_recorder_keeps_the_newest_bytes(flight):
    recorder, tape = flight
    for number in range(10):
        recorder.raw(memoryview(bytes([number]) * 304))
    assert not tape.data
    recorder.trigger("now")
    assert tape.data == b"".join(bytes([n]) * 304 for n in range(10))[-1000:]
    assert tape.rows == [3040 - 1000]
    assert tape.triggers == ["now"]
    recorder.raw(memoryview(b"x" * 8))
    recorder.trigger("again")
    assert tape.data.endswith(b"x" * 8)
    assert len(tape.data) == 1008
    assert tape.rows == [3040 - 1000, 3040]
    recorder.close({})
    assert tape.facts == {"overwritten_bytes": 2040}


def test_what_a_killed_recorder_leaves_is_what_was_not_handed_over():
    shared = SharedRing(layout.PAGE, 0)
    ring = memoryview(shared.view)[2 * 4096 :]
    ring[:16] = bytes(range(16))
    shared.view[0] = 16
    assert shared.left(0) == (0, bytes(range(16)))
    assert shared.left(16) == (16, b"")  # handed over, but the ring not yet emptied
    shared.view[0] = 0
    assert shared.left(16) == (16, b"")
    shared.control.base = 16
    shared.view[0] = 8
    assert shared.left(16) == (16, bytes(range(8)))


ACCESSES = """
  (func (export "touch") (param $p i32)
    (i32.store offset=4 (local.get $p) (i32.const 0x1234))
    (drop (i64.load (local.get $p)))
    (i64.store8 offset=1 (local.get $p) (i64.const 0x1ff))
    (f64.store (local.get $p) (f64.const 1))
    (drop (i32.atomic.rmw.add offset=8 (local.get $p) (i32.const 3)))
    (drop (i32.atomic.rmw16.cmpxchg_u (local.get $p) (i32.const 5) (i32.const 6)))
    (i32.atomic.store (local.get $p) (i32.const 9))
    (memory.copy (i32.const 20000) (local.get $p) (i32.const 32))
    (memory.fill (local.get $p) (i32.const 0) (i32.const 5)))
  (func (export "other") (i32.store (i32.const 16384) (i32.const 1)))
"""
CODE = ACCESSES.replace('(export "touch")', '$touch (export "touch")').replace(
    '(export "other")', '$other (export "other")'
)


@pytest.fixture(name="accesses")
def accesses_fixture(boot):
    """accesses(functions, ranges) -> rows of the table MEM."""

    def start(functions: tuple[str, ...], ranges: tuple[tuple[int, int], ...] = ()):
        recording = Recording(accesses=functions, ranges=ranges)
        body = CODE + main("(call $touch (i32.const 16384)) (call $other)")
        machine = boot(body, variant=replace(TICK, recording=recording))
        tape = Tape()
        machine.tracer = Tracer(machine, tape, None)
        machine.run()
        machine.tracer.close({})
        bare = boot(body)
        bare.run()
        assert bare.digest(memory=True) == machine.digest(memory=True)
        return tape.rows_of(Table.MEM)

    return start


def test_accesses_with_operation_size_and_value(accesses):
    rows = accesses(("touch",))
    plain_write, known = MemFlag.WRITE, MemFlag.WRITE | MemFlag.VALUE_KNOWN
    atomic = known | MemFlag.READ | MemFlag.MARKED | MemFlag.RMW
    base = 16384
    expected = [
        (Kind.MEM, base + 4, 4, known, 0x1234),
        (Kind.MEM, base, 8, MemFlag.READ, 0),
        (Kind.MEM, base + 1, 1, known, 0x1FF),
        (Kind.MEM, base, 8, plain_write, 0),
        (Kind.MEM, base + 8, 4, atomic | MemOp.ADD << MEM_OP_SHIFT, 3),
        (Kind.MEM, base, 2, atomic | MemOp.CMPXCHG << MEM_OP_SHIFT, 6),
        (Kind.MEM, base, 4, known | MemFlag.MARKED, 9),
        (Kind.MEM_BULK, 20000, 32, plain_write, 0),
        (Kind.MEM_BULK, base, 32, MemFlag.READ, 0),
        (Kind.MEM_BULK, base, 5, plain_write, 0),
    ]
    names = ("kind", "address", "size", "flags", "value")
    assert [tuple(int(row[name]) for name in names) for row in rows] == expected
    positions = rows["position"].tolist()
    assert positions == sorted(positions)
    assert positions[0] > 0


def test_accesses_are_selected_by_range_and_function(accesses):
    rows = accesses(("*",), ((16388, 16389),))
    assert rows["address"].tolist() == [16388]
    assert accesses(("other",))["address"].tolist() == [16384]
    assert len(accesses(("touch", "!touch"))) == 0
    far = accesses(("touch",), ((0, 8), (20000, 20001)))
    assert far["address"].tolist() == [20000]
