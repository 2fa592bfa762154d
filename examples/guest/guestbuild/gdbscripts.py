# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own GDB scripts (scripts/gdb), for a kernel that is built already.

CONFIG_GDB_SCRIPTS would have the kernel's build make them, and change its configuration and with
it the kernel. The make target alone does not: it needs a configured tree, a handful of generated
headers, and the preprocessor for constants.py, which takes seconds.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from .kernel import KernelBuild

LINUX = Path("scripts/gdb/linux")
ENTRY = "vmlinux-gdb.py"
"""What GDB loads; it looks for the rest in scripts/gdb beside itself."""


def wanted(settings: dict[str, str]) -> bool:
    """Whether the scripts are of use: they read the kernel's types."""
    return settings.get("CONFIG_DEBUG_INFO_NONE", "n") != "y"


def install(build: KernelBuild, settings: dict[str, str], out: Path) -> None:
    """Put the scripts into `out`. `build` has empty directories for objects; nothing of the
    kernel itself is compiled. BuildError if make fails."""
    build.configure(settings)
    build.make("scripts_gdb")
    (out / LINUX).mkdir(parents=True)
    for path in sorted((build.objects / LINUX).glob("*.py")):
        shutil.copyfile(path, out / LINUX / path.name)
    shutil.copyfile(build.source / "scripts/gdb" / ENTRY, out / ENTRY)
