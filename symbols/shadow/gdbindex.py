"""GDB's index of an ELF file (.gdb_index), made by GDB."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

WORTHWHILE: Final = 4 << 20
"""Bytes of a file from which on an index saves more than it costs."""
DEADLINE: Final = 60.0
"""Seconds after which GDB is not waited for any longer."""


def gdb_index(elf: bytes, place: Path) -> bytes:
    """The index of a file, b"" if it is small, or there is no GDB that can make one. Temporary
    files are put into the directory `place`; OSError if that is not possible."""
    program = shutil.which("gdb")
    if program is None or len(elf) < WORTHWHILE:
        return b""
    with tempfile.TemporaryDirectory(dir=place) as directory:
        file = Path(directory, "elf")
        file.write_bytes(elf)
        command = [program, "-nx", "-batch", "-iex", "set auto-load no", str(file),
                   "-ex", f"save gdb-index {directory}"]  # fmt: skip
        try:
            subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=DEADLINE,
                check=False,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired):
            return b""
        made = Path(directory, "elf.gdb-index")
        return made.read_bytes() if made.is_file() else b""
