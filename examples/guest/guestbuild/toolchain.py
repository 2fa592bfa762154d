# SPDX-License-Identifier: GPL-2.0-only
"""The tools that a build takes: one version of LLVM, and what every kernel build needs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .errors import BuildError

OLDEST_LLVM = 18
"""Older ones lack wasm32 features that arch/wasm uses."""

LLVM_TOOLS = {
    "clang": "clang-{n}",
    "wasm-ld": "lld-{n}",
    "ld.lld": "lld-{n}",
    "llvm-ar": "llvm-{n}",
    "llvm-nm": "llvm-{n}",
    "llvm-objcopy": "llvm-{n}",
    "llvm-objdump": "llvm-{n}",
    "llvm-readelf": "llvm-{n}",
    "llvm-strip": "llvm-{n}",
}
"""Program (called NAME-N) -> Debian package; all that Kbuild's LLVM=-N names, and the linker."""

OTHER_TOOLS = {
    "flex": "flex", "bison": "bison", "bc": "bc", "make": "make", "xz": "xz-utils",
    "patch": "patch", "ld": "binutils", "awk": "mawk",
}
"""Program -> Debian package."""

C_HEADER = Path("/usr/include/elf.h")
"""Stands for the C library's headers, which programs of the kernel's build itself need."""


@dataclass(frozen=True, slots=True)
class Llvm:
    """A complete LLVM on the search path."""

    number: int
    """Major version, as in clang-22."""
    version: str
    """First lines of `clang --version` and `wasm-ld --version`: the code depends on them."""


def installed_llvm() -> list[int]:
    """Major versions of which there is a clang-N, newest first."""
    found = set()
    for directory in os.environ.get("PATH", os.defpath).split(os.pathsep):
        try:
            names = os.listdir(directory or ".")
        except OSError:
            continue
        found |= {int(m[1]) for name in names if (m := re.fullmatch(r"clang-(\d+)", name))}
    return sorted(found, reverse=True)


def missing_llvm(number: int) -> list[str]:
    """Packages that LLVM `number` lacks to be complete."""
    packages = {
        package.format(n=number)
        for tool, package in LLVM_TOOLS.items()
        if shutil.which(f"{tool}-{number}") is None
    }
    return sorted(packages)


def first_line(*command: str) -> str:
    """The first line that a tool prints."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        message = (done.stderr or done.stdout).strip()[:200]
        raise BuildError(f"{command[0]} does not work: {message}")
    return done.stdout.splitlines()[0] if done.stdout else ""


def find_llvm(wanted: int | None) -> Llvm:
    """The newest complete LLVM, or the wanted one; BuildError names the packages to install."""
    if wanted is not None and wanted < OLDEST_LLVM:
        raise BuildError(f"LLVM {wanted} is too old: {OLDEST_LLVM} or newer is needed")
    usable = [n for n in installed_llvm() if n >= OLDEST_LLVM and wanted in (None, n)]
    for number in usable:
        if not missing_llvm(number):
            break
    else:
        number = wanted or max(usable, default=newest_packaged())
        packages = " ".join(missing_llvm(number))
        raise BuildError(
            f"LLVM {OLDEST_LLVM if wanted is None else wanted}"
            f"{' or newer' if wanted is None else ''} is needed; missing: apt install {packages}"
        )
    versions = [first_line(f"{tool}-{number}", "--version") for tool in ("clang", "wasm-ld")]
    return Llvm(number, " / ".join(versions))


def newest_packaged() -> int:
    """The newest LLVM that apt offers, for a message; OLDEST_LLVM + 1 where there is no apt."""
    try:
        names = subprocess.run(
            ["apt-cache", "pkgnames", "clang-"], capture_output=True, text=True, check=False
        ).stdout
    except OSError:
        names = ""
    numbers = [int(m[1]) for m in re.finditer(r"^clang-(\d+)$", names, re.M)]
    return max([*numbers, OLDEST_LLVM + 1])


def check_tools() -> None:
    """BuildError with the packages to install if a tool is missing."""
    missing = {
        package for tool, package in OTHER_TOOLS.items() if shutil.which(tool) is None
    }
    if not C_HEADER.exists():
        missing.add("libc6-dev")
    if missing:
        raise BuildError(f"tools are missing: apt install {' '.join(sorted(missing))}")
