"""The recording pass: calls of functions, and the points of named ones.

A function whose end is recorded is wrapped in a block: branches to the function's own label then
go to the block's, behind which the record stands; only ``return`` needs a copy of it. A trap or an
unwinding exception leaves a span open: whoever reads the trace closes it.

Entry records come before the tick of the entry, so that nothing can run between a call and the
record of its call site.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from symbols.wasm.leb import decode_u32, encode_signed
from symbols.wasm.types import FuncType, ValueType
from wdbg.instrument import layout
from wdbg.instrument.emit import ELSE, END, VOID, access, i32_const, if_, op
from wdbg.instrument.points import ARG, Point, Record, Recording
from wdbg.instrument.recorder import ARG_MAX, ARG_SHIFT, CALL_ENTER, CALL_EXIT, Code, RingCode
from wdbg.instrument.scan import Token
from wdbg.instrument.sources import Scope, Sources
from wdbg.instrument.sweep import Body, Edit

I32 = ValueType.I32


@dataclass(frozen=True, slots=True)
class Program:
    """What the pass asks about the original module."""

    types: tuple[FuncType, ...]
    signatures: tuple[int, ...]
    """Type index of each function."""
    names: dict[int, str]
    code_base: int
    skipped: frozenset[int]
    """Functions that run where nothing can be recorded."""


class SpanPass:
    """See the module."""

    tokens = frozenset((Token.LOOP, Token.CALL, Token.INDIRECT, Token.RETURN))

    def __init__(
        self, ring: RingCode, recording: Recording, program: Program, sources: Sources
    ) -> None:
        self._ring = ring
        self._recording = recording
        self._program = program
        self._sources = sources
        self._points = recording.merged_points()
        self._sited = frozenset(
            index
            for index, name in program.names.items()
            if (point := self._points.get(name)) is not None and _uses(point.entry, "site")
        )

    def edit(self, body: Body, edits: list[Edit]) -> None:
        """See Pass."""
        if body.function in self._program.skipped:
            return
        self._mark_sites(body, edits)
        point = self._points.get(body.name)
        calls = self._records_calls(body)
        if not calls and point is None:
            return
        scratch = body.add_local(I32)
        kind = self._program.types[self._program.signatures[body.function]]
        scope = Scope(kind)
        if calls:
            self._insert(edits, body.code, [self._span(body, scratch, CALL_ENTER)])
        exit_records: tuple[Record, ...] = ()
        flag = None
        if point is not None:
            fast = bool(point.fast) and self._may_call(body, point)
            flag = body.add_local(I32) if fast else None
            exit_records = point.exit
            if any(_uses(records, "state") for records in (point.entry, _later(point))):
                scope = replace(scope, spare=(body.add_local(I32), body.add_local(I32)))
            later = (*_later(point), *(point.entry if fast else ()))
            entry = [] if fast else [self._record(r, scope, scratch) for r in point.entry]
            scope = self._save(body, edits, later, scope)
            self._points_inside(body, edits, point, scope, scratch, flag)
            self._insert(edits, body.code, entry)
            if _uses(point.entry, "site"):
                clear = i32_const(0) * 2 + access("i32.store", self._ring.memory, layout.CALL_SITE)
                edits.append((body.code, body.code, clear, -1))
        if calls or exit_records:
            self._wrap(body, edits, scope, point or Point(""), scratch, calls, flag)

    def import_prelude(self, name: str, kind: FuncType, first_local: int) -> bytes:
        """Code for the start of the wrapper of an imported function: its entry records. It has an
        i32 local ``first_local`` for itself."""
        point = self._points.get(name)
        if point is None:
            return b""
        scope = Scope(kind)
        return b"".join(self._record(r, scope, first_local)[0] for r in point.entry)

    def _records_calls(self, body: Body) -> bool:
        recording = self._recording
        if recording.calls == "none":
            return False
        wanted = recording.wants(body.name)
        return wanted if wanted is not None else recording.calls == "all" or body.calls()

    def _span(self, body: Body, scratch: int, kind: int, check: bool = True) -> Code:
        return self._ring.append(kind | body.function << ARG_SHIFT, scratch, check=check)

    def _may_call(self, body: Body, point: Point) -> bool:
        """The function contains a call of one of those that the point wants to know of."""
        names = {name for name, _ in point.calls}
        return any(
            token is Token.CALL and self._called(body, start, end) in names
            for token, start, end in body.events
        )

    def _called(self, body: Body, start: int, end: int) -> str:
        return self._program.names.get(decode_u32(body.data, start + 1, end)[0], "")

    def _save(
        self, body: Body, edits: list[Edit], later: tuple[Record, ...], scope: Scope
    ) -> Scope:
        """Copies of what records after the entry refer to: parameters, the call's site, what
        parameters pointed at."""
        kind = scope.function
        text = " ".join(f"{r.when} {' '.join(s for _, s in r.fields)}" for r in later)
        used = sorted({int(n) for n in re.findall(r"param(\d+)", text)})
        saved = [(n, body.add_local(kind.params[n])) for n in used if n < len(kind.params)]
        code = b"".join(op("local.get", n) + op("local.set", local) for n, local in saved)
        site = None
        if _uses(later, "site"):
            site = body.add_local(I32)
            code += self._sources.code("site", scope) + op("local.set", site)
        before = []
        for source in sorted(set(re.findall(r"was\d+\+\d+", text))):
            value = self._sources.code(source.replace("was", "param"), scope)
            if value:
                before.append((source, body.add_local(I32)))
                code += value + op("local.set", before[-1][1])
        if code:
            edits.append((body.code, body.code, code, -1))
        return replace(scope, saved=tuple(saved), site=site, before=tuple(before))

    def _wrap(
        self,
        body: Body,
        edits: list[Edit],
        scope: Scope,
        point: Point,
        scratch: int,
        calls: bool,
        flag: int | None,
    ) -> None:
        """The block around the body, and what is recorded behind it and at each return."""
        kind, keep = scope.function, b""
        if len(kind.results) == 1 and point.exit:
            result = body.add_local(kind.results[0])
            scope = replace(scope, result=result)
            keep = op("local.tee", result)
        # Where nothing else looks whether the ring is full, the end has to.
        check = not calls and (flag is not None or not point.entry)
        codes = [self._record(r, scope, scratch, check) for r in point.exit]
        if flag is not None:
            test = op("local.get", flag)
            slow = b"".join(code for code, _ in codes)
            fast = [self._record(r, scope, scratch, check) for r in point.fast]
            codes = [(test + b"\x04\x40" + slow + ELSE, len(test)), *fast, (END, -1)]
        if calls:
            codes.append(self._span(body, scratch, CALL_EXIT, check=False))
        edits.append((body.code, body.code, b"\x02" + self._block_type(kind), -1))
        for token, start, end in body.events:
            tail = token in (Token.CALL, Token.INDIRECT) and _is_tail_call(body.data, start, end)
            if token is Token.RETURN:
                if keep:
                    edits.append((start, start, keep, -1))
                self._insert(edits, start, codes)
            elif tail and calls:
                self._insert(edits, start, codes[-1:])
        end = body.end - 1
        edits.append((end, end, END + keep, -1))
        self._insert(edits, end, codes)

    def _block_type(self, kind: FuncType) -> bytes:
        if not kind.results:
            return VOID
        if len(kind.results) == 1:
            return bytes((kind.results[0],))
        return encode_signed(self._ring.type(kind.results))

    def _points_inside(
        self,
        body: Body,
        edits: list[Edit],
        point: Point,
        scope: Scope,
        scratch: int,
        flag: int | None,
    ) -> None:
        """Calls of named functions, and indirect calls. `flag` is the local that tells that one of
        the calls has happened, if there are records to be made at the first one only."""
        flags: dict[str, int] = {}
        for token, start, end in body.events:
            if token is Token.CALL and point.calls:
                name = self._called(body, start, end)
                for callee, record in point.calls:
                    if callee == name:
                        mine = flag if flag is not None else flags.get(callee)
                        if mine is None:
                            mine = flags[callee] = body.add_local(I32)
                        put_off = point.entry if flag is not None else ()
                        codes = [self._record(r, scope, scratch)[0] for r in (*put_off, record)]
                        first = op("local.get", mine) + op("i32.eqz") + b"\x04\x40"
                        done = i32_const(1) + op("local.set", mine) + END
                        edits.append((start, start, first + b"".join(codes) + done, len(first) - 2))
            elif token is Token.INDIRECT and (point.before or point.after):
                self._indirect(body, edits, point, scope, scratch, start, end)

    def _indirect(
        self,
        body: Body,
        edits: list[Edit],
        point: Point,
        scope: Scope,
        scratch: int,
        start: int,
        end: int,
    ) -> None:
        if body.data[start] != 0x11:  # call_indirect
            return
        kind = self._program.types[decode_u32(body.data, start + 1, end)[0]]
        if signature(kind) != point.signature:
            return
        target = body.add_local(I32)
        operands = [body.add_local(each) for each in kind.params]
        take = op("local.set", target)
        take += b"".join(op("local.set", local) for local in reversed(operands))
        give = b"".join(op("local.get", local) for local in (*operands, target))
        edits.append((start, start, take + give, -1))
        scope = replace(scope, target=target, operands=tuple(operands), called=kind)
        self._insert(edits, start, [self._record(r, scope, scratch) for r in point.before])
        if not point.after:
            return
        if kind.results:
            result = body.add_local(kind.results[0])
            scope = replace(scope, result=result)
            edits.append((end, end, op("local.tee", result), -1))
        self._insert(edits, end, [self._record(r, scope, scratch) for r in point.after])

    def _record(self, record: Record, scope: Scope, scratch: int, check: bool = True) -> Code:
        """Code of one record; nothing if the function has not what the record is about."""
        slots: dict[int, bytes] = {}
        for slot, source in record.fields:
            code = self._sources.code(source, scope)
            if code:
                slots[slot] = slots[slot] + code + op("i32.or") if slot in slots else code
        units = tuple(
            (slots.get(low, b""), slots.get(low + 1, b""))
            for low in range(1, max((slot for slot, _ in record.fields), default=0) + 1, 2)
        )
        arg = slots.get(ARG, b"")
        if arg:
            arg += i32_const(ARG_MAX) + op("i32.and") + i32_const(ARG_SHIFT) + op("i32.shl")
        head = record.kind | record.constant << ARG_SHIFT
        code, branch = self._ring.append(head, scratch, arg, units, check)
        if not record.when:
            return code, branch
        condition = self._sources.condition(record.when, scope)
        return condition + if_(code), -1 if branch < 0 else len(condition) + 2 + branch

    def _mark_sites(self, body: Body, edits: list[Edit]) -> None:
        """Before each call of a function that wants to know who calls it."""
        if not self._sited:
            return
        store = access("i32.store", self._ring.memory, layout.CALL_SITE)
        for token, start, end in body.events:
            if token is Token.CALL and decode_u32(body.data, start + 1, end)[0] in self._sited:
                offset = start - self._program.code_base
                edits.append((start, start, i32_const(0) + i32_const(offset) + store, -1))

    @staticmethod
    def _insert(edits: list[Edit], place: int, codes: Iterable[Code]) -> None:
        edits += [(place, place, code, branch) for code, branch in codes]


def signature(kind: FuncType) -> str:
    """A signature as points write it: "i32 i32 -> i32"."""
    left = " ".join(t.text for t in kind.params)
    return f"{left} -> {' '.join(t.text for t in kind.results)}".strip()


def _later(point: Point) -> tuple[Record, ...]:
    """Records after the entry."""
    calls = (record for _, record in point.calls)
    return (*point.exit, *point.fast, *calls, *point.before, *point.after)


def _uses(records: tuple[Record, ...], source: str) -> bool:
    return any(used == source for record in records for _, used in record.fields)


def _is_tail_call(data: bytes, start: int, end: int) -> bool:
    return end > start and data[start] in (0x12, 0x13, 0x15)
