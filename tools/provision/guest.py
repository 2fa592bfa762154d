"""Builds the example guest's kernels through `wdbg guest build`, which caches them."""

from collections.abc import Sequence
from pathlib import Path

from provision.progress import CommandFailed, Progress, SetupError


def build(progress: Progress, tree: Path, python: Path, names: Sequence[str]) -> None:
    """Build each named configuration of examples/guest unless the cache has it.

    Raises SetupError with the build's own last line.
    """
    for name in names:
        fragments = [] if name == "default" else ["--config", name]
        with progress.step(f"guest kernel, {name}"):
            try:
                progress.run([str(python.with_name("wdbg")), "guest", "build", *fragments])
            except CommandFailed as failure:
                lines = failure.output.strip().splitlines() or ["the build failed"]
                raise SetupError(f"{lines[-1]} (log: {progress.log_path})") from None
