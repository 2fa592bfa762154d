"""Many schedules of one workload, by several processes, up to the first finding or a number.

Each worker is a forked copy of the process that booted the guest, and forks once a schedule.
Schedules are numbered; which one is reported does not depend on how many workers there are: the
lowest number of each finding is.
"""

from __future__ import annotations

import gc
import mmap
import os
import pickle
import select
import signal
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import cast

from wdbg.errors import WdbgError
from wdbg.explore.history import busy_stretches
from wdbg.explore.outcome import Outcome
from wdbg.explore.schedules import Workload, make_schedule
from wdbg.explore.trial import Limits, TrialError, Trials, die_with_parent

LIMIT_FACTOR = 20
"""A schedule may take so many times what the one without preemptions takes, and then some."""
LEAST_TICKS, LEAST_QUANTA, LEAST_NS = 2_000_000, 20_000, 10_000_000_000
FIRST_TICKS, FIRST_QUANTA, FIRST_NS = 2_000_000_000, 2_000_000, 1_000_000_000_000
"""What the schedule without preemptions may take: ticks, quanta, virtual nanoseconds."""
REPORT_SECONDS = 0.1
"""Time between two messages of a worker."""

Report = tuple[int, list[str], "tuple[int, Outcome] | None"]
"""A worker's message: schedules done, digests of new orders, a finding and its number."""

_HEAD = struct.Struct("<I")
_NEXT = struct.Struct("<q")


@dataclass(slots=True)
class Progress:
    """How far a search has come."""

    done: int = 0
    distinct: int = 0
    findings: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class Result:
    """What a search came to."""

    done: int = 0
    orders: set[str] = field(default_factory=set)
    """Digests of the orders in which tasks took turns."""
    found: dict[str, tuple[int, Outcome]] = field(default_factory=dict)
    """By identity: the lowest number of a schedule that came to it, and how it ended."""
    counts: dict[str, int] = field(default_factory=dict)
    """Schedules that came to each."""
    seconds: float = 0.0


def survey(trials: Trials, work: Workload, limits: Limits) -> tuple[Outcome, Workload]:
    """Run the schedule without preemptions; sets the trials' limits by what it takes."""
    machine = trials.machine
    start = machine.moment()
    trials.limits = replace(
        limits,
        ticks=start.ticks + FIRST_TICKS,
        quanta=start.quanta + FIRST_QUANTA,
        nanoseconds=machine.now() + FIRST_NS,
    )
    first = trials.run(make_schedule("preempt", 0, work), keep=True)
    ticks, quanta = first.ticks - start.ticks, first.quanta - start.quanta
    took = first.skipped - start.skipped + ticks * machine.ns_per_tick
    trials.limits = replace(
        limits,
        ticks=min(limits.ticks, start.ticks + LIMIT_FACTOR * ticks + LEAST_TICKS),
        quanta=min(limits.quanta, start.quanta + LIMIT_FACTOR * quanta + LEAST_QUANTA),
        nanoseconds=min(limits.nanoseconds, machine.now() + LIMIT_FACTOR * took + LEAST_NS),
    )
    busy = busy_stretches(first.rows, first.ticks)
    return first, replace(work, start=start.ticks, length=max(1, ticks), busy=busy)


def with_few_preemptions(
    trials: Trials,
    work: Workload,
    outcome: Outcome,
    *,
    jobs: int,
    most: int,
    count: int,
    show: Callable[[Progress], None],
) -> Outcome:
    """The same finding in a schedule of at most `most` preemptions, the fewest that `count` tries
    for each number of them come to; the outcome itself if there is none."""
    for bound in range(1, most + 1):
        search = Search(
            trials, "preempt", replace(work, bound=bound), jobs=jobs,
            wanted=lambda other: other.identity == outcome.identity,
        )  # fmt: skip
        for _, other in search.run(count, show).found.values():
            return other
    return outcome


class _Worker:
    """The parent's side of one worker."""

    def __init__(self, pid: int, source: int) -> None:
        self.pid = pid
        self.source = source
        self.buffer = bytearray()


