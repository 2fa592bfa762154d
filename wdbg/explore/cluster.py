"""A search by the workers of a Dask cluster (the extra `dask`), in batches.

`python -m wdbg.explore.cluster ADDRESS MOST` is the client: a process of its own, since it has
threads, and the one that explores forks. It reads a batch as JSON, writes a JSON object a line:
{"progress": [...]}, at the end {"result": ...} or {"error": ...}.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import astuple
from typing import Any

from wdbg.errors import BadInput, WdbgError
from wdbg.explore.batch import (
    Batch,
    Report,
    batches,
    from_json,
    report_from_json,
    report_to_json,
    run_apart,
    to_json,
)
from wdbg.explore.search import Progress, Result

BATCH = 500
"""Schedules of a batch: each boots a guest first, which takes as long as some dozens of them."""


def connect(address: str) -> Any:
    """A client of the cluster. BadInput without Dask, or if nobody answers."""
    try:
        distributed = importlib.import_module("distributed")
    except ImportError:
        raise BadInput("--dask: Dask is not installed", "pip install 'wdbg[dask]'") from None
    try:
        return distributed.Client(address, timeout="10s")
    except (OSError, ValueError) as error:
        raise BadInput(f"--dask {address}: {error}") from None


def search(
    client: Any,
    completed: Callable[[list[Any]], Any],
    whole: Batch,
    *,
    most: int,
    show: Callable[[Progress], None],
    size: int = BATCH,
) -> Result:
    """Run the batches on the cluster; `completed` yields futures as they end
    (`distributed.as_completed`). Ends after the batches before the `most`-th finding's are done:
    which findings are reported does not depend on who was fast."""
    started = time.monotonic()
    pieces = batches(whole, size)
    futures = [client.submit(run_apart, to_json(piece), pure=True) for piece in pieces]
    first = {future: piece.first for future, piece in zip(futures, pieces, strict=True)}
    result = Result()
    open_ = dict(first)
    last = whole.first + whole.count
    for future in completed(futures):
        number = open_.pop(future)
        if number >= last:
            continue
        report = report_from_json(future.result())
        result.done += report.done
        result.orders.update(report.orders)
        for number, outcome in report.found:
            key = outcome.identity
            result.counts[key] = result.counts.get(key, 0) + 1
            if key not in result.found or number < result.found[key][0]:
                result.found[key] = number, outcome
        if most and len(result.found) >= most:
            last = sorted(number for number, _ in result.found.values())[most - 1]
            for other, begins in open_.items():
                if begins > last:
                    other.cancel()
            if all(begins > last for begins in open_.values()):
                break
        seconds = time.monotonic() - started
        show(Progress(result.done, len(result.orders), len(result.found), seconds))
    result.seconds = time.monotonic() - started
    return result


def search_apart(
    address: str, whole: Batch, most: int, show: Callable[[Progress], None]
) -> Result:
    """`search`, by a process that may have threads. WdbgError if it fails."""
    command = [sys.executable, "-m", "wdbg.explore.cluster", address, str(most)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(to_json(whole))
        process.stdin.close()
        for line in process.stdout:
            message = json.loads(line)
            if "progress" in message:
                show(Progress(*message["progress"]))
            elif "error" in message:
                kind = BadInput if message["status"] == BadInput.exit_status else WdbgError
                raise kind(message["error"], message["hint"])
            else:
                return _result(message["result"])
    raise WdbgError(f"the client of {address} ended with status {process.returncode}")


def _result(fields: dict[str, Any]) -> Result:
    report = report_from_json(fields["report"])
    found = {outcome.identity: (number, outcome) for number, outcome in report.found}
    return Result(
        report.done, set(report.orders), found, fields["counts"], fields["seconds"]
    )


def main() -> int:
    """Be the client."""

    def tell(**fields: object) -> None:
        print(json.dumps(fields), flush=True)

    try:
        client = connect(sys.argv[1])
        completed = importlib.import_module("distributed").as_completed
        result = search(
            client, completed, from_json(sys.stdin.read()), most=int(sys.argv[2]),
            show=lambda progress: tell(progress=astuple(progress)),
        )  # fmt: skip
    except WdbgError as error:
        tell(error=error.message, hint=error.hint, status=error.exit_status)
        return error.exit_status
    report = Report(result.done, tuple(result.orders), tuple(result.found.values()))
    tell(
        result={
            "report": report_to_json(report), "counts": result.counts, "seconds": result.seconds
        }
    )  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
