"""Interleaved series: every variant once a round, so that what slows the machine slows them all."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

Sample = TypeVar("Sample")


@dataclass(frozen=True, slots=True)
class Spread:
    """A series' smallest, middle and largest value."""

    low: float
    median: float
    high: float


def interleaved(
    variants: Mapping[str, Callable[[], Sample]], rounds: int
) -> dict[str, list[Sample]]:
    """Call each variant `rounds` times in turn, after one round that warms caches and counts not.

    The order is turned around every other round: neither is always the one that runs second.
    """
    samples: dict[str, list[Sample]] = {name: [] for name in variants}
    for number in range(rounds + 1):
        names = list(variants)
        for name in names if number % 2 else reversed(names):
            sample = variants[name]()
            if number:
                samples[name].append(sample)
    return samples


def spread(values: Sequence[float]) -> Spread:
    """Summary of one series."""
    return Spread(min(values), statistics.median(values), max(values))


def ratios(values: Sequence[float], base: Sequence[float]) -> Spread:
    """Summary of the ratios within each round."""
    return spread([value / other for value, other in zip(values, base, strict=True)])
