"""Small programs: well-formed DWARF for every level of optimisation, and right values in GDB."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from symbols.errors import SymbolsError
from symbols.shadow.build import shadow_elf
from symbols.wasm import Module
from tests.symbols.dwarf.samples import LEVELS, ODD, SAMPLES, VERSIONS, Sample, compile_sample
from tests.symbols.shadow.conftest import Call, dwarf_errors, gdb, gdb_on_stack

SCALE = 0x1122334455667788


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("flags", [(), ("-fPIC",)], ids=["static", "pic"])
def test_the_dwarf_is_well_formed(make, level, version, flags):
    made = make(level, version, *flags, number=2 if flags else 0)
    assert dwarf_errors(made.elf) == ""


@pytest.mark.parametrize("sample", SAMPLES + ODD, ids=str)
def test_other_programs_too(sample: Sample, tmp_path: Path):
    module = Module(compile_sample(sample, tmp_path).read_bytes())
    elf = tmp_path / "elf"
    if "--target=wasm64" in sample.extra or sample.version < 4:
        with pytest.raises(SymbolsError, match=r"unsupported (address size|DWARF version)"):
            shadow_elf(module)
        elf.write_bytes(shadow_elf(module, dwarf=False))
        assert "entry" in gdb([elf], ["info functions entry"])
        return
    elf.write_bytes(shadow_elf(module))
    assert dwarf_errors(elf) == ""


def test_what_is_wrong_in_the_original_is_right_here(make):
    """wasm-ld shares ends of strings: the verifier objects to clang's own DWARF 5."""
    made = make("1", 5)
    assert "invalid string offset" in dwarf_errors(made.path)
    assert dwarf_errors(made.elf) == ""


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("level", LEVELS)
def test_lines_symbols_and_types(make, level, version):
    made = make(level, version)
    entry = 0xC0000000 + made.function("weigh")
    out = gdb(
        [made.elf],
        ["info line weigh", "ptype struct item", "p &total", "p sizeof(pool)", "info symbol 0x1",
         "break sample.c:51", "break clamp", "info address twice", "list weigh",
         "break never_called", "info scope weigh"],
    )  # fmt: skip
    assert re.search(rf"^Line (43|44|51) .*starts at address {entry:#x} <weigh>", out, re.M)
    assert "unsigned int flags : 3;" in out
    assert re.search(r"\(s64 \*\) 0x\w+ <total>", out)
    assert "= 96" in out
    assert "twice[tbl] in section .data" in out
    assert re.search(r"Breakpoint 1 at 0xc\w+: .*sample.c, line 51\.", out)
    assert re.search(r"Breakpoint 2 at 0xc\w+: ", out)
    assert f'"twice" is a function at address {0xC0000000 + made.function("twice"):#x}' in out
    assert "\tstatic int weighed;" in out or "\tsink = clamp(id, 1000);" in out
    assert 'Function "never_called" not defined' in out
    assert "Symbol scale is" in out
    assert "rror:" not in out.replace("Make breakpoint pending", "")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("level", ["1", "2", "g"])
def test_values_of_optimised_code(make, level, version):
    made = make(level, version)
    inner = next(offset for offset, line in made.rows("weigh") if line == 51)
    outer = made.rows("fill")[2][0]
    out = gdb_on_stack(
        made,
        [Call(inner, [SCALE, 0xFFFFFFF9, 0xFE, *[None] * 20]), Call(outer, [5])],
        ["bt", "info args", "info locals", "up", "info args", "p pool[1]", "p operations",
         "p total", "down", "p scale + 1", "info frame", "p $esp", "up", "p $esp"],
    )  # fmt: skip
    assert re.search(rf"#0 .*weigh \(scale={SCALE}, id=-7, grade=-2 '\\376'\) at .*:51", out)
    assert re.search(r"#1  0xc\w+ in fill \(count=5\)", out)
    assert re.search(r"#2  0xbffff004 in __host__ \(\)\n(?!#)", out)
    assert "constant = -2\n" in out
    assert "large = 18364758544493064720\n" in out
    for name, right in (("moved", SCALE + 0x123456789A), ("widened", -7)):
        assert re.search(rf"^{name} = ({right}|<optimized out>)$", out, re.M), out
    assert "{0x1 <twice[tbl]>, 0x2 <square[tbl]>}" in out
    assert "= -5\n" in out
    assert f"= {SCALE + 1}\n" in out
    assert "called by frame at" in out
    inner_sp, outer_sp = re.findall(r"\(void \*\) (0x\w+)", out)[-2:]
    assert int(outer_sp, 16) - int(inner_sp, 16) == 2048


