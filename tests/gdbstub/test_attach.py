"""The lines that tell how to attach."""

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
