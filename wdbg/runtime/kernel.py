"""A kernel made ready to run: rewritten and compiled, from the cache or by a process of its own.

Compilation uses all cores, and its threads would not survive a fork: so it never happens in the
process that runs the guest (DESIGN D3).
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from wdbg.errors import BadInput, WdbgError
from wdbg.instrument.cache import Cache
from wdbg.instrument.port import Port
from wdbg.instrument.variant import Variant
from wdbg.runtime.code import CompiledCode
from wdbg.runtime.engine import ENGINE_CONFIG, Engine, EngineError, Module

SHOW_PROGRESS_AFTER = 1.0
"""Seconds after which a progress bar appears."""


class Kernel:
    """A compiled kernel and what the runtime has to know of it."""

    def __init__(self, path: Path, module: Module, code: CompiledCode) -> None:
        self.path = path
        self.module = module
        self.code = code
        memory = code.facts.memory
        if memory is None:
            raise BadInput(f"{path}: imports no memory", "link with --import-memory")
        if not memory.shared:
            raise BadInput(f"{path}: its memory is not shared", "link with --shared-memory")
        self.memory = memory


def read_module(path: Path) -> bytes:
    """The bytes of a module file; BadInput if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None


def load_kernel(
    path: Path, variant: Variant, port: Port, cache: Cache, engine: Engine
) -> Kernel:
    """The kernel in `variant`; rewrites and compiles it if the cache does not have it."""
    data = read_module(path)
    key = cache.key(data, variant, port, ENGINE_CONFIG)

    def make(directory: Path) -> None:
        _compile_apart(path, variant, directory)

    code = CompiledCode(cache.get_or_make(key, make))
    try:
        module = engine.load(code.machine_code)
    except EngineError as error:
        raise WdbgError(f"{path}: compiled code does not load: {error}") from None
    return Kernel(path, module, code)


def _compile_apart(path: Path, variant: Variant, directory: Path) -> None:
    """Run `wdbg.runtime.compile` and show its progress."""
    from wdbg.runtime.progress import ProgressBar

    command = [
        sys.executable, "-m", "wdbg.runtime.compile", str(path), str(directory)
    ]  # fmt: skip
    bar = ProgressBar(f"preparing {path.name}", SHOW_PROGRESS_AFTER)
    started = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        process.stdin.write(variant.to_json().encode())
        process.stdin.close()
        failure: WdbgError | None = None
        for line in process.stdout:
            message = json.loads(line)
            if "error" in message:
                kind = BadInput if message["status"] == BadInput.exit_status else WdbgError
                failure = kind(message["error"], message.get("hint"))
            else:
                bar.update(message["step"], message["fraction"], time.monotonic() - started)
    bar.close()
    if failure is not None:
        raise failure
    if process.returncode:
        raise WdbgError(f"the compiler process ended with status {process.returncode}")
