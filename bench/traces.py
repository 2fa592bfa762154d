"""Figures about trace files: their size, and how fast they are written, read and exported."""

import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from bench.processes import WDBG, cost_of
from bench.rows import Row, at_least, at_most
from bench.series import interleaved, spread
from wdbg.trace.export import FORMATS
from wdbg.trace.reader import Trace

RESIDENT_BOUND = 500
"""MiB."""


def trace_files(rounds: int) -> Iterator[Row]:
    """Steps on five million events: a boot of the guest and some work, repeated."""
    with tempfile.TemporaryDirectory() as folder:
        yield from _in(Path(folder), rounds)


STEP_DEADLINE = 1800.0
"""Seconds that a step may take."""
HUGE = 100_000_000
"""Events of the trace whose exports must not need more memory than a small one's."""


def huge_trace(rounds: int) -> Iterator[Row]:
    """Exports of a trace of 10^8 events: rate and resident size. One round of each: they take
    minutes, and up to 12 GB of disk space."""
    del rounds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, large = folder / "all.wdt", folder / "huge.wdt"
        _record(source, "call,lock,sched,irq,syscall", "spawnstorm 20; pingpong 500; fschurn 20")
        _step("write", source, large, HUGE)
        for step in ("read", *FORMATS):
            rate, resident = _step(step, large, folder / f"{step}.out")
            label = "read" if step == "read" else f"export to {step}"
            bound = 20 if step == "read" else 1
            yield at_least(f"10^8 events: {label}", "million events/s", spread([rate]), bound)
            name = f"10^8 events: {label}, resident"
            yield at_most(name, "MiB", spread([resident]), RESIDENT_BOUND)


def _in(folder: Path, rounds: int) -> Iterator[Row]:
    everything, calls = folder / "all.wdt", folder / "calls.wdt"
    work = "spawnstorm 20; pingpong 500; fschurn 20"
    _record(everything, "call,lock,sched,irq,syscall", work)
    _record(calls, "call", work)
    with Trace(calls) as trace:
        sizes = [entry.stored for entry in trace.chunks]
        each = sum(sizes) / trace.events
    yield at_most("a call's entry or exit in the file", "bytes", spread([each]), 4)
    large = folder / "large.wdt"
    _step("write", everything, large)
    steps: dict[str, Callable[[], tuple[float, float]]] = {
        "write": lambda: _step("write", everything, folder / "other.wdt"),
        "read": lambda: _step("read", large, folder),
    }
    for name in FORMATS:
        steps[name] = partial(_step, name, large, folder / f"{name}.out")
    samples = interleaved(steps, rounds)
    for name, bound in (("write", 10), ("read", 20), *((name, 1) for name in FORMATS)):
        rates = spread([rate for rate, _ in samples[name]])
        label = f"export to {name}" if name in FORMATS else f"{name} a trace"
        yield at_least(label, "million events/s", rates, bound)
    resident = max(size for found in samples.values() for _, size in found)
    yield at_most("largest resident size of these", "MiB", spread([resident]), RESIDENT_BOUND)


def _record(path: Path, events: str, work: str) -> None:
    command = [str(WDBG), "run", "--append", "quiet", "--trace", str(path), "--events", events]
    cost_of([*command, "--exec", f"{work} >/dev/null"])


def _step(step: str, source: Path, target: Path, *more: int) -> tuple[float, float]:
    """Rate in million events a second of CPU time, and resident MiB."""
    command = [sys.executable, "-m", "bench.trace_file", step, str(source), str(target)]
    rate, resident = cost_of([*command, *map(str, more)], STEP_DEADLINE)[1].split()
    return float(rate), float(resident)
