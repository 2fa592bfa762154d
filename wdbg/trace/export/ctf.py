"""CTF 1.8 (diamon.org/ctf/v1.8.3): a directory with `metadata` and a stream a CPU.

Fields are those of the kernel's events. All records of a kind have one size: texts are arrays of
characters, functions are enumerations of their positions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wdbg.errors import BadInput
from wdbg.trace.batch import U32, Batch, Places
from wdbg.trace.events import Kind
from wdbg.trace.export import Counts, large_batches
from wdbg.trace.export.words import Records, as_words, scatter, sizes
from wdbg.trace.feed import TraceHeader
from wdbg.trace.names import Names
from wdbg.trace.reader import Trace
from wdbg.trace.upstream import DTYPES, EVENTS, Converter

PACKET = np.dtype(
    [
        ("magic", "<u4"), ("stream_id", "<u4"), ("timestamp_begin", "<u8"),
        ("timestamp_end", "<u8"), ("content_size", "<u8"), ("packet_size", "<u8"),
        ("events_discarded", "<u8"), ("cpu_id", "<u4"),
    ]
)  # fmt: skip
"""Header and context of a packet."""
MAGIC = 0xC1FC1FC1
_FUNCTIONS = frozenset({"func", "function", "caller_offs", "ip"})
"""Fields that hold a function's position: enumerations of all functions if it is a start."""

_METADATA = """/* CTF 1.8 */
typealias integer {{ size = 8; align = 8; signed = false; encoding = UTF8; }} := text_t;
typealias integer {{ size = 32; align = 8; signed = false; }} := uint32_t;
typealias integer {{ size = 32; align = 8; signed = true; }} := int32_t;
typealias integer {{ size = 32; align = 8; signed = false; base = 16; }} := hex32_t;
typealias integer {{ size = 64; align = 8; signed = false; }} := uint64_t;
{function_type}
trace {{
  major = 1; minor = 8; byte_order = le;
  packet.header := struct {{ uint32_t magic; uint32_t stream_id; }};
}};
env {{
  domain = "kernel"; tracer_name = "wdbg"; kernel = {kernel};
  kernel_hash = {kernel_hash}; seed = {seed};
}};
clock {{ name = guest; description = "virtual time of the guest"; freq = 1000000000; offset = 0; }};
typealias integer {{
  size = 64; align = 8; signed = false; map = clock.guest.value;
}} := guest_clock_t;
stream {{
  id = 0;
  packet.context := struct {{
    guest_clock_t timestamp_begin; guest_clock_t timestamp_end; uint64_t content_size;
    uint64_t packet_size; uint64_t events_discarded; uint32_t cpu_id;
  }};
  event.header := struct {{ uint32_t id; guest_clock_t timestamp; }};
  event.context := struct {{ int32_t tid; }};
}};
"""


def write(trace: Trace, target: Path) -> Counts:
    """Export into the directory `target`, which must be new or empty."""
    target.mkdir(exist_ok=True)
    if any(target.iterdir()):
        raise BadInput(f"{target}: not empty", "a CTF trace is a directory of its own")
    names = Names(trace.tables)
    (target / "metadata").write_text(_metadata(trace.header, names), encoding="utf-8")
    converter = Converter(names, trace.header.ns_per_tick)
    counts: Counts = {}
    files = {}
    try:
        for batch in large_batches(trace):
            for cpu, packet in _packets(batch, converter, trace.header.ns_per_tick, counts):
                if cpu not in files:
                    # closed below, all together
                    files[cpu] = open(target / f"cpu{cpu}", "wb")  # noqa: SIM115
                files[cpu].write(packet)
    finally:
        for file in files.values():
            file.close()
    return counts


