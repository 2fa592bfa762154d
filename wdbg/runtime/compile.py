"""`python -m wdbg.runtime.compile KERNEL DIRECTORY`: rewrite and compile, on all cores.

A process of its own (see `kernel`).  Reads the variant as JSON from standard input, writes one JSON
object a line to standard output:
{"step": text, "fraction": 0..1}, or at the end {"error": line, "hint": line, "status": number}.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path

from symbols.errors import SymbolsError
from wdbg.errors import BadInput, WdbgError
from wdbg.instrument.rewrite import instrument_kernel
from wdbg.instrument.variant import Variant
from wdbg.runtime.abi.linux_wasm import PORT
from wdbg.runtime.code import store_code
from wdbg.runtime.engine import Engine, EngineError, Module
from wdbg.runtime.kernel import read_module

REWRITE_SHARE = 0.15
"""Part of the work that rewriting is; the rest is compilation, whose progress is not known."""
COMPILE_SECONDS_PER_MB = 0.6
"""A guess that only moves the bar."""


def _tell(**fields: object) -> None:
    print(json.dumps(fields), flush=True)


def _compile(wasm: bytes) -> Module:
    """Compile while a thread moves the bar towards, but not to, its end."""
    expected = COMPILE_SECONDS_PER_MB * len(wasm) / 1e6
    finished = threading.Event()

    def report() -> None:
        started = time.monotonic()
        while not finished.wait(0.1):
            part = (time.monotonic() - started) / expected
            share = REWRITE_SHARE + (1 - REWRITE_SHARE) * part / (1 + part)
            _tell(step="compiling", fraction=share)

    reporter = threading.Thread(target=report, daemon=True)
    reporter.start()
    try:
        return Engine(parallel=True).compile(wasm)
    finally:
        finished.set()
        reporter.join()


def make(path: Path, variant: Variant, directory: Path) -> None:
    """Rewrite and compile the kernel at `path` into `directory`."""
    data = read_module(path)

    def progress(fraction: float) -> None:
        _tell(step="rewriting", fraction=REWRITE_SHARE * fraction)

    try:
        done = instrument_kernel(data, variant, PORT, progress)
        store_code(directory, _compile(done.wasm), done)
    except SymbolsError as error:
        raise BadInput(f"{path}: {error}", "is it a kernel? wdbg doctor KERNEL tells") from None
    except EngineError as error:
        raise BadInput(f"{path}: does not compile: {str(error).splitlines()[0]}") from None
    except OSError as error:
        raise BadInput(f"cache {directory}: {error.strerror}", "free some space") from None


def main() -> int:
    """Run; errors go to standard output as JSON."""
    try:
        make(Path(sys.argv[1]), Variant.from_json(sys.stdin.read()), Path(sys.argv[2]))
    except WdbgError as error:
        _tell(error=error.message, hint=error.hint, status=error.exit_status)
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
