"""Sessions over mini kernels: stop points at function entries and after calls."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from tests.runtime.conftest import Tape
from tests.runtime.minikernel import machine
from wdbg.debugger.model import Action, Place, Resume
from wdbg.debugger.rewind import bring_to
from wdbg.debugger.session import Session
from wdbg.instrument.variant import DEBUG, EDIT, TICK, WATCH
from wdbg.runtime.console import StreamConsole
from wdbg.runtime.engine import unwatch_parks

VARIANTS = {"tick": TICK, "debug": DEBUG, "watch": WATCH, "edit": EDIT}

CONTINUE, STEP = Action(Resume.CONTINUE), Action(Resume.STEP)
STOPPED = Action(Resume.STOPPED)


class Mini:
    """A session over a mini kernel, and short words for what tests do with it."""

    def __init__(self, body: str, directory: Path, console: Tape, **options) -> None:
        self.boots = 0

        def boot(variant: str, console) -> object:
            self.boots += 1
            made = {**options, "variant": VARIANTS[variant]}
            made["scheduler"] = options["scheduler"]() if "scheduler" in options else None
            return machine(body, directory / f"boot{self.boots}", console, **made)

        def rebuild(old, variant, place, keep=None, past=None):
            fresh = partial(boot, variant, StreamConsole(None))
            return bring_to(old, fresh, place, keep=keep, past=past)

        self.boot = boot
        self.console = console
        self.session = Session(boot("debug", console), None, "round robin", rebuild)

    def place(self, function: str, kind: int = 1, number: int = 0) -> Place:
        """The nth stop point of a kind in a function."""
        module = self.session.probes.modules[0]
        index = module.functions.index(function)
        start = module.functions.start(index)
        inside = module.stops.between(start, start + module.functions.size(index))
        stops = [stop for stop in inside if module.stops.kinds[stop] & kind]
        return Place(0, module.stops.places[stops[number]])

    def run(self, actions=None, default=CONTINUE, pumps: int = 10_000):
        """Resume, and the stop that comes of it."""
        self.session.resume(actions or {}, default)
        return self.pump(pumps)

    def pump(self, pumps: int = 10_000):
        for _ in range(pumps):
            event = self.session.pump()
            if event is not None:
                return event
        raise AssertionError("no stop")

    def names(self, tid: int) -> list[str]:
        """Functions of a thread's frames, innermost first."""
        return [frame.function for frame in self.session.frames(tid)]


@pytest.fixture(name="mini")
def mini_fixture(tmp_path):
    """mini(body, ...) -> Mini."""
    count = 0

    def start(body: str, console: Tape | None = None, **options) -> Mini:
        nonlocal count
        count += 1
        directory = tmp_path / f"mini{count}"
        directory.mkdir()
        return Mini(body, directory, console or Tape(), **options)

    yield start
    unwatch_parks()
