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
from symbols.wasm.types import FuncType, ValueType
from wdbg.instrument.offsets import OffsetMap
from wdbg.instrument.scan import Event, Token, tokenizer

Progress = Callable[[float], None]
"""Called now and then with the part of the work that is done, 0 to 1."""

Edit = tuple[int, int, bytes, int]
"""Replace original file range [start, end) by bytes; start == end inserts. The last field is the
offset in the bytes of a branch instruction that is unlikely to be taken, or -1."""


class Body:
    """One function body as passes see it. Positions are file offsets in the original module."""

    __slots__ = (
        "_groups", "code", "data", "end", "events", "function", "locals", "name", "new_locals",
        "signature",
    )  # fmt: skip

    def __init__(
        self,
        data: bytes,
        function: int,
        name: str,
        code: int,
        end: int,
        events: list[Event],
        signature: FuncType,
        groups: list[tuple[int, ValueType]],
    ) -> None:
        self.data = data
        self.function = function
        self.name = name
        self.code = code
        """First instruction."""
        self.end = end
        self.events = events
        self.signature = signature
        self._groups = groups
        self.locals = len(signature.params) + sum(n for n, _ in groups)
        """Parameters and declared locals of the original."""
        self.new_locals: list[ValueType] = []

    def local_types(self) -> list[ValueType]:
        """Types of the original's parameters and locals by index."""
        kinds = list(self.signature.params)
        for count, kind in self._groups:
            kinds += [kind] * count
        return kinds

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


class _Writer:
    """The bodies as they come out: copied ranges of the original and edits, and the cuts between
    them for the offset map. Positions in ``_data`` are file offsets; ``at`` counts from the first
    body's size field on."""

    def __init__(self, data: bytes, base: int, first: int) -> None:
        self._data = data
        self._base = base
        self._copied = first
        """Original position up to which everything has been written."""
        self._out: list[bytes] = []
        self.at = 0
        self.old = array("I")
        self.new = array("I")

    def copy(self, end: int) -> None:
        """Copy the original up to ``end``."""
        if end > self._copied:
            self._out.append(self._data[self._copied : end])
            self.at += end - self._copied
            self._copied = end

    def replace(self, start: int, end: int, text: bytes) -> None:
        """Copy up to ``start``, then write ``text`` for what lies between ``start`` and ``end``."""
        self.copy(start)
        self.old.append(start - self._base)
        self.new.append(self.at)
        self._out.append(text)
        self.at += len(text)
        self.old.append(end - self._base)
        self.new.append(self.at)
        self._copied = end

    def bodies(self) -> bytes:
        """Everything written."""
        return b"".join(self._out)

    def offsets(self, first: int, lead: int, size: int) -> OffsetMap:
        """The map, for bodies that come after ``lead`` bytes of the new section. The original's
        bodies start at ``first``, ``size`` is the original section's.

        Cut 0 stands for the count field; cut 1, a point, for it and the generated bodies; cut 2
        for the original's bodies up to the first edit.
        """
        moved = array("I", [at + lead for at in self.new])
        old = array("I", (0, 0, first - self._base)) + self.old
        new = array("I", (0, 0, lead)) + moved
        return OffsetMap(old, new, lead, lead + self.at, size)


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
    data, base, bodies = module.data, module.code_base, module.bodies
    scan = tokenizer(frozenset().union(*(p.tokens for p in passes))).scan
    types, signatures = module.types, module.function_types
    start = bodies[0][0] if bodies else base
    end = bodies[-1][2] if bodies else base
    writer = _Writer(data, base, start)
    hints: list[tuple[int, list[int]]] = []
    step = max(1, len(bodies) // 64)
    for number, (size_at, body_start, body_end) in enumerate(bodies):
        if progress is not None and not number % step:
            progress((size_at - base) / (end - base))
        groups, code = read_locals(data, body_start, body_end)
        function = module.function_imports + number
        kind = types[signatures[function]]
        events = scan(data, code, body_end)
        body = Body(
            data, function, function_name(function), code, body_end, events, kind, groups
        )
        edits: list[Edit] = []
        for one in passes:
            one.edit(body, edits)
        if not edits and not body.new_locals:
            continue
        edits.sort(key=_place)
        if body.new_locals:
            declared = _with_locals(data, body_start, code, len(groups), body.new_locals)
            edits.insert(0, (body_start, code, declared, -1))
        size = body_end - body_start + sum(len(e[2]) - (e[1] - e[0]) for e in edits)
        writer.replace(size_at, body_start, encode_unsigned(size))
        new_start = writer.at
        unlikely = []
        for from_, to, text, branch in edits:
            writer.replace(from_, to, text)
            if branch >= 0:
                unlikely.append(writer.at - len(text) + branch - new_start)
        if unlikely:
            hints.append((function, unlikely))
    writer.copy(end)
    if progress is not None:
        progress(1.0)
    tail = after()
    count_field = encode_unsigned(len(before) + len(bodies) + len(tail))
    head = b"".join((count_field, *before))
    offsets = writer.offsets(start, len(head), end - base)
    return SweepResult(b"".join((head, writer.bodies(), *tail)), offsets, hints)


def _place(edit: Edit) -> tuple[int, int]:
    return edit[0], edit[1]


def _with_locals(
    data: bytes, start: int, code: int, groups: int, new_locals: list[ValueType]
) -> bytes:
    """The local declarations of a body, which has ``groups`` of them, and the new ones."""
    while data[start] & 0x80:  # step over the old count
        start += 1
    extra = b"".join(bytes((1, kind)) for kind in new_locals)
    return encode_unsigned(groups + len(new_locals)) + data[start + 1 : code] + extra
