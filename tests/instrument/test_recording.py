"""What a variant records: its description, and constants that lower layers repeat."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wdbg.errors import BadInput
from wdbg.instrument import accesses, layout, points, recorder, sources
from wdbg.instrument.points import HIGH1, Point, Record, Recording, State
from wdbg.instrument.variant import TICK, Variant
from wdbg.linux.lockpoints import lock_points
from wdbg.linux.schedpoints import TaskFields, irq_points, sched_points, syscall_points
from wdbg.trace import events, ring


def test_the_record_layout_is_that_of_traces() -> None:
    assert recorder.UNIT == ring.UNIT
    assert recorder.ARG_SHIFT == ring.ARG_SHIFT
    assert recorder.ARG_MAX == ring.ARG_MAX
    assert recorder.CONTINUED == ring.CONTINUED
    for name in ("CALL_ENTER", "CALL_EXIT", "MEM", "MEM_BULK"):
        assert getattr(recorder, name) == events.Kind[name]
    for slot in events.Slot:
        assert getattr(points, slot.name) == slot
    for name in ("IRQS_OFF", "BH_OFF", "IN_HARDIRQ", "IN_SOFTIRQ", "PREEMPT_OFF", "STATE_KNOWN"):
        assert getattr(sources, name) == events.LockFlag[name]
    assert sources.SUCCESS == events.LockFlag.SUCCESS
    for name in ("WRITE", "READ", "MARKED", "RMW", "VALUE_KNOWN"):
        assert getattr(accesses, name) == events.MemFlag[name]
    assert accesses.OPERATION_SHIFT == events.MEM_OP_SHIFT
    for number, name in enumerate(accesses._OPERATIONS, 1):
        assert events.MemOp[name.upper()] == number
    assert events.MemOp.FENCE == accesses.FENCE


def test_the_longest_record_fits_what_a_full_ring_has_left() -> None:
    longest = max(ring.units_of(kind) for kind in events.TABLE_OF) * ring.UNIT
    frames = 2 << 20 >> 4  # a native stack's bytes, at 16 a frame
    assert frames * 3 * ring.UNIT + longest + ring.CONTEXT_SIZE < layout.RING_ROOM
    assert layout.RING + layout.RING_SIZE <= layout.RING_END


def every_point() -> tuple[Point, ...]:
    fields = TaskFields(*range(4, 44, 4))
    return (*lock_points(), *sched_points(fields), *irq_points(), *syscall_points())


def test_a_variant_survives_json() -> None:
    recording = Recording(
        "all", ("a*", "!ab"), every_point(), "current", State(4, 12), ("x",), ((1, 2),), 16384
    )
    variant = replace(TICK, recording=recording)
    assert Variant.from_json(variant.to_json()) == variant
    assert Variant.from_json(TICK.to_json()) == TICK
    assert variant.key != TICK.key


def test_records_of_the_tables_use_the_fields_of_their_kinds() -> None:
    for point in every_point():
        records = (*point.entry, *point.exit, *point.before, *point.after)
        for record in (*records, *(r for _, r in point.calls)):
            slots = {f.slot for f in events.FIELDS[events.TABLE_OF[events.Kind(record.kind)]]}
            assert {slot for slot, _ in record.fields} <= slots, point.function
            assert record.constant <= ring.ARG_MAX


@pytest.mark.parametrize(
    ("globs", "name", "wanted"),
    [
        ((), "a", None),
        (("a*",), "abc", True),
        (("a*",), "b", False),
        (("!a*",), "abc", False),
        (("!a*",), "b", None),
        (("a*", "!ab*"), "abc", False),
        (("!ab*", "abc"), "abc", True),
    ],
)
def test_functions_are_selected_by_globs(
    globs: tuple[str, ...], name: str, wanted: bool | None
) -> None:
    assert Recording("all", globs).wants(name) is wanted


def test_points_of_one_function_add_up() -> None:
    one, two = Record(1, 0, ((HIGH1, "param0"),)), Record(2)
    recording = Recording(points=(Point("f", entry=(one,)), Point("f", (two,), (one,)), Point("g")))
    merged = recording.merged_points()
    assert set(merged) == {"f", "g"}
    assert merged["f"].entry == (one, two)
    assert merged["f"].exit == (one,)


def test_an_unknown_source_is_told() -> None:
    made = sources.Sources.__new__(sources.Sources)
    with pytest.raises(BadInput, match="unknown source"):
        made.code("?", sources.Scope.__new__(sources.Scope))
