"""`wdbg symbols --elf OUT`."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

from tests.symbols.shadow.conftest import dwarf_errors, gdb


def symbols(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "wdbg", "symbols", *map(str, arguments)],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def test_the_kernel(guest_kernel: Path, tmp_path: Path) -> None:
    out = tmp_path / "my vmlinux"
    done = symbols(guest_kernel, "--elf", out)
    assert (done.returncode, done.stderr) == (0, "")
    words = shlex.split(done.stdout)
    assert words == ["gdb", "-x", f"{out}.gdb"]
    assert dwarf_errors(out) == ""
    said = gdb([], [f"source {words[2]}", "info line start_kernel", "list start_kernel"])
    assert "starts at address 0xc0" in said
    assert "start_kernel(void)" in said
    assert sorted(p.name for p in tmp_path.iterdir()) == ["my vmlinux", "my vmlinux.gdb"]


def test_what_is_no_kernel(tmp_path: Path) -> None:
    here = Path(__file__)
    done = symbols(here, "--elf", tmp_path / "x")
    assert done.returncode == 2
    assert "not a WebAssembly module" in done.stderr
    assert not list(tmp_path.iterdir())


def test_where_nothing_can_be_written(guest_kernel: Path, tmp_path: Path) -> None:
    done = symbols(guest_kernel, "--elf", tmp_path / "missing" / "x")
    assert done.returncode == 2
    assert "missing" in done.stderr
    assert "Traceback" not in done.stderr


def test_damaged_dwarf_is_bad_input(guest_kernel: Path, tmp_path: Path) -> None:
    data = bytearray(guest_kernel.read_bytes())
    at = data.find(b".debug_info") + len(b".debug_info")
    data[at : at + 4] = b"\xff\xff\xff\x7f"
    broken = tmp_path / "broken.wasm"
    broken.write_bytes(data)
    done = symbols(broken, "--elf", tmp_path / "x")
    assert done.returncode == 2
    assert "a unit reaches beyond .debug_info" in done.stderr
