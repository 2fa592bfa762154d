"""Order by RCU: what a grace period ends comes after the read sections that it has waited for.

Seen are ends of read sections and callbacks being run (the softirq), which come after all
sections that have ended until then, whether or not their grace period has waited for each: an
order too much, never one too few. ``synchronize_rcu()`` waits for such a callback. Publishing is
a release, and dereferencing follows an address dependency (`atomics`).
"""

from __future__ import annotations

from wdbg.analysis.races.order import Order

RCU_SOFTIRQ = 9
"""Its number (include/linux/interrupt.h)."""
_KEY = "grace period"


class GracePeriods:
    """Feeds read sections and callbacks to the order."""

    def __init__(self, order: Order) -> None:
        self._order = order

    def read_ended(self, place: int) -> None:
        """The context has left a read section."""
        self._order.release(place, _KEY, add=True)

    def callbacks(self, place: int) -> None:
        """The context begins to run callbacks whose grace period is over."""
        self._order.acquire(place, _KEY)
