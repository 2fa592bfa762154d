"""What must be on the machine to build the guest kernel and to run wdbg, probed by tool.

Packages are named only to install what a probe did not find.
"""

import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

OLDEST_LLVM = 18
"""The first LLVM whose clang and wasm-ld build the guest."""

LLVM_TOOLS = (
    "clang", "ld.lld", "wasm-ld", "llvm-ar", "llvm-nm", "llvm-objcopy", "llvm-objdump",
    "llvm-readelf", "llvm-strip",
)  # fmt: skip
"""What the guest's build runs, with `-N` appended for the version."""

LLVM_PACKAGES = ("clang", "lld", "llvm")
"""Debian's packages that hold LLVM_TOOLS, with `-N` appended for the version."""

KERNEL_SOURCE = "linux-source-6.12"

BUILD_TOOLS = {
    "make": "make",
    "flex": "flex",
    "bison": "bison",
    "bc": "bc",
    "patch": "patch",
    "xz": "xz-utils",
    "ld": "binutils",
    "awk": "mawk",
}
"""Tool of the kernel's build -> Debian's package."""

BUILD_FILES = {"usr/include/elf.h": "libc6-dev"}
"""File of the machine that programs of the kernel's build need -> Debian's package."""

TEST_TOOLS = {
    "tmux": "tmux",
    "gdb": "gdb",
    "lldb-22": "lldb-22",
    "lldb-dap-22": "lldb-22",
    "trace-cmd": "trace-cmd",
    "babeltrace2": "babeltrace2",
    "node": "nodejs",
}
"""Tool that only the tests run -> Debian's package. The debuggers are the versions that are
promised to work: LLDB before 22 has no plug-in for WebAssembly."""


@dataclass(frozen=True, slots=True)
class Need:
    """Something that is missing: what it is called, and the package that brings it."""

    what: str
    packages: tuple[str, ...]


def llvm_versions(path: str) -> list[int]:
    """LLVM versions >= OLDEST_LLVM with every tool of LLVM_TOOLS on `path`, newest first."""
    found: dict[int, set[str]] = {}
    for folder in path.split(os.pathsep):
        try:
            names = os.listdir(folder or ".")
        except OSError:
            continue
        for name in names:
            tool, _, version = name.rpartition("-")
            if tool in LLVM_TOOLS and version.isdigit() and int(version) >= OLDEST_LLVM:
                found.setdefault(int(version), set()).add(tool)
    return sorted((v for v, tools in found.items() if tools >= set(LLVM_TOOLS)), reverse=True)


def newest_llvm_package(names: Iterable[str]) -> int | None:
    """The newest version of which all LLVM_PACKAGES are among the package names, or None."""
    versions: dict[int, set[str]] = {}
    for name in names:
        match = re.fullmatch(r"(clang|lld|llvm)-(\d+)", name)
        if match and int(match[2]) >= OLDEST_LLVM:
            versions.setdefault(int(match[2]), set()).add(match[1])
    return max((v for v, seen in versions.items() if seen == set(LLVM_PACKAGES)), default=None)


def missing_tools(path: str, tests: bool) -> list[Need]:
    """The needed tools that are not on `path`, LLVM left out (its package has a version)."""
    tools = BUILD_TOOLS | TEST_TOOLS if tests else BUILD_TOOLS
    return [
        Need(tool, (package,))
        for tool, package in tools.items()
        if shutil.which(tool, path=path) is None
    ]


def missing_files(root: Path = Path("/")) -> list[Need]:
    """The needed files that are not there: the kernel's source and the C library's headers."""
    needs = [
        Need(f"/{name}", (package,))
        for name, package in BUILD_FILES.items()
        if not (root / name).exists()
    ]
    if not any((root / "usr/src").glob(f"{KERNEL_SOURCE}.tar.*")):
        needs.append(Need(f"/usr/src/{KERNEL_SOURCE}.tar.xz", (KERNEL_SOURCE,)))
    return needs
