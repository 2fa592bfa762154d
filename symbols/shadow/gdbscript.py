"""The commands that a GDB session on a guest starts with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

_HEADER = """\
# Made by wdbg: what GDB needs to know about this guest. Load it with `gdb -x`.
set osabi none
set sysroot
set breakpoint pending on
set print thread-events off
"""


def gdb_script(
    *,
    elf: Path | None,
    sources: Mapping[str, Path],
    directories: Sequence[Path] = (),
    scripts: Sequence[Path] = (),
) -> str:
    """Commands that load `elf` unless something is loaded, map the names of source files by
    prefix to where they are here, look for others in `directories`, and load Python `scripts`.
    ValueError for a path that GDB's commands cannot express."""
    lines = [_HEADER.rstrip()]
    for prefix, place in sources.items():
        lines.append(f"set substitute-path {_quoted(prefix)} {_quoted(str(place))}")
    lines += [f"directory {_quoted(str(place))}" for place in directories]
    if elf is not None:
        path = _bare(str(elf))
        lines.append(
            f'python gdb.current_progspace().filename or gdb.execute("file " + {_quoted(path)!r})'
        )
    lines += [f"source {_bare(str(script))}" for script in scripts]
    return "\n".join(lines) + "\n"


def _bare(text: str) -> str:
    if "\n" in text or text != text.strip():
        raise ValueError(f"GDB cannot take the path {text!r}")
    return text


def _quoted(text: str) -> str:
    """An argument of a command that splits its arguments like a shell."""
    _bare(text)
    special = any(c in text for c in " \t\"'\\$")
    if not special:
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
