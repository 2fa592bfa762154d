"""Stop points at run time: a byte each in the debug memory, module by module.

Arming a stop point is writing its byte; the guest looks at it without a host call. Who wants to
know of hits sets `Machine.on_probe`.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from wdbg.instrument import layout
from wdbg.instrument.result import FunctionTable
from wdbg.instrument.stops import StopTable
from wdbg.runtime.code import CompiledCode
from wdbg.runtime.mailbox import Mailbox


class ProbeSpaceError(Exception):
    """The programs that the guest has loaded have more stop points than there is room for."""


@dataclass(frozen=True, slots=True)
class Captured:
    """A frame as a stop point handed it over."""

    module: int
    stop: int
    """Number of the stop point in its module."""
    locals: dict[int, int]
    """Value (unsigned, floats by their bits) by local index: what DWARF gives a meaning there."""
    operands: dict[int, int]
    """The same by slot of the operand stack."""
    result: int | None = None
    """Of the call that has just returned there."""


class ProbedModule:
    """The stop points of one module; `base` is the address of the first one's byte."""

    def __init__(
        self,
        number: int,
        name: str,
        path: Path | None,
        code: CompiledCode,
        base: int,
        count: int,
        view: ctypes.Array[ctypes.c_uint8],
    ) -> None:
        self.number = number
        """0 the kernel, programs from 1."""
        self.name = name
        self.path = path
        """File of the original module, with its DWARF, if the host has it."""
        self.code = code
        self.base = base
        self.count = count
        self.data_start = self.table_start = 0
        """Where the guest relocated a program's data and functions; 0 for the kernel."""
        self._bytes = view

    @cached_property
    def stops(self) -> StopTable:
        """Places, kinds and captures."""
        table = self.code.instrumented.stops
        assert table is not None
        return table

    @property
    def functions(self) -> FunctionTable:
        """Names and places of its functions."""
        return self.code.instrumented.functions

    def arm(self, stop: int, value: int = 1) -> None:
        """Have the guest park at a stop point (0: no more)."""
        self._bytes[stop] = value

    def armed(self, stop: int) -> int:
        """The byte of a stop point."""
        return self._bytes[stop]

    def fill(self, value: int) -> None:
        """Arm (1) or disarm (0) all of them."""
        ctypes.memset(self._bytes, value, self.count)

    def snapshot(self) -> bytes:
        """All bytes, for `restore`."""
        return bytes(self._bytes)

    def restore(self, saved: bytes) -> None:
        """Write all bytes back."""
        ctypes.memmove(self._bytes, saved, self.count)


class Probes:
    """All modules with stop points of one machine."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._address = mailbox.memory.address
        self._dump = (ctypes.c_uint64 * layout.DUMP_SLOTS).from_address(self._address + layout.DUMP)
        self._next = layout.PROBES
        self.modules: list[ProbedModule] = []
        self.on_add: Callable[[ProbedModule], None] | None = None
        """Called with each module that is added, before it runs."""

    def add(self, name: str, path: Path | None, code: CompiledCode) -> ProbedModule:
        """Make room for a module's bytes; ProbeSpaceError if there is none."""
        count = code.facts.stops
        if self._next + count > layout.PROBES_END:
            raise ProbeSpaceError(f"{name}: no room for {count} more stop points")
        view = (ctypes.c_uint8 * count).from_address(self._address + self._next)
        module = ProbedModule(len(self.modules), name, path, code, self._next, count, view)
        self._next += count
        self.modules.append(module)
        if self.on_add is not None:
            self.on_add(module)
        return module

    def watch(self, address: int, length: int, value: int) -> None:
        """Mark (1) or unmark (0) the granules of a range of guest memory, in variants with watch
        checks. Marks are not counted: after unmarking, mark again what is still watched."""
        first = max(0, address - 15) >> layout.WATCH_GRANULE
        last = (address + length - 1) >> layout.WATCH_GRANULE
        ctypes.memset(self._address + layout.WATCH_MAP + first, value, last - first + 1)

    def find(self, address: int) -> tuple[ProbedModule, int]:
        """Module and number of the stop point whose byte is at `address`."""
        for module in reversed(self.modules):
            if address >= module.base:
                return module, address - module.base
        raise ValueError(f"no stop point has its byte at {address:#x}")

    def slots(self, module: ProbedModule, stop: int) -> list[int]:
        """The slots that the park at hand filled."""
        return self._dump[: len(module.stops.captured(stop))]

    def put_slots(self, slots: list[int]) -> None:
        """Fill the slots for a task that takes its locals back."""
        for index, slot in enumerate(slots):
            self._dump[index] = slot

    def capture(self, address: int) -> Captured:
        """The frame that the park at hand handed over."""
        module, stop = self.find(address)
        return self.decode(address, self.slots(module, stop))

    def decode(self, address: int, slots: Iterable[int], *, outer: bool = False) -> Captured:
        """A frame from its stop point's byte address and its slots. `outer`: the call before the
        stop point is still under way, so its result is not there yet."""
        module, stop = self.find(address)
        values: tuple[dict[int, int], dict[int, int], dict[int, int]] = ({}, {}, {})
        for fresh in (False, True):  # a slot that the call's operands had may hold its result now
            for value, slot in zip(module.stops.captured(stop), slots, strict=True):
                if value.fresh is fresh and not (fresh and outer):
                    values[value.kind][value.index] = slot & 0xFFFFFFFF if value.narrow else slot
        locals_, operands, results = values
        return Captured(module.number, stop, locals_, operands, results.get(0))

    def fill(self, value: int) -> None:
        """Arm or disarm everything."""
        for module in self.modules:
            module.fill(value)
