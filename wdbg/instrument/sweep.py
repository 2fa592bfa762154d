"""The one sweep over the code: passes contribute edits, the sweep applies them.

A pass looks at one body at a time and appends edits; it knows nothing of other passes, of sizes
or of offsets. Edits at the same place are applied in the order of the passes. The sweep keeps the
offset map and collects the branch hints.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from symbols.wasm.leb import encode_unsigned
from symbols.wasm.module import Module
from symbols.wasm.readers import read_locals
from symbols.wasm.types import ValueType
from wdbg.instrument.offsets import OffsetMap
from wdbg.instrument.scan import Event, Token, tokenizer

Progress = Callable[[float], None]
"""Called now and then with the part of the work that is done, 0 to 1."""

Edit = tuple[int, int, bytes, int]
"""Replace original file range [start, end) by bytes; start == end inserts. The last field is the
offset in the bytes of a branch instruction that is unlikely to be taken, or -1."""


class Body:
    """One function body as passes see it. Positions are file offsets in the original module."""

    __slots__ = ("code", "data", "end", "events", "function", "locals", "name", "new_locals")

    def __init__(
        self,
        data: bytes,
        function: int,
        name: str,
        code: int,
        end: int,
        events: list[Event],
        local_count: int,
    ) -> None:
        self.data = data
        self.function = function
        self.name = name
        self.code = code
        """First instruction."""
        self.end = end
        self.events = events
        self.locals = local_count
        """Parameters and declared locals of the original."""
        self.new_locals: list[ValueType] = []

    def add_local(self, kind: ValueType) -> int:
        """A fresh local variable; returns its index."""
        self.new_locals.append(kind)
        return self.locals + len(self.new_locals) - 1

    def calls(self) -> bool:
        """The body contains a call of any kind, or a loop: it is no trivial leaf."""
        return any(
            token is Token.LOOP or token is Token.CALL or token is Token.INDIRECT
            for token, _, _ in self.events
        )


class Pass(Protocol):
    """One kind of instrumentation."""

    tokens: frozenset[Token]
    """Instructions that it needs to see in ``Body.events``."""

    def edit(self, body: Body, edits: list[Edit]) -> None:
        """Append this pass's edits of one body."""


@dataclass(frozen=True, slots=True)
class SweepResult:
    """``code`` is the contents of the new code section, ``hints`` the entries of the branch hint
    section (function indices are given by the caller)."""

    code: bytes
    offsets: OffsetMap
    hints: list[tuple[int, list[int]]]


def sweep(
    module: Module,
    passes: Sequence[Pass],
    before: Sequence[bytes],
    after: Callable[[], Sequence[bytes]],
    function_name: Callable[[int], str],
    progress: Progress | None = None,
) -> SweepResult:
    """Rewrite all bodies of ``module``. ``before`` are generated code entries that come first,
    ``after()`` is asked at the end for those that come last. ``hints`` name original functions.
    """
    data, base = module.data, module.code_base
    scan = tokenizer(frozenset().union(*(p.tokens for p in passes))).scan
    types, signatures = module.types, module.function_types
    first = module.function_imports
    bodies = module.bodies
    head = b"".join(before)
    code_end = bodies[-1][2] if bodies else base
    out: list[bytes] = []
    old, new = array("I", (0,)), array("I", (0,))
    hints: list[tuple[int, list[int]]] = []
    # ``copied`` is the original position up to which everything is in ``out``, ``at`` the length
    # of ``out`` without the count and the leading generated entries, which are added at the end.
    copied = bodies[0][0] if bodies else base
    origin = copied
    at = 0
    step = max(1, len(bodies) // 64)
    for number, (size_at, start, end) in enumerate(bodies):
        if progress is not None and not number % step:
            progress((size_at - base) / (code_end - base))
        groups, code = read_locals(data, start, end)
        function = first + number
        count = len(types[signatures[function]].params) + sum(n for n, _ in groups)
        events = scan(data, code, end)
        body = Body(data, function, function_name(function), code, end, events, count)
        edits: list[Edit] = []
        for one in passes:
            one.edit(body, edits)
        if not edits and not body.new_locals:
            continue
        edits.sort(key=_place)
        locals_edit = b""
        if body.new_locals:
            extra = b"".join(bytes((1, kind)) for kind in body.new_locals)
            locals_edit = (
                encode_unsigned(len(groups) + len(body.new_locals))
                + _declared(data, start, code)
                + extra
            )
            edits.insert(0, (start, code, locals_edit, -1))
        size = end - start + sum(len(e[2]) - (e[1] - e[0]) for e in edits)
        edits.insert(0, (size_at, start, encode_unsigned(size), -1))
        unlikely: list[int] = []
        body_at = 0
        for from_, to, text, hint in edits:
            if from_ > copied:
                out.append(data[copied:from_])
                at += from_ - copied
            if hint >= 0:
                unlikely.append(at + hint - body_at)
            out.append(text)
            old.append(from_ - base)
            new.append(at)
            at += len(text)
            old.append(to - base)
            new.append(at)
            copied = to
            if to == start and from_ == size_at:
                body_at = at
        if unlikely:
            hints.append((function, unlikely))
    if code_end > copied:
        out.append(data[copied:code_end])
        at += code_end - copied
    if progress is not None:
        progress(1.0)
    tail = after()
    count_field = encode_unsigned(len(before) + len(bodies) + len(tail))
    lead = len(count_field) + len(head)
    shift_from = origin - base
    # Entry 0 stands for the count field; entry 1 (a point) for it and the leading entries; then
    # the copied first body, then the cuts of the sweep, all moved by the lead.
    offsets = OffsetMap(
        array("I", (0, 0, shift_from)) + old[1:],
        array("I", (0, 0, lead)) + array("I", [n + lead for n in new[1:]]),
        lead,
        lead + at,
        code_end - base,
    )
    return SweepResult(b"".join((count_field, head, *out, *tail)), offsets, hints)


def _place(edit: Edit) -> tuple[int, int]:
    return edit[0], edit[1]


def _declared(data: bytes, start: int, code: int) -> bytes:
    """The local declarations of a body without their count."""
    while data[start] & 0x80:
        start += 1
    return data[start + 1 : code]
