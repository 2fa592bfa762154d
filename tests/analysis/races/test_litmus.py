"""Litmus tests of the kernel's memory model, each as a tiny kernel with two CPUs.

The programs are those of tools/memory-model/litmus-tests with the same names, and mutants of them
with plain accesses. Over some schedules: no outcome is seen that the model forbids, and there is a
data race in one of them if, and only if, the model has one (herd7: "Flag data-race").
"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from symbols.dwarf.index import Index
from tests.runtime.conftest import boot_fixture, tape_fixture
from tests.runtime.test_tracer import Tape as Ring
from wdbg.analysis.races.detect import Detector
from wdbg.analysis.races.sites import Sites
from wdbg.analysis.races.stream import Layout
from wdbg.instrument.points import Recording
from wdbg.instrument.variant import CUTS
from wdbg.linux.lockpoints import lock_points
from wdbg.runtime.scheduler import SeededRandom
from wdbg.runtime.tracer import Tracer
from wdbg.trace.raw import Context, decode
from wdbg.trace.tables import TaskLife

__all__ = ["boot_fixture", "tape_fixture"]

VARIANT = replace(CUTS, recording=Recording(points=lock_points(), accesses=("*",)))
SEEDS, MORE = 6, 60
X, Y, Z, LOCK, RESULTS = 12352, 12416, 12480, 12544, 12608
PLACES = {"x": X, "y": Y, "z": Z}


def mark(number: int) -> str:
    return f"(drop (i32.const {0x77646200 + number}))"


ACQUIRE, RELEASE, RELAXED, DEPENDENCY, READS, WRITES = map(mark, range(1, 7))


def code(operation: str) -> str:
    """An operation such as "x=1", "once x=1", "r0=acquire x", "mb", "lock", "if r0 r1=x"."""
    condition = ""
    if operation.startswith("if "):
        _, condition, operation = operation.split(" ", 2)
    text = _plain(operation)
    return f"(if (local.get ${condition}) (then {text}))" if condition else text


def _plain(operation: str) -> str:
    words = {
        "mb": "(atomic.fence)",
        "rmb": f"{READS} (atomic.fence)",
        "wmb": f"{WRITES} (atomic.fence)",
        "lock": f"(call $_raw_spin_lock (i32.const {LOCK}))",
        "unlock": f"(call $_raw_spin_unlock (i32.const {LOCK}))",
    }
    if operation in words:
        return words[operation]
    left, right = operation.split("=")
    if left in ("r0", "r1"):
        order, _, place = right.rpartition(" ")
        address = f"(i32.const {PLACES[place]})"
        if order == "xchg":
            return f"(local.set ${left} (i32.atomic.rmw.xchg {address} (i32.const 1)))"
        load = "i32.load" if not order else "i32.atomic.load"
        return f"{ACQUIRE if order == 'acquire' else ''} (local.set ${left} ({load} {address}))"
    order, _, place = left.rpartition(" ")
    store = "i32.store" if not order else "i32.atomic.store"
    before = RELEASE if order == "release" else ""
    return f"{before} ({store} (i32.const {PLACES[place]}) (i32.const {right}))"


KERNEL = """
  (data (i32.const 16384) "done")
  (func $nothing)
  (func $_raw_spin_lock (export "_raw_spin_lock") (param $lock i32)
    (loop $again
      (br_if $again (i32.atomic.rmw.cmpxchg (local.get $lock) (i32.const 0) (i32.const 1)))))
  (func $_raw_spin_unlock (export "_raw_spin_unlock") (param $lock i32)
    (i32.atomic.store (local.get $lock) (i32.const 0)))
  (func $first (local $r0 i32) (local $r1 i32) (call $nothing)
    {first}
    (i32.store (i32.const {r0}) (local.get $r0)) (i32.store (i32.const {r1}) (local.get $r1)))
  (func $second (local $r0 i32) (local $r1 i32) (call $nothing)
    {second}
    (i32.store (i32.const {r2}) (local.get $r0)) (i32.store (i32.const {r3}) (local.get $r1)))
  (func $spin (param $flag i32)
    (loop $again (br_if $again (i32.eqz (i32.atomic.load (local.get $flag))))))
  (func (export "_start_secondary") (param i32)
    {release} (i32.atomic.store (i32.const 12304) (i32.const 1))
    (call $spin (i32.const 12300))
    (call $second)
    (i32.atomic.store (i32.const 12312) (i32.const 1))
    (loop $rest
      (drop (memory.atomic.wait32 (i32.const 12308) (i32.const 0) (i64.const -1)))
      (br $rest)))
  (func (export "_start")
    (call $start_cpu (i32.const 1) (i32.const 5000) (i32.const 60000))
    (call $spin (i32.const 12304)) {acquire} (drop (i32.atomic.load (i32.const 12304)))
    (i32.atomic.store (i32.const 12300) (i32.const 1))
    (call $first)
    (call $spin (i32.const 12312))
    (call $panic (i32.const 16384)))"""
"""Both CPUs wait for each other, which orders nothing from the first to the second."""

MP, SB, LB = "r2 == 1 and r3 == 0", "r0 == 0 and r2 == 0", "r0 == 1 and r2 == 1"
TESTS = {
    "MP+pooncerelease+poacquireonce": (
        "once x=1; release y=1", "r0=acquire y; r1=once x", MP, False),
    "MP+fencewmbonceonce+fencermbonceonce": (
        "once x=1; wmb; once y=1", "r0=once y; rmb; r1=once x", MP, False),
    "MP+poonceonces": ("once x=1; once y=1", "r0=once y; r1=once x", "", False),
    "MP+polockonce+poacquiresilsil": (
        "lock; once x=1; unlock", "r0=acquire x; r1=once x", "", False),
    "MP+porevlocks": (
        "lock; x=1; y=1; unlock", "lock; r0=y; r1=x; unlock", MP, False),
    "SB+fencembonceonces": ("once x=1; mb; r0=once y", "once y=1; mb; r0=once x", SB, False),
    "SB+poonceonces": ("once x=1; r0=once y", "once y=1; r0=once x", "", False),
    "SB+rfionceonce-poonceonces": (
        "once x=1; r1=once x; r0=once y", "once y=1; r1=once y; r0=once x", "", False),
    "LB+poacquireonce+pooncerelease": (
        "r0=once x; release y=1", "r0=acquire y; once x=1", LB, False),
    "LB+poonceonces": ("r0=once x; once y=1", "r0=once y; once x=1", "", False),
    "R+fencembonceonces": ("once x=1; mb; once y=1", "once y=2; mb; r0=once x", "", False),
    "R+poonceonces": ("once x=1; once y=1", "once y=2; r0=once x", "", False),
    "S+fencewmbonceonce+poacquireonce": (
        "once x=2; wmb; once y=1", "r0=acquire y; once x=1", "", False),
    "S+poonceonces": ("once x=2; once y=1", "r0=once y; once x=1", "", False),
    "CoRR+poonceonce+Once": ("once x=1", "r0=once x; r1=once x", MP, False),
    "CoWW+poonceonce": ("once x=1; once x=2", "r0=once x", "", False),
    # Mutants: the data is plain, and looked at if the flag says that it is there.
    "MP+pooncerelease+poacquireonce plain": (
        "x=1; release y=1", "r0=acquire y; if r0 r1=x", "r2 == 1 and r3 == 0", False),
    "MP+fencewmbonceonce+fencermbonceonce plain": (
        "x=1; wmb; once y=1", "r0=once y; rmb; if r0 r1=x", "r2 == 1 and r3 == 0", False),
    "MP+pooncerelease+poonceonce plain": (
        "x=1; release y=1", "r0=once y; if r0 r1=x", "", True),
    "MP+poonceonce+poacquireonce plain": (
        "x=1; once y=1", "r0=acquire y; if r0 r1=x", "", True),
    "MP+pooncerelease+poacquireonce plain, not asked": (
        "x=1; release y=1", "r0=acquire y; r1=x", MP, True),
    "MP+wmb+once plain": ("x=1; wmb; once y=1", "r0=once y; if r0 r1=x", "", True),
    "MP+once+rmb plain": ("x=1; once y=1", "r0=once y; rmb; if r0 r1=x", "", True),
    "MP+mb+mb plain": (
        "x=1; mb; once y=1", "r0=once y; mb; if r0 r1=x", "r2 == 1 and r3 == 0", False),
    "MP+xchg+xchg plain": ("x=1; r1=xchg y", "r0=xchg y; if r0 r1=x", "", False),
    "MP flag plain": ("x=1; y=1", "r0=y; if r0 r1=x", "", True),
    "SB plain": ("x=1; mb; r0=y", "y=1; mb; r0=x", SB, True),
    "CoRR plain": ("x=1", "r0=x; r1=x", "", True),
    "one side locked": ("lock; x=1; unlock", "r0=x", "", True),
    "both sides locked": ("lock; x=1; unlock", "lock; r0=x; unlock", "", False),
    "reads only": ("r0=x", "r0=x", "", False),
}  # fmt: skip
"""First and second CPU, what must not be seen, whether there is a data race. r2 and r3 are the
second's."""


