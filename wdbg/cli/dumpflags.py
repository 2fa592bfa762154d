"""`wdbg run --dump --dump-on`: the flags. What they ask for is imported only if they do."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from wdbg.errors import BadInput

if TYPE_CHECKING:
    from wdbg.runtime.boot import BootOptions

EVENTS = ("panic", "hang", "trap", "exit")
DEFAULT_EVENTS = "panic,hang,trap"
DEFAULT_FILE = Path("wdbg.dump")


@dataclass(frozen=True, slots=True)
class DumpRequest:
    """When a dump is to be written, and where."""

    path: Path
    events: frozenset[str]

    def prepare(self, options: BootOptions) -> BootOptions:
        """The run in the variant whose frames have values, unless it records a trace."""
        if options.variant == "tick" and options.recording is None:
            return replace(options, variant="debug")
        return options


def add_dump_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add = parser.add_argument
    add("--dump", type=Path, metavar="FILE",
        help=f"write a dump there (default {DEFAULT_FILE}; see wdbg dump)")  # fmt: skip
    add("--dump-on", metavar="LIST",
        help=f"when: {','.join(EVENTS)} (default {DEFAULT_EVENTS})")  # fmt: skip


def dump_wanted(args: argparse.Namespace) -> DumpRequest | None:
    """What the flags ask for. BadInput for what cannot be."""
    path: Path | None = args.dump
    if path is None and args.dump_on is None:
        trace: Path | None = args.trace
        if trace is None or args.ring is None:
            return None
        path = trace.with_suffix(".dump")  # a flight recorder's trace has one beside it
    path = path or DEFAULT_FILE
    text = DEFAULT_EVENTS if args.dump_on is None else args.dump_on
    events = tuple(filter(None, text.split(",")))
    unknown = [event for event in events if event not in EVENTS]
    if unknown or not events:
        raise BadInput(
            f"--dump-on {text}: {', '.join(unknown) or 'never'} is no event",
            f"choose from {','.join(EVENTS)}",
        )
    if path.is_dir() or not path.parent.is_dir():
        raise BadInput(f"--dump {path}: no place for a file")
    return DumpRequest(path, frozenset(events))
