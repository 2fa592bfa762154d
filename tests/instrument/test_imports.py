"""What the instrumenter loads: no threads, and little in a process that only runs guests."""

import subprocess
import sys
from pathlib import Path

import pytest


def loaded(tree: Path, *modules: str) -> set[str]:
    """Names of all modules after importing these, in a fresh interpreter with one thread."""
    program = (
        f"import {', '.join(modules)}, os, sys\n"
        "assert len(os.listdir('/proc/self/task')) == 1, 'a thread was started'\n"
        "print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tree, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("name", ["rewrite", "cache", "result", "layout", "variant", "port"])
def test_no_module_loads_numpy_or_wasmtime(tree: Path, name: str) -> None:
    assert not loaded(tree, f"wdbg.instrument.{name}") & {"numpy", "wasmtime", "elftools"}


def test_a_guest_process_needs_no_parser(tree: Path) -> None:
    needed = [f"wdbg.instrument.{name}" for name in ("cache", "result", "layout", "port")]
    assert not loaded(tree, *needed) & {"construct", "symbols.wasm", "shutil", "tempfile"}
