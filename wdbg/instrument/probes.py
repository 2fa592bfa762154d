"""The probe pass: stop points that cost a byte test, and hand over the locals that DWARF describes.

At a stop point the code tests one byte of the debug memory. Where it is set, the cold path passes
the locals that have a meaning there to a generated function, which writes them into the debug
memory and parks. Locals are never shadowed: what runs hot is a load, a test and a branch hint.

If the host answers 1, the function returns at once with zeros (``layout.UNWIND``): in a forked
copy with all bytes set, every frame of a parked fiber hands over its locals that way, at the
instruction after the call it is in.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence

from symbols.wasm.types import ValueType
from wdbg.instrument import layout
from wdbg.instrument.additions import Additions
from wdbg.instrument.emit import RETURN, UNREACHABLE, access, i32_const, if_, op
from wdbg.instrument.scan import Token, boundaries
from wdbg.instrument.stops import AFTER_CALL, ENTRY, LOCAL, ROW, TICK, StopTable
from wdbg.instrument.sweep import Body, Edit

I32, I64, F32, F64 = ValueType.I32, ValueType.I64, ValueType.F32, ValueType.F64
_ORDER = (I32, I64, F32, F64)
_TAIL_CALLS = frozenset((0x12, 0x13, 0x15))
_ZERO = {
    I32: i32_const(0),
    I64: b"\x42\0",
    F32: b"\x43" + bytes(4),
    F64: b"\x44" + bytes(8),
}

MAX_VALUES = 200
"""Values that a stop point hands over at most; the rest is not available there."""

Live = tuple[int, int, int, int]
"""Code offsets [lo, hi) where DWARF gives a meaning to a wasm location of this kind (0 local) and
index."""


class ProbePass:
    """Plans and emits the stop points of a module, body by body, in code order."""

    tokens = frozenset((Token.LOOP, Token.CALL, Token.INDIRECT, Token.WAIT))

    def __init__(
        self,
        add: Additions,
        memory: int,
        code_base: int,
        probe: int,
        base_global: int | None,
        rows: Sequence[int],
        live: Iterable[Live],
        skipped: frozenset[int] = frozenset(),
    ) -> None:
        """``memory`` is the index of the debug memory, ``probe`` the function (i32) -> i32 that
        parks. The kernel's bytes have constant addresses; a program's begin at the value of
        ``base_global``. ``rows`` (sorted) and ``live`` come from DWARF. Functions in ``skipped``
        get no stop points."""
        self._add = add
        self._memory = memory
        self._base = code_base
        self._probe = probe
        self._global = base_global
        self._rows = rows
        self._live = sorted(entry for entry in live if entry[2] == 0)
        self._lows = [entry[0] for entry in self._live]
        self._skipped = skipped
        self._hits: dict[tuple[int, ...], int] = {}
        self._pool: dict[tuple[int, ...], int] = {}
        self._places = array("I")
        self._kinds = bytearray()
        self._captures = array("I")
        self._planned = -1
        self._seen = 0
        """End of the body planned last."""
        self._numbers: dict[int, int] = {}
        self._cold: dict[int, bytes] = {}

    def table(self) -> StopTable:
        """All stop points; call it after the sweep."""
        return StopTable(self._places, bytes(self._kinds), self._captures, list(self._pool))

    def edit(self, body: Body, edits: list[Edit]) -> None:
        """See Pass."""
        self._plan(body)
        for place, number in self._numbers.items():
            if self._kinds[number] != TICK:
                head = self._test(number)
                position = place + self._base
                edits.append((position, position, head + if_(self._cold[place]), len(head)))

    def at_tick(self, body: Body, position: int) -> bytes:
        """Code for a loop header whose tick's slow path has come back: hands the frame over if
        stacks are being read. Empty if a stop point follows there anyway."""
        self._plan(body)
        place = position - self._base
        number = self._numbers.get(place)
        if number is None or self._kinds[number] != TICK:
            return b""
        unwinding = i32_const(0) + access("i32.load", self._memory, layout.UNWIND)
        return unwinding + if_(self._cold[place])

    # ---- one body

    def _plan(self, body: Body) -> None:
        if self._planned == body.function:
            return
        self._planned = body.function
        self._numbers.clear()
        self._cold.clear()
        if body.function in self._skipped:
            return
        kinds = self._stop_points(body)
        places = sorted(kinds)
        types = body.local_types()
        zeros = b"".join(_ZERO.get(kind, UNREACHABLE) for kind in body.signature.results)
        leave = if_(zeros + RETURN)
        for place, indices in zip(places, self._living(body, places, kinds), strict=True):
            number = len(self._places)
            values = [
                (_ORDER.index(types[i]), i)
                for i in indices
                if i < len(types) and types[i] in _ORDER
            ]
            values = sorted(values)[:MAX_VALUES]
            entry = tuple(i << 2 | LOCAL << 1 | (rank in (0, 2)) for rank, i in values)
            self._places.append(place)
            self._kinds.append(kinds[place])
            self._captures.append(self._pool.setdefault(entry, len(self._pool)))
            self._numbers[place] = number
            gets = b"".join(op("local.get", i) for _, i in values)
            hit = self._hit(tuple(rank for rank, _ in values))
            self._cold[place] = self._address(number) + gets + op("call", hit) + leave

    def _stop_points(self, body: Body) -> dict[int, int]:
        base = self._base
        kinds = {body.code - base: ENTRY}
        for token, start, end in body.events:
            kind = AFTER_CALL
            if token is Token.LOOP:
                kind = TICK
            elif token in (Token.CALL, Token.INDIRECT) and body.data[start] in _TAIL_CALLS:
                continue
            kinds[end - base] = kinds.get(end - base, 0) | kind
        first = bisect_left(self._rows, body.code - base)
        last = bisect_left(self._rows, body.end - base, first)
        rows = self._rows[first:last]
        if rows:
            starts = boundaries(body.data, body.code, body.end)
            for row in rows:
                if row + base in starts:  # the line table is not trusted
                    kinds[row] = kinds.get(row, 0) | ROW
        return kinds

    def _living(self, body: Body, places: list[int], kinds: dict[int, int]) -> list[set[int]]:
        """Locals to hand over at each place: those that mean something there, and, after a call,
        those that meant something during it."""
        first = bisect_left(self._lows, self._seen)
        self._seen = body.end - self._base
        last = bisect_left(self._lows, self._seen, first)
        changes: list[tuple[int, int, int]] = []
        for lo, hi, _, index in self._live[first:last]:
            changes += ((lo, 1, index), (hi, -1, index))
        changes.sort()
        count: dict[int, int] = {}
        at = 0
        out = []
        for place in places:
            at = _advance(changes, at, place - 1, count)
            before = set(count) if kinds[place] & AFTER_CALL else set()
            at = _advance(changes, at, place, count)
            out.append(before | set(count))
        return out

    # ---- pieces of code

    def _test(self, number: int) -> bytes:
        if self._global is None:
            return i32_const(0) + access("i32.load8_u", self._memory, layout.PROBES + number)
        return op("global.get", self._global) + access("i32.load8_u", self._memory, number)

    def _address(self, number: int) -> bytes:
        if self._global is None:
            return i32_const(layout.PROBES + number)
        return op("global.get", self._global) + i32_const(number) + op("i32.add")

    def _hit(self, ranks: tuple[int, ...]) -> int:
        """The function (i32 address, values) -> i32 for values of these types."""
        known = self._hits.get(ranks)
        if known is not None:
            return known
        widen = (op("i64.extend_i32_u"), b"", op("i32.reinterpret_f32") + op("i64.extend_i32_u"),
                 op("i64.reinterpret_f64"))  # fmt: skip
        body = b"".join(
            i32_const(0)
            + op("local.get", slot + 1)
            + widen[rank]
            + access("i64.store", self._memory, layout.DUMP + 8 * slot)
            for slot, rank in enumerate(ranks)
        )
        body += op("local.get", 0) + op("call", self._probe)
        params = (I32, *(_ORDER[rank] for rank in ranks))
        name = f"__wdbg_hit_{len(self._hits)}"
        self._hits[ranks] = index = self._add.function(name, params, (I32,), body)
        return index


def _advance(
    changes: list[tuple[int, int, int]], at: int, place: int, count: dict[int, int]
) -> int:
    """Apply the changes up to and including ``place``."""
    while at < len(changes) and changes[at][0] <= place:
        _, step, index = changes[at]
        left = count.get(index, 0) + step
        if left:
            count[index] = left
        else:
            count.pop(index, None)
        at += 1
    return at
