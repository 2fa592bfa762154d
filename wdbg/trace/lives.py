"""Numbers for tasks: in rings a task is an address, and addresses are used again.

A task gets its number when its address is first seen, and its address a new one when a SCHED_FORK
record has it as `target` or a row gives it another pid. Which number an address stands for at a
unit of a ring is looked up for whole columns at once.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from wdbg.trace.batch import U32, Places
from wdbg.trace.events import Kind
from wdbg.trace.feed import TaskRow
from wdbg.trace.tables import TaskLife

UNKNOWN_PID = -1


class Lives:
    """The tasks of a trace so far."""

    def __init__(self) -> None:
        self.rows: list[TaskLife] = []
        """Rows for the file that nobody has fetched yet."""
        self._current: dict[int, TaskLife] = {}
        """Address to its last row."""
        self._next = 1
        # Births of the ring at hand, sorted by address << 32 | unit, and their numbers.
        self._keys = np.zeros(1, np.uint64)
        self._numbers = np.zeros(1, np.uint32)

    def begin(self, words: U32, rows: Iterable[tuple[int, TaskRow]], tick: int) -> None:
        """Prepare for a ring's contents (units are pairs of `words`). `rows` are told with the unit
        before which they came; `tick` is for tasks without a row."""
        births: dict[tuple[int, int], int] = {
            (address, 0): life.number for address, life in self._current.items()
        }
        events: list[tuple[int, int, TaskRow | None]] = [
            (unit, address, None) for unit, address in _forks(words)
        ]
        events += [(unit, row.address, row) for unit, row in rows]
        for unit, address, row in sorted(events, key=lambda event: (event[0], event[2] is None)):
            life = self._current.get(address)
            if row is None:
                born = life is None or life.pid != UNKNOWN_PID
                if born:
                    life = self._new(tick, address)
            elif life is None or life.pid not in (UNKNOWN_PID, row.pid):
                life, born = self._new(row.tick, address), True
            else:
                born = False
            assert life is not None
            if row is not None:
                self._name(life, row)
            if born:
                births[address, unit] = life.number
        self._keep(births)

    def number_of(self, addresses: U32, places: Places) -> U32:
        """Task numbers for addresses that stand at these units; 0 for address 0."""
        numbers = self._find(addresses, places)
        missing = addresses[(numbers == 0) & (addresses != 0)]
        if len(missing):
            births = {
                (int(key) >> 32, int(key) & 0xFFFFFFFF): int(number)
                for key, number in zip(self._keys, self._numbers, strict=True)
            }
            for address in np.unique(missing).tolist():
                known = self._current.get(address)
                births[address, 0] = known.number if known else self._new(0, address).number
            self._keep(births)
            numbers = self._find(addresses, places)
        return numbers

    def _find(self, addresses: U32, places: Places) -> U32:
        high = addresses.astype(np.uint64) << np.uint64(32)
        at = np.searchsorted(self._keys, high | places.astype(np.uint64), side="right") - 1
        same = (self._keys[at] >> np.uint64(32)) == addresses
        found: U32 = np.where(same, self._numbers[at], 0).astype(np.uint32)
        return found

    def _new(self, tick: int, address: int) -> TaskLife:
        life = TaskLife(tick, self._next, address, UNKNOWN_PID, UNKNOWN_PID, "")
        self._next += 1
        self._current[address] = life
        self.rows.append(life)
        return life

    def _name(self, life: TaskLife, row: TaskRow) -> None:
        named = TaskLife(row.tick, life.number, row.address, row.pid, row.tgid, row.comm)
        self._current[row.address] = named
        self.rows.append(named)

    def _keep(self, births: dict[tuple[int, int], int]) -> None:
        births[0, 0] = 0
        order = sorted(births)
        self._keys = np.array([address << 32 | unit for address, unit in order], np.uint64)
        self._numbers = np.array([births[key] for key in order], np.uint32)


def _forks(words: U32) -> list[tuple[int, int]]:
    """Unit and child's address of each SCHED_FORK record."""
    low = words[0::2]
    heads = np.flatnonzero((low & np.uint32(0x800000FF)) == Kind.SCHED_FORK)
    heads = heads[heads + 1 < len(low)]
    return list(zip(heads.tolist(), words[2 * heads + 3].tolist(), strict=True))
