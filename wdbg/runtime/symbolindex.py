"""The index of a module's symbols, built by a process of its own: the one that runs a guest forks
often, and what a scan of 20 MB of DWARF leaves in its heap would slow down each fork.

`python -m wdbg.runtime.symbolindex MODULE` builds it and writes the part that is done, 0 to 1, a
line each; or at the end a JSON object {"error": line, "hint": line}.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from symbols.dwarf.index import Index
from symbols.errors import SymbolsError
from wdbg.errors import BadInput, WdbgError

SHOW_PROGRESS_AFTER = 1.0
"""Seconds after which a progress bar appears."""
_STEP = 0.01


def open_index(path: Path) -> Index:
    """The index of the module at `path`, with a progress bar if it takes a while to build.

    BadInput if the file cannot be read or is no module, or if the cache cannot be written.
    """
    try:
        found = Index.cached(path)
        if found is None:
            _build_apart(path)
            found = Index.open(path)
    except SymbolsError as error:
        raise BadInput(f"{path}: {error}") from None
    except OSError as error:
        raise _unusable(path, error) from None
    return found


def _unusable(path: Path, error: OSError) -> BadInput:
    if error.filename is not None and Path(error.filename) == path:
        return BadInput(f"{path}: {error.strerror}")
    hint = "set XDG_CACHE_HOME to a directory that can be written"
    return BadInput(f"cannot keep the index of {path.name}: {error}", hint)


def _build_apart(path: Path) -> None:
    from wdbg.runtime.progress import ProgressBar

    command = [sys.executable, "-m", "wdbg.runtime.symbolindex", str(path)]
    bar = ProgressBar(f"indexing {path.name}", SHOW_PROGRESS_AFTER)
    started = time.monotonic()
    failure: WdbgError | None = None
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        for line in process.stdout:
            message = json.loads(line)
            if isinstance(message, dict):
                failure = BadInput(message["error"], message["hint"])
            else:
                bar.update("reading DWARF", message, time.monotonic() - started)
    bar.close()
    if failure is not None:
        raise failure
    if process.returncode:
        raise WdbgError(f"the process that reads DWARF ended with status {process.returncode}")


def main() -> int:
    """Build the index of the module that the command line names; 1 if that failed."""
    path = Path(sys.argv[1])
    last = 0.0

    def progress(fraction: float) -> None:
        nonlocal last
        if fraction >= last + _STEP:
            last = fraction
            print(round(fraction, 3), flush=True)

    try:
        Index.open(path, progress)
    except SymbolsError as error:
        print(json.dumps({"error": f"{path}: {error}", "hint": None}), flush=True)
        return 1
    except OSError as error:
        failure = _unusable(path, error)
        print(json.dumps({"error": failure.message, "hint": failure.hint}), flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
