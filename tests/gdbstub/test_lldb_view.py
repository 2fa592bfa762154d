"""LLDB's copies of modules in the cache."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.gdbstub.test_lldb import module_file
from wdbg.errors import BadInput, WdbgError
from wdbg.gdbstub.lldb import view
from wdbg.gdbstub.lldb.view import view_of


@pytest.fixture
def module(tmp_path: Path) -> Path:
    path = tmp_path / "k.wasm"
    path.write_bytes(module_file()[0])
    return path


def test_made_once(module: Path, tmp_path: Path) -> None:
    first = view_of(module, 0, tmp_path / "cache")
    assert first.path.name == "k.wasm"
    stamp = first.path.stat().st_mtime_ns
    again = view_of(module, 0, tmp_path / "cache")
    assert again.path == first.path
    assert again.path.stat().st_mtime_ns == stamp
    assert again.table.pack() == first.table.pack()


def test_other_contents_or_number_is_another_view(module: Path, tmp_path: Path) -> None:
    first = view_of(module, 0, tmp_path / "cache").path
    assert view_of(module, 1, tmp_path / "cache").path != first
    module.write_bytes(module.read_bytes() + b"\0\3\1a!")
    assert view_of(module, 0, tmp_path / "cache").path != first


@pytest.mark.parametrize("damage", ["copy", "registers"])
def test_damage_is_repaired(module: Path, tmp_path: Path, damage: str) -> None:
    found = view_of(module, 0, tmp_path / "cache")
    good = found.path.read_bytes()
    path = found.path if damage == "copy" else found.path.with_name("k.wasm.registers")
    path.write_bytes(b"junk")
    again = view_of(module, 0, tmp_path / "cache")
    assert again.path.read_bytes() == good
    assert again.table.pack() == found.table.pack()


def test_the_cache_is_bounded(
    module: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view, "_KEEP", 3)
    cache = tmp_path / "cache"
    made = []
    for number in range(5):
        made.append(view_of(module, number, cache).path.parent)
        os.utime(made[-1], (number, number))
    kept = {path.name for path in cache.iterdir()}
    assert len(kept) == 3
    assert made[-1].name in kept
    assert made[0].name not in kept


def test_what_cannot_be_read_or_written(module: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot read"):
        view_of(tmp_path / "nothing.wasm", 0, tmp_path / "cache")
    (tmp_path / "file").write_text("")
    with pytest.raises(WdbgError, match="cannot write"):
        view_of(module, 0, tmp_path / "file")
