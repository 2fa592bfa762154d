"""Figures about lock checking: how fast, and what it costs while the guest runs."""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.processes import WDBG, cost_of
from bench.rows import Row, at_least, at_most
from bench.series import Spread, interleaved, ratios, spread

WORK = "fschurn 2000; spawnstorm 300; pingpong 3000"
EVENTS = "lock,sched,irq,syscall"
"""What `--check locks` records."""


def lock_checks(rounds: int) -> Iterator[Row]:
    """Live over tracing without checking; offline rate; many classes and chains."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "locks.wdt"
        run = [str(WDBG), "run", "--append", "quiet", "--exec", f"({WORK}) >/dev/null"]
        traced = [*run, "--trace", str(path), "--events", EVENTS]
        samples = interleaved(
            {
                "trace": lambda: cost_of(traced)[0].wall,
                "check": lambda: cost_of([*run, "--check", "locks"])[0].wall,
            },
            rounds,
        )
        live = ratios(samples["check"], samples["trace"])
        yield at_most("lock check, live / trace without it", "x", live, 1.2)
        yield at_least(
            "lock check of a trace", "million lock events/s",
            spread([_step("file", str(path))[0] for _ in range(rounds)]), 3,
        )  # fmt: skip
    rate, resident, seconds = _step("chains", "10000", "1000000")
    yield Row("10^4 classes, 10^6 chains: all new", "million lock events/s", _one(rate))
    yield Row("10^4 classes, 10^6 chains: resident", "MiB", _one(resident))
    yield Row("10^4 classes, 10^6 chains: verdict", "s", _one(seconds))


def _one(value: float) -> Spread:
    return spread([value])


def _step(*arguments: str) -> tuple[float, float, float]:
    command = [sys.executable, "-m", "bench.lock_check", *arguments]
    rate, resident, seconds = cost_of(command, 1800)[1].split()
    return float(rate), float(resident), float(seconds)
