"""GDB's commands for a guest, read by GDB."""

from __future__ import annotations

from pathlib import Path

import pytest

from symbols.shadow.gdbscript import gdb_script
from tests.symbols.shadow.conftest import gdb


def test_odd_paths(make, tmp_path: Path) -> None:
    odd = tmp_path / "a 'b' \"c\" $d \\e"
    odd.mkdir()
    elf = odd / "elf"
    elf.write_bytes(make("1", 4).elf.read_bytes())
    (odd / "x.py").write_text("print('loaded', 6 * 7)\n")
    script = tmp_path / "script.gdb"
    here = Path(__file__).parent
    (odd / "sources").symlink_to(here)
    script.write_text(
        gdb_script(
            elf=elf,
            sources={str(here): odd / "sources"},
            directories=[odd],
            scripts=[odd / "x.py"],
        )
    )
    out = gdb([], [f"source {script}", "info line weigh", "list twice", "show substitute-path"])
    assert "loaded 42" in out
    assert "starts at address 0xc" in out
    assert "static int twice(int x)" in out
    assert str(odd / "sources") in out


def test_what_is_loaded_already_stays(make, tmp_path: Path) -> None:
    first, second = make("1", 4).elf, make("2", 5).elf
    script = tmp_path / "script.gdb"
    script.write_text(gdb_script(elf=second, sources={}))
    out = gdb([first], [f"source {script}", "info files"])
    assert str(first) in out
    assert str(second) not in out


def test_paths_that_gdb_cannot_take() -> None:
    for path in ("/a\nshell rm", "/a "):
        with pytest.raises(ValueError, match="cannot take the path"):
            gdb_script(elf=None, sources={}, scripts=[Path(path)])
