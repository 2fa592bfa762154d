"""Finding the last stop before a place, over windows that grow backwards.

Each window is run twice in copies of a checkpoint: once to count what would have stopped the guest,
and once to stop at the last of these. Everything here is a generator that yields while it works, so
that clients can be heard meanwhile.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from wdbg.debugger.bounds import Bound
from wdbg.debugger.model import DebugError, Hit, StopEvent, StopReason
from wdbg.debugger.remote import Remote, Setup
from wdbg.debugger.scan import Access, Filter, Found
from wdbg.debugger.shelf import Entry, Shelf, Why
from wdbg.runtime.journal import Moment

if TYPE_CHECKING:
    from collections.abc import Callable

STEP_WINDOW = 256
"""Ticks of the first window where every stop point of a task counts."""
RUN_WINDOW = 1 << 20
"""Ticks of the first window where breakpoints and watchpoints count."""
_GROWTH = 16
SPARE = 1 << 20
"""Ticks before a window at which a checkpoint stays behind for the next search."""
PIECE = 1 << 22
"""Ticks of one request to run."""

Work = Generator[None, None, "Arrival | None"]


@dataclass(frozen=True, slots=True)
class Arrival:
    """A copy that stands at what was looked for."""

    copy: Remote
    entry: Entry
    """The checkpoint that it comes from."""
    event: StopEvent
    access: Access | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to look for."""

    task: int = 0
    """Every stop point of that task; 0: breakpoints and watchpoints."""
    cover: bool = False
    """Interrupts do not count."""
    filters: dict[tuple[int, int], Filter] = field(default_factory=dict)
    window: int = RUN_WINDOW


class Search:
    """Searches in one run. `setup` says what copies have to know."""

    def __init__(
        self, shelf: Shelf, setup: Callable[[], Setup], memory: Callable[[], str]
    ) -> None:
        """`memory`: the fingerprint of the place where the search begins."""
        self._shelf = shelf
        self._setup = setup
        self._memory = memory
        self.bound: Bound | None = None
        """The place where the search has begun, known better than at first."""

    @contextmanager
    def _awake(self, entry: Entry) -> Iterator[Remote]:
        """A copy of a checkpoint, closed if anything goes wrong."""
        copy = Remote(entry.checkpoint)
        try:
            copy.setup(self._setup())
            yield copy
        except BaseException:
            copy.close()
            raise

    def run_to(self, entry: Entry, ticks: int) -> Generator[None, None, Remote]:
        """A copy of a checkpoint at a later tick."""
        with self._awake(entry) as copy:
            while not copy.advance(ticks, PIECE):
                yield
            return copy

    def stop(self, bound: Bound, wanted: Wanted) -> Work:
        """The last stop before a place; None if there is none since the beginning."""
        self.bound = bound
        while True:
            last = yield from self._last(bound, wanted)
            if last is None:
                return None
            entry, end, found = last
            if found.access is not None:
                return (yield from self._before(found.access))
            if found.here:
                with self._awake(entry) as copy:
                    return Arrival(copy, entry, copy.here(wanted.task))
            arrival = yield from self._arrive(entry, end, found, wanted)
            if not wanted.cover or not arrival.copy.task_of(arrival.event.tid)[1]:
                return arrival
            # It began in the midst of an interrupt, and took its inside for the task's own.
            arrival.copy.close()
            bound = self.bound
            wanted = replace(wanted, window=wanted.window * _GROWTH)

    def _last(
        self, bound: Bound, wanted: Wanted
    ) -> Generator[None, None, tuple[Entry, Bound, Found] | None]:
        """(where the window begins, where it ends, what was found in it)."""
        width = wanted.window
        end, below = bound, None
        while True:
            entry = self._shelf.before(end, below)
            if entry is None:
                return None
            after = entry.ticks == end.moment.ticks and entry.bound.place is not None
            if after and end.place is not None and not end.memory:
                # It may be behind the place, where another arrival can look the same.
                end = self.bound = replace(end, memory=self._memory())
            near, copy = yield from self._window(entry, end.moment.ticks - width)
            with suppress_close(copy):
                copy.scan(end, wanted.task, wanted.cover, 0, wanted.filters)
                while (found := copy.scan_slice()) is None:
                    yield
            if found.ambiguous:
                end = replace(end, memory=self._memory())
                self.bound = end
                continue
            if found.missed:
                if near.bound.place is None and end.place is not None:
                    raise DebugError(f"the run does not come to tick {end.moment.ticks} again")
                below = near
                continue
            if found.hits or found.access is not None:
                return near, end, found
            if near.bound.place is not None:
                with suppress_close(Remote(near.checkpoint)) as stood:
                    stood.setup(self._setup())
                    if stood.here(wanted.task) is not None:
                        return near, end, replace(found, here=True)
            end, below = near.bound, near
            width *= _GROWTH

    def _window(self, entry: Entry, start: int) -> Generator[None, None, tuple[Entry, Remote]]:
        """A copy at a window's start, and a checkpoint there."""
        if start <= entry.ticks:
            with self._awake(entry) as copy:
                return entry, copy
        if start - entry.ticks > 2 * SPARE:
            copy = yield from self.run_to(entry, start - SPARE)
            entry = self._keep(copy)
            copy.close()
        copy = yield from self.run_to(entry, start)
        return self._keep(copy), copy

    def _keep(self, copy: Remote) -> Entry:
        bound: Bound = copy.bound()
        return self._shelf.add(copy.keep(), bound, Why.TIME, bound.moment.ticks)

    def _arrive(
        self, entry: Entry, end: Bound, found: Found, wanted: Wanted
    ) -> Generator[None, None, Arrival]:
        reason = StopReason.STEP if wanted.task else StopReason.BREAKPOINT
        with self._awake(entry) as copy:
            copy.scan(end, wanted.task, wanted.cover, found.hits, wanted.filters)
            while copy.scan_slice() is None:
                yield
            return Arrival(copy, entry, copy.arrive(reason))

    def _before(self, access: Access) -> Work:
        """The stop point before an access."""
        far = 1 << 62
        bound = Bound(Moment(access.tick, far, far), access=access.number)
        wanted = Wanted(access.task, window=STEP_WINDOW)
        last = yield from self._last(bound, wanted)
        if last is None:
            return None
        entry, end, found = last
        if found.here:
            with self._awake(entry) as copy:
                arrival = Arrival(copy, entry, copy.here(wanted.task))
        else:
            arrival = yield from self._arrive(entry, end, found, wanted)
        point = access.watchpoint
        now = access.old
        hit = Hit(
            point.kind, point.address, point.length, access.accessed, now, now, access.by_host
        )
        event = replace(arrival.event, reason=StopReason.WATCHPOINT, hit=hit)
        arrival.copy.say(event)
        return Arrival(arrival.copy, arrival.entry, event, access)

    def find(self, bound: Bound) -> Generator[None, None, tuple[Remote, Entry] | None]:
        """A copy that stands at a place which was seen in another variant or process."""
        below = None
        while (entry := self._shelf.before(bound, below)) is not None:
            with self._awake(entry) as copy:
                if bound.moment.ticks > entry.ticks:
                    while not copy.advance(bound.moment.ticks, PIECE):
                        yield
                if copy.come_to(bound):
                    return copy, entry
                copy.close()
            below = entry
        return None


@contextmanager
def suppress_close(copy: Remote) -> Iterator[Remote]:
    """Close a copy in any case."""
    try:
        yield copy
    finally:
        with suppress(OSError):
            copy.close()
