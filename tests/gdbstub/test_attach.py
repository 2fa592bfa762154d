"""The lines that tell how to attach."""

import shlex
from pathlib import Path

from wdbg.gdbstub.attach import gdb_line, lldb_line
from wdbg.gdbstub.listener import Address


def test_gdb() -> None:
    here = Address("127.0.0.1", 1234)
    assert gdb_line(here, Path("/a b/k.elf")) == "gdb '/a b/k.elf' -ex 'target remote :1234'"
    assert gdb_line(Address("0.0.0.0", 1), None) == "gdb -ex 'target remote :1'"
    assert gdb_line(Address("::1", 1), None) == "gdb -ex 'target remote [::1]:1'"


def test_gdb_reads_the_commands_beside_the_elf(tmp_path: Path) -> None:
    elf = tmp_path / "vmlinux"
    Path(f"{elf}.gdb").write_text("")
    line = f"gdb {elf} -ex 'source {elf}.gdb' -ex 'target remote :7'"
    assert gdb_line(Address("127.0.0.1", 7), elf) == line


def test_lldb() -> None:
    url = "connect://127.0.0.1:1234"
    expected = f"lldb-22 -o 'process connect --plugin wasm {url}'"
    assert lldb_line(Address("127.0.0.1", 1234)) == expected
    assert lldb_line(Address("::", 1234)) == expected


def test_lldb_finds_sources(tmp_path: Path) -> None:
    kernel = tmp_path / "vmlinux.wasm"
    here = Address("127.0.0.1", 7)
    assert lldb_line(here, kernel) == lldb_line(here)
    (tmp_path / "sources").mkdir()
    (tmp_path / "k 6").mkdir()
    (tmp_path / "build-info.json").write_text('{"source": "k 6"}')
    line = lldb_line(here, kernel)
    words = shlex.split(line)
    assert words[:2] == ["lldb-22", "-o"]
    assert shlex.split(words[2])[:3] == ["settings", "set", "target.source-map"]
    assert shlex.split(words[2])[3:] == [
        "/usr/src/linux-6.12-wdbg", str(tmp_path / "k 6"), ".", str(tmp_path / "sources"),
    ]  # fmt: skip
    assert words[3:] == ["-o", "process connect --plugin wasm connect://127.0.0.1:7"]
