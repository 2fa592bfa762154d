"""Fixtures for machines over mini kernels."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runtime.minikernel import machine
from wdbg.runtime.engine import unwatch_parks


class Tape:
    """A console that keeps what the guest writes and plays prepared input."""

    interactive = False

    def __init__(self, *keys: bytes) -> None:
        self.written = b""
        self.keys = list(keys)
        self.is_left = False

    def write(self, data: bytes) -> None:
        self.written += data

    def poll(self) -> bytes:
        return self.keys.pop(0) if self.keys else b""

    def idle(self, wait_ns: int | None) -> tuple[bytes, int] | None:
        if self.keys:
            return self.keys.pop(0), 0
        return None if wait_ns is None else (b"", wait_ns)

    def look(self) -> None:
        pass

    def wake_on(self, fds) -> None:
        pass

    def window_size(self) -> tuple[int, int]:
        return 25, 80

    def left(self) -> bool:
        return self.is_left

    def close(self) -> None:
        pass


@pytest.fixture(name="tape")
def tape_fixture() -> Tape:
    return Tape()


@pytest.fixture(name="boot")
def boot_fixture(tmp_path: Path, tape: Tape):
    """boot(body, ...) -> machine, with `tape` as its console."""
    count = 0

    def start(body: str, **options):
        nonlocal count
        count += 1
        return machine(body, tmp_path / f"kernel{count}", options.pop("console", tape), **options)

    yield start
    unwatch_parks()
