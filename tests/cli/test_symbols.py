"""`wdbg symbols --lookup`, as a user calls it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.symbols.dwarf.samples import Sample, compile_sample, run, tool


@pytest.fixture(scope="session", name="program")
def program_fixture(tmp_path_factory):
    return compile_sample(Sample("2", 5), tmp_path_factory.mktemp("program"))


@pytest.fixture(name="lookup")
def lookup_fixture(cache_home):
    """lookup(module, *queries) -> completed process."""

    def call(module, *queries):
        flags = [flag for query in queries for flag in ("--lookup", query)]
        return subprocess.run(
            [sys.executable, "-m", "wdbg", "symbols", str(module), *flags],
            capture_output=True, text=True, timeout=200, env=dict(os.environ), check=False,
        )  # fmt: skip

    return call


def test_names_addresses_and_lines(lookup, program):
    done = lookup(program, "entry", "thing", "everything", "color", "pid", "sample.c:1")
    assert done.returncode == 1
    out = done.stdout
    assert "entry: function" in out
    assert "breakpoint at 0x" in out
    assert "thing: variable everything_t" in out
    assert "struct everything: " in out
    assert "GREEN = 5" in out
    assert "wdbg: pid: no such function, variable or type" in done.stderr
    low = int(out.split("code [")[1].split(",")[0], 16)
    for address in (low + 30, 0xC0000000 + low + 30):
        found = lookup(program, hex(address))
        assert f"{address:#x}: entry+0x1e" in found.stdout
        assert "sample.c:" in found.stdout
        assert found.returncode == 0


def test_lldb_addresses(lookup, program):
    from symbols.wasm import Module

    module = Module(program.read_bytes())
    start = module.bodies[0][1]
    done = lookup(program, hex(0x4000000000000000 | start + 3))
    assert done.returncode == 0
    assert f"code offset {start + 3 - module.code_base:#x}" in done.stdout


def test_what_is_not_there(lookup, program):
    done = lookup(program, "0x7fffffff", "sample.c:9999", "nowhere.c:3")
    assert done.returncode == 1
    assert done.stdout == ""
    for line in (
        "wdbg: 0x7fffffff: neither code nor a variable",
        "wdbg: sample.c:9999: no code at or after that line: the last one with code is",
        "wdbg: nowhere.c:3: no such source file",
    ):
        assert line in done.stderr


def test_without_dwarf_there_are_names(lookup, program, tmp_path):
    stripped = tmp_path / "stripped.wasm"
    run(tool("llvm-strip"), "--strip-debug", program, "-o", stripped)
    done = lookup(stripped, "entry", "sample.c:60")
    assert "stripped.wasm has no DWARF: names of functions only" in done.stderr
    assert "wdbg: sample.c:60: without DWARF there are no lines" in done.stderr
    assert "Traceback" not in done.stderr


def test_truncated_modules(lookup, program, tmp_path):
    cut = tmp_path / "cut.wasm"
    cut.write_bytes(program.read_bytes()[:-3000])
    done = lookup(cut, "entry")
    assert done.returncode == 2
    assert "cut.wasm: truncated module" in done.stderr
    assert "Traceback" not in done.stderr


def test_truncated_dwarf(lookup, program, tmp_path):
    from symbols.wasm import Module
    from symbols.wasm.container import write_module

    module = Module(program.read_bytes())
    half = tmp_path / "half.wasm"
    half.write_bytes(
        write_module(
            (s.id, s.name, module.contents(s)[: -100 if s.name == ".debug_info" else None])
            for s in module.sections
        )
    )
    done = lookup(half, "entry")
    assert done.returncode == 0
    assert "wdbg: damaged DWARF: units from" in done.stderr
    assert "entry: function" in done.stdout


def test_files_that_cannot_be_read(lookup, tmp_path):
    done = lookup(tmp_path / "absent", "x")
    assert done.returncode == 2
    assert done.stderr.startswith("wdbg: ")
    assert "No such file" in done.stderr


def test_a_cache_that_cannot_be_written(lookup, program, cache_home):
    (cache_home / "wdbg").write_text("")
    done = lookup(program, "entry")
    assert done.returncode == 2
    assert "XDG_CACHE_HOME" in done.stderr


def test_nothing_to_do(lookup, program):
    done = lookup(program)
    assert done.returncode == 2
    assert "--lookup" in done.stderr


def test_the_guest_is_the_default(guest, cache_home, monkeypatch, capsys):
    from wdbg.cli import symbols
    from wdbg.cli.main import main

    monkeypatch.setattr(symbols, "default_guest", lambda: guest)
    assert main(["symbols", "--lookup", "jiffies_64", "--lookup", "kernel/fork.c:2804"]) == 0
    out = capsys.readouterr().out
    assert "jiffies_64: variable u64" in out
    assert "in kernel_clone" in out
