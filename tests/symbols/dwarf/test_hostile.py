"""DWARF that lies: loops, absurd sizes, overlaps. Bounded time, SymbolsError or a note."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from symbols.dwarf.build import build
from symbols.dwarf.expressions import operations, wasm_locations
from symbols.dwarf.index import Index
from symbols.dwarf.sections import DAMAGE
from symbols.dwarf.stops import read_stops
from symbols.errors import SymbolsError
from symbols.wasm import Module
from symbols.wasm.leb import encode_unsigned
from tests.symbols.dwarf.assemble import abbreviations, declare, module, unit

REF4, STRING, DATA1, DATA8, ADDR, SEC_OFFSET, EXPRLOC = 0x13, 0x08, 0x0B, 0x07, 0x01, 0x17, 0x18
NAME, TYPE, SIZE, LOCATION, LOW, HIGH, RANGES, COUNT, LINES = (
    0x03, 0x49, 0x0B, 0x02, 0x11, 0x12, 0x55, 0x37, 0x10,
)  # fmt: skip
CU, STRUCT, MEMBER, TYPEDEF, POINTER, FUNCTION, ARRAY, SUBRANGE, VARIABLE = (
    0x11, 0x13, 0x0D, 0x16, 0x0F, 0x15, 0x01, 0x21, 0x34,
)  # fmt: skip
PARAMETER, SUBPROGRAM, INLINED = 0x05, 0x2E, 0x1D
FIRST = 3
"""Offset of the first body's start in the code section's contents."""


def notes(data: bytes) -> str:
    """Notes of both readers, which must not raise."""
    return "\n".join((*read_stops(Module(data)).notes, *build(Module(data))[1]))


def index(tmp_path: Path, data: bytes) -> Index:
    path = tmp_path / "module.wasm"
    path.write_bytes(data)
    return Index.open(path, cache=tmp_path / "cache")


@pytest.mark.parametrize(
    ("info", "word"),
    [
        (b"\x05", "reaches beyond"),
        (b"\xff\xff\xff\x7f\x04\0", "claims 2147483647 bytes"),
        (b"\xf5\xff\xff\xff" + bytes(20), "reserved"),
        (b"\xff\xff\xff\xff" + b"\xff" * 8, "claims"),
        (unit(b"\x01", version=9), "version 9"),
        (unit(b"\x63"), "unknown abbreviation 99"),
        (unit(b"\x01" * 2000 + bytes(2000)), "nested deeper"),
        (unit(b"\x01\x02\xff\xff\xff\xff\x0f"), "claims"),
        (unit(b"\x01\0", abbreviation_offset=5000), "outside of .debug_abbrev"),
        (struct.pack("<IHIB", 7, 4, 0, 3), "address size 3"),
    ],
)
def test_damaged_units_are_left_out(info, word):
    table = abbreviations(declare(CU, True), declare(VARIABLE, False, (LOCATION, EXPRLOC)))
    good = unit(b"\x01\0")
    assert word in notes(module({"info": info, "abbrev": table}))
    assert word in notes(module({"info": good + info, "abbrev": table}))


@pytest.mark.parametrize(
    ("table", "word"),
    [
        (b"\x01\x11\x01\0\0\x01\x11\x01\0\0\0", "twice"),
        (b"\x01\x11\x01\x03\x7f\0\0\0", "unsupported DWARF form 0x7f"),
        (b"\x01\x11\x01" + b"\x03\x0b" * 300 + b"\0\0\0", "too many attributes"),
        (b"\x01\x11", "truncated or malformed"),
        (b"\x01\x11\x01\0\0", "outside"),
    ],
)
def test_damaged_abbreviations(table, word):
    assert word in notes(module({"info": unit(b"\x01\0"), "abbrev": table}))


def test_units_that_share_no_table_do_not_cost_quadratic_time():
    table = abbreviations(*(declare(CU, True, (NAME, STRING)) for _ in range(3000)))
    starts = range(0, len(table) - 7, 7)
    info = b"".join(unit(b"\x01\0\0", offset) for offset in starts)
    assert "abbreviation tables overlap" in notes(module({"info": info, "abbrev": table}))


def test_many_notes_are_counted():
    info = unit(b"\x63") * 5000
    found = read_stops(Module(module({"info": info, "abbrev": b"\0"}))).notes
    assert len(found) == 101
    assert found[-1] == "4900 more"


def variable(*types: bytes, first: int) -> bytes:
    """Entries of a unit: the types, then a variable `v` at address 64 of the type at `first`."""
    place = b"\x05\x03" + struct.pack("<I", 64)
    return b"\x01" + b"".join(types) + b"\x02v\0" + struct.pack("<I", first) + place + b"\0"


TYPES = abbreviations(
    declare(CU, True),
    declare(VARIABLE, False, (NAME, STRING), (TYPE, REF4), (LOCATION, EXPRLOC)),
    declare(TYPEDEF, False, (NAME, STRING), (TYPE, REF4)),
    declare(STRUCT, True, (NAME, STRING), (SIZE, DATA1)),
    declare(MEMBER, False, (TYPE, REF4)),
    declare(ARRAY, True, (TYPE, REF4)),
    declare(SUBRANGE, False, (COUNT, DATA8)),
    declare(FUNCTION, True, (TYPE, REF4)),
    declare(PARAMETER, False, (TYPE, REF4)),
    declare(POINTER, False, (TYPE, REF4)),
)


def ref(code: int, target: int) -> bytes:
    return bytes((code,)) + struct.pack("<I", target)


def typed(tmp_path: Path, *types: bytes, first: int = 12):
    """The type of a variable; `first` is its entry, offset 12 the first of `types`."""
    data = module({"info": unit(variable(*types, first=first)), "abbrev": TYPES})
    return index(tmp_path, data).variable("v").type


def test_a_typedef_of_itself(tmp_path):
    kind = typed(tmp_path, b"\x03t\0" + struct.pack("<I", 12))
    for name in ("bare", "size", "members", "flat_members", "enumerators"):
        with pytest.raises(SymbolsError, match="defined by itself"):
            getattr(kind, name)
    assert str(kind) == "t"


def test_a_pointer_to_itself_is_spelled_briefly(tmp_path):
    kind = typed(tmp_path, ref(10, 12))
    assert "..." in str(kind)
    assert kind.size == 4


def test_a_struct_that_contains_itself(tmp_path):
    kind = typed(tmp_path, b"\x04s\0\x08", ref(5, 12), b"\0")
    assert len(kind.members) == 1
    with pytest.raises(SymbolsError, match="contains itself"):
        _ = kind.flat_members


def test_a_struct_that_doubles_at_each_level(tmp_path):
    # struct i contains struct i + 1 twice, anonymously; the last one is empty.
    size = 15
    levels = [b"\x04s\0\x08" + ref(5, 12 + size * (n + 1)) * 2 + b"\0" for n in range(50)]
    assert len(levels[0]) == size
    kind = typed(tmp_path, *levels, b"\x04s\0\x08\0")
    with pytest.raises(SymbolsError, match="more than"):
        _ = kind.flat_members


def test_functions_with_functions_as_parameters(tmp_path):
    size = 16
    levels = [ref(8, 12) + ref(9, 12 + size * (n + 1)) * 2 + b"\0" for n in range(60)]
    assert len(levels[0]) == size
    kind = typed(tmp_path, *levels, ref(8, 12) + b"\0")
    assert len(str(kind)) < 5000


def test_absurd_arrays(tmp_path):
    count = b"\x07" + struct.pack("<Q", 1 << 63)
    kind = typed(tmp_path, ref(10, 12), ref(6, 12) + count * 40 + b"\0", first=17)
    assert len(kind.dimensions) == 40
    with pytest.raises(SymbolsError, match="absurd"):
        _ = kind.size


def test_types_that_are_no_entries(tmp_path):
    for target in (0, 3, 1 << 20, 0xFFFFFFF0):
        data = module({"info": unit(variable(first=target)), "abbrev": TYPES})
        with pytest.raises(SymbolsError):
            str(index(tmp_path, data).variable("v").type)


CODE = abbreviations(
    declare(CU, True),
    declare(SUBPROGRAM, True, (NAME, STRING), (LOW, ADDR), (HIGH, DATA1)),
    declare(VARIABLE, False, (LOCATION, SEC_OFFSET)),
    declare(INLINED, True, (RANGES, SEC_OFFSET)),
    declare(VARIABLE, False, (LOCATION, EXPRLOC)),
)
FUNCTION_ENTRY = b"\x02f\0" + struct.pack("<IB", FIRST, 19)


def test_locations_of_a_hand_made_function():
    entries = b"\x01" + FUNCTION_ENTRY + b"\x05\x03\xed\x00\x05" + b"\0\0"
    found = read_stops(Module(module({"info": unit(entries), "abbrev": CODE})))
    assert found.live == [(FIRST, FIRST + 19, 0, 5)]


def test_location_lists_that_overlap_do_not_cost_quadratic_time():
    pair = struct.pack("<IIH", 3, 5, 1) + b"\x30"
    loc = pair * 20_000 + bytes(8)
    variables = b"".join(b"\x03" + struct.pack("<I", n * 11) for n in range(20_000))
    entries = b"\x01" + FUNCTION_ENTRY + variables + b"\0\0"
    assert "overlap" in notes(module({"info": unit(entries), "abbrev": CODE, "loc": loc}))


def test_inlined_calls_that_share_a_long_list():
    ranges = struct.pack("<II", 3, 4) * 5000 + bytes(8)
    calls = (b"\x04" + bytes(4) + b"\0") * 2000
    entries = b"\x01" + FUNCTION_ENTRY + calls + b"\0\0"
    data = module({"info": unit(entries), "abbrev": CODE, "ranges": ranges})
    assert "absurd number of inlined calls" in notes(data)


def test_a_list_that_does_not_end():
    entries = b"\x01" + FUNCTION_ENTRY + b"\x03" + bytes(4) + b"\0\0"
    loc = struct.pack("<IIH", 3, 5, 60000)
    assert "truncated" in notes(module({"info": unit(entries), "abbrev": CODE, "loc": loc}))
    assert "truncated or malformed" in notes(module({"info": unit(entries), "abbrev": CODE}))


LINED = abbreviations(declare(CU, False, (LINES, SEC_OFFSET)))


def program(opcodes: bytes, line_range: int = 14) -> bytes:
    """A line program of version 4 with one file."""
    header = struct.pack("<BBBbBB", 1, 1, 1, -5, line_range, 13) + bytes(
        (0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1)
    )
    header += b"\0a.c\0\0\0\0\0"
    rest = struct.pack("<HI", 4, len(header)) + header + opcodes
    return struct.pack("<I", len(rest)) + rest


START = b"\0\x05\x02" + struct.pack("<I", FIRST + 1)
END = b"\x02\x10\0\x01\x01"


def lined(line: bytes, offset: int = 0) -> bytes:
    return module({
        "info": unit(b"\x01" + struct.pack("<I", offset)), "abbrev": LINED, "line": line
    })  # fmt: skip


def test_lines_of_a_hand_made_program():
    data = lined(program(START + b"\x01\x03\x05\x02\x02\x01" + END))
    assert list(read_stops(Module(data)).rows) == [FIRST + 1, FIRST + 3]


@pytest.mark.parametrize(
    ("line", "word"),
    [
        (program(START, line_range=0), "zero in its header"),
        (program(b"\0\xff\xff\xff\xff\x0f\x02"), "truncated"),
        (program(START + b"\x02"), "malformed"),
        (program(START)[:10], "claims"),
        (b"\x06\0\0\0\x04\0\xff\0\0\0", "beyond"),
        (b"\x10\0\0\0\x09\0" + bytes(14), "version 9"),
    ],
)
def test_damaged_line_programs(line, word):
    assert word in notes(lined(line))


def test_line_numbers_and_addresses_run_wild():
    far = b"\x02\xff\xff\xff\xff\x0f\x01" + b"\x03\x80\x80\x80\x80\x78\x01" * 3
    data = lined(program(START + far + b"\x03\xff\xff\xff\xff\xff\x00\x01" + END))
    assert not list(read_stops(Module(data)).rows)
    build(Module(data))


@given(st.binary(max_size=40))
def test_expressions(data):
    try:
        list(operations(data))
        assert all(kind <= 3 for kind, _ in wasm_locations(data))
    except DAMAGE:
        pass


DWARF_NAMES = ("info", "abbrev", "line", "str", "loc", "ranges", "addr", "rnglists", "loclists")


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(DWARF_NAMES), st.binary(max_size=300)))
def test_random_sections(sections):
    notes(module(sections))


def entries_of(draw_codes: list[int], tail: bytes) -> bytes:
    return b"\x01" + b"".join(encode_unsigned(code) + tail for code in draw_codes)


@settings(max_examples=150)
@given(
    st.lists(st.integers(0, 10), max_size=60),
    st.binary(max_size=20),
    st.sampled_from([TYPES, CODE]),
    st.binary(max_size=100),
)
def test_random_entries(codes, tail, table, lists):
    info = unit(entries_of(codes, tail))
    notes(module({"info": info, "abbrev": table, "loc": lists, "ranges": lists}))


def test_mutated_samples(tree):
    done = subprocess.run(
        [sys.executable, "-m", "tests.symbols.dwarf.fuzz_dwarf", "--mutations", "400"],
        cwd=tree, env={**os.environ, "PYTHONPATH": f"{tree}:{tree}/tools"},
        capture_output=True, text=True, check=False, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "400 mutations" in done.stdout
