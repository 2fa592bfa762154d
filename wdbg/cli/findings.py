"""Findings on the command line: suppression flags, printing, exit status."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

from wdbg.analysis.findings import Finding, is_failure
from wdbg.analysis.suppressions import Suppressions, read_suppressions, suppression_lines


def add_suppression_flags(parser: argparse.ArgumentParser) -> None:
    """Declare --suppress and --gen-suppressions."""
    add = parser.add_argument
    add("--suppress", action="append", type=Path, default=[], metavar="FILE",
        help="findings that are known: an identity or kind:glob a line")  # fmt: skip
    add("--gen-suppressions", action="store_true",
        help="print lines for such a file instead of the report")  # fmt: skip


def suppressions_of(args: argparse.Namespace) -> Suppressions:
    """The files that the flags name, read: do it before the work, they may be wrong."""
    return read_suppressions(args.suppress)


def print_findings(
    findings: Sequence[Finding],
    suppressions: Suppressions,
    *,
    as_json: bool = False,
    generate: bool = False,
    what: str = "problems",
    file: TextIO | None = None,
) -> int:
    """Print what was found; returns the exit status: 1 if a finding is neither suppressed nor
    doubtful. `file`: standard output unless given."""
    out = file or sys.stdout
    kept = [finding for finding in findings if not suppressions.match(finding)]
    if generate:
        for line in suppression_lines(kept):
            print(line, file=out)
    elif as_json:
        document = {
            "findings": [asdict(finding) for finding in kept],
            "suppressed": len(findings) - len(kept),
        }
        print(json.dumps(document, indent=2), file=out)
    else:
        _print_text(kept, len(findings) - len(kept), what, out)
    return int(any(is_failure(finding) for finding in kept))


def _print_text(kept: Sequence[Finding], suppressed: int, what: str, out: TextIO) -> None:
    for number, finding in enumerate(kept, 1):
        print("=" * 78, file=out)
        print(f"[{number}/{len(kept)}] {finding.kind}: {finding.title}", file=out)
        print(f"identity {finding.identity}, tick {finding.tick}", file=out)
        if finding.doubtful:
            print(f"doubtful: {finding.doubtful}", file=out)
        print("-" * 78, file=out)
        print(finding.text.rstrip("\n"), file=out)
    if kept:
        print("=" * 78, file=out)
    certain = sum(1 for finding in kept if is_failure(finding))
    notes = [
        f"{count} {word}"
        for count, word in ((len(kept) - certain, "doubtful"), (suppressed, "suppressed"))
        if count
    ]
    more = f" ({', '.join(notes)})" if notes else ""
    noun = what.removesuffix("s") if certain == 1 else what
    print(f"{certain or 'no'} {noun} found{more}", file=out)