class Traced:
    """What the analysis wants of a trace, from a ring."""

    def __init__(self, data: bytes) -> None:
        numbers: dict[int, int] = {}

        def number_of(tasks, _places):
            return np.array([numbers.setdefault(t, len(numbers) + 1) for t in tasks.tolist()], "u4")

        self._batch = decode(data, Context(), number_of)[0]
        rows = [TaskLife(0, number, task, 1, 1, "") for task, number in numbers.items()]
        self.tables = SimpleNamespace(tasks=rows)

    def batches(self, _tables=None):
        return [self._batch]


@pytest.mark.parametrize("name", TESTS)
def test_litmus(name, boot, tmp_path):
    first, second, forbidden, racy = TESTS[name]
    text = KERNEL
    for key, value in {
        "first": " ".join(map(code, first.split("; "))),
        "second": " ".join(map(code, second.split("; "))),
        "release": RELEASE, "acquire": ACQUIRE,
        **{f"r{n}": str(RESULTS + 4 * n) for n in range(4)},
    }.items():  # fmt: skip
        text = text.replace("{" + key + "}", value)
    seen = set()
    for seed in range(MORE if racy else SEEDS):
        machine = boot(text, variant=VARIANT, scheduler=SeededRandom(seed, 3, 4))
        machine.cuts = True
        ring = Ring()
        machine.tracer = Tracer(machine, ring, None)
        assert machine.run() is not None
        machine.tracer.close({})
        r0, r1, r2, r3 = (machine.memory.read_u32(RESULTS + 4 * n) for n in range(4))
        if forbidden:
            assert not eval(forbidden, {"r0": r0, "r1": r1, "r2": r2, "r3": r3}), seed
        kernel = next(tmp_path.glob("kernel*/mini.wasm"))
        detector = Detector(Sites(Index.open(kernel, cache=tmp_path / "index")))
        races = detector.run(Traced(ring.data), Layout())
        seen.add(any(race.first.address in PLACES.values() for race in races))
        if racy and True in seen:
            break
    assert (True in seen) == racy
