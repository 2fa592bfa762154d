"""Exports without their tools: what is in them, and that odd traces can be written."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.trace.synthetic import CLASSES, HEADER, Synthetic, functions, write_trace
from wdbg.errors import BadInput
from wdbg.trace import ring
from wdbg.trace.batch import Batch
from wdbg.trace.chunk import Compressor
from wdbg.trace.events import FIELDS, TABLE_OF, Kind
from wdbg.trace.export import FORMATS, export
from wdbg.trace.lives import Lives
from wdbg.trace.raw import Context, decode
from wdbg.trace.reader import Trace
from wdbg.trace.upstream import EVENTS
from wdbg.trace.writer import TraceFile, TraceWriter


@pytest.fixture(scope="module")
def trace_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trace") / "t.wdt"
    write_trace(path, Synthetic(seed=2).run(3000))
    return path


def write_batch(path: Path, batch: Batch) -> None:
    compressor = Compressor()
    writer = TraceWriter(TraceFile(path, HEADER, compressor), HEADER, compressor)
    writer.rows(functions())
    writer.rows(CLASSES)
    writer.events(batch)
    writer.close({})


def decode_all(data: bytes) -> Batch:
    lives = Lives()
    lives.begin(np.frombuffer(data, np.uint32), [], 0)
    return decode(data, Context(), lives.number_of)[0]


@pytest.mark.parametrize("format_name", FORMATS)
def test_every_event_is_written(trace_path: Path, tmp_path: Path, format_name: str) -> None:
    with Trace(trace_path) as trace:
        found = export(trace, format_name, tmp_path / "out")
        wanted: Counter[str] = Counter()
        for kind, count in trace.counts().items():
            name = kind.name.lower() if format_name == "parquet" else EVENTS[kind].name
            wanted[name] += count
    assert found == wanted


@pytest.mark.parametrize("format_name", FORMATS)
def test_every_kind_with_extreme_values_and_no_names(tmp_path: Path, format_name: str) -> None:
    """Numbers that are in no table, long gaps, the largest of everything."""
    data = bytearray(ring.context(3, 0x1000, 2**40, 2**50))
    for turn, high in enumerate((0, 0x7FFFFFFF, 0xFFFFFFFF)):
        for kind in TABLE_OF:
            values = {item.name: high for item in FIELDS[TABLE_OF[kind]]}
            data += ring.record(kind, 1000 - turn, values)
    data += ring.context(0, 0x2000, 2**41, 2**55)
    data += ring.record(Kind.CALL_EXIT, 0, {"function": 3})
    path = tmp_path / "t.wdt"
    write_batch(path, decode_all(bytes(data)))
    with Trace(path) as trace:
        found = export(trace, format_name, tmp_path / "out")
        assert sum(found.values()) == trace.events == 3 * len(TABLE_OF) + 1


@pytest.mark.parametrize("format_name", FORMATS)
def test_an_empty_trace(tmp_path: Path, format_name: str) -> None:
    path = tmp_path / "t.wdt"
    compressor = Compressor()
    TraceWriter(TraceFile(path, HEADER, compressor), HEADER, compressor).close({})
    with Trace(path) as trace:
        assert export(trace, format_name, tmp_path / "out") == {}


def test_a_perfetto_trace_is_what_googles_decoder_reads(trace_path: Path, tmp_path: Path) -> None:
    from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as protos

    target = tmp_path / "out"
    with Trace(trace_path) as trace:
        counts = export(trace, "perfetto", target)
    decoded = protos.Trace.FromString(target.read_bytes())
    ftrace = [event for packet in decoded.packet for event in packet.ftrace_events.event]
    switches = [event for event in ftrace if event.HasField("sched_switch")]
    assert len(switches) == counts["sched_switch"]
    for event in switches:
        switch = event.sched_switch
        assert event.pid == switch.prev_pid
        assert switch.prev_comm
        assert switch.next_comm
        assert switch.prev_prio == switch.next_prio == 120
    begins = [
        packet.track_event
        for packet in decoded.packet
        if packet.HasField("track_event") and packet.track_event.type == 1
    ]
    assert len(begins) >= counts["funcgraph_entry"]


def test_directories_must_be_empty(trace_path: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "file").touch()
    with Trace(trace_path) as trace, pytest.raises(BadInput, match="not empty"):
        export(trace, "ctf", tmp_path / "out")


def test_control_characters_do_not_reach_a_terminal(tmp_path: Path) -> None:
    guest = Synthetic(seed=2)
    guest.event(Kind.MARK, text=guest.string("\x1b[31mred\x07"), value=1)
    path = tmp_path / "t.wdt"
    write_trace(path, guest, chunks=1)
    with Trace(path) as trace:
        export(trace, "text", tmp_path / "out")
    text = (tmp_path / "out").read_text()
    assert "?[31mred? (1)" in text
    assert "\x1b" not in text
