"""docs/trace-format.md says what the code does."""

import re
from pathlib import Path

from wdbg.trace import layout
from wdbg.trace.chunk import HEADER_SIZE
from wdbg.trace.events import FIELDS, TABLE_OF, LockKind, LockNote, MemOp
from wdbg.trace.reader import START_SIZE, TRAILER_SIZE
from wdbg.trace.upstream import EVENTS
from wdbg.trace.writer import INDEX_FIELDS


def test_kinds_tables_and_sizes(tree: Path) -> None:
    page = (tree / "docs" / "trace-format.md").read_text(encoding="utf-8")
    for kind, table in TABLE_OF.items():
        event = EVENTS[kind]
        line = f"| {kind.name} | {kind.value} | {table.value} {table.name} | "
        assert line + f"`{event.system}:{event.name}` |" in page
    for table, fields in FIELDS.items():
        (row,) = re.findall(rf"^\| {table.value} {table.name} \| (.*) \|$", page, re.M)
        assert [word.split()[0] for word in row.split(", ")] == [f.name for f in fields]
    assert f"**Start** ({START_SIZE} bytes)" in page
    assert f"**Chunk header** ({HEADER_SIZE} bytes)" in page
    assert f"**Trailer** ({TRAILER_SIZE} bytes)" in page
    for kind in (*LockKind, *LockNote, *MemOp):
        assert f"{kind.value} {kind.name}" in page
    assert ", ".join(INDEX_FIELDS) in page
    types = ", ".join(f"{kind.value} {kind.name}" for kind in layout.ChunkType)
    assert types in page
