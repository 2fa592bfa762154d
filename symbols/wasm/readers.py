"""Reads the contents of each known section. Hand-written: kernels have 10^4 of everything."""

from __future__ import annotations

from symbols.errors import SymbolsError
from symbols.wasm.container import Section, read_count, read_name
from symbols.wasm.decode import skip_expression
from symbols.wasm.leb import decode_u32, decode_u64
from symbols.wasm.types import (
    REFERENCE_TYPES,
    VALUE_TYPES,
    DataSegment,
    Element,
    Export,
    FuncType,
    Global,
    GlobalType,
    Import,
    Kind,
    Limits,
    TableType,
    ValueType,
)

MAX_SIGNATURE = 1000
MAX_BODY = 7_654_321
MAX_LOCALS = 50_000
MAX_ELEMENTS = 10_000_000
"""Most parameters or results of a signature, bytes and locals of a function, entries of an
element segment; engines have the same bounds."""


def _byte(data: bytes, pos: int, end: int) -> int:
    if pos >= end:
        raise SymbolsError("truncated section", pos)
    return data[pos]


def _finish(pos: int, section: Section, what: str) -> None:
    if pos != section.end:
        raise SymbolsError(f"{what} section: {section.end - pos} bytes of junk at its end", pos)


def read_value_type(data: bytes, pos: int, end: int) -> tuple[ValueType, int]:
    """One value type."""
    code = _byte(data, pos, end)
    kind = VALUE_TYPES.get(code)
    if kind is None:
        raise SymbolsError(f"unknown value type {code:#04x}", pos)
    return kind, pos + 1


def _value_types(data: bytes, pos: int, end: int) -> tuple[tuple[ValueType, ...], int]:
    count, after = read_count(data, pos, end, "signature")
    if count > MAX_SIGNATURE:
        raise SymbolsError(f"signature with {count} values", pos)
    kinds = []
    for _ in range(count):
        kind, after = read_value_type(data, after, end)
        kinds.append(kind)
    return tuple(kinds), after


def read_types(data: bytes, section: Section | None) -> list[FuncType]:
    """Type section."""
    if section is None:
        return []
    end = section.end
    count, pos = read_count(data, section.start, end, "type", 3)
    types = []
    for _ in range(count):
        form = _byte(data, pos, end)
        if form != 0x60:
            raise SymbolsError(f"unsupported type form {form:#04x}", pos)
        params, pos = _value_types(data, pos + 1, end)
        results, pos = _value_types(data, pos, end)
        types.append(FuncType(params, results))
    _finish(pos, section, "type")
    return types


def read_limits(data: bytes, pos: int, end: int, memory: bool) -> tuple[Limits, int]:
    """Limits of a memory or table."""
    flags = _byte(data, pos, end)
    start = pos
    if flags > (15 if memory else 7):
        raise SymbolsError(f"unknown limits flags {flags:#x}", start)
    read = decode_u64 if flags & 4 else decode_u32
    minimum, pos = read(data, pos + 1, end)
    maximum = page = None
    if flags & 1:
        maximum, pos = read(data, pos, end)
        if maximum < minimum:
            raise SymbolsError("limits with maximum below minimum", start)
    elif flags & 2:
        raise SymbolsError("shared memory without a maximum", start)
    if flags & 8:
        page, pos = decode_u32(data, pos, end)
    return Limits(minimum, maximum, bool(flags & 2), bool(flags & 4), page), pos


def _reference(data: bytes, pos: int, end: int) -> tuple[ValueType, int]:
    kind, after = read_value_type(data, pos, end)
    if kind not in REFERENCE_TYPES:
        raise SymbolsError(f"{kind.text} is no reference type", pos)
    return kind, after


def _table(data: bytes, pos: int, end: int) -> tuple[TableType, int]:
    kind, pos = _reference(data, pos, end)
    limits, pos = read_limits(data, pos, end, memory=False)
    return TableType(kind, limits), pos


def _global(data: bytes, pos: int, end: int) -> tuple[GlobalType, int]:
    kind, pos = read_value_type(data, pos, end)
    mutable = _byte(data, pos, end)
    if mutable > 1:
        raise SymbolsError(f"unknown mutability {mutable}", pos)
    return GlobalType(kind, bool(mutable)), pos + 1


