"""Whatever a user gets wrong is one line, exit status 2, and nothing left half-written."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from wasmtime import wat2wasm

from symbols.wasm import Module
from symbols.wasm.container import SectionId
from tests.runtime.minikernel import text

KERNEL = wat2wasm(text('(func (export "_start") (call $panic (i32.const 100)))'))
COMPONENT = b"\0asm\x0d\0\x01\0"


@pytest.fixture(name="wdbg")
def wdbg_fixture(cache_home: Path, tmp_path: Path):
    """wdbg(*arguments) -> completed process, with an empty cache of its own."""

    def run(*arguments: object, **options):
        environment = dict(os.environ, **options.pop("env", {}))
        return subprocess.run(
            [sys.executable, "-m", "wdbg", *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            env=environment,
            **options,
        )

    return run


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """Exit status 2 and one line (and at most one hint), with these words in it."""
    lines = done.stderr.splitlines()
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert lines[0].startswith("wdbg: ")
    assert len(lines) == 1 or (len(lines) == 2 and lines[1].startswith("wdbg: hint: "))
    for word in words:
        assert word in lines[0]


def leftovers(cache_home: Path) -> list[Path]:
    return [path for path in cache_home.rglob("*") if path.name.startswith(".new-")]


@pytest.fixture(name="file")
def file_fixture(tmp_path: Path):
    def make(data: bytes, name: str = "kernel.wasm") -> Path:
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return make


@pytest.mark.parametrize("verb", ["run", "doctor"])
@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "empty"),
        (b"\x7fELF" + bytes(60), "not a WebAssembly module"),
        (b"\0as", "truncated"),
        (b"\0asm\x02\0\0\0", "version"),
        (COMPONENT, "component"),
        (KERNEL[:-1], "truncated"),
    ],
)
def test_what_is_no_module(wdbg, file, verb, data, word, cache_home):
    refused(wdbg(verb, file(data)), word)
    assert not leftovers(cache_home)


def cuts() -> list[int]:
    """Every section boundary, and the middle of every section; not between custom sections at
    the end, without which the module is whole."""
    sections = Module(bytes(KERNEL)).sections
    last = max(i for i, section in enumerate(sections) if section.id is not SectionId.CUSTOM)
    found = {(section.start + section.end) // 2 for section in sections}
    found |= {section.header for section in sections[: last + 1]}
    return sorted(found)


def test_a_module_cut_anywhere(wdbg, file, cache_home):
    for cut in cuts():
        refused(wdbg("run", file(KERNEL[:cut])))
    assert not leftovers(cache_home)


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("(module)", ["no memory"]),
        ('(module (import "env" "memory" (memory 1 2)))', ["not shared"]),
        ("(module (memory 1 2 shared))", ["memory"]),
        (
            '(module (import "env" "memory" (memory 1 2 shared))'
            ' (import "wasi" "fd_write" (func)) (import "env" "jump" (func)))',
            ["2 functions", "wasi.fd_write", "env.jump"],
        ),
        ('(module (import "env" "memory" (memory 1 999 shared)))', ["init_task", "_start"]),
    ],
)
def test_modules_that_are_no_kernel(wdbg, file, module, words):
    refused(wdbg("run", file(wat2wasm(module))), *words)


def test_files_that_cannot_be_read(wdbg, tmp_path):
    refused(wdbg("run", tmp_path / "absent"), "No such file")
    refused(wdbg("run", tmp_path), "directory")


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["--cpus", "0"], "--cpus"),
        (["--cpus", "65"], "--cpus"),
        (["--cpus", "33"], "too many"),
        (["--memory", "1"], "--memory"),
        (["--memory", "5000"], "--memory"),
        (["--seed", "-1"], "--seed"),
        (["--timeout", "0"], "--timeout"),
        (["--append", "x" * 5000], "command line"),
        (["--initrd", "/nonexistent"], "initrd"),
        (["--config", "og"], "--config"),
    ],
)
def test_flags_out_of_range(wdbg, file, flags, word):
    refused(wdbg("run", file(KERNEL), *flags), word)


def test_initrds(wdbg, file):
    kernel = file(KERNEL)
    refused(wdbg("run", kernel, "--initrd", file(b"hello", "initrd")), "cpio")
    refused(wdbg("run", kernel, "--initrd", file(b"\x1f\x8b\x08", "initrd")), "gzip")
    large = file(b"070701" + bytes(20 << 20), "initrd")
    refused(wdbg("run", kernel, "--initrd", large, "--memory", "30"), "too few")


def test_usage_errors_of_the_parser(wdbg):
    for arguments in ([], ["nonsense"], ["run", "--cpus", "x"], ["run", "--schedule", "y"]):
        done = wdbg(*arguments)
        assert done.returncode == 2
        assert "usage: wdbg" in done.stderr


def test_no_guest_has_been_built(wdbg):
    done = wdbg("run")
    refused(done, "has not been built")
    assert "wdbg guest build" in done.stderr


def test_a_cache_that_cannot_be_written(wdbg, file, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    refused(wdbg("run", file(KERNEL), env={"XDG_CACHE_HOME": str(blocked)}), "cache")


def test_out_of_space_in_the_cache(wdbg, file, cache_home):
    """A limit on file size is the nearest to a full disk that needs no rights."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    refused(wdbg("run", file(KERNEL), preexec_fn=limit), "cache")
    assert not leftovers(cache_home)


def test_no_home(wdbg, file):
    environment = {k: v for k, v in os.environ.items() if k not in ("HOME", "XDG_CACHE_HOME")}
    done = subprocess.run(
        [sys.executable, "-m", "wdbg", "run", str(file(KERNEL))],
        env=environment | {"HOME": "/proc/none"}, capture_output=True, text=True, timeout=60,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    refused(done, "cache")
