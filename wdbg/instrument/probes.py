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
from functools import lru_cache

from symbols.wasm.leb import decode_u32
from symbols.wasm.module import Module
from symbols.wasm.stack import operand_types
from symbols.wasm.types import ValueType
from wdbg.instrument import layout
from wdbg.instrument.additions import Additions
from wdbg.instrument.emit import RETURN, UNREACHABLE, access, i32_const, if_, op
from wdbg.instrument.scan import Token, boundaries
from wdbg.instrument.stops import (
    AFTER_CALL,
    ENTRY,
    LOCAL,
    OPERAND,
    RESULT,
    ROW,
    TICK,
    StopTable,
    Value,
)
from wdbg.instrument.sweep import Body, Edit

I32, I64, F32, F64 = ValueType.I32, ValueType.I64, ValueType.F32, ValueType.F64
_ORDER = (I32, I64, F32, F64)
_RANKS = {kind: rank for rank, kind in enumerate(_ORDER)}
_CALLS = frozenset((0x10, 0x11))
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
"""Code offsets [lo, hi) where DWARF gives a meaning to a wasm location of this kind and index."""

_IN_LOCAL, _ON_STACK = 0, 2
"""Kinds of DW_OP_WASM_location that are captured."""


class ProbePass:
    """Plans and emits the stop points of a module, body by body, in code order."""

    tokens = frozenset((Token.LOOP, Token.CALL, Token.INDIRECT, Token.WAIT))

    def __init__(
        self,
        add: Additions,
        module: Module,
        memory: int,
        probe: int,
        base_global: int | None,
        rows: Sequence[int],
        live: Iterable[Live],
        skipped: frozenset[int] = frozenset(),
        *,
        reload: bool = False,
    ) -> None:
        """``memory`` is the index of the debug memory, ``probe`` the function (i32) -> i32 that
        parks. The kernel's bytes have constant addresses; a program's begin at the value of
        ``base_global``. ``rows`` (sorted) and ``live`` come from DWARF. Functions in ``skipped``
        get no stop points. ``reload``: see Variant."""
        self._add = add
        self._memory = memory
        self._module = module
        self._base = module.code_base
        self._probe = probe
        self._global = base_global
        self._rows = rows
        self._live = sorted(entry for entry in live if entry[2] in (_IN_LOCAL, _ON_STACK))
        self._lows = [entry[0] for entry in self._live]
        self._skipped = skipped
        self._reload = reload
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
        self._tees: dict[int, bytes] = {}

    def table(self) -> StopTable:
        """All stop points; call it after the sweep."""
        return StopTable(self._places, bytes(self._kinds), self._captures, list(self._pool))

    def edit(self, body: Body, edits: list[Edit]) -> None:
        """See Pass."""
        self._plan(body)
        for place, tee in self._tees.items():
            edits.append((place + self._base, place + self._base, tee, -1))
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
        self._tees.clear()
        if body.function in self._skipped:
            return
        kinds = self._stop_points(body)
        places = sorted(kinds)
        living = self._living(body, places, kinds)
        copies = self._copy_operands(body, living)
        results = self._copy_results(body)
        zeros = b"".join(_ZERO.get(kind, UNREACHABLE) for kind in body.signature.results)
        leave = zeros + RETURN
        answer = body.add_local(I32) if self._reload else -1
        types = body.local_types() + body.new_locals
        for place, alive in zip(places, living, strict=True):
            values = []
            for live in alive:
                lo, _, kind, index = live
                local, what = index, LOCAL
                if kind == _ON_STACK:
                    local, what = copies.get((lo, index), -1), OPERAND
                rank = _RANKS.get(types[local]) if 0 <= local < len(types) else None
                if rank is not None:
                    fresh = kind == _ON_STACK and lo == place
                    values.append((rank, what, index, fresh, local))
            result = results.get(place)
            if result is not None:
                values.append((_RANKS[types[result]], RESULT, 0, True, result))
            self._emit(place, kinds[place], sorted(set(values))[:MAX_VALUES], leave, answer)

    def _emit(
        self,
        place: int,
        kind: int,
        values: list[tuple[int, int, int, bool, int]],
        leave: bytes,
        answer: int,
    ) -> None:
        """Enter a stop point into the table and make its cold path. ``leave`` returns from the
        function; ``answer`` is a local to keep the host's answer in, or -1."""
        number = len(self._places)
        entry = tuple(
            Value(what, index, rank in (0, 2), fresh).packed
            for rank, what, index, fresh, _ in values
        )
        self._places.append(place)
        self._kinds.append(kind)
        self._captures.append(self._pool.setdefault(entry, len(self._pool)))
        self._numbers[place] = number
        gets = b"".join([_get(value[4]) for value in values])
        hit = self._hit(tuple(rank for rank, *_ in values))
        if answer < 0:
            after = if_(leave)
        else:
            unwinding = op("local.get", answer) + i32_const(layout.PROBE_UNWIND) + op("i32.eq")
            after = op("local.tee", answer) + if_(
                unwinding
                + if_(leave)
                + b"".join(
                    i32_const(0) + self._load(rank, slot) + op("local.set", local)
                    for slot, (rank, what, _, _, local) in enumerate(values)
                    if what == LOCAL
                )
            )
        self._cold[place] = self._address(number) + gets + op("call", hit) + after

    def _load(self, rank: int, slot: int) -> bytes:
        kind = _ORDER[rank].text
        return access(f"{kind}.load", self._memory, layout.DUMP + 8 * slot)

    def _copy_operands(self, body: Body, living: list[list[Live]]) -> dict[tuple[int, int], int]:
        """Have values of the operand stack that some stop point wants copied into locals of their
        own where they are pushed; by (start of their range, slot)."""
        wanted = {(e[0], e[3]) for alive in living for e in alive if e[2] == _ON_STACK}
        if not wanted:
            return {}
        base = self._base
        types = operand_types(
            self._module, body.code, body.end, body.local_types(), body.signature,
            {(lo + base, slot) for lo, slot in wanted},
        )  # fmt: skip
        copies: dict[tuple[int, int], int] = {}
        for (position, slot), kind in sorted(types.items()):
            if kind in _ORDER:
                copies[position - base, slot] = local = body.add_local(kind)
                self._tees[position - base] = op("local.tee", local)
        return copies

    def _copy_results(self, body: Body) -> dict[int, int]:
        """Have the result of each call copied into a local; by the place after the call."""
        temporaries: dict[ValueType, int] = {}
        copies: dict[int, int] = {}
        module = self._module
        for token, start, end in body.events:
            if token is Token.WAIT:
                results: tuple[ValueType, ...] = (I32,)
            elif token in (Token.CALL, Token.INDIRECT) and body.data[start] in _CALLS:
                index, _ = decode_u32(body.data, start + 1, end)
                if token is Token.CALL:
                    index = module.function_types[index]
                results = module.types[index].results
            else:
                continue
            if len(results) == 1 and results[0] in _RANKS:
                kind = results[0]
                if kind not in temporaries:
                    temporaries[kind] = body.add_local(kind)
                place = end - self._base
                copies[place] = temporaries[kind]
                tee = op("local.tee", temporaries[kind])
                self._tees[place] = self._tees.get(place, b"") + tee
        return copies

    def _stop_points(self, body: Body) -> dict[int, int]:
        base = self._base
        kinds = {body.code - base: ENTRY}
        for token, start, end in body.events:
            kind = AFTER_CALL
            if token is Token.LOOP:
                kind = TICK
            elif token not in (Token.CALL, Token.INDIRECT, Token.WAIT):
                continue  # another pass has asked for it
            elif token is not Token.WAIT and body.data[start] in _TAIL_CALLS:
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

    def _living(self, body: Body, places: list[int], kinds: dict[int, int]) -> list[list[Live]]:
        """What to hand over at each place: what means something there, and, after a call, what
        meant something during it."""
        first = bisect_left(self._lows, self._seen)
        self._seen = body.end - self._base
        last = bisect_left(self._lows, self._seen, first)
        changes = [(live[0], 1, live) for live in self._live[first:last]]
        changes += [(live[1], 0, live) for live in self._live[first:last]]
        changes.sort()
        alive: set[Live] = set()
        at = 0
        out = []
        for place in places:
            at = _advance(changes, at, place - 1, alive)
            before = set(alive) if kinds[place] & AFTER_CALL else set()
            at = _advance(changes, at, place, alive)
            out.append(sorted(before | alive))
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


@lru_cache(maxsize=4096)
def _get(local: int) -> bytes:
    return op("local.get", local)


def _advance(changes: list[tuple[int, int, Live]], at: int, place: int, alive: set[Live]) -> int:
    """Apply the changes up to and including ``place``."""
    while at < len(changes) and changes[at][0] <= place:
        _, begins, live = changes[at]
        if begins:
            alive.add(live)
        else:
            alive.discard(live)
        at += 1
    return at
