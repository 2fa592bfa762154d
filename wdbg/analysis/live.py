"""`python -m wdbg.analysis.live`: the process that checks a guest while it runs.

It reads what the writer of a trace file reads (`wdbg.trace.feed`), decodes it once, feeds it to
the checks and, if that is wanted, to a file too. The guest's process pays no more than for a trace.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wdbg.analysis.checks import CHECKS, Check, CheckSpec, make_check
from wdbg.analysis.findings import to_json
from wdbg.trace.batch import Batch
from wdbg.trace.feed import TraceHeader
from wdbg.trace.record import Recording, add_shared_flag, record, shared_ring
from wdbg.trace.tables import Row, Tables


class LiveChecks:
    """An `Observer` of what is recorded: feeds checks, and keeps the tables' rows for them."""

    def __init__(self, specs: Sequence[CheckSpec], findings: Path) -> None:
        """`findings`: the file that gets the findings at the end, as JSON."""
        self._specs = specs
        self._path = findings
        self._checks: list[Check] = []
        self._tables = Tables()

    def header(self, header: TraceHeader) -> None:
        """The recording starts."""
        self._checks = [make_check(spec, header) for spec in self._specs]

    def rows(self, rows: Sequence[Row]) -> None:
        """Rows of a table."""
        self._tables.add(rows)

    def batch(self, batch: Batch) -> None:
        """Events."""
        for check in self._checks:
            check.batch(batch)

    def end(self, facts: dict[str, Any]) -> None:
        """No more will come."""
        found = [
            finding for check in self._checks for finding in check.findings(self._tables, facts)
        ]
        self._path.write_text(to_json(found), encoding="utf-8")


def main() -> int:
    """Exit status 0 when all was checked, and the file, if any, is whole."""
    parser = argparse.ArgumentParser(prog="python -m wdbg.analysis.live")
    parser.add_argument("checks", help="names, with commas between them")
    parser.add_argument("findings", type=Path, help="file for what is found, as JSON")
    parser.add_argument("--trace", type=Path, help="write a trace file, too")
    add_shared_flag(parser)
    arguments = parser.parse_args()
    specs = [CHECKS[name] for name in arguments.checks.split(",")]
    checks = LiveChecks(specs, arguments.findings)
    return record(Recording(arguments.trace, checks, shared_ring(arguments)))


if __name__ == "__main__":
    sys.exit(main())
