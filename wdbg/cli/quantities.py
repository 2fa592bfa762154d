"""Numbers with units on the command line."""

from __future__ import annotations

import re

from wdbg.errors import BadInput

_TIMES = {"": 1, "ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9}


def nanoseconds(text: str) -> int:
    """ "1.5ms", "20us", "3s"; without a unit nanoseconds. Raises BadInput."""
    match = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*(ns|us|µs|ms|s|)", text)
    if not match:
        raise BadInput(f"{text}: no time", "such as 1.5ms, 20us, 3s or nanoseconds")
    return round(float(match[1]) * _TIMES[match[2]])


def moment_range(text: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """ "A..B" in ticks ("1000..2000", "1000..") or in virtual time with units ("1ms..2.5ms");
    returns (first and last tick, first and last ns). Raises BadInput."""
    first, dots, last = text.partition("..")
    if not dots:
        raise BadInput(f"{text}: no range", "FROM..TO: ticks, or times with units such as 1ms..2ms")
    everything = (0, 2**63)
    ends = [part.strip() for part in (first, last)]
    if all(not part or part.isdecimal() for part in ends):
        return (int(ends[0] or 0), int(ends[1]) if ends[1] else everything[1]), everything
    low = nanoseconds(ends[0]) if ends[0] else 0
    return everything, (low, nanoseconds(ends[1]) if ends[1] else everything[1])


def show_time(nanoseconds: float) -> str:
    """A virtual time in a unit that suits it."""
    for unit, size in (("s", 10**9), ("ms", 10**6), ("us", 10**3)):
        if nanoseconds >= size:
            return f"{nanoseconds / size:.3f} {unit}"
    return f"{nanoseconds:.0f} ns"


def show_size(count: float) -> str:
    """Bytes in a unit that suits them."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:.0f} B"
