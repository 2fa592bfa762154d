"""The checks that `wdbg run --check` knows, and what a check of a trace is.

A check that reads events is fed batches in order, by a process of its own while the guest runs
(`wdbg.analysis.live`), or from a file; it is the same code. A check without a `maker` works inside
the guest's process and needs no events (`hang`).
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from wdbg.errors import BadInput

if TYPE_CHECKING:  # the guest's process imports this module: it must stay light
    from wdbg.analysis.findings import Finding
    from wdbg.trace.batch import Batch
    from wdbg.trace.events import Table
    from wdbg.trace.feed import TraceHeader
    from wdbg.trace.reader import Trace
    from wdbg.trace.tables import Tables


class Check(Protocol):
    """Something that goes over a trace. Its maker is called with the trace's header."""

    tables: tuple[Table, ...]
    """Events that it wants; batches hold others, too."""

    def batch(self, batch: Batch) -> None:
        """The next events. Where events were lost there is a LOST event among them."""

    def lose(self) -> None:
        """A part of the trace is missing here."""

    def findings(self, tables: Tables, facts: dict[str, Any]) -> list[Finding]:
        """The end: what was found, most important first. `facts`: see `Trace.facts`; empty if
        the recorder was cut off."""


@dataclass(frozen=True, slots=True)
class CheckSpec:
    """A check's place in the registry."""

    name: str
    text: str
    """What it looks for, for help texts."""
    what: str
    """Plural of what it finds: "2 ... found"."""
    events: tuple[str, ...] = ()
    """What has to be recorded, as for --events."""
    annotated: tuple[str, ...] = ()
    """The same for kernels with lockdep's annotations; (): as `events`."""
    maker: str = ""
    """"module:name" of what is called with a TraceHeader and makes a `Check`."""


CHECKS: dict[str, CheckSpec] = {
    spec.name: spec
    for spec in (
        CheckSpec(
            "locks",
            "locking that could deadlock",
            "locking problems",
            events=("lock", "sched", "irq", "syscall"),
            annotated=("annotations", "waits", "sched", "irq"),
            maker="wdbg.analysis.lockdep.check:LockCheck",
        ),
        CheckSpec("races", "accesses that race", "data races"),
    )
}
"""By name. Others are added here as they come."""


def checks_named(text: str) -> list[CheckSpec]:
    """Those of a comma-separated list; BadInput for names that are none."""
    names = list(dict.fromkeys(filter(None, text.split(","))))
    unknown = [name for name in names if name not in CHECKS]
    if unknown or not names:
        raise BadInput(
            f"--check {text}: {', '.join(unknown) or 'nothing'} cannot be checked",
            f"choose from {','.join(CHECKS)}",
        )
    return [CHECKS[name] for name in names]


def make_check(spec: CheckSpec, header: TraceHeader) -> Check:
    """A new one. Imports what it needs, numpy among it."""
    module, _, name = spec.maker.partition(":")
    maker: Callable[[TraceHeader], Check] = getattr(importlib.import_module(module), name)
    return maker(header)


def checked_header(trace: Trace) -> TraceHeader:
    """A trace's header with what checks want to know of the kernel, as far as it is known."""
    symbols, module = trace.facts.get("symbols"), trace.facts.get("module")
    return replace(
        trace.header,
        symbols={str(name): int(value) for name, value in symbols.items()}
        if isinstance(symbols, dict)
        else {},
        module=_same(module, trace.header.kernel_hash) if isinstance(module, str) else "",
    )


def _same(path: str, digest: str) -> str:
    """The path if the file there has that SHA-256, else ""."""
    try:
        with open(path, "rb") as file:
            return path if hashlib.file_digest(file, "sha256").hexdigest() == digest else ""
    except OSError:
        return ""


def run_checks(trace: Trace, checks: Iterable[Check]) -> list[Finding]:
    """Feed an open trace to checks, and return what they find."""
    from wdbg.trace.chunk import has_kind, mask_of
    from wdbg.trace.events import KINDS_OF, Table

    running = list(checks)
    wanted = {Table.LOST, *(table for check in running for table in check.tables)}
    kinds = mask_of([kind for table in wanted for kind in KINDS_OF[table]])
    expected = trace.entries[0].sequence if trace.entries else 0
    for entry in trace.entries:
        batch = None
        gap = entry.sequence != expected
        expected = entry.sequence + 1
        if entry in trace.chunks and has_kind(entry, kinds):
            batch = trace.batch(entry)
            gap = gap or batch is None
        if gap:
            for check in running:
                check.lose()
        if batch is not None:
            for check in running:
                check.batch(batch)
    return [finding for check in running for finding in check.findings(trace.tables, trace.facts)]
