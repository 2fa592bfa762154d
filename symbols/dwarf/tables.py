"""Sorts what a scan has collected into the columns of an index.

Tables and their columns, all u32 unless noted; a `name` is an offset into `strings`, which is
sorted, so that names compare like their offsets; a `file` counts from 1, 0 is none; an `entry` is
an offset into .debug_info, NONE if there is none; `first` columns have one entry more than their
table has rows, and a row's part of the other table is [first[i], first[i + 1]).

strings (bytes), files: name. functions, one for each body in their order: low, high, name, link
(the name section's), entry, file, line. inlined, in preorder: name, depth, file
and line (of the call), entry, parent (number of the call that it is in + 1, 0 if none), first
(ranges). ranges: low, high. spans, by address: low, call (number + 1 of the innermost inlined call
from there to the next span, 0 if none). lines, by address:
address, file, line, flags (bytes). statements, by (file, line, address): row. variables: name,
address, entry, flags, file, line. types: name, entry, kind (bytes), size, file, line. names, by
(name, kind): name, kind (bytes), ref. units: offset.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from heapq import heappop, heappush

from symbols.dwarf.constants import Tag
from symbols.dwarf.lines import END_SEQUENCE, STATEMENT
from symbols.dwarf.records import NONE, Named, NameKind, Records
from symbols.dwarf.store import Column

_MAX_HOPS = 8
"""Longest chain of abstract_origin and specification; compilers write two."""


def columns(records: Records) -> dict[str, Column]:
    """All columns of the index."""
    module, base = records.module, records.module.code_base
    link_names = module.names.functions
    imports = module.function_imports
    links = [link_names.get(imports + body, "") for body in range(len(module.bodies))]
    resolved = {
        entry: resolve(records, entry)
        for entry in (
            *(function.entry for function in records.functions.values()),
            *(call.origin for calls in records.inlined.values() for call in calls),
            *(variable.entry for variable in records.variables),
        )
    }
    texts = {"", *links, *records.files, *(named.name for named in resolved.values())}
    texts.update(name for _, name, *_ in records.types)
    texts.update(f"function[{imports + body}]" for body, link in enumerate(links) if not link)
    strings, place = _strings(texts)
    out: dict[str, Column] = {"strings": strings}
    names: list[tuple[int, int, int]] = []

    def table(title: str, fields: str, rows: list[tuple[int, ...]]) -> None:
        for number, name in enumerate(fields.split()):
            small = name in ("flags", "kind") and title != "variables"
            column = [row[number] for row in rows]
            out[f"{title}.{name}"] = bytes(column) if small else array("I", column)

    table("files", "name", [(place[""],), *((place[path],) for path in records.files)])

    functions: list[tuple[int, ...]] = []
    inlined: list[tuple[int, ...]] = []
    ranges: list[tuple[int, int]] = []
    spans: list[tuple[int, int]] = []
    for body, (_, start, end) in enumerate(module.bodies):
        function = records.functions.get(body)
        entry = function.entry if function else NONE
        named = resolved[entry] if function else Named("", 0, 0, NONE)
        link = links[body] or f"function[{imports + body}]"
        name = place[named.name or link]
        declared = named.file, named.line
        functions.append((start - base, end - base, name, place[link], entry, *declared))
        first = len(inlined)
        names.extend({(name, NameKind.FUNCTION, body), (place[link], NameKind.FUNCTION, body)})
        for call in records.inlined.get(body, ()):
            callee = place[resolved[call.origin].name]
            names.append((callee, NameKind.INLINED, len(inlined)))
            parent = first + call.parent + 1 if call.parent >= 0 else 0
            depth = inlined[parent - 1][1] + 1 if parent else 0
            called = call.file, call.line
            inlined.append((callee, depth, *called, call.entry, parent, len(ranges)))
            ranges.extend(call.ranges)
        spans.extend(_spans(records, body, first, (start - base, end - base)))
    table("functions", "low high name link entry file line", functions)
    table("inlined", "name depth file line entry parent first", inlined)
    table("ranges", "low high", list(ranges))
    out["inlined.first"] = array("I", [*(row[-1] for row in inlined), len(ranges)])
    table("spans", "low call", list(spans))

    # The end of a sequence goes before the start of the next one at the same address.
    doubtful = [
        row
        for body, some in records.doubtful.items()
        if body not in records.covered
        for row in some
    ]
    rows = sorted(records.rows + doubtful, key=lambda row: row[0] * 2 + (not row[3] & END_SEQUENCE))
    table("lines", "address file line flags", list(rows))
    # Of several statements at one address the last one is there to be stopped at.
    following = [*rows[1:], (-1, 0, 0, 0)] if rows else []
    statements = [
        number
        for number, (row, after) in enumerate(zip(rows, following, strict=True))
        if row[2]
        and row[1]
        and row[3] & STATEMENT
        and not (after[0] == row[0] and after[2] and after[3] & STATEMENT)
    ]
    statements.sort(key=lambda number: rows[number][1:3])  # stable: then by address
    out["statements.row"] = array("I", statements)

    variables: list[tuple[int, ...]] = []
    placed: set[tuple[str, int]] = set()
    for variable in records.variables:
        named = resolved[variable.entry]
        # A weak variable that was replaced has the address of the other one.
        if named.name and (named.name, variable.address) not in placed:
            placed.add((named.name, variable.address))
            names.append((place[named.name], NameKind.VARIABLE, len(variables)))
            declared = named.file, named.line
            variables.append(
                (place[named.name], variable.address, variable.entry, variable.flags, *declared)
            )
    table("variables", "name address entry flags file line", variables)

    types: list[tuple[int, ...]] = []
    for (tag, name_of_type, size, file, line), entry in records.types.items():
        names.append((place[name_of_type], NameKind.TYPE, len(types)))
        kind = Tag.STRUCTURE_TYPE if tag == Tag.CLASS_TYPE else tag
        types.append((place[name_of_type], entry, kind, size, file, line))
    table("types", "name entry kind size file line", types)

    names.sort()
    table("names", "name kind ref", list(names))
    out["units.offset"] = records.units
    return out


def _spans(
    records: Records, body: int, first: int, code: tuple[int, int]
) -> Iterator[tuple[int, int]]:
    """Rows of the table of spans for a body whose first inlined call has the number `first`."""
    calls = records.inlined.get(body)
    if not calls:
        return
    start, end = code
    # At an address the last call that covers it is the innermost one, since callees come later.
    events = sorted(
        (edge, number, opens)
        for number, call in enumerate(calls, first + 1)
        for low, high in call.ranges
        if start <= low < high <= end
        for edge, opens in ((low, True), (high, False))
    )
    heap: list[int] = []
    open_ranges: dict[int, int] = {}
    last = 0
    yield start, 0
    for at, (edge, number, opens) in enumerate(events):
        count = open_ranges.get(number, 0)
        if opens and not count:
            heappush(heap, -number)
        open_ranges[number] = count + (1 if opens else -1)
        if at + 1 < len(events) and events[at + 1][0] == edge:
            continue
        while heap and not open_ranges[-heap[0]]:
            heappop(heap)
        innermost = -heap[0] if heap else 0
        if innermost != last:
            yield edge, innermost
            last = innermost
    yield end, 0


def resolve(records: Records, entry: int) -> Named:
    """Name and declaration of an entry, from those that it refers to where it has none."""
    name, file, line = "", 0, 0
    for _ in range(_MAX_HOPS):
        named = records.named.get(entry)
        if named is None:
            break
        name = name or named.name
        if not line:
            file, line = named.file, named.line
        entry = named.origin
    return Named(name, file, line, NONE)


def _strings(texts: set[str]) -> tuple[bytes, dict[str, int]]:
    """All texts, sorted by their UTF-8 and NUL-terminated, and the offset of each."""
    blob = bytearray()
    place: dict[str, int] = {}
    for raw, text in sorted((text.encode(errors="replace"), text) for text in texts):
        place[text] = len(blob)
        blob += raw.replace(b"\0", b"?") + b"\0"
    return bytes(blob), place