def test_computed_values_of_64_bits(make):
    """The one variable of the sample that is computed in all 64 bits must be there, and right."""
    made = make("2", 4)
    inner = [offset for offset, line in made.rows("weigh") if line == 53][-1]
    out = gdb_on_stack(made, [Call(inner, [SCALE, 0xFFFFFFFD, 4])], ["p moved", "p widened"])
    assert f"= {SCALE + 0x123456789A}\n" in out
    assert "= -3\n" in out


@pytest.mark.parametrize("version", VERSIONS)
def test_values_of_code_that_was_not_optimised(make, version):
    """Variables are in guest memory, at offsets from a local that holds the stack pointer."""
    made = make("0", version)
    inner = next(offset for offset, line in made.rows("weigh") if line == 51)
    scope = gdb([made.elf], ["info scope weigh"])
    places = dict(
        re.findall(r"Symbol (\w+) is a variable at frame base.* offset \w*\+?(\d+)", scope)
    )
    places |= dict(re.findall(r"Symbol (\w+) is .*:\s+0: DW_OP_fbreg (\d+)", scope))
    memory = bytearray(made.memory)
    base = 0x8000
    for name, value, size in (("scale", SCALE, 8), ("id", 0xFFFFFFF9, 4), ("grade", 0x41, 1)):
        at = base + int(places[name])
        memory[at : at + size] = value.to_bytes(size, "little")
    out = gdb_on_stack(
        made, [Call(inner, [0] * 3 + [base] * 40, stack_pointer=base)], ["info args"], bytes(memory)
    )
    assert f"scale = {SCALE}\nid = -7\ngrade = 65 'A'\n" in out


def test_a_value_that_nobody_knows_is_an_error(make):
    made = make("1", 4)
    inner = next(offset for offset, line in made.rows("weigh") if line == 51)
    out = gdb_on_stack(made, [Call(inner, [None, 9, 1])], ["info args"])
    assert "scale = <error reading variable scale (Cannot access memory" in out
    assert "id = 9\n" in out


@pytest.mark.parametrize("version", VERSIONS)
def test_static_data_of_programs_counts_from_the_process_memory_base(make, version):
    made = make("1", version, "-fPIC", number=3)
    inner = made.rows("weigh")[0][0]
    start = made.memory.find((-5 & (1 << 64) - 1).to_bytes(8, "little"))
    memory = bytes(0x4000) + made.memory
    calls = [
        Call(inner, [1, 2, 3], memory_base=0x4000),
        Call(inner, [1, 2, 3], memory_base=0x4008),
        Call(inner, [1, 2, 3]),
    ]
    assert 0 <= start < 0x100
    out = gdb_on_stack(
        made, calls, ["p total", "p &total", "up", "p &total", "up", "p total"], memory
    )
    found = re.findall(r"^\$\d = (.*)$", out, re.M)
    assert found == ["-5", f"(s64 *) {0x4000 + start:#x}", f"(s64 *) {0x4008 + start:#x}"]
    assert "Cannot access memory" in out.splitlines()[-1] + out.splitlines()[-2]
    assert "0xd2" in gdb([made.elf], ["p weigh"])


def test_gdb_steps_into_functions_by_their_first_line(make):
    """A row lies at each function's first byte, moved there from its first instruction."""
    for level in LEVELS:
        made = make(level, 4)
        for name in ("weigh", "fill", "twice", "start"):
            entry = 0xC0000000 + made.function(name)
            out = gdb([made.elf], ["maint info line-table sample.c", f"info line *{entry:#x}"])
            assert re.search(rf"starts at address {entry:#x} <{name}>", out), (level, name)
            assert re.search(rf"\s{entry:#010x}\s", out), (level, name)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("level", LEVELS)
def test_breakpoints_on_functions_are_on_their_first_statement(make, level, version):
    out = gdb([make(level, version).elf], ["break weigh", "break twice", "break fill"])
    lines = re.findall(r"^Breakpoint \d at 0x\w+: .* line (\d+)\.", out, re.M)
    assert lines == ["46" if level == "0" else "51", "23", "67"]


def test_readelf_agrees(make):
    made = make("2", 5)
    done = subprocess.run(
        ["readelf", "-aW", made.elf], capture_output=True, text=True, check=True, timeout=60
    )
    assert "Warning" not in done.stderr + done.stdout
    assert "Build ID: " in done.stdout
