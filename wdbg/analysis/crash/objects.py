"""The memory that a crash has to do with: what each address belongs to, who else points there, and
what that says of the cause (freed, given to two owners, written over by the object before).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from symbols.dwarf.index import Index
from symbols.dwarf.types import Type, TypeKind
from symbols.errors import SymbolsError
from wdbg.analysis.crash.backtrace import Call, printer
from wdbg.analysis.crash.cause import Cause
from wdbg.analysis.crash.symbols import Names
from wdbg.dump.pages import UNREADABLE
from wdbg.linux.slab import SlabObject

TRAPS = frozenset(
    {"null-call", "bad-call", "signature-mismatch", "out-of-bounds", "unreachable", "trap"}
)
"""Kinds of causes that say how it showed, and not yet why."""
POISONS = {0x100: "LIST_POISON1", 0x122: "LIST_POISON2"}
"""include/linux/poison.h"""
MOST_OBJECTS = 5
MOST_CALLS = 6
"""Innermost calls whose pointers are looked at."""
_MOST_BYTES = 256
_TEXT = frozenset(range(32, 127))
_LEAST_TEXT = 4
"""Printable bytes in a row that are taken for text."""


@dataclass(slots=True)
class Involved:
    """An object of the heap or a static one."""

    address: int
    """Where it starts."""
    size: int
    owner: str
    """In words: the cache and state, or the variable."""
    free: bool
    pointers: list[str] = field(default_factory=list)
    """Who points to it: "TYPE name" of variables."""
    types: list[str] = field(default_factory=list)
    """Types that its pointers give it."""
    contents: list[str] = field(default_factory=list)
    """Members, if a type is known, or else a hexadecimal dump."""
    before: str = ""
    """Why it may have been written over from the object before."""


def involved(names: Names, cause: Cause, calls: Sequence[Call]) -> list[Involved]:
    """The objects, those next to the cause first; where they say so the cause gets more precise."""
    found: dict[int, Involved] = {}
    kinds: dict[int, Type] = {}
    for address in reversed(cause.addresses):
        _add(names, found, address)
    for call in calls[:MOST_CALLS]:
        for value in call.values:
            number = value.number
            target = _target(value.type)
            if number is None or target is None:
                continue
            item = _add(names, found, number)
            if item is not None and number == item.address:
                kinds.setdefault(item.address, target)
                _note(item, f"{value.type} {value.name} of {call.function}()", str(target))
    index = names.snapshot.index
    if index is not None and found:
        for name, kind, pointer in _static_pointers(names, index):
            item = found.get(pointer)
            target = _target(kind)
            if item is not None and target is not None:
                kinds.setdefault(item.address, target)
                _note(item, f"{kind} {name}", str(target))
    objects = list(found.values())[:MOST_OBJECTS]
    for item in objects:
        item.contents = list(_contents(names, item, kinds.get(item.address)))
    _judge(cause, objects)
    judge_pointers(cause, calls)
    return objects


def _note(item: Involved, pointer: str, kind: str) -> None:
    if pointer not in item.pointers:
        item.pointers.append(pointer)
    if kind not in item.types and kind != "void":
        item.types.append(kind)


def _target(kind: Type) -> Type | None:
    """What a pointer to a struct points to."""
    try:
        bare = kind.bare
        if bare.kind is not TypeKind.POINTER:
            return None
        target = bare.target
        return target if target.bare.kind in (TypeKind.STRUCT, TypeKind.UNION) else None
    except SymbolsError:
        return None


def _add(names: Names, found: dict[int, Involved], address: int) -> Involved | None:
    slab = names.slab_object(address)
    if slab is None:
        return None
    item = found.get(slab.start)
    if item is None:
        state = "allocated" if slab.allocated else "FREE"
        if slab.allocated and slab.slab is not None and slab.slab.problems:
            state = "allocated, says a damaged list of free objects"
        size = slab.cache.object_size
        owner = f"{slab.cache.name} object at {slab.start:#x}, {size} bytes, {state}"
        item = Involved(slab.start, slab.cache.object_size, owner, not slab.allocated)
        item.before = _overrun(names, slab)
        found[slab.start] = item
    return item


def _overrun(names: Names, slab: SlabObject) -> str:
    """The object before ends in text that goes on into this one."""
    start, size = slab.start - slab.cache.size, slab.cache.size
    if slab.slab is None or start < slab.slab.start:
        return ""
    try:
        raw = names.snapshot.memory.read(start, size + 4 * _LEAST_TEXT)
    except UNREADABLE:
        return ""
    last, after = raw[size - _LEAST_TEXT : size], raw[size : size + _LEAST_TEXT]
    if not (_TEXT.issuperset(last) and after[0] in _TEXT):
        return ""
    first = size
    while first > 0 and raw[first - 1] in _TEXT:
        first -= 1
    text = raw[first:].split(b"\0", 1)[0].decode("ascii", "backslashreplace")
    return f"text that starts at {start + first:#x} in the object before goes on into it: {text!r}"


def _static_pointers(names: Names, index: Index) -> Iterator[tuple[str, Type, int]]:
    """Pointers to structs in static variables: (name, type, value)."""
    read = names.snapshot.memory.read
    for variable in index.pointer_variables():
        try:
            yield variable.name, variable.type, int.from_bytes(read(variable.address, 4), "little")
        except UNREADABLE:
            continue


def _contents(names: Names, item: Involved, kind: Type | None) -> Iterator[str]:
    try:
        raw = names.snapshot.memory.read(item.address, min(item.size, _MOST_BYTES))
    except UNREADABLE:
        yield "(this part of memory cannot be read)"
        return
    if kind is not None:
        show = printer(names)
        for member in kind.flat_members[:40]:
            piece = raw[member.offset : member.offset + member.size]
            if member.bit_size is None and piece and len(piece) == member.size:
                text = show.text(member.type, piece)
                yield f"+{member.offset:<4} {member.type} {member.name} = {text}"
        return
    for at in range(0, len(raw), 16):
        row = raw[at : at + 16]
        spelled = "".join(chr(byte) if byte in _TEXT else "." for byte in row)
        yield f"{item.address + at:08x}  {row.hex(' ', 4):<35}  {spelled}"


def _judge(cause: Cause, objects: Sequence[Involved]) -> None:
    """What the objects say of why it happened."""
    if cause.kind not in TRAPS:
        return
    for item in objects:
        pointers = ", ".join(item.pointers) or "no known pointer"
        if item.before:
            cause.kind = "slab-overrun"
            cause.title = f"{cause.title}: the object before it was written past its end"
            cause.details.append(item.before)
        elif item.free and len(item.types) > 1:
            cause.kind = "double-free"
            cause.title = f"{cause.title}: in memory that has two owners and is free"
            cause.details.append(f"{item.owner}: {pointers}")
        elif item.free:
            cause.kind = "use-after-free"
            cause.title = f"{cause.title}: in memory that was freed"
            cause.details.append(f"{item.owner}: {pointers}")
        elif len(item.types) > 1:
            cause.kind = "use-after-free"
            cause.title = f"{cause.title}: its memory has another owner now"
            cause.details.append(f"{item.owner}: {pointers}")
        else:
            continue
        return


def judge_pointers(cause: Cause, calls: Sequence[Call]) -> None:
    """What the pointers of the innermost frame say: NULL, or what list_del() leaves behind."""
    if cause.kind not in TRAPS or not calls:
        return
    for call in calls:
        if call.level != calls[0].level:
            return
        for value in call.values:
            number = value.number
            if number is None or _target(value.type) is None:
                continue
            where = f"{value.name} in {call.function}()"
            if number in POISONS:
                cause.kind = "list-corruption"
                cause.title = f"an entry that was on no list any more was used: {where} is poison"
                cause.details.append(f"{where} is {POISONS[number]}: list_del() leaves that")
                return
            if not number and (value.parameter or call.line):
                cause.kind = "null-dereference"
                cause.title = f"NULL pointer dereference: {where} is NULL"
                cause.details.append(
                    f"{value.type} {where}: address 0 is memory like any other in this guest"
                )
                return
