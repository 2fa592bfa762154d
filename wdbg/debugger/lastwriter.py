"""Who did something to a piece of memory last: wrote it, read it, freed it, asked for its lock."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from wdbg.debugger.model import DebugError, Frame, WatchKind
from wdbg.debugger.places import entry_of
from wdbg.debugger.scan import Filter
from wdbg.debugger.search import Arrival, Wanted
from wdbg.linux.image import Unknown
from wdbg.linux.lockpoints import LOCKS, Does

if TYPE_CHECKING:
    from wdbg.debugger.timeline import Timeline

FREES = (
    ("kfree", 0), ("kvfree", 0), ("vfree", 0), ("kmem_cache_free", 1), ("kfree_sensitive", 0),
)  # fmt: skip
"""Functions that free an object, and which parameter says what (include/linux/slab.h)."""
_TAKES = frozenset({Does.LOCK, Does.LOCK_OR_FAIL, Does.TRY, Does.TRY_ZERO})
_EXPRESSION = re.compile(
    r"(?P<what>0[xX][0-9a-fA-F]+|\d+|[A-Za-z_]\w*)(?:\+(?P<plus>0[xX][0-9a-fA-F]+|\d+))?"
    r"(?:,(?P<length>0[xX][0-9a-fA-F]+|\d+))?"
)
_WIDTH = 4
MOST_LENGTH = 1 << 20


def place_of(timeline: Timeline, text: str) -> tuple[int, int]:
    """(address, length) of an expression. DebugError for what is none."""
    found = _EXPRESSION.fullmatch(text.replace(" ", ""))
    if found is None:
        raise DebugError(f"{text!r}: give VARIABLE[+OFFSET][,LENGTH] or ADDRESS[,LENGTH]")
    length = int(found["length"] or str(_WIDTH), 0)
    if not 0 < length <= MOST_LENGTH:
        raise DebugError(f"a length of {length}: 1 to {MOST_LENGTH} bytes are possible")
    what = found["what"]
    if what[0].isdigit():
        address = int(what, 0)
    else:
        image = timeline.live.view.image
        if image is None:
            raise DebugError("the kernel has no DWARF: give an address")
        try:
            address = image.address(what)
        except Unknown:
            raise DebugError(f"the kernel has no variable {what}") from None
    return address + int(found["plus"] or "0", 0), length


def last(timeline: Timeline, verb: str, text: str) -> str:
    """The report. DebugError if the question makes no sense."""
    address, length = place_of(timeline, text)
    with looking(timeline, verb, address, length) as (arrival, bound):
        if arrival is None:
            return f"nobody: no {verb} of {address:#x} since the beginning\n"
        return report(timeline, verb, arrival, bound)


def report(timeline: Timeline, verb: str, arrival: Arrival, tick: int) -> str:
    """What a person is told of it."""
    event, access, copy = arrival.event, arrival.access, arrival.copy
    thread = copy.thread(event.tid)
    who = f"{thread.name} ({thread.tid})" if thread is not None else f"thread {event.tid}"
    cpu = f" on CPU {thread.cpu}" if thread is not None and thread.cpu is not None else ""
    at = event.tick if access is None else access.tick
    words = {"write": "written", "read": "read", "free": "freed", "lock": "asked for"}
    lines = [f"{words[verb]} last at tick {at} ({tick - at} ticks before) by {who}{cpu}"]
    if access is not None:
        point = access.watchpoint
        if access.by_host:
            lines[0] += ", the host on its behalf"
        lines.append(f"  {point.address:#x}: before {_value(access.old)}")
        if verb == "write":
            now = timeline.at.read_memory(point.address, len(access.old))
            lines[-1] += f", now {_value(now)}"
    lines += [f"  {line}" for line in stack_lines(copy.frames(event.tid))]
    return "\n".join(lines) + "\n"


def _value(data: bytes) -> str:
    if len(data) in (1, 2, 4, 8):
        number = int.from_bytes(data, "little")
        return f"{number:#x}" if number > 9 else str(number)
    return data[:16].hex(" ") + (" ..." if len(data) > 16 else "")


def stack_lines(frames: Sequence[Frame]) -> list[str]:
    """A stack, a line a frame."""
    return [
        f"#{f.level:<2} {f.function}+{f.place.offset - f.function_start:#x}" for f in frames
    ]


@contextmanager
def looking(
    timeline: Timeline, verb: str, address: int, length: int
) -> Iterator[tuple[Arrival | None, int]]:
    """The last time, as a copy that stands there, and the tick before which it is. The clients'
    own breakpoints and watchpoints take no part."""
    with timeline.alone():
        wanted = Wanted()
        if verb in ("write", "read"):
            kind = WatchKind.WRITE if verb == "write" else WatchKind.READ
            timeline.live.add_watchpoint(kind, address, length)
        else:
            wanted = Wanted(filters=_filters(timeline, verb, address, length))
        arrival, bound = timeline.look_back(wanted)
        try:
            yield arrival, bound.moment.ticks
        finally:
            if arrival is not None:
                arrival.copy.close()


def _filters(
    timeline: Timeline, verb: str, address: int, length: int
) -> dict[tuple[int, int], Filter]:
    functions: list[tuple[str, int]] = list(FREES)
    if verb == "lock":
        functions = [
            (name, 0) for _, _, does, names in LOCKS if does in _TAKES for name in names.split()
        ]
    filters: dict[tuple[int, int], Filter] = {}
    kernel = timeline.live.probes.modules[0]
    high = address + (length if verb == "lock" else 1)
    for name, parameter in functions:
        place = entry_of(kernel, name)
        if place is not None:
            timeline.live.add_breakpoint(place)
            stop = timeline.live.conditions.locate(place)
            if stop is not None:
                key = (0, kernel.stops.places[stop])
                filters[key] = Filter(parameter, address, high)
    if not filters:
        raise DebugError(f"the kernel has no function for a {verb} that is known")
    return filters
