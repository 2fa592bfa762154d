"""examples/guest/build.py without a kernel build: what it finds, refuses and leaves behind.

The tools of LLVM are stand-ins, so these tests need no compiler.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

TOOLS = (
    "clang", "wasm-ld", "ld.lld", "llvm-ar", "llvm-nm", "llvm-objcopy", "llvm-objdump",
    "llvm-readelf", "llvm-strip",
)  # fmt: skip
NEEDED = ("flex", "bison", "bc", "make", "xz", "patch", "ld", "awk")


class Script:
    """The script, with a search path and a cache of the test's own."""

    def __init__(self, tree: Path, scratch: Path) -> None:
        self.path = tree / "examples" / "guest" / "build.py"
        self.bin = scratch / "bin"
        self.cache = scratch / "cache"
        self.bin.mkdir()
        self.cache.mkdir()

    def tool(self, name: str, text: str = "") -> None:
        """A program that prints `text`."""
        path = self.bin / name
        path.write_text(f"#!/bin/sh\necho '{text}'\n")
        path.chmod(0o755)

    def llvm(self, number: int, without: tuple[str, ...] = ()) -> None:
        for name in TOOLS:
            if name not in without:
                self.tool(f"{name}-{number}", f"{name} version {number}.1.0")

    def real(self, *names: str) -> None:
        """Let the script find these tools of the machine."""
        for name in names:
            for directory in os.environ["PATH"].split(os.pathsep):
                if (found := Path(directory) / name).exists():
                    (self.bin / name).symlink_to(found)
                    break

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": str(self.bin), "XDG_CACHE_HOME": str(self.cache), "LC_ALL": "C"}
        return subprocess.run(
            [sys.executable, self.path, *map(str, arguments)],
            env=environment, capture_output=True, text=True, timeout=120,
        )  # fmt: skip

    def refused(self, *arguments: object) -> str:
        """The one line with which it ends with status 2."""
        done = self.run(*arguments)
        assert done.returncode == 2, done
        lines = done.stderr.splitlines()
        assert len(lines) == 1, done.stderr
        assert "Traceback" not in done.stderr
        return lines[0]


@pytest.fixture
def script(tree: Path, tmp_path: Path) -> Script:
    return Script(tree, tmp_path)


