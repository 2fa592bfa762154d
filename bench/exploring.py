"""Schedules a second, and how soon a run starts from a zygote."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial

from bench.processes import WDBG, BenchError, cost_of
from bench.rows import Row, at_least
from bench.series import interleaved, ratios, spread

SCHEDULES = 600
"""Of one measurement."""


def explore_rate(rounds: int) -> Iterator[Row]:
    """A small workload: two kernel threads made, woken, eight mutexes taken by each, ended."""
    jobs = {name: count for name, count in (("one", 1), ("two", 2)) if count <= cores()}
    samples = interleaved(
        {name: partial(_rate, count) for name, count in jobs.items()},
        rounds,
    )
    yield at_least("explore, one core", "schedules/s", spread(samples["one"]), 200)
    if "two" in samples:
        yield at_least(
            "explore, two cores ÷ one", "×", ratios(samples["two"], samples["one"]), 1.8
        )


def cores() -> int:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0))


def _rate(jobs: int) -> float:
    command = [sys.executable, "-m", "bench.explore_run", str(jobs), str(SCHEDULES)]
    return float(cost_of(command)[1].split()[-1])


def zygote_start(rounds: int) -> Iterator[Row]:
    """`wdbg run --from-zygote --exec true`, whole, beside `wdbg run --exec true`."""
    with tempfile.TemporaryDirectory() as directory:
        os.environ["XDG_RUNTIME_DIR"] = directory
        command = [str(WDBG), "zygote", "--append", "quiet"]
        with subprocess.Popen(command, stderr=subprocess.PIPE) as zygote:
            assert zygote.stderr is not None
            if b"stands at" not in zygote.stderr.readline():
                raise BenchError("the zygote did not start")
            fresh = [str(WDBG), "run", "--append", "quiet", "--exec", "true"]
            kept = [str(WDBG), "run", "--from-zygote", "--exec", "true"]
            samples = interleaved(
                {
                    "fresh": lambda: cost_of(fresh)[0].wall * 1e3,
                    "kept": lambda: cost_of(kept)[0].wall * 1e3,
                },
                rounds,
            )
            zygote.terminate()
    yield Row("run from a zygote, whole process", "ms", spread(samples["kept"]))
    yield Row("the same, booted", "ms", spread(samples["fresh"]))
