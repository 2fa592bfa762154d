"""Builds the example guest's kernels through `wdbg guest build`, which caches them."""

import subprocess
from collections.abc import Sequence
from pathlib import Path


def build(python: Path, names: Sequence[str]) -> int:
    """Build each named configuration of examples/guest unless the cache has it.

    The build shows its own progress and its own line about what is wrong. Returns the exit status
    of the first build that fails, 0 if none does.
    """
    for name in names:
        fragments = [] if name == "default" else ["--config", name]
        command = [str(python.with_name("wdbg")), "guest", "build", *fragments]
        status = subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode
        if status:
            return max(status, 1)  # one that a signal ended has a negative status
    return 0
