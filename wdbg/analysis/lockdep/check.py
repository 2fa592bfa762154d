"""The check `locks`: feeds lock events to the engine."""

from __future__ import annotations

from typing import Any

from wdbg.analysis.findings import Finding
from wdbg.trace.batch import Batch
from wdbg.trace.events import Table
from wdbg.trace.feed import TraceHeader
from wdbg.trace.tables import Tables


class LockCheck:
    """A `Check`."""

    tables = (Table.LOCK,)

    def __init__(self, header: TraceHeader) -> None:
        self._ns_per_tick = header.ns_per_tick

    def batch(self, batch: Batch) -> None:
        """The next events."""

    def findings(self, tables: Tables, facts: dict[str, Any]) -> list[Finding]:
        """What was found."""
        return []
