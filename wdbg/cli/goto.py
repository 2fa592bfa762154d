"""`--to PLACE`: where in a run to go, and what is shown of it there."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from wdbg.cli.debugging import boot_silent, make_timeline
from wdbg.debugger.lastwriter import last
from wdbg.debugger.levels import Level
from wdbg.debugger.model import Action, DebugError, Place, Resume, StopReason
from wdbg.debugger.places import entry_of
from wdbg.debugger.timeline import Timeline
from wdbg.errors import BadInput
from wdbg.runtime.boot import BootOptions
from wdbg.runtime.console import Console
from wdbg.runtime.machine import Machine
from wdbg.runtime.recording import Recording

_TICK = re.compile(r"\d[\d_,]*")
_TIME = re.compile(r"(\d+(?:\.\d+)?)(ns|us|ms|s)")
_UNITS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
FOREVER = 1 << 62
"""A tick that no run reaches."""
_ENTRY = re.compile(r"([A-Za-z_.$][\w.$]*)(?:#(\d+))?")


@dataclass(frozen=True, slots=True)
class Goal:
    """Exactly one of these is meant; none of them is the end."""

    tick: int | None = None
    time: int | None = None
    """Virtual ns."""
    function: str = ""
    hit: int = 1

    @classmethod
    def parse(cls, text: str) -> Goal:
        """BadInput for what names no place."""
        if text == "end":
            return cls()
        if _TICK.fullmatch(text):
            return cls(tick=int(text.replace("_", "").replace(",", "")))
        found = _TIME.fullmatch(text)
        if found:
            return cls(time=round(float(found[1]) * _UNITS[found[2]]))
        found = _ENTRY.fullmatch(text)
        if found and int(found[2] or 1) > 0:
            return cls(function=found[1], hit=int(found[2] or 1))
        raise BadInput(
            f"--to {text}: no place in a run",
            "a tick (1234567), a virtual time (1.5s), FUNCTION#N or end",
        )


def go(timeline: Timeline, goal: Goal) -> None:
    """Bring a guest that stands at the beginning to a place. BadInput if its run ends before."""
    if goal.function:
        _go_to_entry(timeline, goal)
    elif goal.tick is not None:
        timeline.run_to(goal.tick)
    elif goal.time is not None:
        timeline.run_to_time(goal.time)
    else:
        timeline.run_to(FOREVER)
    if not goal.function:
        timeline.live.stand()
    machine = timeline.machine
    short = machine.ticks < (goal.tick or 0) or machine.now() < (goal.time or 0)
    if short or (machine.stop is not None and goal != Goal()):
        raise BadInput(
            f"the run ends before, at tick {machine.ticks} ({machine.now() / 1e9:.9f} s)"
        )


def _go_to_entry(timeline: Timeline, goal: Goal) -> None:
    place: Place | None = None
    for module in timeline.probes.modules:
        place = place or entry_of(module, goal.function)
    if place is None:
        raise BadInput(f"--to {goal.function}: the kernel has no function of that name")
    timeline.add_breakpoint(place)
    go_on = Action(Resume.CONTINUE)
    try:
        left = goal.hit
        while left:
            timeline.resume({}, go_on)
            while (event := timeline.pump()) is None:
                pass
            if event.reason is StopReason.BREAKPOINT:
                left -= 1
            elif event.reason is not StopReason.MODULES:
                raise BadInput(
                    f"the run ends at tick {event.tick}: {goal.function} has been entered "
                    f"{goal.hit - left} times before"
                )
    finally:
        timeline.remove_breakpoint(place)


def show_place(
    options: BootOptions,
    text: str,
    follow: Callable[[Machine], None],
    console: Console,
    recording: Recording,
) -> Machine:
    """Run to a place, and print what the CPUs do there."""
    goal = Goal.parse(text)
    machine = boot_silent(options, "edit" if options.variant == "edit" else "debug", follow)
    machine.inputs.console = console
    timeline = make_timeline(machine, options, follow, recording)
    try:
        go(timeline, goal)
        print(describe(timeline), end="")
    finally:
        timeline.close()
    return timeline.machine


def show_last(
    options: BootOptions,
    asked: Sequence[tuple[str, str]],
    before: str,
    follow: Callable[[Machine], None],
    recording: Recording,
) -> None:
    """Print who did something to some memory last; `asked`: (verb, expression) pairs."""
    goal = Goal.parse(before)
    level = Level.WATCH if options.variant != "edit" else Level.EDIT
    machine = boot_silent(options, level.variant, follow)
    timeline = make_timeline(machine, options, follow, recording, level)
    try:
        go(timeline, goal)
        for verb, text in asked:
            print(f"{text}: {last(timeline, verb, text)}", end="")
    except DebugError as error:
        raise BadInput(str(error)) from None
    finally:
        timeline.close()


def describe(session: Timeline) -> str:
    """Where a run stands: tick, CPUs, the stack of the task whose turn it is."""
    text = session.monitor("tick") + session.monitor("cpus")
    event = session.stop_event()
    try:
        frames = session.frames(event.tid)
    except DebugError:
        frames = ()
    thread = session.thread(event.tid)
    if thread is not None:
        text += f"{thread.name} ({thread.tid}):\n"
    for frame in frames:
        offset = frame.place.offset - frame.function_start
        text += f"  #{frame.level:<2} {frame.function}+{offset:#x}\n"
    return text
