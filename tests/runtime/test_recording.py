"""The recording's file: what is written is read, whatever happens to its end."""

import random

import pytest

from wdbg.errors import BadInput
from wdbg.runtime.journal import (
    GlobalWrite,
    Hold,
    Journal,
    Keys,
    LocalWrite,
    MemoryWrite,
    Moment,
    Position,
    Resize,
)
from wdbg.runtime.recording import (
    End,
    Recording,
    SwitchPoint,
    cut_bytes,
    parse,
    read,
    serialize,
    write,
)

AT = Moment(1 << 40, 77, 5_000_000_000)
PLACE = Position(AT, (1, 0x1234), 2, "ab" * 16)
WHOLE = Recording(
    kernel="ab" * 32,
    initrd="cd" * 32,
    kernel_path="/some/vmlinux.wasm",
    command_line="quiet WDBG_EXEC=true",
    cpus=3,
    seed=0,
    schedule="random",
    policy={"depth": 3, "low": -1},
    needs=("cuts",),
    decisions=((5, -1, 2), (1 << 33, 4, 0)),
    checks=bytes(range(200)),
    points=(SwitchPoint(0, 3, 1, 0x428000), SwitchPoint(64, 1 << 35, 0, 0xFFFF_FFFF)),
    journal=Journal(
        [Keys(AT, b"ls\n\0\xff", True), Resize(AT, 24, 80)],
        [
            MemoryWrite(PLACE, 0xFFFF_0000, b"\0\1"),
            GlobalWrite(PLACE, 0x428000, 0, 3, 1 << 31),
            LocalWrite(PLACE, 4, 1 << 63),
            Hold(Position(AT), frozenset({0, 2})),
        ],
    ),
    reached=AT,
    end=End("panic", "Fatal exception", None, AT, "12" * 16),
)


def test_what_is_written_is_read(tmp_path):
    for recording in (WHOLE, Recording(kernel="00" * 32)):
        write(tmp_path / "r", recording)
        assert read(tmp_path / "r") == recording
    assert [path.name for path in tmp_path.iterdir()] == ["r"]


def test_a_file_that_was_cut_off_keeps_its_whole_chunks():
    data = serialize(WHOLE)
    inputs = set()
    for size in range(len(data)):
        try:
            part = parse(data[:size])
        except BadInput:
            assert not inputs  # as long as the header is not whole
            continue
        inputs.add(len(part.journal.inputs))
        assert part.end is None
    assert inputs == {0, 1, 2}


def test_damage_is_bad_input_or_a_lost_end():
    data = serialize(WHOLE)
    draw = random.Random(7)
    noticed = 0
    for _ in range(500):
        broken = bytearray(data)
        broken[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        try:
            noticed += parse(bytes(broken)) != WHOLE
        except BadInput:
            noticed += 1
    assert noticed > 495  # not the minor version


def test_what_a_debugger_has_cut_off_is_gone():
    found = parse(serialize(WHOLE) + cut_bytes(1, 2, 64))
    assert len(found.journal.inputs) == 1
    assert len(found.journal.interventions) == 2
    assert (len(found.checks), len(found.points), found.end) == (64, 1, None)


OTHERS = [b"", b"\x89WDR", b"\x89WDT\r\n\x1a\n" * 9, b"\x89WDR\r\n\x1a\n\2\0\0\0"]


@pytest.mark.parametrize("data", OTHERS)
def test_other_files_are_bad_input(data):
    with pytest.raises(BadInput):
        parse(data)
