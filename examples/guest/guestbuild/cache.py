# SPDX-License-Identifier: GPL-2.0-only
"""The cache of builds: directories named by a hash of what went into them.

    ROOT/KEY/            vmlinux.wasm, initrd.cpio, config, debug/, gdb/, sources/, build-info.json
    ROOT/current/NAME    a link to the newest build of a configuration: what wdbg runs
    ROOT/kernel/KEY/     a kernel without user space, and the headers that user space needs
    ROOT/gdb/KEY/        the kernel's GDB scripts with its own constants
    ROOT/port/KEY/       kernel source with a version of arch/wasm: links to a tree, and a copy
    ROOT/tree/KEY/       unpacked and patched kernel source
    ROOT/work/           builds under way
    ROOT/locks/          one file for each of the above

A directory appears under its name when it is complete (rename), so a reader needs no lock.  Who
makes one, or uses a tree, holds its lock.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

OLD_LOG = 7 * 24 * 3600
"""Seconds for which the log of a failed build is kept."""

KEY_LENGTH = 20
"""Hexadecimal digits of a key."""


def cache_root() -> Path:
    """${XDG_CACHE_HOME:-~/.cache}/wdbg/guest."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "wdbg" / "guest"


def key_of(*parts: str | bytes) -> str:
    """A name for what is made from `parts`."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()[:KEY_LENGTH]


def files_key(root: Path, leave_out: str = "") -> str:
    """A name for the files below `root`: their names, modes and contents.

    Python's own caches do not count, nor does the directory `leave_out`.
    """
    parts: list[bytes] = []
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        relative = path.relative_to(root)
        if "__pycache__" not in relative.parts and relative.parts[0] != leave_out:
            executable = b"x" if os.access(path, os.X_OK) else b"-"
            parts += [relative.as_posix().encode(), executable, path.read_bytes()]
    return key_of(*parts)


@contextlib.contextmanager
def locked(
    root: Path, name: str, waiting: Callable[[], None], shared: bool = False
) -> Iterator[None]:
    """Hold the lock called `name`; `waiting` is called once if somebody else has it."""
    path = root / "locks" / name.replace("/", "-")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        mode = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(file, mode | fcntl.LOCK_NB)
        except OSError:
            waiting()
            fcntl.flock(file, mode)
        yield


@contextlib.contextmanager
def making(root: Path, name: str) -> Iterator[Path]:
    """A new directory that becomes ROOT/name if the block ends well, and goes away if not.

    The caller holds the lock of `name`.
    """
    work = root / "work" / name.replace("/", "-")
    remove(work)
    work.mkdir(parents=True)
    try:
        yield work
        final = root / name
        final.parent.mkdir(parents=True, exist_ok=True)
        work.rename(final)
    finally:
        remove(work)


def remove(path: Path) -> None:
    """Remove a directory and all in it, if it is there."""
    if path.exists():
        shutil.rmtree(path)


def sweep(root: Path) -> None:
    """Remove what builds that were killed have left: directories whose lock nobody holds, old
    logs."""
    for entry in (root / "work").glob("*"):
        name = entry.name.removeprefix("objects-")
        if name != entry.name and not name.startswith("gdb-"):
            name = f"kernel-{name}"
        locks = [root / "locks" / lock for lock in (name, f"make-{name}")]
        with contextlib.suppress(OSError), contextlib.ExitStack() as held:
            if not entry.is_dir():
                if time.time() - entry.stat().st_mtime > OLD_LOG:
                    entry.unlink()
                continue
            for path in locks:
                if path.exists():
                    fcntl.flock(held.enter_context(path.open("a")), fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove(entry)


def prune(root: Path, kind: str, keep: int) -> None:
    """Remove all but the `keep` most recently used directories of ROOT/kind that nobody uses."""
    try:
        entries = sorted((root / kind).iterdir(), key=lambda p: p.stat().st_mtime, reverse=True)
    except OSError:
        return
    for entry in entries[keep:]:
        lock = root / "locks" / f"{kind}-{entry.name}"
        with contextlib.suppress(OSError), lock.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # under another name first, so that no half of it is ever found
            doomed = root / "work" / f"old-{kind}-{entry.name}"
            doomed.parent.mkdir(exist_ok=True)
            entry.rename(doomed)
            remove(doomed)


def point_current(root: Path, fragments: Iterable[str], place: Path) -> None:
    """Make `place` the current build of its configuration: "default", or the fragments' names
    joined by "+"."""
    name = "+".join(sorted(Path(fragment).stem for fragment in fragments)) or "default"
    link = root / "current" / name
    link.parent.mkdir(parents=True, exist_ok=True)
    temporary = link.with_name(f".{name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(place, target_is_directory=True)
    temporary.replace(link)
