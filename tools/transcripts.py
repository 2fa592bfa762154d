#!/usr/bin/env python3
"""Write examples/bugs/TRANSCRIPTS.md: each deadlock and hang, what finds it, and its report.

    python tools/transcripts.py

needs the default guest (`wdbg guest build`) and takes a minute or two.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

TREE = Path(__file__).resolve().parent.parent
BUGS = TREE / "examples" / "bugs"
KINDS = ("deadlock", "hang")
LONGEST = 90
"""Lines of a report; the rest is counted."""

HEAD = """\
# What wdbg says of the bugs on demand

Made by `python tools/transcripts.py`. What the guest itself prints is left out.
"""

_KERNEL_LINE = re.compile(r"^\[ *\d+\.\d+\] ")
_SEARCHED = "Only some schedules hang; `wdbg explore` finds one and records it:"


def transcript(command: list[str]) -> str:
    """The command, what it prints and its exit status, as a block of Markdown."""
    with tempfile.TemporaryDirectory() as directory:
        done = subprocess.run(
            [sys.executable, "-m", "wdbg", *command], cwd=directory, capture_output=True,
            text=True, stdin=subprocess.DEVNULL, timeout=600, check=False,
            env=os.environ | {"PYTHONPATH": str(TREE)},
        )  # fmt: skip
    console = [line for line in done.stdout.splitlines() if not _KERNEL_LINE.match(line)]
    said = [line for line in done.stderr.splitlines() if "preparing" not in line]
    lines = [line.rstrip() for line in (*console, *said) if "indexing" not in line]
    if len(lines) > LONGEST:
        lines[LONGEST:] = [f"... {len(lines) - LONGEST} more lines"]
    words = [f"'{word}'" if " " in word else word for word in command]
    text = "\n".join([f"$ wdbg {' '.join(words)}", *lines, "$ echo $?", str(done.returncode)])
    return f"```\n{text}\n```\n"


def section(case: dict[str, Any]) -> str:
    """One case."""
    name = case["name"]
    parts = [f"## {name}\n", f"{case['summary'].capitalize()}: [{case['file']}]({case['file']}).\n"]
    append = f"quiet bugs.case={name}"
    if case["finding"] != "lost-wakeup":
        run = ["run", "--append", append, "--exec", "true", "--check", "locks"]
        parts.append(transcript(run))
    if case["shows"] == "explore":
        loud = f"bugs.case={name}"  # the search waits for what the case prints
        parts += [_SEARCHED + "\n", transcript(["explore", "--append", loud, "--exec", "true"])]
    return "\n".join(parts)


def main() -> int:
    """Returns the exit status."""
    cases = tomllib.loads((BUGS / "cases.toml").read_text(encoding="utf-8"))["case"]
    chosen = [case for case in cases if case["kind"] in KINDS]
    sections = []
    for case in chosen:
        print(case["name"], file=sys.stderr, flush=True)
        sections.append(section(case))
    (BUGS / "TRANSCRIPTS.md").write_text("\n".join([HEAD, *sections]), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
