"""`python -m wdbg.explore.batch`: some schedules of a search, as a pure function of files.

Reads a batch as JSON from standard input, boots, runs its schedules and writes one JSON object a
finding, then one with what it has seen. A process of its own, since whoever hands out batches may
have threads, and only a process without them can fork. `wdbg explore --dask` sends such batches to
other machines; kernel and initrd lie at the same paths there, and their hashes are checked.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
from array import array
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from wdbg.errors import BadInput, WdbgError
from wdbg.explore.outcome import Outcome
from wdbg.explore.schedules import Workload, make_schedule
from wdbg.explore.start import Start, go_to_start
from wdbg.explore.trial import Limits, TrialError, Trials
from wdbg.runtime.boot import BootOptions, boot
from wdbg.runtime.console import StreamConsole


@dataclass(frozen=True, slots=True)
class Batch:
    """What to boot, and which schedules to run."""

    options: BootOptions
    kernel: str
    initrd: str
    """SHA-256 of the files; "" without an initrd."""
    start: Start
    limits: Limits
    strategy: str
    work: Workload
    first: int
    count: int
    kinds: tuple[str, ...]
    """Outcomes of these kinds are findings."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a batch came to."""

    done: int
    orders: tuple[str, ...]
    """Digests of the orders in which tasks took turns."""
    found: tuple[tuple[int, Outcome], ...]


def file_digest(path: Path) -> str:
    """SHA-256 of a file. BadInput if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None


def batches(whole: Batch, size: int) -> list[Batch]:
    """A batch in pieces of `size` schedules."""
    last = whole.first + whole.count
    return [
        replace(whole, first=first, count=min(size, last - first))
        for first in range(whole.first, last, size)
    ]


def to_json(batch: Batch) -> str:
    """Inverse of `from_json`."""
    fields = asdict(batch)
    fields["options"] |= {
        "kernel": str(batch.options.kernel),
        "initrd": None if batch.options.initrd is None else str(batch.options.initrd),
        "recording": None,
    }
    return json.dumps(fields)


def from_json(text: str) -> Batch:
    """A batch as it was sent."""
    fields: dict[str, Any] = json.loads(text)
    options = fields["options"]
    options["kernel"] = Path(options["kernel"])
    options["initrd"] = None if options["initrd"] is None else Path(options["initrd"])
    options["decisions"] = ()
    limits, work = fields["limits"], fields["work"]
    limits["patterns"] = tuple((kind, text) for kind, text in limits["patterns"])
    work["busy"] = tuple((tick, ticks) for tick, ticks in work["busy"])
    return Batch(
        BootOptions(**options), fields["kernel"], fields["initrd"], Start(**fields["start"]),
        Limits(**limits), fields["strategy"], Workload(**work), fields["first"], fields["count"],
        tuple(fields["kinds"]),
    )  # fmt: skip


def play_batch(batch: Batch) -> Report:
    """Boot and run the schedules, here. BadInput if the files are others than the sender's."""
    options = batch.options
    for path, wanted in ((options.kernel, batch.kernel), (options.initrd, batch.initrd)):
        if path is not None and file_digest(path) != wanted:
            raise BadInput(f"{path}: another file than where the search was started")
    machine = boot(options, StreamConsole(None))
    if go_to_start(machine, batch.start) is not None or machine.ticks != batch.work.start:
        raise TrialError("the run is another one than where the search was started")
    trials = Trials(machine, batch.limits)
    orders = set()
    found = []
    for number in range(batch.first, batch.first + batch.count):
        outcome = trials.run(make_schedule(batch.strategy, number, batch.work))
        orders.add(outcome.schedule)
        if outcome.kind in batch.kinds:
            found.append((number, outcome))
    return Report(batch.count, tuple(sorted(orders)), tuple(found))


def run_apart(text: str) -> str:
    """The report on a batch, both as JSON, by a process of its own. WdbgError if it failed."""
    command = [sys.executable, "-m", "wdbg.explore.batch"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise WdbgError(f"a batch of schedules failed: {done.stderr.strip()[-400:]}")
    return done.stdout


def report_to_json(report: Report) -> str:
    """Inverse of `report_from_json`."""
    found = [
        [number, {**asdict(replace(o, rows=array("q"))), "rows": _packed(o.rows)}]
        for number, o in report.found
    ]
    return json.dumps({"done": report.done, "orders": report.orders, "found": found})


def _packed(rows: array[int]) -> str:
    return base64.b64encode(rows.tobytes()).decode()


def report_from_json(text: str) -> Report:
    """A report as it was sent."""
    fields = json.loads(text)
    found = []
    for number, outcome in fields["found"]:
        rows = array("q")
        rows.frombytes(base64.b64decode(outcome["rows"]))
        found.append((int(number), Outcome(**outcome | {"rows": rows})))
    return Report(int(fields["done"]), tuple(fields["orders"]), tuple(found))


def main() -> int:
    """Serve one batch."""
    try:
        report = play_batch(from_json(sys.stdin.read()))
    except WdbgError as error:
        print(error.message, file=sys.stderr)
        return error.exit_status
    print(report_to_json(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
