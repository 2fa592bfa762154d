"""What is known of the place of an access: its order, whether it is meant to race, its source.

The example guest tells the order of an atomic instruction by a constant that is pushed and dropped
before it (examples/guest/arch/wasm/include/asm/order.h). Without such constants in a kernel marked
loads acquire, marked stores release and all others do both: an order too much, never one too few.
Functions of the kernel's atomic API tell theirs by name, where DWARF says that they are inlined.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property

from symbols.dwarf.index import Index, SourceFrame
from symbols.errors import SymbolsError
from symbols.wasm.decode import instructions
from wdbg.analysis.races.atomics import Fence, MemoryOrder

_MARK = re.compile(rb"\x41([\x80-\x8f])\xc4\x91\xbb\x07\x1a")
"""i32.const 0x776462xx, drop."""
_ACQUIRE, _RELEASE, _RELAXED, _DEPENDENCY, _READS, _WRITES, _RACY, _RACY_END = range(1, 9)
_AHEAD = 400
"""Bytes after a mark within which its instruction is."""
_ATOMIC = 0xFE
"""First byte of atomic instructions."""

_RELAXED_API = re.compile(
    r"(?:raw_|arch_)?(?:atomic(?:64|_long)?_(?:add|sub|inc|dec|and|or|xor|andnot|set|read)"
    r"|set_bit|clear_bit|change_bit|test_bit|refcount_(?:inc|add|set|read))"
)
_API = re.compile(r"(?:raw_|arch_)?(?:atomic|xchg|cmpxchg|try_cmpxchg|refcount|\w*_bit)\w*")
_LOCK_API = re.compile(r"(?:arch_)?test_and_set_bit_lock|(?:arch_)?test_bit_acquire")
_UNLOCK_API = re.compile(r"(?:arch_|__)*clear_bit_unlock|xor_unlock_is_negative_byte")
_SEQUENCES = (
    (
        "read_seqbegin raw_read_seqcount raw_read_seqcount_begin raw_read_seqcount_latch "
        "__seqprop_sequence __seqprop_spinlock_sequence __seqprop_raw_spinlock_sequence "
        "__seqprop_rwlock_sequence __seqprop_mutex_sequence",
        "read_seqretry do_read_seqcount_retry do___read_seqcount_retry "
        "raw_read_seqcount_latch_retry",
    ),
    (
        "do_raw_write_seqcount_begin do_write_seqcount_begin do_write_seqcount_begin_nested",
        "do_raw_write_seqcount_end do_write_seqcount_end do_raw_write_seqcount_barrier",
    ),
)
"""Functions that begin and end sections of readers and of writers (include/linux/seqlock.h)."""


@dataclass(frozen=True, slots=True)
class Site:
    """A place in the code."""

    frames: tuple[SourceFrame, ...]
    """The source's calls, innermost first."""

    @property
    def function(self) -> str:
        """The innermost function of the source."""
        return self.frames[0].name if self.frames else "?"

    @property
    def place(self) -> str:
        """FILE:LINE, "" if not known."""
        if not self.frames or not self.frames[0].line:
            return ""
        return f"{short(self.frames[0].file)}:{self.frames[0].line}"


def short(file: str) -> str:
    """A path as the kernel's developers write it."""
    return re.sub(r"^/usr/src/[^/]*/", "", file)


