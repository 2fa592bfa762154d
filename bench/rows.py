"""A line of the table of figures."""

from dataclasses import dataclass

from bench.series import Spread


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table. `bound` is what the figure is held against, "" for a mere report."""

    figure: str
    unit: str
    value: Spread
    bound: str = ""
    good: bool | None = None


def at_most(figure: str, unit: str, value: Spread, bound: float) -> Row:
    """A row whose median must not exceed `bound`."""
    return Row(figure, unit, value, f"≤ {bound:g}", value.median <= bound)


def at_least(figure: str, unit: str, value: Spread, bound: float) -> Row:
    """A row whose median must reach `bound`."""
    return Row(figure, unit, value, f"≥ {bound:g}", value.median >= bound)
