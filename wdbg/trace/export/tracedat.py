"""trace.dat, version 6: what trace-cmd and KernelShark read (man trace-cmd.dat.v6).

Pages of the kernel's ring buffer are filled with vectorised copies; only choosing where a page
ends is a loop, over pages.
"""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

import numpy as np

from wdbg.trace.batch import U32, U64, Batch, Places, Rows
from wdbg.trace.events import Kind
from wdbg.trace.export import Counts, large_batches
from wdbg.trace.export.words import Records, as_words, scatter, sizes
from wdbg.trace.names import Names
from wdbg.trace.reader import Trace
from wdbg.trace.upstream import DTYPES, EVENTS, Converter, Upstream

PAGE = 4096
PAGE_WORDS = PAGE // 4
PAGE_HEAD = 12
ROOM = PAGE - PAGE_HEAD
"""Bytes of records in a page."""
LONGEST_DELTA = 1 << 27
"""Nanoseconds between two events of a page must be below this."""
MAX_TYPE_LEN = 28
"""Words of data that the record's header can tell; longer records have a word for their size."""
COMMON_SIZE = 8

HEADER_PAGE = b"""\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;
\tfield: local_t commit;\toffset:8;\tsize:4;\tsigned:1;
\tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;
\tfield: char data;\toffset:12;\tsize:4084;\tsigned:0;
"""
HEADER_EVENT = b"""# compressed entry header
\ttype_len    :    5 bits
\ttime_delta  :   27 bits
\tarray       :   32 bits

\tpadding     : type == 29
\ttime_extend : type == 30
\ttime_stamp : type == 31
\tdata max type_len  == 28
"""
COMMON = """\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;
\tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;
\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;
"""
_FTRACE_IDS = {"funcgraph_entry": 11, "funcgraph_exit": 10}
"""Numbers that libtraceevent knows without a format (kernel/trace/trace.h)."""
_FIRST_ID = 300


def write(trace: Trace, target: Path) -> Counts:
    """Export; returns the number of events by name."""
    names = Names(trace.tables)
    cpus = max(1, trace.header.cpus)
    counts: Counts = {}
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".trace-") as folder:
        files: list[IO[bytes]] = []

        def file_of(cpu: int) -> IO[bytes]:
            while len(files) <= cpu:
                # closed below, all together
                files.append(open(Path(folder) / str(len(files)), "w+b"))  # noqa: SIM115
            return files[cpu]

        file_of(cpus - 1)
        try:
            converter = Converter(names, trace.header.ns_per_tick)
            for batch in large_batches(trace):
                _add(batch, converter, file_of, trace.header.ns_per_tick, counts)
            with open(target, "wb") as out:
                _assemble(out, names, files)
        finally:
            for file in files:
                file.close()
    return counts


def _add(
    batch: Batch,
    converter: Converter,
    file_of: Callable[[int], IO[bytes]],
    ns_per_tick: int,
    counts: Counts,
) -> None:
    """Append a batch's events to the CPUs' files."""
    parts = []
    for kind, rows, fields in converter.convert(batch):
        event = EVENTS[kind]
        counts[event.name] = counts.get(event.name, 0) + len(rows)
        parts.append(Records(rows["seq"], _records(kind, event, rows, fields, converter.names)))
    words = sizes(parts, len(batch))
    time, cpu = batch.time(ns_per_tick), batch.cpu()
    for number in np.flatnonzero(np.bincount(cpu)).tolist():
        mine = np.flatnonzero(cpu == number) if len(batch.runs) > 1 else np.arange(len(batch))
        mine = mine[words[mine] > 0]
        if len(mine):
            file_of(number).write(_pages(mine, words[mine], time[mine], parts, len(batch)))


def _records(kind: Kind, event: Upstream, rows: Rows, fields: Rows, names: Names) -> U32:
    """Ring buffer records, their headers without the time."""
    layout = [("head", "<u4")]
    size = COMMON_SIZE + sum(_size(ctype) for _, ctype in event.fields)
    inline = size // 4 > MAX_TYPE_LEN
    texts = [(name, ctype) for name, ctype in event.fields if _located(ctype)]
    size += sum(np.dtype(DTYPES[ctype]).itemsize for _, ctype in texts)
    inline = size // 4 > MAX_TYPE_LEN
    if inline:
        layout.append(("size", "<u4"))
    layout += [("type", "<u2"), ("flags", "u1"), ("preempt", "u1"), ("pid", "<i4")]
    layout += [
        (f"f_{name}", "<u4" if _located(ctype) else DTYPES[ctype]) for name, ctype in event.fields
    ]
    layout += [(f"t_{name}", DTYPES[ctype]) for name, ctype in texts]
    records = np.zeros(len(rows), layout)
    records["head"] = 0 if inline else size // 4
    if inline:
        records["size"] = size + 4
    records["type"] = _id(kind)
    records["pid"] = names.pids[names.life(rows["task"], rows["tick"])]
    at = COMMON_SIZE + sum(_size(ctype) for _, ctype in event.fields)
    for name, ctype in event.fields:
        if _located(ctype):
            length = np.dtype(DTYPES[ctype]).itemsize
            records[f"f_{name}"] = at | length << 16
            records[f"t_{name}"] = fields[name]
            at += length
        else:
            records[f"f_{name}"] = fields[name]
    return as_words(records)


