"""Mutated and cut-off dumps: `python -m tests.dump.fuzz_dump --mutations 10000 DUMP`.

Each is reported or refused with an error of ours, in a process with a memory limit and a deadline;
anything else ends the run and leaves the file.
"""

from __future__ import annotations

import argparse
import random
import resource
import signal
import tempfile
from pathlib import Path

from wdbg.analysis.crash.page import html_page
from wdbg.analysis.crash.report import crash_report
from wdbg.analysis.crash.show import text_report
from wdbg.dump.file import read_dump
from wdbg.errors import WdbgError

MEMORY_LIMIT = 4 << 30
SECONDS = 60
"""For one dump."""


def mutate(data: bytes, random_: random.Random) -> bytes:
    """Bytes changed, parts overwritten by others, the end cut off."""
    changed = bytearray(data)
    for _ in range(random_.choice((1, 1, 2, 8, 64))):
        at = random_.randrange(len(changed))
        if random_.random() < 0.8:
            changed[at] = random_.randrange(256)
        else:
            size = random_.randrange(1, 64)
            other = random_.randrange(len(changed))
            changed[at : at + size] = changed[other : other + size]
    if random_.random() < 0.2:
        del changed[random_.randrange(len(changed)) :]
    return bytes(changed)


def main() -> int:
    """Run them all; 0 if none did anything else."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--mutations", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("dump", type=Path)
    args = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
    data = args.dump.read_bytes()
    random_ = random.Random(args.seed)
    counts = {"reported": 0, "refused": 0}
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "mutated.dump"
        for _ in range(args.mutations):
            path.write_bytes(mutate(data, random_))
            signal.alarm(SECONDS)
            try:
                report = crash_report(read_dump(path), path)
                text_report(report)
                html_page(report)
                counts["reported"] += 1
            except WdbgError:
                counts["refused"] += 1
            except BaseException:
                Path("mutated.dump").write_bytes(path.read_bytes())
                raise
            finally:
                signal.alarm(0)
    print(f"{counts['reported']} reported, {counts['refused']} refused")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
