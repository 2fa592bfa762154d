"""A guest that has booted and stands still."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from wdbg.dump.snapshot import Snapshot
from wdbg.runtime.boot import BootOptions, boot
from wdbg.runtime.console import StreamConsole
from wdbg.runtime.guest import Guest
from wdbg.runtime.machine import Machine

BOOTED = 665_000
"""Ticks after which user space runs."""

Booted = Callable[[str], Machine]


@pytest.fixture(scope="session")
def booted(guest: Guest) -> Iterator[Booted]:
    """booted(VARIANT): a machine in that variant some ticks after init has started."""
    made: dict[str, Machine] = {}

    def start(variant: str) -> Machine:
        if variant not in made:
            options = BootOptions(
                guest.kernel, guest.initrd, "WDBG_EXEC=sleep%2010", variant=variant
            )
            machine = boot(options, StreamConsole(None))
            assert machine.run(until=BOOTED) is None
            made[variant] = machine
        return made[variant]

    yield start
    for machine in made.values():
        machine.close()


@pytest.fixture(scope="session")
def snapshot(booted: Booted) -> Snapshot:
    """The state of the one with stop points."""
    return Snapshot.of_machine(booted("debug"))
