"""Queries about code and data, against llvm-dwarfdump and llvm-symbolizer."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from symbols.dwarf.index import Index
from symbols.dwarf.sections import code_size
from symbols.wasm import Module
from tests.symbols.dwarf import dump
from tests.symbols.dwarf.samples import HERE, ODD, SAMPLES, Sample, run, tool

C_SAMPLES = [s for s in SAMPLES + ODD if s.source == "sample.c"]
SOURCE = (HERE / "sample.c").read_text().splitlines()
OPTIMISED = Sample("2", 5)
PLAIN = Sample("0", 4)


def line_of(text: str) -> int:
    """The line of the sample that holds `text` first, from 1."""
    return next(n for n, line in enumerate(SOURCE, 1) if text in line)


@pytest.mark.parametrize("sample", C_SAMPLES, ids=str)
def test_functions_are_those_of_the_module(sample, index_of):
    index = index_of(sample)
    module = index.module
    functions = list(index.functions())
    assert [(f.low, f.high) for f in functions] == [
        (start - module.code_base, end - module.code_base) for _, start, end in module.bodies
    ]
    for function in functions:
        assert function.link_name == module.names.functions[function.index]
        assert index.function_at(function.low) == function
        assert index.function_at(function.high - 1) == function
        assert index.function_at(function.high) != function
    names = {f.name for f in functions}
    assert names >= {"entry", "weigh", "helper", "factorial", "floats"}
    assert "left_out" not in names


@pytest.mark.parametrize("sample", C_SAMPLES, ids=str)
def test_functions_know_their_source(sample, index_of):
    index = index_of(sample)
    (entry,) = index.find_function("entry")
    assert entry.file == str(HERE / "sample.c")
    assert entry.line == line_of("int entry(")
    assert {Path(f.file).name for f in index.find_function("weigh")} == {"sample.c", "other.c"}
    assert not index.find_function("left_out")
    assert not index.find_function("")
    assert not index.find_function("weig")


def symbolized(path: Path, addresses: list[int]) -> list[list[tuple[str, str, int]]]:
    """llvm-symbolizer's (function, file, line), innermost first, for each address."""
    out = run(
        tool("llvm-symbolizer"), f"--obj={path}", "--inlines", "--functions=short",
        *map(hex, addresses),
    )  # fmt: skip
    found = []
    for block in out.strip().split("\n\n"):
        lines = block.splitlines()
        frames = []
        for name, place in zip(lines[::2], lines[1::2], strict=True):
            file, line, _ = place.rsplit(":", 2)
            frames.append((name, file, int(line)))
        found.append(frames)
    return found


@pytest.mark.parametrize("sample", C_SAMPLES, ids=str)
def test_frames_agree_with_the_symbolizer(sample, index_of):
    index = index_of(sample)
    addresses = [a for f in index.functions() if f.line for a in range(f.low, f.high, 3)]
    for address, frames in zip(addresses, symbolized(index.path, addresses), strict=True):
        mine = index.frames_at(address)
        assert len(mine) == len(frames), hex(address)
        for one, (_, file, line) in zip(mine, frames, strict=True):
            assert (one.file or "??", one.line) == (file, line) or not line, hex(address)
        # The symbolizer names the outermost function by the linker's name.
        assert [f.name for f in mine[:-1]] == [name for name, _, _ in frames[:-1]]
        assert [f.inlined for f in mine] == [True] * (len(mine) - 1) + [False]


def test_inlined_calls_nest(index_of):
    index = index_of(OPTIMISED)
    deepest = max(
        (index.inlined_at(a) for f in index.functions() for a in range(f.low, f.high)), key=len
    )
    assert [call.name for call in deepest] == ["twice", "four_times"]
    assert [call.depth for call in deepest] == [1, 0]
    assert deepest[1].line == line_of("four_times(p[i].x)")
    calls = index.inlined_calls("twice")
    assert len(calls) >= 2
    assert all(index.inlined_at(call.low)[0].name == "twice" for call in calls)


