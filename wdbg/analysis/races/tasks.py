"""Order by the scheduler: a task that a CPU goes on with comes after the one before it there.

The run queue's lock goes from one to the other, so that is so in every kernel. A task that is woken
comes after its waker. A CPU that is started has nothing to follow: it comes after everything, as
somebody has prepared it. Exits and waits need no edges of their own: they take locks.
"""

from __future__ import annotations

from wdbg.analysis.races.order import Order


class Tasks:
    """Feeds context switches and forks to the order."""

    def __init__(self, order: Order) -> None:
        self._order = order

    def switch(self, previous: int, following: int) -> None:
        """A CPU goes on with another task."""
        order = self._order
        place = order.place(following)
        order.follow(place, order.place(previous))
        order.acquire(place, ("wake", following))

    def wake(self, waker: int, task: int) -> None:
        """The context `waker` wakes a task: what that does when it runs next comes after."""
        order = self._order
        order.release(order.place(waker), ("wake", task), add=True)

    def cpu_started(self, task: int) -> None:
        """A CPU runs for the first time, in this task: it comes after all that has been done."""
        order = self._order
        place = order.place(task)
        for other in range(len(order.clocks)):
            if other != place:
                order.follow(place, other)

    def fork(self, parent: int, child: int) -> None:
        """`child` has been made, by the context `parent`."""
        order = self._order
        order.follow(order.place(child), order.place(parent))
