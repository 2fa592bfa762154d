"""The variables of a frame with their values, and C values as text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from symbols.dwarf.evaluate import NotKnown, Surroundings, evaluate
from symbols.dwarf.index import Index
from symbols.dwarf.scopes import LocalVariable
from symbols.dwarf.types import Type, TypeKind
from symbols.errors import SymbolsError
from wdbg.dump.pages import UNREADABLE
from wdbg.dump.snapshot import Snapshot
from wdbg.dump.state import FrameState, TaskState

_MOST_VALUE = 1 << 16
"""Bytes of a variable that are read."""
_MOST_MEMBERS = 24
_MOST_ELEMENTS = 8
_MOST_STRING = 80
_FLOAT, _BOOLEAN, _CHARS = 0x04, 0x02, (0x06, 0x08)
"""DW_ATE_*."""


@dataclass(frozen=True, slots=True)
class Value:
    """A variable of a frame."""

    name: str
    type: Type
    parameter: bool
    inlined: int
    """See `symbols.dwarf.scopes.LocalVariable`."""
    data: bytes | None
    """Its bytes; None if they are not known."""
    address: int = 0
    """Where it lies in guest memory; 0 if it is in none."""

    @property
    def number(self) -> int | None:
        """As an unsigned number, if it is one or a pointer."""
        if self.data is None or len(self.data) > 8 or not _scalar(self.type):
            return None
        return int.from_bytes(self.data, "little")


def _scalar(kind: Type) -> bool:
    try:
        return kind.bare.kind in (TypeKind.BASE, TypeKind.POINTER, TypeKind.ENUM)
    except SymbolsError:
        return False


def frame_values(
    snapshot: Snapshot, index: Index, task: TaskState, frame: FrameState, *, outer: bool
) -> list[Value]:
    """Parameters and locals in scope where a frame stands; `outer`: its call is under way.
    [] for code that DWARF does not know."""
    address = frame.offset - 1 if outer else frame.offset
    try:
        variables = index.variables_in_scope(address)
    except SymbolsError:
        return []
    found = []
    for variable in variables:
        data, where = None, 0
        try:
            data, where = _read(snapshot, task, frame, variable)
        except (NotKnown, SymbolsError):
            pass
        found.append(
            Value(
                variable.name, variable.type, variable.parameter, variable.inlined, data, where
            )
        )
    return found


def _read(
    snapshot: Snapshot, task: TaskState, frame: FrameState, variable: LocalVariable
) -> tuple[bytes, int]:
    size = min(variable.type.size, _MOST_VALUE)
    if isinstance(variable.constant, bytes):
        return variable.constant[:size], 0
    if variable.constant is not None:
        return (variable.constant & (1 << 64) - 1).to_bytes(8, "little")[:size], 0
    if variable.expression is None:
        raise NotKnown("the compiler has dropped it")

    def wasm(kind: int, number: int) -> int:
        if kind == 0:
            value = frame.locals.get(number)
        elif kind == 2:
            value = frame.operands.get(number)
        else:
            value = frame.stack_pointer or None if (frame.module, number) == (0, 0) else None
            value = task.globals.get((frame.module, number)) if number else value
        if value is None:
            raise NotKnown("its value was not kept")
        return value

    def memory(address: int, length: int) -> bytes:
        try:
            return snapshot.memory.read(address & 0xFFFF_FFFF, length)
        except UNREADABLE as error:
            raise NotKnown(str(error)) from None

    def nothing() -> int:
        raise NotKnown("a frame base that refers to itself")

    def frame_base() -> int:
        if variable.frame_base is None:
            raise NotKnown("its function has no frame base")
        return evaluate(variable.frame_base, Surroundings(wasm, nothing, memory)).value

    place = evaluate(variable.expression, Surroundings(wasm, frame_base, memory))
    if place.in_memory:
        return memory(place.value, size), place.value & 0xFFFF_FFFF
    if size > 8:
        raise NotKnown("it is longer than a register")
    return (place.value & (1 << 64) - 1).to_bytes(8, "little")[:size], 0


class Printer:
    """C values as text, short enough for a line."""

    def __init__(
        self,
        read: Callable[[int, int], bytes],
        name_code: Callable[[int], str] = lambda _: "",
        name_data: Callable[[int], str] = lambda _: "",
    ) -> None:
        """`name_code` names what a function pointer points to, `name_data` an address of data;
        "" for what they do not know."""
        self._read = read
        self._name_code = name_code
        self._name_data = name_data

    def text(self, kind: Type, data: bytes, depth: int = 1) -> str:
        """The value; members of structs down to `depth`."""
        try:
            return self._text(kind, data, depth)
        except SymbolsError:
            return "?"

    def _text(self, kind: Type, data: bytes, depth: int) -> str:
        bare = kind.bare
        number = int.from_bytes(data[:8], "little")
        if bare.kind is TypeKind.POINTER:
            return self._pointer(bare, number)
        if bare.kind is TypeKind.ENUM:
            signed = self._signed(bare, data)
            name = next((n for n, v in bare.enumerators.items() if v in (number, signed)), "")
            return name or str(signed)
        if bare.kind in (TypeKind.STRUCT, TypeKind.UNION):
            return self._struct(bare, data, depth)
        if bare.kind is TypeKind.ARRAY:
            return self._array(bare, data, depth)
        if bare.kind is not TypeKind.BASE:
            return f"{number:#x}"
        if bare.dwarf_encoding == _BOOLEAN:
            return "true" if number else "false"
        if bare.dwarf_encoding == _FLOAT:
            return f"{number:#x} (float)"
        if bare.dwarf_encoding in _CHARS and bare.size == 1 and 32 <= number < 127:
            return f"{number} {chr(number)!r}"
        return str(self._signed(bare, data))

    @staticmethod
    def _signed(kind: Type, data: bytes) -> int:
        return int.from_bytes(data[: kind.size or 8], "little", signed=kind.signed)

    def _pointer(self, kind: Type, number: int) -> str:
        if not number:
            return "NULL"
        target = kind.target.bare
        if target.kind is TypeKind.FUNCTION:
            name = self._name_code(number)
            return f"{number:#x}{f' <{name}>' if name else ''}"
        if target.kind is TypeKind.BASE and target.size == 1 and target.dwarf_encoding in _CHARS:
            text = self._string(number)
            return f"{number:#x}{f' {text}' if text else ''}"
        name = self._name_data(number)
        return f"{number:#x}{f' <{name}>' if name else ''}"

    def _string(self, address: int) -> str:
        """The C string there, if it looks like one."""
        try:
            raw = self._read(address, _MOST_STRING)
        except (*UNREADABLE, NotKnown):
            return ""
        raw, zero, _ = raw.partition(b"\0")
        if not raw or not all(32 <= byte < 127 or byte in b"\n\t" for byte in raw):
            return '""' if zero and not raw else ""
        text = raw.decode("ascii").replace("\\", "\\\\").replace('"', '\\"')
        text = text.replace("\n", "\\n").replace("\t", "\\t")
        return f'"{text}"{"" if zero else "..."}'

    def _struct(self, kind: Type, data: bytes, depth: int) -> str:
        if depth <= 0:
            return "{...}"
        parts = list(self._members(kind, data, depth))
        return "{" + ", ".join(parts) + "}"

    def _members(self, kind: Type, data: bytes, depth: int) -> Iterator[str]:
        for count, member in enumerate(kind.flat_members):
            if count >= _MOST_MEMBERS:
                yield "..."
                return
            piece = data[member.offset : member.offset + member.size]
            if member.bit_size is not None and member.bit_offset is not None:
                whole = int.from_bytes(piece, "little") >> member.bit_offset
                yield f"{member.name} = {whole & (1 << member.bit_size) - 1}"
            elif len(piece) == member.size and piece:
                yield f"{member.name} = {self._text(member.type, piece, depth - 1)}"

    def _array(self, kind: Type, data: bytes, depth: int) -> str:
        element = kind.target
        size = element.size
        if not size:
            return "{}"
        bare = element.bare
        if size == 1 and bare.dwarf_encoding in _CHARS:
            raw = data.partition(b"\0")[0][:_MOST_STRING]
            text = raw.decode("ascii", "backslashreplace").replace('"', '\\"')
            return '"' + "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text) + '"'
        shown = [
            self._text(element, data[at : at + size], depth - 1)
            for at in range(0, min(len(data), size * _MOST_ELEMENTS), size)
        ]
        more = ", ..." if len(data) > size * _MOST_ELEMENTS else ""
        return "{" + ", ".join(shown) + more + "}"
