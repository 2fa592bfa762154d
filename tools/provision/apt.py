"""Installs missing Debian packages where that is allowed, else says how."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from provision.needs import (
    LLVM_PACKAGES,
    OLDEST_LLVM,
    Need,
    llvm_versions,
    missing_files,
    missing_tools,
    newest_llvm_package,
)
from provision.progress import CommandFailed, Progress, SetupError, no_network

LLVM_OF_DEBIAN_12 = 19
"""Named in the advice when the machine has no package lists to look the newest one up in."""


def install_missing(progress: Progress, tests: bool) -> None:
    """Install what a build and a run need and the machine lacks.

    Raises SetupError with the command to run where this user may not install packages.
    """
    path = os.environ.get("PATH", os.defpath)
    needs = missing_tools(path, tests) + missing_files()
    if not _can_make_environment():
        needs.append(Need("ensurepip", ("python3-venv",)))
    llvm_missing = not llvm_versions(path)
    if not needs and not llvm_missing:
        return
    what = [need.what for need in needs] + [f"clang and lld >= {OLDEST_LLVM}"] * llvm_missing
    if shutil.which("apt-get", path=path) is None:
        raise SetupError(f"missing: {', '.join(what)}; install them with your package manager")
    root = _root_command(path)
    if root is None:
        packages = _packages(needs, llvm_missing, _package_names())
        raise SetupError(
            f"missing: {', '.join(what)}; run: sudo apt-get update && "
            f"sudo apt-get install --no-install-recommends {' '.join(packages)}"
        )
    with progress.step(f"Debian packages for {', '.join(what)}"):
        _install(progress, root, needs, llvm_missing)


def _install(progress: Progress, root: list[str], needs: list[Need], llvm: bool) -> None:
    apt = [*root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-y"]
    apt += ["-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=2"]
    names = _package_names()
    packages = _packages(needs, llvm, names)
    try:
        if not set(packages) <= names:  # no package lists yet, or old ones
            progress.run([*apt, "-o", "APT::Update::Error-Mode=any", "update"])
            packages = _packages(needs, llvm, _package_names())
        try:
            progress.run([*apt, "install", "--no-install-recommends", *packages])
        except CommandFailed:  # lists so old that their files are gone
            progress.run([*apt, "-o", "APT::Update::Error-Mode=any", "update"])
            packages = _packages(needs, llvm, _package_names())
            progress.run([*apt, "install", "--no-install-recommends", *packages])
    except CommandFailed as failure:
        raise SetupError(_why(failure.output, packages, progress.log_path)) from None


def _why(output: str, packages: Sequence[str], log: Path) -> str:
    if no_network(output):
        return f"no network: apt-get can't fetch {' '.join(packages)}; connect and run again"
    if "No space left" in output or "don't have enough free space" in output:
        return f"disk full: apt-get can't install {' '.join(packages)}"
    errors = [line for line in output.splitlines() if line.startswith("E: ")]
    why = errors[-1][3:] if errors else "it failed"
    return f"apt-get can't install {' '.join(packages)}: {why} (log: {log})"


def _packages(needs: Sequence[Need], llvm: bool, names: set[str]) -> list[str]:
    packages = [package for need in needs for package in need.packages]
    if llvm:
        version = newest_llvm_package(names) or LLVM_OF_DEBIAN_12
        packages += [f"{name}-{version}" for name in LLVM_PACKAGES]
    return sorted(set(packages))


def _package_names() -> set[str]:
    """Names of all packages that the machine's lists know; empty without lists."""
    if shutil.which("apt-cache") is None:
        return set()
    listed = subprocess.run(
        ["apt-cache", "pkgnames"], capture_output=True, encoding="utf-8", check=False
    )
    return set(listed.stdout.split())


def _root_command(path: str) -> list[str] | None:
    """What to put before a command to run it as root without a password; None if not possible."""
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo", path=path)
    if sudo is None:
        return None
    asked = subprocess.run([sudo, "-n", "true"], capture_output=True, check=False)
    return [sudo, "-n"] if asked.returncode == 0 else None


def _can_make_environment() -> bool:
    """Whether this Python can make a virtual environment with pip (Debian splits that off)."""
    probe = subprocess.run(
        [sys.executable, "-c", "import ensurepip, venv"], capture_output=True, check=False
    )
    return probe.returncode == 0
