"""`wdbg run --trace`: what the flags ask the rewriter for, and the trace's tables."""

from __future__ import annotations

import argparse
import fnmatch
import hashlib
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from symbols.dwarf.index import Index
from symbols.wasm.dataplan import data_ranges
from symbols.wasm.module import Module
from wdbg.analysis.checks import CheckSpec, checks_named
from wdbg.analysis.findings import Finding, from_json
from wdbg.cli.stacks import packed
from wdbg.cli.traceflags import DEFAULT_EVENTS, EVENTS, FLAGS
from wdbg.errors import BadInput, WdbgError
from wdbg.instrument import layout
from wdbg.instrument.points import Recording
from wdbg.linux.annotations import annotation_points
from wdbg.linux.lockpoints import WAITS, lock_points
from wdbg.linux.schedpoints import (
    TaskFields,
    irq_points,
    mark_points,
    preempt_points,
    sched_points,
    switch_points,
    syscall_points,
)
from wdbg.linux.tracefields import file_name_fields, task_fields
from wdbg.linux.tracetables import class_rows, function_table
from wdbg.runtime.boot import BootOptions
from wdbg.runtime.flight import FlightRecorder
from wdbg.runtime.kernel import read_module
from wdbg.runtime.machine import Machine
from wdbg.runtime.stop import Stop
from wdbg.runtime.symbolindex import open_index
from wdbg.runtime.tracer import TaskOffsets, Tracer
from wdbg.trace.feed import Feed, TraceHeader
from wdbg.trace.shared import SharedRing

_SIZE = re.compile(r"(\d+)([KMG]?)(?:i?B)?", re.IGNORECASE)
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
NOT_STACK = "!stack"
"""For --accesses: none of the running task's kernel stack."""
LEAST_RING, MOST_RING = 1 << 20, 64 << 30
"""Bytes that a flight recorder may be asked to keep."""


