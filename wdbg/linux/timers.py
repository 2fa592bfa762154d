"""Timers that are armed: kernel/time/timer.c's wheels, and hrtimers' trees of every CPU.

A task that sleeps with a timeout has the timer on its own stack (schedule_timeout's
process_timer, hrtimer_sleeper): which task it is for follows from where it lies.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from wdbg.linux.image import Corrupt, Image, Unknown

MOST_TIMERS = 65536
_HRTIMER_BASES = 8
_WHEELS = 3


@dataclass(frozen=True, slots=True)
class Timer:
    """An armed timer."""

    address: int
    function: int
    """Index of its function in the function table."""
    expires: int
    """Jiffies of a `wheel` timer; ns of its clock of an hrtimer."""
    wheel: bool
    cpu: int


def percpu(image: Image, variable: str, cpu: int) -> int:
    """Address of a CPU's copy of a per-CPU variable. Unknown or Corrupt if that is not known."""
    base = image.address(variable)
    try:
        offset = image.number(image.address("__per_cpu_offset") + 4 * cpu)
    except Unknown:
        return base  # a kernel for one CPU
    return (base + offset) & 0xFFFFFFFF


def armed(image: Image, cpus: list[int]) -> Iterator[Timer]:
    """All armed timers; what is damaged is left out."""
    for cpu in cpus:
        for walk in (_wheels, _trees):
            try:
                yield from walk(image, cpu)
            except (Corrupt, Unknown):
                continue


def _wheels(image: Image, cpu: int) -> Iterator[Timer]:
    bases = percpu(image, "timer_bases", cpu)
    size = image.size("timer_base")
    offset, length = image.member("timer_base", "vectors")
    entry = image.member("timer_list", "entry")[0]
    total = 0
    for wheel in range(_WHEELS):
        start = bases + wheel * size + offset
        if start + length > bases + _WHEELS * size:
            return
        raw = image.bytes(start, length)
        for (first,) in struct.iter_unpack("<I", raw[: length & ~3]):
            node = first
            while node:
                total += 1
                if total > MOST_TIMERS:
                    raise Corrupt("the timer wheel does not end")
                timer = node - entry
                yield Timer(
                    timer,
                    image.field(timer, "timer_list", "function"),
                    image.field(timer, "timer_list", "expires"),
                    True,
                    cpu,
                )
                node = image.field(node, "hlist_node", "next")


def _trees(image: Image, cpu: int) -> Iterator[Timer]:
    bases = percpu(image, "hrtimer_bases", cpu)
    clocks = image.member("hrtimer_cpu_base", "clock_base")[0]
    size = image.size("hrtimer_clock_base")
    root = image.member("hrtimer_clock_base", "active.rb_root.rb_root.rb_node")[0]
    node_at = image.member("hrtimer", "node.node")[0]
    left, right = (image.member("rb_node", side)[0] for side in ("rb_left", "rb_right"))
    for number in range(_HRTIMER_BASES):
        todo = [image.number(bases + clocks + number * size + root)]
        total = 0
        while todo:
            node = todo.pop()
            if not node:
                continue
            total += 1
            if total > MOST_TIMERS:
                raise Corrupt("a tree of hrtimers does not end")
            timer = node - node_at
            yield Timer(
                timer,
                image.field(timer, "hrtimer", "function"),
                image.field(timer, "hrtimer", "node.expires"),
                False,
                cpu,
            )
            todo += [image.number(node + left), image.number(node + right)]
