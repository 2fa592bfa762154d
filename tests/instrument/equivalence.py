"""Rewritten modules behave like the originals: results, traps, memory, globals, host calls, ticks.

`python -m tests.instrument.equivalence --modules 10000` compares that many random modules; the
normal test run does a few hundred.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import math
import random
import struct
import sys
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
import wasmtime

from symbols.dwarf import stops
from symbols.wasm.module import Module
from symbols.wasm.types import FuncType, ValueType
from tests.instrument.generator import COUNT, FUEL, IRQ, PAGES, STACK, Generated, generate
from tests.instrument.harness import Box, Outcome, Value, engine, outcome
from wdbg.instrument import layout
from wdbg.instrument.points import ARG, HIGH1, HIGH2, LOW1, Point, Record, Recording
from wdbg.instrument.port import Port
from wdbg.instrument.result import Instrumented
from wdbg.instrument.rewrite import instrument_kernel, instrument_program
from wdbg.instrument.variant import CUTS, EDIT, PLAIN, TICK, Variant

SAMPLES = Variant("samples", ticks=True, samples=True)
RECORD = Variant(
    "record",
    ticks=True,
    recording=Recording(
        calls="all",
        points=tuple(
            Point(
                name,
                entry=(Record(8, 1, ((HIGH1, "param0"), (LOW1, "site"))),),
                exit=(Record(10, 0, ((HIGH1, "param0"), (ARG, "success")), "result != 0"),),
                before=(Record(41, 0, ((HIGH1, "operand0"), (LOW1, "target"))),),
                after=(Record(42, 0, ((HIGH1, "result"), (HIGH2, "param1"))),),
                signature=f"{taken} -> {given}".strip(),
            )
            for name in ("", *(f"f{i}" for i in range(30)))
            for taken, given in (("i32", "i32"),)
        ),
        accesses=("*",),
        ranges=((0, 1 << 16), (1 << 31, 1 << 32)),
    ),
)
"""Records all that can be recorded: where functions have no names, points are those of ""."""
PORT = Port("random", irq_entry=IRQ, stack_pointer=STACK)
HOST = Port("host of a program")
TINY = """(module (import "env" "memory" (memory 1 65536 shared)) (import "env" "unused" (func))
  (func (export "nothing")))"""
_KINDS = {
    ValueType.I32: wasmtime.ValType.i32,
    ValueType.I64: wasmtime.ValType.i64,
    ValueType.F32: wasmtime.ValType.f32,
    ValueType.F64: wasmtime.ValType.f64,
}


def bits(value: Value, kind: ValueType) -> int:
    """The 64-bit pattern of a value, one pattern for every NaN."""
    if kind is ValueType.I32:
        return int(value) & 0xFFFFFFFF
    if kind is ValueType.I64:
        return int(value) & 0xFFFFFFFFFFFFFFFF
    if math.isnan(value):
        return -1
    return int.from_bytes(struct.pack("<f" if kind is ValueType.F32 else "<d", value), "little")


def value_of(pattern: int, kind: ValueType) -> Value:
    """Inverse of ``bits`` for what a mailbox slot holds."""
    if kind is ValueType.I32:
        return (pattern & 0xFFFFFFFF ^ 0x80000000) - 0x80000000
    if kind is ValueType.I64:
        return (pattern & 0xFFFFFFFFFFFFFFFF ^ 1 << 63) - (1 << 63)
    if kind is ValueType.F32:
        return float(struct.unpack("<f", (pattern & 0xFFFFFFFF).to_bytes(4, "little"))[0])
    return float(struct.unpack("<d", pattern.to_bytes(8, "little"))[0])


Frame = tuple[int, int]
"""Original function index and original code offset."""
MAX_FRAMES = 15


@dataclass
class Report:
    """All that can be observed of a run; two runs are equivalent if their reports are equal."""

    outcomes: list[tuple[str, tuple[int, ...], str]] = field(default_factory=list)
    calls: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)
    globals: list[int] = field(default_factory=list)
    memory: str = ""
    frames: list[list[Frame]] = field(default_factory=list, compare=False)
    stops: int = field(default=0, compare=False)
    accesses: int = field(default=0, compare=False)
    """Parks at stop points, and of watch checks."""

    def where(self) -> list[list[Frame]]:
        """Backtraces of the traps, without the frames beyond what engines record."""
        return [frames[:MAX_FRAMES] for frames in self.frames]


class Run:
    """One module on a store of its own with deterministic host functions."""

    def __init__(self, generated: Generated, seed: int, variant: Variant = TICK) -> None:
        self.generated = generated
        self.seed = seed
        self.report = Report()
        self.box = Box(PAGES, variant)
        self.granted = 0
        self.locate: Callable[[str, int, int], Frame | None] = lambda name, index, at: (index, at)

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *exc: object) -> None:
        self.box.close()

    def host(self, name: str, kind: FuncType, args: Sequence[int]) -> list[Value]:
        """Results from the arguments and the number of calls before; writes to guest memory."""
        self.report.calls.append((name, tuple(args)))
        rng = random.Random(f"{self.seed} {name} {args} {len(self.report.calls)}")
        self.box.write(rng.randrange(PAGES[0] << 16) & ~7, rng.randbytes(8))
        return [
            value_of(rng.getrandbits(32 if t is ValueType.I32 else 64), t)
            if t in (ValueType.I32, ValueType.I64)
            else rng.choice((0.0, -1.5, 1e10))
            for t in kind.results
        ]

    def define_host(self) -> None:
        """The host functions as plain imports."""
        for name, kind in self.generated.imports:

            def call(*args: Value, name: str = name, kind: FuncType = kind) -> object:
                patterns = [bits(a, t) for a, t in zip(args, kind.params, strict=True)]
                results = self.host(name, kind, patterns)
                return results[0] if len(results) == 1 else results or None

            signature = wasmtime.FuncType(
                [_KINDS[t]() for t in kind.params], [_KINDS[t]() for t in kind.results]
            )
            self.box.linker.define_func("env", name, signature, call)

    def define_mailbox(self) -> None:
        """The host functions behind the park."""
        for name, kind in self.generated.imports:

            def call(slots: list[int], name: str = name, kind: FuncType = kind) -> list[int]:
                patterns = [
                    bits(value_of(s, t), t) for s, t in zip(slots, kind.params, strict=True)
                ]
                results = self.host(name, kind, patterns)
                return [bits(r, t) for r, t in zip(results, kind.results, strict=True)]

            self.box.functions[name] = call

    def preempt(self, kernel: wasmtime.Instance) -> None:
        """Short random quanta, and an interrupt at half of their ends."""
        rng = random.Random(self.seed)

        def grant(box: Box) -> int:
            quantum = rng.choice((1, 2, 3, 10, 100))
            box.words[layout.TICK >> 2] = quantum
            self.granted += quantum
            return rng.randrange(2)

        self.box.on_tick = grant
        self.granted = 5
        self.box.set_tick(kernel, 5)

    def stop_everywhere(self, done: Instrumented, base: int) -> None:
        """Arm all stop points and watch all of the guest's memory; what a stop point hands over
        it takes back, after the slots have been overwritten in between."""
        table = done.stops
        assert table is not None
        self.box.arm(base, len(table))
        self.box.arm(layout.WATCH_MAP, PAGES[1] << 16 >> layout.WATCH_GRANULE)

        def hit(address: int) -> int:
            self.report.stops += 1
            slots = self.box.dump(len(table.captured(address - base)))
            self.box.put([0xAAAA_AAAA_AAAA_AAAA] * len(slots))
            self.box.put(slots)
            return layout.PROBE_RELOAD

        def accessed(address: int, length: int, bits: int) -> None:
            self.report.accesses += 1

        self.box.on_probe, self.box.on_access = hit, accessed

    def ticks(self, kernel: wasmtime.Instance) -> int:
        """Ticks executed since ``preempt``."""
        return self.granted - int(self.box.tick(kernel).value(self.box.store))

    def start(self, wasm: bytes) -> wasmtime.Instance | None:
        """Instantiate; None if the start function traps."""
        made: list[wasmtime.Instance] = []
        done = outcome(lambda: made.append(self.box.instantiate(wasm)))
        self.report.outcomes.append(("start", (), done.trap))
        return made[0] if made else None

    def exercise(self, instance: wasmtime.Instance) -> None:
        """Call every exported function a few times and look at everything."""
        rng = random.Random(self.seed)
        store, report = self.box.store, self.report
        exports = instance.exports(store)
        fuel = exports[FUEL]
        assert isinstance(fuel, wasmtime.Global)
        for _ in range(3):
            for name, kind in self.generated.exports:
                args = [self._argument(rng, t) for t in kind.params]
                fuel.set_value(store, wasmtime.Val.i32(300))
                self.record(name, kind, self.box.call(instance, name, *args))
        for name in self.generated.globals:
            item = exports[name]
            assert isinstance(item, wasmtime.Global)
            value = item.value(store)
            kind = ValueType.F64 if isinstance(value, float) else ValueType.I64
            report.globals.append(bits(value, kind))
        report.memory = hashlib.sha256(self.box.contents()).hexdigest()

    def record(self, name: str, kind: FuncType, done: Outcome) -> None:
        """Add the outcome of a call."""
        if not done.trap:
            patterns = [bits(v, t) for v, t in zip(done.results, kind.results, strict=True)]
            self.report.outcomes.append((name, tuple(patterns), ""))
        else:
            assert "STACK_OVERFLOW" not in done.trap, "depth depends on the code: use less fuel"
            self.report.outcomes.append((name, (), done.trap))
            located = [self.locate(*frame) for frame in done.frames]
            self.report.frames.append([frame for frame in located if frame is not None])

    def locate_by(self, done: Instrumented) -> None:
        """Translate frames of traps by the offset map; those of generated code disappear."""

        def locate(name: str, _: int, offset: int) -> Frame | None:
            found = done.locate(offset) if name == done.facts.module_name else None
            return None if found is None else (found.function, found.offset)

        self.locate = locate

    @staticmethod
    def _argument(rng: random.Random, kind: ValueType) -> Value:
        if kind in (ValueType.I32, ValueType.I64):
            return rng.choice((0, 1, -1, rng.randrange(1 << 31), rng.randrange(20)))
        return rng.choice((0.0, 1.0, -2.5, 1e9, math.inf))


@contextmanager
def debugging(wasm: bytes, seed: int) -> Iterator[None]:
    """Have every place of the code be a row for once in a while, and any local or slot of the
    operand stack be alive anywhere: what a debugging section could say, and nonsense."""
    module = Module(wasm)
    rng = random.Random(seed)
    size = module.bodies[-1][2] - module.code_base if module.bodies else 0
    rows = array("I", sorted(rng.sample(range(size), size // 3)))
    live = []
    for _ in range(size // 4):
        lo = rng.randrange(size)
        live.append((lo, lo + rng.randrange(1, 40), rng.choice((0, 0, 1, 2, 2)), rng.randrange(6)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stops, "read_stops", lambda module: stops.CodeInfo(rows, sorted(live), ()))
        yield


def run_original(generated: Generated, seed: int, counted: bool) -> tuple[Report, int]:
    """The report, and the ticks if it is the counted form."""
    with Run(generated, seed) as run:
        run.define_host()
        wasm = generated.counted if counted else generated.original
        base = Module(wasm).code_base
        run.locate = lambda name, index, offset: (index, offset - base)
        instance = run.start(wasm)
        if instance is None:
            return run.report, 0
        run.exercise(instance)
        return run.report, run.box.global_value(instance, COUNT) if counted else 0


def run_kernel(generated: Generated, seed: int, variant: Variant) -> tuple[Report, int]:
    """The same for the module rewritten as a kernel, with interrupts at its ticks."""
    with Run(generated, seed, variant) as run, debugging(generated.original, seed):
        run.define_mailbox()
        done = instrument_kernel(generated.original, variant, PORT)
        if variant.probes:
            run.stop_everywhere(done, layout.PROBES)
        run.box.calls = done.calls
        run.locate_by(done)
        instance = run.start(done.wasm)
        if instance is None:
            return run.report, 0
        run.preempt(instance)
        run.exercise(instance)
        return run.report, run.ticks(instance)


def run_program(generated: Generated, seed: int, variant: Variant) -> tuple[Report, int]:
    """The same for the module rewritten as a program, beside a kernel that does nothing."""
    with Run(generated, seed, variant) as run, debugging(generated.original, seed):
        box = run.box
        kernel = box.kernel(TINY, HOST, variant)
        exports = kernel.exports(box.store)
        box.linker.define_instance(box.store, layout.MODULE, kernel)
        tick, slow = exports[layout.TICK_EXPORT], exports[layout.USER_TICK_EXPORT]
        box.linker.define(box.store, layout.MODULE, layout.PROGRAM_TICK, tick)
        box.linker.define(box.store, layout.MODULE, layout.PROGRAM_SLOW, slow)
        run.define_host()
        done = instrument_program(generated.original, variant)
        if variant.probes:
            base = layout.PROBES + 4096
            kind = wasmtime.GlobalType(wasmtime.ValType.i32(), False)
            place = wasmtime.Global(box.store, kind, wasmtime.Val.i32(base))
            box.linker.define(box.store, layout.MODULE, layout.PROGRAM_PROBES, place)
            run.stop_everywhere(done, base)
        run.locate_by(done)
        program = box.instantiate(done.wasm)
        run.preempt(kernel)
        result = Outcome()
        if done.facts.start:
            result = box.call(program, done.facts.start)
        run.report.outcomes.append(("start", (), result.trap))
        if result.trap:
            return run.report, 0
        run.exercise(program)
        return run.report, run.ticks(kernel)


def check(seed: int) -> Report:
    """Compare all forms of one random module; AssertionError says what differs. The report is that
    of the form with stop points."""
    generated = generate(seed)
    expected, _ = run_original(generated, seed, counted=False)
    counted, ticks = run_original(generated, seed, counted=True)
    assert counted == expected, f"seed {seed}: the generator's own counter changes behaviour"
    kernel, kernel_ticks = run_kernel(generated, seed, TICK)
    assert kernel == expected, f"seed {seed}: kernel with ticks"
    assert kernel.where() == expected.where(), f"seed {seed}: backtraces of the kernel"
    program, program_ticks = run_program(generated, seed, TICK)
    assert program == expected, f"seed {seed}: program"
    assert program.where() == expected.where(), f"seed {seed}: backtraces of the program"
    plain, none = run_kernel(generated, seed, PLAIN)
    assert plain == expected, f"seed {seed}: plain kernel"
    assert plain.where() == expected.where(), f"seed {seed}: backtraces of the plain kernel"
    edited, edited_ticks = run_kernel(generated, seed, EDIT)
    assert edited == expected, f"seed {seed}: kernel with stop points and watch checks"
    assert edited.where() == expected.where(), f"seed {seed}: backtraces with stop points"
    traced, traced_ticks = run_kernel(generated, seed, RECORD)
    assert traced == expected, f"seed {seed}: kernel that records"
    assert traced.where() == expected.where(), f"seed {seed}: backtraces of one that records"
    assert traced_ticks == kernel_ticks, f"seed {seed}: ticks of one that records"
    cut, cut_ticks = run_kernel(generated, seed, CUTS)
    assert cut == expected, f"seed {seed}: kernel that counts accesses"
    assert cut.where() == expected.where(), f"seed {seed}: backtraces of one that counts accesses"
    assert cut_ticks == kernel_ticks, f"seed {seed}: ticks of one that counts accesses"
    sampled, sampled_ticks = run_kernel(generated, seed, SAMPLES)
    assert sampled == expected, f"seed {seed}: kernel that samples accesses"
    assert sampled.where() == expected.where(), f"seed {seed}: backtraces of one that samples"
    assert sampled_ticks == kernel_ticks, f"seed {seed}: ticks of one that samples"
    cut, cut_ticks = run_program(generated, seed, CUTS)
    assert cut == expected, f"seed {seed}: program that counts accesses"
    assert cut_ticks == program_ticks, f"seed {seed}: ticks of one that counts accesses"
    other, other_ticks = run_program(generated, seed, EDIT)
    assert other == expected, f"seed {seed}: program with stop points and watch checks"
    assert (edited_ticks, other_ticks) == (kernel_ticks, program_ticks), f"seed {seed}: ticks"
    if expected.memory:
        assert none == 0, f"seed {seed}: ticks without ticks"
        assert program_ticks == ticks, f"seed {seed}: program {program_ticks}, counted {ticks}"
        if not generated.start:  # a kernel's start function does not tick
            assert kernel_ticks == ticks, f"seed {seed}: kernel {kernel_ticks}, counted {ticks}"
    return edited


def main(arguments: list[str]) -> int:
    """Compare many modules; exit status 1 at the first difference."""
    parser = argparse.ArgumentParser(description="rewritten modules against originals")
    parser.add_argument("--modules", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="seed of the first module")
    options = parser.parse_args(arguments)
    engine()
    seen: collections.Counter[str] = collections.Counter()
    started = time.monotonic()
    for seed in range(options.first, options.first + options.modules):
        try:
            report = check(seed)
        except AssertionError as error:
            print(f"equivalence: {error}", file=sys.stderr)
            return 1
        seen.update(trap or "result" for _, _, trap in report.outcomes)
        seen["host call"] += len(report.calls)
        if not (seed + 1) % 1000:
            print(f"equivalence: {seed + 1 - options.first} modules", flush=True)
    seconds = time.monotonic() - started
    print(f"equivalence: {options.modules} modules alike in {seconds:.0f} s: {dict(seen)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
