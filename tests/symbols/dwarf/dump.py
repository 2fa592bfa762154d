"""What llvm-dwarfdump says, as plain records: the independent truth of these tests."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from symbols.dwarf.sections import code_size
from symbols.dwarf.stops import Live, merge
from symbols.wasm import Module
from tests.symbols.dwarf.samples import run, tool

_ROW = re.compile(r"0x([0-9a-f]{16}) +(\d+) +(\d+) +(\d+) +(\d+) +(\d+) +(?:\d+ +)?(\S.*)?$")
_ENTRY = re.compile(r"0x([0-9a-f]{8,}): ( *)(DW_TAG_\w+|NULL)")
_ATTRIBUTE = re.compile(r" +(DW_AT_\w+)\s*\((.*)")
_RANGE = re.compile(r" +\[(0x[0-9a-f]+), (0x[0-9a-f]+)\)(?:: (.*))?")
_WASM = re.compile(r"DW_OP_WASM_location (0x[0-9a-f]+) (0x[0-9a-f]+)")
_SCOPES = ("DW_TAG_lexical_block", "DW_TAG_inlined_subroutine")


@dataclass
class Entry:
    """One debugging information entry; values are the texts in parentheses."""

    offset: int
    depth: int
    tag: str
    values: dict[str, str] = field(default_factory=dict)
    ranges: list[tuple[int, int]] = field(default_factory=list)
    locations: list[tuple[int, int, str]] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.values.get("DW_AT_name", '"").').split('"')[1]


def entries(path: Path) -> list[Entry]:
    """All entries of a module in order."""
    found: list[Entry] = []
    mode = ""
    for line in run(tool("llvm-dwarfdump"), "--debug-info", path).splitlines():
        match = _ENTRY.match(line)
        if match:
            found.append(Entry(int(match[1], 16), len(match[2]), match[3]))
            continue
        match = _ATTRIBUTE.match(line)
        if match and found:
            mode = match[1]
            found[-1].values[mode] = match[2]
            continue
        match = _RANGE.match(line)
        if match and mode == "DW_AT_ranges":
            found[-1].ranges.append((int(match[1], 16), int(match[2], 16)))
        elif match and mode in ("DW_AT_location", "DW_AT_frame_base"):
            found[-1].locations.append((int(match[1], 16), int(match[2], 16), match[3] or ""))
    return found


def bodies(module: Module) -> dict[int, int]:
    """End by start of each function's body."""
    base = module.code_base
    return {start - base: end - base for _, start, end in module.bodies}


def _pcs(entry: Entry) -> tuple[int, int] | None:
    low = re.match("0x[0-9a-f]+", entry.values.get("DW_AT_low_pc", ""))
    high = re.match("0x[0-9a-f]+", entry.values.get("DW_AT_high_pc", ""))
    return (int(low[0], 16), int(high[0], 16)) if low and high else None


def scoped(module: Module, found: list[Entry]) -> Iterator[tuple[Entry, list[tuple[int, int]]]]:
    """Entries with the code ranges of the innermost scope around (or of) them."""
    limit = code_size(module)
    whole = set(bodies(module).items())
    covered = {pair for entry in found if (pair := _pcs(entry)) in whole}
    starts = {low for low, _ in covered}
    stack: list[tuple[int, list[tuple[int, int]]]] = []
    for entry in found:
        while stack and stack[-1][0] >= entry.depth:
            stack.pop()
        if entry.tag == "NULL":
            continue
        around = stack[-1][1] if stack else []
        ranges = entry.ranges
        pcs = _pcs(entry)
        if pcs and not ranges:
            replaced = pcs[0] in starts and pcs not in whole
            ranges = [] if entry.tag == "DW_TAG_subprogram" and replaced else [pcs]
        inside = [r for r in ranges if 0 < r[0] < r[1] <= limit]
        if entry.tag == "DW_TAG_subprogram" or (entry.tag in _SCOPES and inside):
            around = inside
        elif entry.tag == "DW_TAG_compile_unit":
            around = []
        stack.append((entry.depth, around))
        yield entry, around


def live(module: Module, found: list[Entry]) -> list[Live]:
    """What `CodeInfo.live` should be."""
    limit = code_size(module)
    out: set[Live] = set()

    def add(text: str, ranges: list[tuple[int, int]]) -> None:
        for kind, index in _WASM.findall(text):
            out.update((low, high, int(kind, 16), int(index, 16)) for low, high in ranges)

    for entry, ranges in scoped(module, found):
        if entry.tag == "DW_TAG_subprogram":
            add(entry.values.get("DW_AT_frame_base", ""), ranges)
        elif entry.tag in ("DW_TAG_variable", "DW_TAG_formal_parameter") and ranges:
            for low, high, text in entry.locations:
                if 0 < low < high <= limit:
                    add(text, [(low, high)])
            if not entry.locations:
                add(entry.values.get("DW_AT_location", ""), ranges)
    return merge(out)


@dataclass(frozen=True)
class Row:
    """A row of a line table."""

    address: int
    line: int
    file: int
    flags: tuple[str, ...]


def rows(module: Module, path: Path) -> Iterator[Row]:
    """Rows of all programs that are about code which is there, in the order of the programs."""
    limit = code_size(module)
    for line in run(tool("llvm-dwarfdump"), "--debug-line", path).splitlines():
        match = _ROW.match(line)
        if match and 0 < int(match[1], 16) <= limit:
            flags = tuple((match[7] or "").split())
            yield Row(int(match[1], 16), int(match[2]), int(match[4]), flags)


def true_rows(module: Module, path: Path) -> list[Row]:
    """Rows without those of weak functions that others have replaced."""
    ends = bodies(module)
    starts = sorted(ends)
    sequences: list[list[Row]] = [[]]
    for row in rows(module, path):
        sequences[-1].append(row)
        if "end_sequence" in row.flags:
            sequences.append([])

    def body(sequence: list[Row]) -> int:
        at = bisect_right(starts, sequence[0].address) - 1
        return starts[at] if at >= 0 else 0

    whole = {body(s) for s in sequences if s and ends.get(body(s)) == s[-1].address}
    kept = [s for s in sequences if s and (body(s) not in whole or ends[body(s)] == s[-1].address)]
    return [row for sequence in kept for row in sequence]


def statements(found: Iterable[Row], limit: int) -> list[int]:
    """What `CodeInfo.rows` should be."""
    out: set[int] = set()
    last: Row | None = None
    for row in found:
        if "end_sequence" in row.flags:
            last = None
            continue
        repeats = last is not None and (last.file, last.line) == (row.file, row.line)
        keep = not repeats or "prologue_end" in row.flags
        if "is_stmt" in row.flags and row.line and row.address < limit and keep:
            out.add(row.address)
        last = row
    return sorted(out)