def _packets(
    batch: Batch, converter: Converter, ns_per_tick: int, counts: Counts
) -> Iterator[tuple[int, bytes]]:
    """A packet for each CPU that has events in the batch."""
    parts = []
    names = converter.names
    for kind, rows, fields in converter.convert(batch):
        event = EVENTS[kind]
        counts[event.name] = counts.get(event.name, 0) + len(rows)
        layout: list[tuple[str, npt.DTypeLike]] = [("id", "<u4"), ("time", "<u8"), ("tid", "<i4")]
        records = np.empty(len(rows), [*layout, ("fields", event.dtype)])
        records["id"] = event_id(kind)
        records["time"] = rows["time"]
        records["tid"] = names.pids[names.life(rows["task"], rows["tick"])]
        records["fields"] = fields
        parts.append(Records(rows["seq"], as_words(records)))
    words = sizes(parts, len(batch))
    time, cpus = batch.time(ns_per_tick), batch.cpu()
    for cpu in np.flatnonzero(np.bincount(cpus)).tolist():
        mine = np.flatnonzero((cpus == cpu) & (words > 0))
        if len(mine):
            yield cpu, _packet(cpu, parts, mine, words, time)


def _packet(
    cpu: int, parts: list[Records], mine: Places, words: Places, time: npt.NDArray[np.uint64]
) -> bytes:
    ends = np.cumsum(words[mine])
    offsets = np.full(len(words), -1, np.int64)
    offsets[mine] = ends - words[mine]
    body: U32 = np.zeros(int(ends[-1]), "<u4")
    for part in parts:
        kept = offsets[part.seq] >= 0
        if kept.all():
            scatter([part], offsets, body)
        elif kept.any():
            scatter([Records(part.seq[kept], part.words[kept])], offsets, body)
    head = np.zeros(1, PACKET)
    size = (PACKET.itemsize + body.nbytes) * 8
    first, last = int(time[mine[0]]), int(time[mine[-1]])
    head[0] = (MAGIC, 0, first, last, size, size, 0, cpu)
    return head.tobytes() + body.tobytes()


def event_id(kind: Kind) -> int:
    """Number of a kind's event in the metadata."""
    return Kind.IDLE_ENTER if kind is Kind.IDLE_EXIT else kind


def _metadata(header: TraceHeader, names: Names) -> str:
    text = _METADATA.format(
        function_type=_function_type(names),
        kernel=_quoted(header.kernel),
        kernel_hash=_quoted(header.kernel_hash),
        seed=_quoted(str(header.seed)),
    )
    events = [
        f"event {{ name = {_quoted(EVENTS[kind].name)}; id = {int(kind)}; stream_id = 0; "
        f"fields := struct {{ {_fields(kind)} }}; }};\n"
        for kind in EVENTS
        if kind is not Kind.IDLE_EXIT
    ]
    return text + "".join(events)


def _function_type(names: Names) -> str:
    """An enumeration of all functions by position."""
    found = {
        start: _quoted(name.decode("utf-8", "replace"))
        for start, name in zip(names.starts.tolist(), names.function_names.tolist(), strict=True)
    }
    items = ", ".join(f"{name} = {start}" for start, name in sorted(found.items()))
    return f"typealias enum : hex32_t {{ {items} }} := function_t;"


def _fields(kind: Kind) -> str:
    declared = []
    for name, ctype in EVENTS[kind].fields:
        dtype = np.dtype(DTYPES[ctype])
        # Babeltrace strips one underscore; names that are keywords of the language need it.
        field = f"_{name}"
        if dtype.kind == "S":
            declared.append(f"text_t {field}[{dtype.itemsize}];")
        elif dtype.itemsize == 8:
            declared.append(f"uint64_t {field};")
        elif name in _FUNCTIONS:
            declared.append(f"function_t {field};")
        elif ctype in ("void *", "unsigned long"):
            declared.append(f"hex32_t {field};")
        else:
            declared.append(f"{'int32_t' if dtype.kind == 'i' else 'uint32_t'} {field};")
    return " ".join(declared)


def _quoted(text: str) -> str:
    return '"' + re.sub(r'["\\\x00-\x1f]', "?", text) + '"'
