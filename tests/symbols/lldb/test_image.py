"""LLDB's copies of modules: what changes, that nothing moves, and what the registers stand for."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symbols.errors import SymbolsError
from symbols.lldb.host import FUNCTION, host_module, host_pc
from symbols.lldb.image import image
from symbols.lldb.numbers import COUNT, FIRST_VARIABLE, VARIABLES, name, operand, register
from symbols.lldb.table import LIST, Table, Variable
from symbols.wasm.module import Module
from symbols.wasm.types import Kind
from wdbg.runtime.guest import Guest


def dwarfdump(*arguments: object) -> str:
    tool = next(
        path for n in range(40, 17, -1) if (path := Path(f"/usr/bin/llvm-dwarfdump-{n}")).exists()
    )
    done = subprocess.run(
        [str(tool), *map(str, arguments)], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def program(guest: Guest) -> Path:
    return guest.kernel.parent / "debug" / "box.wasm"


@pytest.fixture(scope="module")
def copy(program: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Table]:
    data, table = image(program.read_bytes(), 1)
    path = tmp_path_factory.mktemp("image") / "box.wasm"
    path.write_bytes(data)
    return path, table


def test_nothing_moves(program: Path, copy: tuple[Path, Table]) -> None:
    before, after = Module(program.read_bytes()), Module(copy[0].read_bytes())
    assert len(before.data) == len(after.data)
    assert after.code_base == before.code_base
    assert after.bodies == before.bodies
    assert [(s.start, s.end) for s in after.dwarf.values()] == [
        (s.start, s.end) for s in before.dwarf.values()
    ]
    for section in ("line", "str", "ranges", "loc"):
        at = before.dwarf[f".debug_{section}"]
        assert before.contents(at) == after.contents(at)


def test_only_functions_are_imported(program: Path, copy: tuple[Path, Table]) -> None:
    before, after = Module(program.read_bytes()), Module(copy[0].read_bytes())
    assert after.function_imports == before.function_imports
    assert {entry.kind for entry in after.imports} == {Kind.FUNCTION}
    assert len({entry.kind for entry in before.imports}) > 1
    assert after.names.functions == before.names.functions
    assert not after.segments


def test_the_dwarf_is_sound(copy: tuple[Path, Table]) -> None:
    assert "No errors." in dwarfdump("--verify", copy[0])


def test_every_wasm_location_is_a_register(program: Path, copy: tuple[Path, Table]) -> None:
    before, after = dwarfdump("--debug-info", program), dwarfdump("--debug-info", copy[0])
    assert before.count("DW_OP_WASM_location") > 1000
    assert "DW_OP_WASM_location" not in after
    assert before.count("DW_AT_location") == after.count("DW_AT_location")
    assert before.count("DW_OP_fbreg") >= after.count("DW_OP_fbreg") > 100
    # Data of a program is found through its own base, whatever frame is asked.
    bases = re.findall(r"DW_OP_bregx (\w+) \+0, (?:DW_OP_nop, ){3}DW_OP_addr", after)
    assert len(bases) > 1000
    assert set(bases) == {"0x1"}


def test_registers_lead_back_to_the_locations(program: Path, copy: tuple[Path, Table]) -> None:
    text = dwarfdump("--debug-info", "--name=run_applet", "--show-children", copy[0])
    found = re.search(r"DW_AT_low_pc\s+\((0x\w+)\)", text)
    assert found
    start = int(found[1], 16)
    info = Module(program.read_bytes()).dwarf[".debug_info"]
    data = program.read_bytes()
    registers = [int(n, 16) for n in re.findall(r"DW_OP_regx (0x\w+)", text)]
    assert len(registers) > 3
    frame_base = None
    for number in registers:
        (variable,) = copy[1].candidates(start, number)
        if not variable.listed:
            at = info.start + variable.offset
            assert data[at + 1] == 0xED
        frame_base = frame_base or variable.frame_base
        assert variable.frame_base == frame_base
    assert not list(copy[1].candidates(start, max(registers) + 1000))
    assert not list(copy[1].candidates(start + 1, registers[0]))


def test_the_kernels_copy(guest_kernel: Path, tmp_path: Path) -> None:
    data, table = image(guest_kernel.read_bytes(), 0)
    path = tmp_path / "vmlinux.wasm"
    path.write_bytes(data)
    assert "No errors." in dwarfdump("--verify", path)
    assert len(table.entries) > 50_000
    assert Table.unpack(table.pack()).pack() == table.pack()


def test_numbers() -> None:
    assert register(0) == FIRST_VARIABLE
    assert register(VARIABLES) == FIRST_VARIABLE
    assert register(VARIABLES - 1) == COUNT - 1
    assert [name(n) for n in (0, 1, 63, 64)] == ["pc", "base1", "base63", "v64"]
    for number in (0, 1, 127, 128, COUNT - 1):
        low, high = operand(number)
        assert low >= 0x80 > high
        assert low & 0x7F | high << 7 == number


def test_long_functions_and_collisions() -> None:
    table = Table()
    table.begin(100)
    slots = [table.add(1000 + i, 0) for i in range(VARIABLES + 5)]
    table.begin(200)
    other = table.add(LIST | 7, 3)
    first = list(table.candidates(100, register(slots[1])))
    assert [v.offset for v in first] == [1001, 1001 + VARIABLES]
    assert list(table.candidates(100, register(slots[-1] + 1))) == [
        Variable(1000 + 5, False, 0, 1000)
    ]
    assert list(table.candidates(200, register(other))) == [Variable(7, True, 3, LIST | 7)]
    assert not list(table.candidates(300, register(other)))


@given(st.binary(max_size=60))
def test_damaged_tables_are_refused(data: bytes) -> None:
    good = Table()
    good.begin(1)
    good.add(5, 0)
    for raw in (data, good.pack()[: len(data)], good.pack() + data):
        try:
            Table.unpack(raw)
        except SymbolsError:
            continue
        assert raw == good.pack()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1 << 30), st.binary(min_size=1, max_size=8))
def test_damaged_modules_stay_whole(program_bytes: bytes, at: int, junk: bytes) -> None:
    data = bytearray(program_bytes)
    start = Module(program_bytes).dwarf[".debug_info"].start
    at = start + at % (len(data) - start - 8)
    data[at : at + len(junk)] = junk
    out, _ = image(bytes(data), 1)
    assert len(out) == len(data)


@pytest.fixture(scope="module")
def program_bytes(program: Path) -> bytes:
    return program.read_bytes()


def test_no_module_at_all() -> None:
    assert image(b"", 0)[0] == b""
    assert image(b"\0asm\1\0\0\0", 0)[0] == b"\0asm\1\0\0\0"
    assert image(b"junk" * 10, 3)[0] == b"junk" * 10


def test_the_host_module() -> None:
    module = Module(host_module())
    assert module.names.functions == {0: FUNCTION}
    ((_, start, end),) = module.bodies
    assert start < host_pc() < end
