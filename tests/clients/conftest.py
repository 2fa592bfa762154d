"""Fixtures of the tests that drive real clients."""

import subprocess
import sys

import pytest

from wdbg.runtime.guest import Guest


@pytest.fixture(scope="session")
def variants(guest: Guest) -> None:
    """The kernel in all variants that debuggers ask for: compiling one takes longer than a
    client's test should have to wait."""
    for variant in ("debug", "watch", "edit"):
        command = [sys.executable, "-m", "wdbg", "run", "--variant", variant, "--exec", "true"]
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True)