class TraceRequest:
    """A trace that the command line asks for."""

    def __init__(
        self,
        path: Path | None,
        kernel: Path,
        events: str = DEFAULT_EVENTS,
        calls: str = "default",
        functions: Sequence[str] = (),
        ring: int = 0,
        accesses: Sequence[str] = (),
        checks: Sequence[CheckSpec] = (),
    ) -> None:
        """`path`: None if only checks are to see it. `ring`: bytes that are kept, 0 = all. What
        `checks` need is recorded, too. BadInput if something makes no sense."""
        self.path = path
        self.kernel = kernel
        self.checks = tuple(spec for spec in checks if spec.maker)
        self.index = _index(kernel)
        text = events
        self.events = tuple(dict.fromkeys([*filter(None, text.split(",")), *self._needed()]))
        unknown = [name for name in self.events if name not in EVENTS]
        if unknown or not self.events:
            raise BadInput(
                f"--events {text}: {', '.join(unknown) or 'nothing'} cannot be recorded",
                f"choose from {','.join(EVENTS)}",
            )
        if ring and self.checks:
            raise BadInput("--ring cannot go with --check: a check needs all events")
        self.ring = ring
        self._check_path()
        self.fields = TaskFields() if self.index is None else task_fields(self.index)
        self.select = self._select(functions)
        self.ranges = tuple(self._range(text) for text in accesses if text != NOT_STACK)
        self.own_stack = self._stack_size() if NOT_STACK in accesses else 0
        self.recording = self._recording(calls)

    @classmethod
    def of(cls, args: argparse.Namespace, kernel: Path) -> TraceRequest | None:
        """What the flags ask for; None if no trace is to be recorded."""
        checks = checks_named(args.check) if args.check is not None else []
        events = args.events
        if args.trace is None:
            for flag in FLAGS:
                if getattr(args, flag) is not None:
                    raise BadInput(f"--{flag} needs --trace FILE")
            if not any(spec.maker for spec in checks):
                return None
            events = ""
        return cls(
            args.trace,
            kernel,
            DEFAULT_EVENTS if events is None else events,
            args.calls or "default",
            args.functions or (),
            0 if args.ring is None else _size(args.ring),
            args.accesses or (),
            checks,
        )

    def _needed(self) -> list[str]:
        """Events that the checks need."""
        annotated = self._has("lock_acquire")
        return [
            name for spec in self.checks for name in ((annotated and spec.annotated) or spec.events)
        ]

    def _check_path(self) -> None:
        if self.path is None:
            return
        try:
            os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666))
        except OSError as error:
            raise BadInput(f"--trace {self.path}: {error.strerror}") from None

    def _select(self, globs: Sequence[str]) -> tuple[str, ...]:
        """Globs of names; those of source files become the names of the files' functions."""
        selected: list[str] = []
        for glob in globs:
            sign, pattern = ("!", glob[1:]) if glob.startswith("!") else ("", glob)
            if "/" not in pattern:
                selected.append(sign + pattern)
                continue
            names = self._functions_in(pattern)
            if not names:
                raise BadInput(f"--functions {glob}: no function's source file is like that")
            selected += [sign + name for name in names]
        return tuple(selected)

    def _functions_in(self, pattern: str) -> list[str]:
        if self.index is None or not self.index.has_dwarf:
            raise BadInput(
                f"--functions {pattern}: {self.kernel} has no debug information",
                "select functions by name",
            )
        full = pattern + ("*" if pattern.endswith("/") else "")
        return sorted(
            {
                function.name
                for function in self.index.functions()
                if fnmatch.fnmatchcase(function.file, full)
                or fnmatch.fnmatchcase(function.file, "*/" + full)
            }
        )

    def _has(self, function: str) -> bool:
        return self.index is not None and bool(self.index.find_function(function))

    def _range(self, text: str) -> tuple[int, int]:
        """[start, end) of a variable, or as given."""
        start, colon, end = text.partition(":")
        try:
            pair = (int(start, 0), int(end, 0)) if colon else self._variable(text)
        except ValueError:
            raise BadInput(f"--accesses {text}: START:END are two numbers") from None
        if not 0 <= pair[0] < pair[1] <= 1 << 32:
            raise BadInput(f"--accesses {text}: no range of guest memory")
        return pair

    def _stack_size(self) -> int:
        """Bytes of a kernel stack."""
        found = None if self.index is None else self.index.variable("init_stack")
        size = 0 if found is None else found.type.size
        if not size or size & (size - 1):
            raise BadInput(f"--accesses {NOT_STACK}: how large stacks are is not known")
        return size

    def _variable(self, name: str) -> tuple[int, int]:
        found = None if self.index is None else self.index.variable(name)
        if found is None:
            raise BadInput(f"--accesses {name}: no variable of {self.kernel} has this name")
        return found.address, found.address + max(found.type.size, 1)

    def _recording(self, calls: str) -> Recording:
        points = list(mark_points())
        if "lock" in self.events:
            points += lock_points()
        elif "waits" in self.events:
            points += lock_points(WAITS)
        if "annotations" in self.events:
            points += annotation_points(self._has("lock_acquired"))
        if "sched" in self.events:
            points += sched_points(self.fields)
        else:
            points += switch_points()
        if "irq" in self.events:
            points += irq_points()
            if not self._has("trace_preempt_off"):
                points += preempt_points(self.fields)
        if "syscall" in self.events:
            points += syscall_points()
        return Recording(
            calls=calls if "call" in self.events else "none",
            select=self.select if "call" in self.events else (),
            points=tuple(points),
            current="__wasm_current",
            state=self.fields.interrupts(),
            accesses=(self.select or ("*",)) if "mem" in self.events else (),
            ranges=self.ranges,
            own_stack=self.own_stack,
        )

    # ---- a run ---------------------------------------------------------------------------------

    def start(self, machine: Machine, options: BootOptions) -> None:
        """Let the machine, which has not run yet, record."""
        self._options = options
        functions = machine.abi.functions()
        module = read_module(self.kernel)
        digest = hashlib.sha256(module).hexdigest()
        header = TraceHeader(
            kernel_hash=digest,
            kernel=self.kernel.name,
            seed=options.seed or 0,
            cpus=options.cpus,
            ns_per_tick=machine.ns_per_tick,
            command_line=options.command_line,
            events=",".join(self.events),
            functions=str(function_table(digest, module, functions, self.index)),
            module=str(self.kernel.resolve()),
            symbols=self._symbols(module) if self._locks() else {},
        )
        shared = shared_ring(self.ring)
        feed = Feed(self.path, header, self._reader(), shared)
        self._functions = functions
        fields = self.fields
        if "lock" in self.events:
            feed.classes(class_rows(digest, module, self.index))
        offsets = None
        if min(fields.pid, fields.tgid, fields.comm) >= 0:
            names = (-1, -1) if self.index is None else file_name_fields(self.index)
            offsets = TaskOffsets(fields.pid, fields.tgid, fields.comm, *names)
        sink = FlightRecorder(feed, shared) if self.ring else feed
        machine.tracer = Tracer(
            machine, sink, offsets, scheduling="sched" in self.events, shared=shared
        )

    def _locks(self) -> bool:
        return "lock" in self.events or "annotations" in self.events

    def _symbols(self, module: bytes) -> dict[str, int]:
        """What checks of locks need to know of the kernel's static data."""
        ranges = data_ranges(Module(module))
        found = {"static_end": max((each.end for each in ranges), default=0)}
        for name in ("__lockdep_no_validate__", "__lockdep_no_track__"):
            variable = None if self.index is None else self.index.variable(name)
            if variable is not None:
                found[name] = variable.address
        return found

    def _reader(self) -> list[str]:
        """The command that reads the trace, if checks are to see it."""
        if not self.checks:
            return []
        handle, self._findings = tempfile.mkstemp(prefix="wdbg-findings-")
        os.close(handle)
        names = ",".join(spec.name for spec in self.checks)
        command = [sys.executable, "-m", "wdbg.analysis.live", names, self._findings]
        return command if self.path is None else [*command, "--trace", str(self.path)]

    def finish(self, machine: Machine, stop: Stop) -> list[Finding]:
        """Finish the file; returns what the checks found. WdbgError if it could not be written."""
        tracer = machine.tracer
        if tracer is None:
            return []
        machine.tracer = None
        if self.ring:
            tracer.trigger(stop.kind.value)
        points = {point.function for point in self.recording.points}
        found = sorted(name for name in points if self._functions.index(name) is not None)
        tracer.close(
            {
                "stop": stop.kind.value,
                "message": stop.message,
                "ticks": machine.ticks,
                "virtual_ns": machine.now(),
                "switches": machine.switches,
                "run_hash": machine.digest(),
                "points_found": found,
                "points_missing": sorted(points.difference(found)),
                "recording": packed(self._options, machine.journal),
            }
        )
        return self._read_findings()

    def _read_findings(self) -> list[Finding]:
        if not self.checks:
            return []
        path = Path(self._findings)
        try:
            return from_json(path.read_bytes())
        except (OSError, ValueError) as error:
            raise WdbgError(f"the checks' findings cannot be read: {error}") from None
        finally:
            path.unlink(missing_ok=True)


def shared_ring(keep: int) -> SharedRing:
    """Memory for the ring, and for the last `keep` bytes of records. BadInput if there is none."""
    try:
        return SharedRing(layout.RING_SIZE, keep)
    except OSError as error:
        raise BadInput(f"--ring: no memory for {keep} bytes: {error.strerror}") from None


def _index(kernel: Path) -> Index | None:
    """The kernel's symbols; None if they cannot be read: traces do without."""
    try:
        return open_index(kernel)
    except BadInput:
        return None


def _size(text: str) -> int:
    """A number of bytes with K, M or G behind it."""
    found = _SIZE.fullmatch(text.strip())
    size = int(found[1]) * _UNITS[found[2].upper()] if found else 0
    if not LEAST_RING <= size <= MOST_RING:
        raise BadInput(f"--ring {text}: a size from 1M to 64G is needed", "--ring 64M")
    return size
