"""`monitor` commands of a guest with a past; the others are the session's."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from wdbg.debugger.lastwriter import last
from wdbg.debugger.model import DebugError
from wdbg.debugger.shelf import Why

if TYPE_CHECKING:
    from wdbg.debugger.timeline import Timeline


def run(timeline: Timeline, command: str) -> str:
    """The output of a command. DebugError for one that does not exist."""
    name, _, rest = command.strip().partition(" ")
    found = COMMANDS.get(name)
    if found is not None:
        return found(timeline, rest.strip())
    text = str(timeline.at.monitor(command))
    if name in ("", "help"):
        text += "".join(f"{name:<10} {function.__doc__}\n" for name, function in COMMANDS.items())
    return text


def _snapshot(timeline: Timeline, _rest: str) -> str:
    """keep a checkpoint of this place"""
    started = time.perf_counter()
    if timeline.past is None:
        entry = timeline.snapshot(timeline.machine, Why.HAND)
    else:
        bound = timeline.bound()
        if bound.place is not None and not bound.memory:
            bound = replace(bound, memory=timeline.past.memory())
        entry = timeline.shelf.add(timeline.past.keep(), bound, Why.HAND, bound.moment.ticks)
    took = 1000 * (time.perf_counter() - started)
    return f"checkpoint {entry.number} at tick {entry.ticks} ({took:.1f} ms)\n"


def _snapshots(timeline: Timeline, _rest: str) -> str:
    """the checkpoints"""
    lines = [f"{'number':>6} {'tick':>14}  taken for"]
    lines += [f"{e.number:>6} {e.ticks:>14}  {e.why.value}" for e in timeline.shelf]
    return "\n".join(lines) + "\n"


def _restart(timeline: Timeline, rest: str) -> str:
    """go to checkpoint N"""
    if not re.fullmatch(r"\d{1,9}", rest):
        raise DebugError("monitor restart N: the number that monitor snapshot has said")
    entry = timeline.shelf.number(int(rest))
    if entry is None:
        raise DebugError(f"there is no checkpoint {rest}; monitor snapshots lists them")
    timeline.go(entry)
    return f"at tick {entry.ticks}; in GDB: maintenance flush register-cache\n"


def _goto(timeline: Timeline, rest: str) -> str:
    """go to a tick of the past"""
    if not re.fullmatch(r"\d{1,18}", rest):
        raise DebugError("monitor goto TICK: a number of ticks")
    timeline.travel(int(rest))
    return f"at tick {rest}; in GDB: maintenance flush register-cache\n"


def _lastwrite(timeline: Timeline, rest: str) -> str:
    """who wrote EXPR[,LENGTH] last before this place: a variable (or STRUCT.MEMBER), an address"""
    return last(timeline, "write", rest)


def _lastread(timeline: Timeline, rest: str) -> str:
    """who read EXPR[,LENGTH] last"""
    return last(timeline, "read", rest)


def _lastfree(timeline: Timeline, rest: str) -> str:
    """who freed the object at EXPR last"""
    return last(timeline, "free", rest)


def _lastlock(timeline: Timeline, rest: str) -> str:
    """who asked for the lock at EXPR last"""
    return last(timeline, "lock", rest)


COMMANDS: dict[str, Callable[[Timeline, str], str]] = {
    "snapshot": _snapshot,
    "snapshots": _snapshots,
    "restart": _restart,
    "goto": _goto,
    "lastwrite": _lastwrite,
    "lastread": _lastread,
    "lastfree": _lastfree,
    "lastlock": _lastlock,
}