class Search:
    """A search of schedules 1 to `count`."""

    def __init__(
        self,
        trials: Trials,
        strategy: str,
        work: Workload,
        *,
        jobs: int,
        wanted: Callable[[Outcome], bool],
        most: int = 1,
    ) -> None:
        """`wanted` says whether an outcome is a finding; `most`: different ones after which the
        search ends (0: never)."""
        self._trials = trials
        self._strategy = strategy
        self._work = work
        self._jobs = jobs
        self._wanted = wanted
        self._most = most
        self._last = mmap.mmap(-1, 8)
        """Highest number that is still of interest; the workers read it."""

    def run(self, count: int, show: Callable[[Progress], None]) -> Result:
        """Run them; `show` is called now and then."""
        _NEXT.pack_into(self._last, 0, count)
        result = Result()
        started = time.monotonic()
        sys.stdout.flush()
        sys.stderr.flush()
        gc.collect()
        gc.freeze()
        workers = [self._fork(index) for index in range(self._jobs)]
        try:
            self._listen(workers, result, started, show)
        finally:
            for worker in workers:
                os.close(worker.source)
                if worker.pid:
                    os.kill(worker.pid, signal.SIGKILL)
                    os.waitpid(worker.pid, 0)
            gc.unfreeze()
        result.seconds = time.monotonic() - started
        return result

    def _fork(self, index: int) -> _Worker:
        source, sink = os.pipe()
        parent = os.getpid()
        pid = os.fork()
        if pid:
            os.close(sink)
            return _Worker(pid, source)
        try:
            die_with_parent(parent)
            os.close(source)
            self._work_on(index, sink)
        except KeyboardInterrupt:
            pass
        except BaseException as error:
            _send(sink, TrialError(f"a worker failed: {error!r}"))
        finally:
            os._exit(0)

    def _work_on(self, index: int, sink: int) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        trials = self._trials.of_own()
        done = 0
        orders: set[str] = set()
        fresh: list[str] = []
        reported = time.monotonic()
        number = index + 1
        while number <= _NEXT.unpack_from(self._last, 0)[0]:
            outcome = trials.run(make_schedule(self._strategy, number, self._work))
            done += 1
            if outcome.schedule not in orders:
                orders.add(outcome.schedule)
                fresh.append(outcome.schedule)
            now = time.monotonic()
            found = self._wanted(outcome)
            if found or now - reported > REPORT_SECONDS:
                _send(sink, (done, fresh, (number, outcome) if found else None))
                reported, done, fresh = now, 0, []
            number += self._jobs
        _send(sink, (done, fresh, None))

    def _listen(
        self,
        workers: list[_Worker],
        result: Result,
        started: float,
        show: Callable[[Progress], None],
    ) -> None:
        open_ = {worker.source: worker for worker in workers}
        while open_:
            ready, _, _ = select.select(list(open_), [], [], REPORT_SECONDS)
            for source in ready:
                worker = open_[source]
                data = os.read(source, 1 << 16)
                if not data:
                    del open_[source]
                    os.waitpid(worker.pid, 0)
                    worker.pid = 0
                    continue
                worker.buffer += data
                for message in _messages(worker.buffer):
                    self._take(message, result)
            show(
                Progress(
                    result.done, len(result.orders), len(result.found), time.monotonic() - started
                )
            )

    def _take(self, message: object, result: Result) -> None:
        if isinstance(message, WdbgError):
            raise message
        done, fresh, found = cast("Report", message)
        result.done += done
        result.orders.update(fresh)
        if found is None:
            return
        number, outcome = found
        result.counts[outcome.identity] = result.counts.get(outcome.identity, 0) + 1
        known = result.found.get(outcome.identity)
        if known is None or number < known[0]:
            result.found[outcome.identity] = number, outcome
        if self._most and len(result.found) >= self._most:
            last = sorted(number for number, _ in result.found.values())[self._most - 1]
            _NEXT.pack_into(self._last, 0, min(last, _NEXT.unpack_from(self._last, 0)[0]))


def _send(sink: int, message: object) -> None:
    data = pickle.dumps(message)
    data = _HEAD.pack(len(data)) + data
    while data:
        data = data[os.write(sink, data) :]


def _messages(buffer: bytearray) -> list[object]:
    """Take the whole messages from the front of a buffer."""
    found = []
    while len(buffer) >= _HEAD.size:
        size = _HEAD.size + _HEAD.unpack_from(buffer)[0]
        if len(buffer) < size:
            break
        found.append(pickle.loads(buffer[_HEAD.size : size]))  # our own worker's
        del buffer[:size]
    return found