def lines_there(sample: Sample, index: Index) -> dict[int, set[int]]:
    """Addresses of the statements of sample.c by line, says llvm-dwarfdump."""
    module = Module(index.path.read_bytes())
    found: dict[int, set[int]] = {}
    rows = [r for r in dump.rows(module, index.path) if "end_sequence" not in r.flags]
    for row in rows:
        frames = index.line_at(row.address)
        if "is_stmt" in row.flags and row.line and frames and frames[0].endswith("/sample.c"):
            found.setdefault(row.line, set()).add(row.address)
    return found


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_find_line(sample, index_of):
    index = index_of(sample)
    truth = lines_there(sample, index)
    known = index.lines_of("dwarf/sample.c")
    assert set(known) <= set(truth)
    for line in range(1, len(SOURCE) + 2):
        found = index.find_line("sample.c", line)
        nearest = min((n for n in known if n >= line), default=None)
        if nearest is None:
            assert found == []
            continue
        assert found == sorted(set(found))
        assert found
        for address in found:
            function = index.function_at(address)
            if address == index.after_prologue(function):
                entry = min(a for line in truth.values() for a in line if a >= function.low)
                if entry in truth[nearest]:
                    continue  # the line that a function starts with
            assert address in truth[nearest]
            assert index.line_at(address) == (str(HERE / "sample.c"), nearest)


def test_find_line_is_once_for_each_function_and_inlined_call(index_of):
    index = index_of(OPTIMISED)
    found = index.find_line("sample.c", line_of("int w = v * 2"))
    scopes = [(index.function_at(a).name, index.inlined_at(a)[0].entry) for a in found]
    assert len(scopes) == len(set(scopes)) >= 2
    assert {index.inlined_at(a)[0].name for a in found} == {"twice"}


def test_files_are_matched_by_whole_components(index_of):
    index = index_of(PLAIN)
    line = line_of("int sum = 0;")
    found = index.find_line("sample.c", line)
    assert found
    assert index.find_line(str(HERE / "sample.c"), line) == found
    assert index.find_line("dwarf/sample.c", line) == found
    assert index.find_line("ample.c", line) == []
    assert index.find_line("other.c", 9)
    assert index.find_line("nowhere.c", 1) == []
    assert index.find_line("", 1) == []
    assert str(HERE / "sample.c") in index.files()


@pytest.mark.parametrize("sample", C_SAMPLES, ids=str)
def test_breakpoints_on_functions_are_after_the_prologue(sample, index_of):
    index = index_of(sample)
    rows = list(dump.rows(index.module, index.path))
    ends = {r.address for r in rows if "prologue_end" in r.flags}
    for name in ("entry", "helper", "floats", "weigh"):
        for function in index.find_function(name):
            address = index.after_prologue(function)
            assert function.low <= address < function.high
            assert address in ends


@pytest.mark.parametrize("sample", C_SAMPLES, ids=str)
def test_variables(sample, index_of):
    index = index_of(sample)
    entries = dump.entries(index.path)
    truth: dict[str, set[int]] = {}
    for entry in entries:
        place = re.search(
            r"DW_OP_addrx? (?:0x0 )?(?:\(\S+\) )?(0x[0-9a-f]+)",
            entry.values.get("DW_AT_location", ""),
        )
        if entry.tag == "DW_TAG_variable" and place and entry.name:
            truth.setdefault(entry.name, set()).add(int(place[1], 16))
    for name in ("thing", "distance", "counter", "calls", "matrix", "truth"):
        found = index.variables(name)
        assert found, name
        if "-fPIC" not in sample.extra and sample.version < 5:
            assert {v.address for v in found} == truth[name]
        assert all(v.relative == ("-fPIC" in sample.extra) for v in found)
    assert index.variable("calls").local
    assert not index.variable("counter").external
    assert index.variable("thing").external
    assert len(index.variables("counter")) == 2
    assert len(index.variables("distance")) == 1
    assert index.variable("left_out") is None
    thing = index.variable("thing")
    assert (thing.file, thing.line) == (str(HERE / "sample.c"), line_of("everything_t thing"))
    if "-fPIC" not in sample.extra:
        assert index.variable_at(thing.address + thing.type.size - 1) == thing
        assert index.variable_at(thing.address - 1) != thing