def _tag(data: bytes, pos: int, end: int) -> tuple[int, int]:
    if _byte(data, pos, end):
        raise SymbolsError("unknown tag attribute", pos)
    return decode_u32(data, pos + 1, end)


def _kind(data: bytes, pos: int, end: int) -> Kind:
    code = _byte(data, pos, end)
    if code > Kind.TAG:
        raise SymbolsError(f"unknown import or export kind {code}", pos)
    return Kind(code)


def read_imports(data: bytes, section: Section | None) -> list[Import]:
    """Import section."""
    if section is None:
        return []
    end = section.end
    count, pos = read_count(data, section.start, end, "import", 4)
    imports = []
    for _ in range(count):
        module, pos = read_name(data, pos, end)
        name, pos = read_name(data, pos, end)
        start = pos
        kind = _kind(data, pos, end)
        pos += 1
        index: int | None = None
        described: TableType | Limits | GlobalType | None = None
        if kind is Kind.FUNCTION:
            index, pos = decode_u32(data, pos, end)
        elif kind is Kind.TABLE:
            described, pos = _table(data, pos, end)
        elif kind is Kind.MEMORY:
            described, pos = read_limits(data, pos, end, memory=True)
        elif kind is Kind.GLOBAL:
            described, pos = _global(data, pos, end)
        else:
            index, pos = _tag(data, pos, end)
        imports.append(Import(module, name, kind, index, described, (start, pos)))
    _finish(pos, section, "import")
    return imports


def read_indices(data: bytes, section: Section | None, what: str) -> list[int]:
    """A section that is one vector of indices."""
    if section is None:
        return []
    count, pos = read_count(data, section.start, section.end, what)
    raw = data[pos : pos + count]
    if raw.isascii():  # one byte each: the usual case of the function section
        _finish(pos + count, section, what)
        return list(raw)
    indices = []
    for _ in range(count):
        index, pos = decode_u32(data, pos, section.end)
        indices.append(index)
    _finish(pos, section, what)
    return indices


def read_tables(data: bytes, section: Section | None) -> list[TableType]:
    """Table section."""
    if section is None:
        return []
    count, pos = read_count(data, section.start, section.end, "table", 3)
    tables = []
    for _ in range(count):
        if _byte(data, pos, section.end) == 0x40:
            if _byte(data, pos + 1, section.end):
                raise SymbolsError("unknown table attribute", pos + 1)
            table, start = _table(data, pos + 2, section.end)
            pos = skip_expression(data, start, section.end)
            table = TableType(table.element, table.limits, data[start:pos])
        else:
            table, pos = _table(data, pos, section.end)
        tables.append(table)
    _finish(pos, section, "table")
    return tables


def read_memories(data: bytes, section: Section | None) -> list[Limits]:
    """Memory section."""
    if section is None:
        return []
    count, pos = read_count(data, section.start, section.end, "memory", 2)
    memories = []
    for _ in range(count):
        limits, pos = read_limits(data, pos, section.end, memory=True)
        memories.append(limits)
    _finish(pos, section, "memory")
    return memories


def read_tags(data: bytes, section: Section | None) -> list[int]:
    """Tag section: type indices."""
    if section is None:
        return []
    count, pos = read_count(data, section.start, section.end, "tag", 2)
    tags = []
    for _ in range(count):
        index, pos = _tag(data, pos, section.end)
        tags.append(index)
    _finish(pos, section, "tag")
    return tags


def read_globals(data: bytes, section: Section | None) -> list[Global]:
    """Global section."""
    if section is None:
        return []
    count, pos = read_count(data, section.start, section.end, "global", 4)
    out = []
    for _ in range(count):
        kind, start = _global(data, pos, section.end)
        pos = skip_expression(data, start, section.end)
        out.append(Global(kind, (start, pos)))
    _finish(pos, section, "global")
    return out


def read_exports(data: bytes, section: Section | None) -> dict[str, Export]:
    """Export section."""
    if section is None:
        return {}
    end = section.end
    count, pos = read_count(data, section.start, end, "export", 3)
    exports: dict[str, Export] = {}
    for _ in range(count):
        start = pos
        name, pos = read_name(data, pos, end)
        kind = _kind(data, pos, end)
        index, pos = decode_u32(data, pos + 1, end)
        if name in exports:
            raise SymbolsError(f"export {name!r} given twice", start)
        exports[name] = Export(name, kind, index)
    _finish(pos, section, "export")
    return exports


