"""Where the sources of an example guest lie on this host."""

from __future__ import annotations

import json
from pathlib import Path

SOURCE_PREFIX = "/usr/src/linux-6.12-wdbg"
"""How DWARF of the example guest's kernels calls the directory of the kernel's source."""

PROGRAM_PREFIX = "linux"
"""The same in its programs, for headers of the kernel's that they are compiled with."""

_BUILD_INFO_LIMIT = 1 << 20


def source_map(kernel: Path) -> dict[str, Path]:
    """Where the sources of an example guest lie, by what their paths in the DWARF start with: "."
    are programs, whose paths are relative. Empty for other kernels."""
    guest = kernel.resolve().parent
    found = {SOURCE_PREFIX: kernel_source(guest), ".": guest / "sources"}
    return {prefix: path for prefix, path in found.items() if path is not None and path.is_dir()}


def kernel_source(guest: Path) -> Path | None:
    """Where the kernel's source lies, as the guest's build-info.json says."""
    try:
        with (guest / "build-info.json").open("rb") as file:
            info = json.loads(file.read(_BUILD_INFO_LIMIT))
        source = (guest / info["source"]).resolve()
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return source if source.is_dir() else None
