"""The shadow ELF of the example guest's kernel and programs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from symbols.shadow.build import shadow_elf
from symbols.shadow.cache import cached_elf
from symbols.wasm import Module
from tests.symbols.dwarf.samples import run, tool
from tests.symbols.shadow.conftest import dwarf_errors, gdb
from wdbg.gdbstub.symbolfiles import gdb_files, program_elf


@pytest.fixture(scope="module")
def elf(guest_kernel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cached_elf(guest_kernel, cache=tmp_path_factory.mktemp("cache"))


def test_no_error_in_the_dwarf(elf: Path):
    assert dwarf_errors(elf) == ""


def test_the_programs_too(guest_kernel: Path, tmp_path: Path):
    elf = cached_elf(guest_kernel.parent / "debug" / "box.wasm", 1, cache=tmp_path)
    assert dwarf_errors(elf) == ""
    assert "0xd0" in gdb([elf], ["p main"])


def test_what_gdb_knows(elf: Path):
    out = gdb(
        [elf],
        ["info line start_kernel", "p sizeof(struct task_struct)", "ptype struct list_head",
         "p &jiffies_64", "info address kernel_clone", "p vfs_read", "info scope kernel_clone",
         "info symbol 1", "info address init_task", "break do_sys_openat2", "break schedule",
         "break kernel/fork.c:2804", "p &((struct task_struct *)0)->comm",
         "info scope do_filp_open"],
    )  # fmt: skip
    assert re.search(r"Line \d+ of \"/usr/src/linux-.*/init/main.c\" starts at address 0xc0", out)
    assert "struct list_head *prev;" in out
    assert re.search(r"\(u64 \*\) 0x\w+ <jiffies_64>", out)
    assert re.search(r'Symbol "kernel_clone" is a function at address 0xc\w+\.', out)
    assert "{ssize_t (struct file *, char *, size_t, loff_t *)} 0xc" in out
    assert "Symbol args is" in out
    assert "[tbl] in section .data" in out
    assert re.search(r"Breakpoint 1 at 0xc\w+: file .*fs/open.c", out)
    assert re.search(r"Breakpoint 2 at 0xc\w+: schedule\. \(\d locations\)", out), "inlined copies"
    assert re.search(r"Breakpoint 3 at 0xc\w+: file .*kernel/fork.c, line 2804", out)
    assert "rror" not in out


def test_every_function_has_lines_at_its_start(guest_kernel: Path, elf: Path):
    """Else GDB's `step` would step over calls of it."""
    module = Module(guest_kernel.read_bytes())
    rows = set()
    known = set()
    for line in run(tool("llvm-dwarfdump"), "--debug-line", elf).splitlines():
        if line.startswith("0x0000"):
            rows.add(int(line.split()[0], 16))
    for line in run(tool("llvm-dwarfdump"), "--debug-line", guest_kernel).splitlines():
        if line.startswith("0x0000"):
            known.add(int(line.split()[0], 16))
    missing = 0
    for _, start, end in module.bodies:
        low = start - module.code_base
        with_lines = any(offset in known for offset in range(low, end - module.code_base))
        missing += with_lines and 0xC0000000 + low not in rows
    assert missing == 0


def test_gdb_finds_source_and_loads_the_kernels_scripts(guest_kernel: Path, cache_home: Path):
    files = gdb_files(guest_kernel)
    assert files.elf.is_relative_to(cache_home)
    out = gdb([files.elf], [f"source {files.script}", "list start_kernel", "help lx-dmesg"])
    assert "start_kernel(void)" in out
    assert "Print Linux kernel log buffer." in out
    program = program_elf(guest_kernel.parent / "debug" / "box.wasm", 2)
    out = gdb([files.elf, program], [f"source {files.script}", f"add-symbol-file {program}",
              "list user/box/cat.c:20", "list sys_write"])  # fmt: skip
    assert "cat_main" in out
    assert "my_syscall3(__NR_write" in out


def test_it_is_made_once(guest_kernel: Path, tmp_path: Path):
    program = guest_kernel.parent / "debug" / "box.wasm"
    first = cached_elf(program, 1, cache=tmp_path)
    stamp = first.stat().st_mtime_ns
    assert cached_elf(program, 1, cache=tmp_path) == first
    assert first.stat().st_mtime_ns == stamp
    assert cached_elf(program, 2, cache=tmp_path) != first, "at another address"
    bare = cached_elf(program, 1, tmp_path, index=False)
    assert bare.read_bytes() == shadow_elf(Module(program.read_bytes()), 1)
    assert [s.name for s in first.parent.iterdir()] == ["box"], "nothing temporary is left"


def test_it_has_an_index_that_gdb_uses(elf: Path):
    out = gdb([elf], ["maint print objfiles vmlinux", "maint info sections .gdb_index"])
    assert ".gdb_index" in out
    assert 'faked for "gdb_index"' in out or "Psymtab" not in out