def _pages(
    mine: Places, words: np.ndarray, time: U64, parts: Sequence[Records], events: int
) -> bytes:
    """Pages with the events `mine` (numbers in the batch) of one CPU."""
    ends = np.cumsum(words) * 4
    gaps = np.flatnonzero(np.diff(time.astype(np.int64)) >= LONGEST_DELTA) + 1
    starts = [0]
    for gap in [*gaps.tolist(), len(mine)]:
        while True:
            first = starts[-1]
            base = int(ends[first - 1]) if first else 0
            following = int(np.searchsorted(ends, base + ROOM, side="right"))
            if following >= gap:
                break
            starts.append(following)
        if gap < len(mine):
            starts.append(gap)
    first_of = np.array(starts)
    lengths = np.diff(np.append(first_of, len(mine)))
    page = np.repeat(np.arange(len(first_of)), lengths)
    before = ends - words * 4
    in_page = before - np.repeat(before[first_of], lengths)
    out = np.zeros(len(first_of) * PAGE_WORDS, "<u4")
    out[0::PAGE_WORDS] = time[first_of] & np.uint64(0xFFFFFFFF)
    out[1::PAGE_WORDS] = time[first_of] >> np.uint64(32)
    out[2::PAGE_WORDS] = ends[first_of + lengths - 1] - before[first_of]
    place = page * PAGE_WORDS + (PAGE_HEAD + in_page) // 4
    offsets = np.full(events, -1, np.int64)
    offsets[mine] = place
    scatter(
        [
            Records(part.seq[kept], part.words if kept.all() else part.words[kept])
            for part in parts
            if (kept := offsets[part.seq] >= 0).any()
        ],
        offsets,
        out,
    )
    delta = np.diff(time, prepend=time[:1])
    delta[first_of] = 0
    out[place] |= (delta << np.uint64(5)).astype(np.uint32)
    return out.tobytes()


def _assemble(out: IO[bytes], names: Names, files: Sequence[IO[bytes]]) -> None:
    """Header, then each CPU's pages, then the table in the header that says where they are."""
    out.write(b"\x17\x08\x44tracing6\0" + bytes((0, 4)) + struct.pack("<I", PAGE))
    for name, text in ((b"header_page\0", HEADER_PAGE), (b"header_event\0", HEADER_EVENT)):
        out.write(name + struct.pack("<Q", len(text)) + text)
    systems: dict[str, list[bytes]] = {}
    seen = set()
    for kind, event in EVENTS.items():
        if event.name not in seen:
            seen.add(event.name)
            systems.setdefault(event.system, []).append(_format(kind, event).encode())
    own = systems.pop("ftrace")
    out.write(struct.pack("<I", len(own)))
    for text in own:
        out.write(struct.pack("<Q", len(text)) + text)
    out.write(struct.pack("<I", len(systems)))
    for system, formats in systems.items():
        out.write(system.encode() + b"\0" + struct.pack("<I", len(formats)))
        for text in formats:
            out.write(struct.pack("<Q", len(text)) + text)
    symbols = b"".join(
        b"%08x T %s\n" % (start, name or b"?")
        for start, name in zip(names.starts[1:].tolist(), names.function_names[1:], strict=True)
    )
    out.write(struct.pack("<I", len(symbols)) + symbols)
    out.write(struct.pack("<I", 0))  # no printk formats
    comms = {
        int(pid): comm for pid, comm in zip(names.pids, names.comms.tolist(), strict=True) if pid
    }
    lines = b"".join(b"%d %s\n" % (pid, comm) for pid, comm in comms.items())
    out.write(struct.pack("<Q", len(lines)) + lines)
    out.write(struct.pack("<I", len(files)))
    out.write(b"options  \0" + struct.pack("<H", 0) + b"flyrecord\0")
    table = out.tell()
    start = -(-(table + 16 * len(files)) // PAGE) * PAGE
    places = []
    out.seek(start)
    for file in files:
        size = file.seek(0, 2)
        file.seek(0)
        places.append((out.tell(), size))
        while data := file.read(1 << 20):
            out.write(data)
    out.truncate()
    out.seek(table)
    for place, size in places:
        out.write(struct.pack("<QQ", place, size))


def _id(kind: Kind) -> int:
    kind = Kind.IDLE_ENTER if kind is Kind.IDLE_EXIT else kind  # one event
    return _FTRACE_IDS.get(EVENTS[kind].name, _FIRST_ID + kind)


def _located(ctype: str) -> bool:
    return ctype in ("__data_loc char[]", "text")


def _size(ctype: str) -> int:
    return 4 if _located(ctype) else np.dtype(DTYPES[ctype]).itemsize


def _format(kind: Kind, event: Upstream) -> str:
    """The event's format file."""
    lines, at = [], COMMON_SIZE
    for name, ctype in event.fields:
        size = _size(ctype)
        declared = f"{ctype} {name}"
        if _located(ctype):
            declared = f"__data_loc char[] {name}"
        elif ctype.endswith("]"):
            base, _, count = ctype.partition("[")
            declared = f"{base} {name}[{count}"
        signed = int(ctype in ("int", "long", "pid_t"))
        lines.append(f"\tfield:{declared};\toffset:{at};\tsize:{size};\tsigned:{signed};\n")
        at += size
    return (
        f"name: {event.name}\nID: {_id(kind)}\nformat:\n{COMMON}\n{''.join(lines)}\n"
        f"print fmt: {event.print_format}\n"
    )
