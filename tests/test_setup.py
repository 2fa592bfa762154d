"""Setup on machines that lack something: it installs where it may, else one line and status 2."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from provision import apt, environment, needs
from provision.progress import Progress, SetupError

TREE = Path(__file__).resolve().parent.parent
SETUP = TREE / "tools" / "setup.py"

PACKAGES = "flex bison clang-14 lld-14 llvm-14 clang-19 lld-19 llvm-19 clang-22 lld-22 llvm-22"


class Machine:
    """A machine made of one folder of fake tools, which is all of PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "apt-get.log"
        folder.mkdir()

    def add(self, *tools: str, script: str = "") -> None:
        for tool in tools:
            (self.folder / tool).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
            (self.folder / tool).chmod(0o755)

    def add_llvm(self, version: int) -> None:
        self.add(*(f"{tool}-{version}" for tool in needs.LLVM_TOOLS))

    def add_apt(self, packages: str = PACKAGES, script: str = "") -> None:
        self.add("apt-cache", script=f"printf '%s\\n' {packages}")
        # `env` runs in front of apt-get and has to find it on the same PATH.
        os.symlink("/usr/bin/env", self.folder / "env")
        self.add("apt-get", script=f'echo "$@" >>{self.log}\n{script}')

    def apt_calls(self) -> list[str]:
        return self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine with everything but LLVM and packages that only the tests ask for."""
    made = Machine(tmp_path / "bin")
    made.add(*needs.BUILD_TOOLS)
    monkeypatch.setenv("PATH", str(made.folder))
    monkeypatch.setattr(apt, "missing_files", list)
    return made


def install(tmp_path: Path, tests: bool = False) -> None:
    apt.install_missing(Progress(tmp_path / "setup.log"), tests)


def as_user(monkeypatch: pytest.MonkeyPatch, uid: int) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)


def test_a_complete_machine_is_left_alone(machine: Machine, tmp_path: Path) -> None:
    machine.add_llvm(19)
    machine.add_apt()
    install(tmp_path)
    assert machine.apt_calls() == []


def test_root_installs_the_newest_llvm(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_user(monkeypatch, 0)
    machine.add_apt()
    install(tmp_path)
    (call,) = machine.apt_calls()
    assert call.endswith("install --no-install-recommends clang-22 lld-22 llvm-22")


def test_empty_package_lists_are_fetched_first(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_user(monkeypatch, 0)
    machine.add_apt(packages="")
    install(tmp_path)
    update, installation = machine.apt_calls()
    assert update.endswith("update")
    assert installation.endswith("clang-19 lld-19 llvm-19")


def test_a_user_without_rights_gets_the_command(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_user(monkeypatch, 1000)
    machine.add_llvm(22)
    machine.add_apt()
    (machine.folder / "flex").unlink()
    machine.add("gdb", "lldb-22", "lldb-dap-22", "trace-cmd", "babeltrace2", "node")
    with pytest.raises(SetupError) as error:
        install(tmp_path, tests=True)
    assert str(error.value) == (
        "missing: flex, tmux; run: sudo apt-get update && "
        "sudo apt-get install --no-install-recommends flex tmux"
    )
    assert machine.apt_calls() == []


def test_password_free_sudo_is_used(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_user(monkeypatch, 1000)
    machine.add_apt()
    machine.add("sudo", script='shift\nexec "$@"')
    machine.add("true")
    install(tmp_path)
    assert len(machine.apt_calls()) == 1


def test_no_network_is_said_in_one_line(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_user(monkeypatch, 0)
    machine.add_apt(script="echo \"Err: Temporary failure resolving 'mirror'\"\nexit 100")
    with pytest.raises(SetupError, match=r"^no network: apt-get can't fetch clang-22 .*$") as error:
        install(tmp_path)
    assert "\n" not in str(error.value)


def test_files_are_probed_for(tmp_path: Path) -> None:
    (tmp_path / "usr/src").mkdir(parents=True)
    (tmp_path / "usr/src/linux-source-6.12.tar.xz").touch()
    (missing,) = needs.missing_files(tmp_path)
    assert missing == needs.Need("/usr/include/elf.h", ("libc6-dev",))


def test_half_an_llvm_is_none(machine: Machine) -> None:
    machine.add_llvm(19)
    machine.add("clang-22", "ld.lld-22")
    assert needs.llvm_versions(str(machine.folder)) == [19]


def test_an_old_llvm_is_none(machine: Machine) -> None:
    machine.add_llvm(14)
    assert needs.llvm_versions(str(machine.folder)) == []
    assert needs.newest_llvm_package(["clang-14", "lld-14", "llvm-14", "clang-22"]) is None


@pytest.mark.parametrize("arguments", [[], ["--dev"]])
def test_nothing_there_ends_with_status_2(tmp_path: Path, arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, str(SETUP), *arguments],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("setup: missing: make, flex, bison")


def test_a_failing_pip_is_one_line(tmp_path: Path) -> None:
    output = "WARNING: Retrying\nERROR: Could not find a version of x\nERROR: No matching x\n"
    message = environment.why_it_failed(output, tmp_path / "log")
    assert message == f"pip: No matching x (log: {tmp_path / 'log'})"


def test_changed_dependencies_change_the_fingerprint(tmp_path: Path) -> None:
    declared = (TREE / "pyproject.toml").read_text(encoding="utf-8")
    project = tmp_path / "pyproject.toml"
    project.write_text(declared, encoding="utf-8")
    first = environment.fingerprint(tmp_path)
    project.write_text(declared.replace("line-length = 100", "line-length = 99"), encoding="utf-8")
    assert environment.fingerprint(tmp_path) == first
    project.write_text(declared.replace("wasmtime==50.0", "wasmtime==51.0"), encoding="utf-8")
    assert environment.fingerprint(tmp_path) != first