def tarball(path: Path, files: dict[str, str]) -> Path:
    """A compressed source package with these files in it."""
    with tarfile.open(path, "w:xz") as tar:
        for name, text in files.items():
            data = text.encode()
            member = tarfile.TarInfo(f"linux-source-6.99/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    files = {"Makefile": "all:\n", "arch/Kconfig": ""}
    return tarball(tmp_path / "linux-source-6.99.tar.xz", files)


def test_no_source_package(script: Script, tmp_path: Path) -> None:
    script.llvm(22)
    line = script.refused("--kernel-source", tmp_path / "none.tar.xz")
    assert line.endswith("none.tar.xz: no such file")


def test_no_llvm(script: Script, source: Path) -> None:
    line = script.refused("--kernel-source", source)
    assert "LLVM 18 or newer is needed" in line
    assert "apt install clang-" in line


def test_an_old_llvm_does_not_count(script: Script, source: Path) -> None:
    script.llvm(17)
    assert "LLVM 18 or newer is needed" in script.refused("--kernel-source", source)
    assert "LLVM 17 is too old" in script.refused("--kernel-source", source, "--llvm", 17)


def test_an_incomplete_llvm_names_its_packages(script: Script, source: Path) -> None:
    script.llvm(22, without=("wasm-ld", "ld.lld"))
    line = script.refused("--kernel-source", source)
    assert line.endswith("missing: apt install lld-22")


def test_the_newest_complete_llvm_is_taken(script: Script, source: Path) -> None:
    script.llvm(20)
    script.llvm(99, without=("llvm-nm",))
    newest = script.run("--kernel-source", source, "--print-key")
    chosen = script.run("--kernel-source", source, "--print-key", "--llvm", 20)
    assert newest.returncode == chosen.returncode == 0
    assert newest.stdout == chosen.stdout


def test_missing_tools_are_one_line(script: Script, source: Path) -> None:
    script.llvm(22)
    script.real("make", "xz", "patch", "ld", "awk")
    line = script.refused("--kernel-source", source)
    assert line == "guest: tools are missing: apt install bc bison flex"


def test_the_name_of_a_build_depends_on_its_inputs(script: Script, source: Path) -> None:
    script.llvm(22)
    script.llvm(21)
    common = ("--kernel-source", source, "--print-key")
    keys = {
        script.run(*common, *more).stdout
        for more in (
            (), ("--config", "lockdep"), ("--config", "lockdep", "--config", "torture"),
            ("--llvm", "21"),
        )
    }  # fmt: skip
    assert len(keys) == 4
    first = script.run(*common, "--config", "lockdep", "--config", "torture").stdout
    second = script.run(*common, "--config", "torture", "--config", "lockdep", "--jobs", "1").stdout
    assert first == second
    place = script.run("--kernel-source", source, "--print-dir").stdout
    assert Path(place.strip()).parent == script.cache / "wdbg" / "guest"


def test_an_unknown_fragment(script: Script, source: Path) -> None:
    script.llvm(22)
    line = script.refused("--kernel-source", source, "--config", "locked")
    assert "no configuration locked" in line
    assert "lockdep" in line


def test_a_fragment_of_the_user(script: Script, source: Path, tmp_path: Path) -> None:
    script.llvm(22)
    fragment = tmp_path / "mine.config"
    fragment.write_text("# more CPUs\nCONFIG_NR_CPUS=8\n")
    common = ("--kernel-source", source, "--print-key")
    assert script.run(*common, "--config", fragment).stdout != script.run(*common).stdout
    fragment.write_text("CONFIG_NR_CPUS 8\n")
    assert "line 1: not a setting" in script.refused(*common, "--config", fragment)


@pytest.mark.parametrize("jobs", [0, -1])
def test_no_jobs(script: Script, source: Path, jobs: int) -> None:
    script.llvm(22)
    assert "at least 1" in script.refused("--kernel-source", source, "--jobs", jobs)


class TestSource:
    """What goes wrong with the source ends in one line and leaves no half tree."""

    @pytest.fixture(autouse=True)
    def _tools(self, script: Script) -> None:
        script.llvm(22)
        script.real(*NEEDED)
        for name in NEEDED:
            if not (script.bin / name).exists():
                script.tool(name)

    def left(self, script: Script) -> list[Path]:
        root = script.cache / "wdbg" / "guest"
        return [p for d in ("tree", "port", "kernel", "work") for p in (root / d).glob("*")]

    def test_not_a_tarball(self, script: Script, tmp_path: Path) -> None:
        path = tmp_path / "linux-source-6.99.tar.xz"
        path.write_bytes(b"something else")
        assert str(path) in script.refused("--kernel-source", path)
        assert self.left(script) == []

    def test_truncated(self, script: Script, source: Path) -> None:
        source.write_bytes(source.read_bytes()[:-40])
        assert str(source) in script.refused("--kernel-source", source)
        assert self.left(script) == []

    def test_no_kernel_in_it(self, script: Script, tmp_path: Path) -> None:
        path = tarball(tmp_path / "linux-source-6.98.tar.xz", {"README": ""})
        assert "no kernel source in it" in script.refused("--kernel-source", path)
        assert self.left(script) == []

    def test_a_way_out(self, script: Script, tmp_path: Path) -> None:
        path = tarball(tmp_path / "linux-source-6.98.tar.xz", {"kernel/../../../evil.c": "x"})
        assert "bad path" in script.refused("--kernel-source", path)
        assert not (tmp_path / "evil.c").exists()
        assert self.left(script) == []

    def test_a_patch_that_does_not_apply(self, script: Script, source: Path) -> None:
        line = script.refused("--kernel-source", source)
        assert "0001-" in line
        assert "does not apply to this kernel source" in line
        assert self.left(script) == []

    def test_a_space_in_the_name_of_the_cache(self, script: Script, source: Path) -> None:
        script.cache = script.cache / "my cache"
        assert "set XDG_CACHE_HOME" in script.refused("--kernel-source", source)
        assert self.left(script) == []

    def test_a_cache_that_cannot_be_written(self, script: Script, source: Path) -> None:
        (script.cache / "wdbg").write_text("in the way")
        assert str(script.cache / "wdbg") in script.refused("--kernel-source", source)
