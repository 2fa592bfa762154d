"""Rows and live ranges against llvm-dwarfdump, on samples and on the guest's programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from symbols.dwarf.sections import code_size
from symbols.dwarf.stops import CodeInfo, read_stops
from symbols.wasm import Module
from tests.symbols.dwarf import dump
from tests.symbols.dwarf.samples import ODD, SAMPLES


def compare(path: Path) -> CodeInfo:
    module = Module(path.read_bytes())
    found = read_stops(module)
    assert list(found.rows) == dump.statements(dump.true_rows(module, path), code_size(module))
    assert found.live == dump.live(module, dump.entries(path))
    assert not found.notes
    return found


@pytest.mark.parametrize("sample", SAMPLES + ODD, ids=str)
def test_samples(sample, linked):
    found = compare(linked(sample))
    assert len(found.rows) > 5
    assert found.live


def test_optimised_code_uses_every_kind_of_location(linked):
    kinds = {
        kind for s in SAMPLES for _, _, kind, _ in read_stops(Module(linked(s).read_bytes())).live
    }
    assert kinds >= {0, 2, 3}


def test_a_program_of_the_guest(guest):
    found = compare(guest.initrd.parent / "debug" / "box.wasm")
    assert len(found.rows) > 5000


@pytest.mark.slow
def test_the_kernel(guest_kernel):
    found = compare(guest_kernel)
    assert len(found.rows) > 50_000
    assert len(found.live) > 10_000


def test_rows_are_in_functions_that_are_there(linked):
    for sample in SAMPLES:
        module = Module(linked(sample).read_bytes())
        base = module.code_base
        bodies = [(start - base, end - base) for _, start, end in module.bodies]
        for row in read_stops(module).rows:
            assert any(low <= row < high for low, high in bodies)
        for low, high, _, _ in read_stops(module).live:
            assert any(start <= low < high <= end for start, end in bodies)


def test_no_dwarf_is_nothing():
    found = read_stops(Module(b"\0asm\x01\0\0\0"))
    assert (list(found.rows), found.live, found.notes) == ([], [], ())