def read_elements(data: bytes, section: Section | None) -> list[Element]:
    """Element section: all eight forms."""
    if section is None:
        return []
    count, pos = read_count(data, section.start, section.end, "element", 2)
    elements = []
    for _ in range(count):
        element, pos = _element(data, pos, section.end)
        elements.append(element)
    _finish(pos, section, "element")
    return elements


def _element(data: bytes, pos: int, end: int) -> tuple[Element, int]:
    start = pos
    flags, pos = decode_u32(data, pos, end)
    if flags > 7:
        raise SymbolsError(f"unknown element segment flags {flags:#x}", start)
    mode, table = "active", 0
    offset = None
    if flags & 1:
        mode = "declared" if flags & 2 else "passive"
    else:
        if flags & 2:
            table, pos = decode_u32(data, pos, end)
        after = skip_expression(data, pos, end)
        offset, pos = (pos, after), after
    kind = ValueType.FUNCREF
    if flags & 3:
        if flags & 4:
            kind, pos = _reference(data, pos, end)
        else:
            if _byte(data, pos, end):
                raise SymbolsError("unknown element kind", pos)
            pos += 1
    size, pos = read_count(data, pos, end, "element segment", most=MAX_ELEMENTS)
    if flags & 4:
        expressions = []
        for _ in range(size):
            after = skip_expression(data, pos, end)
            expressions.append((pos, after))
            pos = after
        return Element(mode, table, offset, kind, None, tuple(expressions), flags), pos
    functions = []
    for _ in range(size):
        index, pos = decode_u32(data, pos, end)
        functions.append(index)
    return Element(mode, table, offset, kind, tuple(functions), None, flags), pos


def read_segments(data: bytes, section: Section | None) -> list[DataSegment]:
    """Data section."""
    if section is None:
        return []
    end = section.end
    count, pos = read_count(data, section.start, end, "data", 2)
    segments = []
    for _ in range(count):
        start = pos
        flags, pos = decode_u32(data, pos, end)
        if flags > 2:
            raise SymbolsError(f"unknown data segment flags {flags:#x}", start)
        memory = 0
        offset = None
        if flags == 2:
            memory, pos = decode_u32(data, pos, end)
        if flags != 1:
            after = skip_expression(data, pos, end)
            offset, pos = (pos, after), after
        size, pos = read_count(data, pos, end, "data segment", most=1 << 32)
        segments.append(DataSegment(memory, offset, pos, pos + size, flags))
        pos += size
    _finish(pos, section, "data")
    return segments


def read_bodies(data: bytes, section: Section | None) -> list[tuple[int, int, int]]:
    """Code section: (offset of the size field, first byte after it, end) of each body."""
    if section is None:
        return []
    end = section.end
    count, pos = read_count(data, section.start, end, "code", 3)
    bodies = []
    for _ in range(count):
        size, start = decode_u32(data, pos, end)
        stop = start + size
        if stop > end:
            raise SymbolsError(f"function body claims {size} bytes, {end - start} are left", pos)
        if size > MAX_BODY:
            raise SymbolsError(f"function body of {size} bytes, {MAX_BODY} are the limit", pos)
        if not size or data[stop - 1] != 0x0B:
            raise SymbolsError("function body does not end with the end opcode", pos)
        bodies.append((pos, start, stop))
        pos = stop
    _finish(pos, section, "code")
    return bodies


def read_locals(data: bytes, start: int, end: int) -> tuple[list[tuple[int, ValueType]], int]:
    """Local declarations of a body: ([(count, type)], offset of the first instruction)."""
    if start < end and not data[start]:
        return [], start + 1
    groups, pos = read_count(data, start, end, "locals", 2, MAX_LOCALS)
    out = []
    total = 0
    for _ in range(groups):
        count, pos = decode_u32(data, pos, end)
        kind, pos = read_value_type(data, pos, end)
        total += count
        if total > MAX_LOCALS:
            raise SymbolsError(f"more than {MAX_LOCALS} locals", start)
        out.append((count, kind))
    return out, pos