class Sites:
    """The places of one kernel."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._sites: dict[int, Site] = {}
        self._orders: dict[int, MemoryOrder] = {}
        module = index.module
        self._base = module.code_base
        self._sequences: dict[int, bool] = {}
        self._bounds: dict[int, list[tuple[int, int]]] = {}
        self._roles: dict[int, tuple[int, bool]] = {}
        self._marks: dict[int, set[int]] = {}
        """Marks of each atomic instruction."""
        self._racy_starts: list[int] = []
        self._racy_ends: list[int] = []
        self._read_marks(module.data)
        self.marked = bool(self._marks)
        """Whether the kernel tells orders at all."""

    def site(self, position: int) -> Site:
        """What the source has at a position."""
        found = self._sites.get(position)
        if found is None:
            found = self._sites[position] = Site(self._index.frames_at(position))
        return found

    def meant_to_race(self, position: int) -> bool:
        """Whether the access is inside data_race()."""
        at = bisect_right(self._racy_starts, position) - 1
        return at >= 0 and position < self._racy_ends[at]

    def in_sequence(self, position: int) -> bool:
        """Whether the access is in a read or write section of a sequence count, as far as inlined
        calls tell: between the first that begins one in its function and the last that ends one.
        Readers there repeat what a writer has disturbed, so KCSAN takes all for atomic."""
        found = self._sequences.get(position)
        if found is None:
            function = self._index.function_at(position)
            found = False
            if function is not None:
                at = function.low
                bounds = self._bounds.get(at)
                if bounds is None:
                    bounds = self._bounds[at] = self._sequence_bounds(function.low, function.high)
                found = any(low <= position < high for low, high in bounds)
            self._sequences[position] = found
        return found

    def sequence(self, position: int) -> tuple[int, bool]:
        """What an access does to a section of a sequence count: (0 reader's or 1 writer's, True =
        begins it, False = ends it); (-1, False): nothing."""
        found = self._roles.get(position)
        if found is None:
            found = (-1, False)
            for frame in self.site(position).frames:
                for side, names in enumerate(_SEQUENCES):
                    for ends, text in enumerate(names):
                        if found[0] < 0 and frame.name in text.split():
                            found = (side, not ends)
            self._roles[position] = found
        return found

    def _sequence_bounds(self, low: int, high: int) -> list[tuple[int, int]]:
        bounds = []
        for begins, ends in self._sequence_calls:
            first = min((start for start, _ in begins if low <= start < high), default=high)
            last = max((end for start, end in ends if low <= start < high), default=low)
            if first < last:
                bounds.append((first, last))
        return bounds

    @cached_property
    def _sequence_calls(self) -> list[tuple[list[tuple[int, int]], list[tuple[int, int]]]]:
        """Ranges of inlined calls that begin, and that end, a section: of readers, of writers."""
        found = []
        for names in _SEQUENCES:
            sides = []
            for side in names:
                calls = [c for name in side.split() for c in self._index.inlined_calls(name)]
                sides.append([pair for call in calls for pair in call.ranges])
            found.append((sides[0], sides[1]))
        return found

    def order(self, position: int, *, reads: bool, writes: bool) -> MemoryOrder:
        """The order of the atomic instruction at a position."""
        found = self._orders.get(position)
        if found is None:
            found = self._orders[position] = self._order(position, reads, writes)
        return found

    def fence(self, position: int) -> Fence:
        """The kind of the fence at a position."""
        marks = self._marks.get(position, set())
        if _READS in marks:
            return Fence.READS
        return Fence.WRITES if _WRITES in marks else Fence.FULL

    def _order(self, position: int, reads: bool, writes: bool) -> MemoryOrder:
        marks = self._marks.get(position, set())
        order = MemoryOrder.RELAXED
        if _ACQUIRE in marks or (_DEPENDENCY in marks and not writes):
            order |= MemoryOrder.ACQUIRE
        if _RELEASE in marks:
            order |= MemoryOrder.RELEASE
        if order or _RELAXED in marks:
            return order
        most = MemoryOrder.ACQUIRE * reads | MemoryOrder.RELEASE * writes
        named = self._order_by_name(position)
        if named is not None:
            return MemoryOrder(named & most)
        if self.marked and not (reads and writes):
            return MemoryOrder.RELAXED
        return MemoryOrder(most)

    def _order_by_name(self, position: int) -> MemoryOrder | None:
        for frame in self.site(position).frames:
            name = frame.name
            if _LOCK_API.fullmatch(name):
                return MemoryOrder.ACQUIRE
            if _UNLOCK_API.fullmatch(name):
                return MemoryOrder.RELEASE
            if not _API.fullmatch(name):
                continue
            if name.endswith("_acquire"):
                return MemoryOrder.ACQUIRE
            if name.endswith("_release"):
                return MemoryOrder.RELEASE
            if name.endswith("_relaxed") or _RELAXED_API.fullmatch(name):
                return MemoryOrder.RELAXED
        return None

    def _read_marks(self, data: bytes) -> None:
        base = self._base
        begun: list[int] = []
        ranges: list[tuple[int, int]] = []
        for found in _MARK.finditer(data, base):
            mark = found[1][0] & 0xF
            if mark == _RACY:
                begun.append(found.end() - base)
            elif mark == _RACY_END:
                if begun:
                    start = begun.pop()
                    if found.start() - base - start < 4 * _AHEAD:
                        ranges.append((start, found.start() - base))
            else:
                at = _next_atomic(data, found.end())
                if at is not None:
                    self._marks.setdefault(at - base, set()).add(mark)
        end = -1
        for start, stop in sorted(ranges):
            if start >= end:
                self._racy_starts.append(start)
                self._racy_ends.append(stop)
                end = stop


def _next_atomic(data: bytes, start: int) -> int | None:
    try:
        for instruction in instructions(data, start, min(len(data), start + _AHEAD)):
            if data[instruction.start] == _ATOMIC:
                return instruction.start
    except SymbolsError:
        pass  # what is decoded may end in the middle of an instruction
    return None
