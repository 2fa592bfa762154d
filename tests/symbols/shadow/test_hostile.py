"""DWARF that is damaged or lies: SymbolsError or an ELF, soon."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from symbols.errors import SymbolsError
from symbols.shadow.build import shadow_elf
from symbols.shadow.cache import cached_elf
from symbols.shadow.strings import separate_strings
from symbols.wasm import Module
from symbols.wasm.container import write_custom
from tests.symbols.shadow.conftest import gdb

VALUES = (
    b"\xff\xff\xff\xff",
    b"\0\0\0\0",
    b"\xff\xff\xff\x7f",
    b"\x80\x80\x80\x80",
    b"\xed\x03\x01",
)
SLOW = 20.0
"""Seconds that nothing here comes near, unless something is quadratic."""


@pytest.mark.parametrize("seed", range(8))
def test_damaged_sections(make, seed):
    chance = random.Random(seed)
    made = make(chance.choice("012g"), chance.choice((4, 5)))
    sections = [s for s in made.module.dwarf.values() if s.end - s.start > 4]
    for _ in range(60):
        data = bytearray(made.module.data)
        for _ in range(chance.choice((1, 2, 8))):
            section = chance.choice(sections)
            value = chance.choice(VALUES) if chance.random() < 0.5 else chance.randbytes(1)
            at = chance.randrange(section.start, section.end - len(value))
            data[at : at + len(value)] = value
        begun = time.monotonic()
        try:
            assert shadow_elf(Module(bytes(data))).startswith(b"\x7fELF")
        except SymbolsError:
            pass
        assert time.monotonic() - begun < SLOW


@pytest.mark.parametrize("version", [4, 5])
def test_truncated_sections(make, version):
    module = make("1", version).module
    for section in module.dwarf.values():
        for length in {
            0,
            1,
            3,
            (section.end - section.start) // 2,
            section.end - section.start - 1,
        }:
            data = module.data[: section.header]
            data += write_custom(section.name, module.data[section.start : section.start + length])
            data += module.data[section.end :]
            try:
                shadow_elf(Module(data))
            except SymbolsError:
                pass


def test_lies_about_strings_do_not_grow_the_file():
    strings = b"x" * 10_000 + b"\0"
    offsets = b"".join(n.to_bytes(4, "little") for n in range(1, 5000))
    table = (len(offsets) + 4).to_bytes(4, "little") + b"\5\0\0\0" + offsets
    assert separate_strings(strings, table) == (strings, table)
    assert separate_strings(b"ab\0", b"\x08\0\0\0\5\0\0\0\1\0\0\0") == (
        b"ab\0b\0", b"\x08\0\0\0\5\0\0\0\3\0\0\0",
    )  # fmt: skip


def test_damage_is_told_and_leaves_names(make, tmp_path: Path):
    made = make("1", 4)
    data = bytearray(made.module.data)
    info = made.module.dwarf[".debug_info"]
    data[info.start : info.start + 4] = b"\xff\xff\xff\x0f"
    broken = tmp_path / "broken.wasm"
    broken.write_bytes(data)
    for _ in range(2):
        told: list[str] = []
        elf = cached_elf(broken, cache=tmp_path / "cache", damaged=told.append)
        assert told == ["a unit reaches beyond .debug_info (at offset 0x0)"]
    assert elf.name == "broken"
    out = gdb([elf], ["info line weigh", "info address weigh"])
    assert f'Symbol "weigh" is at {0xC0000000 + made.function("weigh"):#x} in a file' in out
    assert list((tmp_path / "cache").iterdir()) == [elf.parent]


def test_no_dwarf_and_no_code(tmp_path: Path):
    with pytest.raises(SymbolsError, match="no code"):
        shadow_elf(Module(b"\0asm\1\0\0\0"))
    file = tmp_path / "x"
    file.write_bytes(b"\x7fELF")
    with pytest.raises(SymbolsError, match="not a WebAssembly module"):
        cached_elf(file, cache=tmp_path)


def test_too_many_programs(make):
    with pytest.raises(SymbolsError, match="no room for module 17"):
        shadow_elf(make("1", 4).module, 17)