def test_addresses_of_variables_are_those_of_their_values(index_of):
    for sample in C_SAMPLES:
        if "-fPIC" in sample.extra:
            continue
        index = index_of(sample)
        thing = index.variable("thing")
        offset = thing.type.member("a").offset
        assert read(index, thing.address + offset, 4) == 7


def read(index: Index, address: int, size: int) -> int:
    """Initial value in memory."""
    data = index.module.data
    for segment in index.module.segments:
        expression = segment.offset
        assert expression is not None
        pos = expression[0] + 1
        start = shift = 0
        while True:
            start |= (data[pos] & 0x7F) << shift
            shift += 7
            if data[pos] < 0x80:
                break
            pos += 1
        if start <= address < start + segment.end - segment.start:
            at = segment.start + address - start
            return int.from_bytes(data[at : at + size], "little")
    raise AssertionError(hex(address))


def test_nothing_is_outside_of_the_code(index_of):
    index = index_of(PLAIN)
    for address in (0, 1, code_size(index.module), 1 << 31, (1 << 32) - 1):
        assert index.function_at(address) is None
        assert index.line_at(address) is None
        assert index.frames_at(address) == ()
        assert index.inlined_at(address) == ()


def test_names_without_dwarf(tmp_path, linked):
    stripped = tmp_path / "stripped.wasm"
    run(tool("llvm-strip"), "--strip-debug", linked(PLAIN), "-o", stripped)
    index = Index.open(stripped, cache=tmp_path)
    assert not index.has_dwarf
    assert {f.name for f in index.functions()} >= {"entry", "weigh"} or all(
        f.name.startswith("function[") for f in index.functions()
    )
    assert index.struct("everything") is None
    assert index.line_at(index.find_function("entry")[0].low) is None


@pytest.mark.parametrize("sample", C_SAMPLES, ids=str)
def test_the_replacement_of_a_weak_function_counts(sample, index_of):
    index = index_of(sample)
    (function,) = index.find_function("replaced")
    assert function.file.endswith("/sample.c")
    files = {place[0] for a in range(function.low, function.high) if (place := index.line_at(a))}
    assert files == {str(HERE / "sample.c")}


# ---- the guest's kernel


def test_kernel_functions(kernel_index):
    (clone,) = kernel_index.find_function("kernel_clone")
    assert clone.file.endswith("/kernel/fork.c")
    assert kernel_index.inlined_calls("get_current")
    named = sum(1 for f in kernel_index.functions() if f.line)
    assert named > 0.98 * len(list(kernel_index.functions()))
    assert not kernel_index.notes


def test_kernel_frames_agree_with_the_symbolizer(kernel_index):
    functions = [f for f in kernel_index.functions() if f.line]
    addresses = [(f.low + f.high) // 2 for f in functions[:: len(functions) // 400]]
    for address, frames in zip(addresses, symbolized(kernel_index.path, addresses), strict=True):
        mine = [(f.name, f.line) for f in kernel_index.frames_at(address)]
        theirs = [(name, line) for name, _, line in frames]
        assert [line for _, line in mine] == [line for _, line in theirs], hex(address)
        assert [name for name, _ in mine[:-1]] == [name for name, _ in theirs[:-1]]


def test_kernel_variables_and_types(kernel_index):
    assert str(kernel_index.variable("jiffies_64").type) == "u64"
    assert kernel_index.struct("task_struct").member("thread_info.cpu").size == 4
    assert kernel_index.enum("pid_type")["PIDTYPE_TGID"] == 1
    version = kernel_index.variable("linux_banner")
    assert version.type.bare.kind.value == "array"
