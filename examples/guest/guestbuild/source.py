# SPDX-License-Identifier: GPL-2.0-only
"""Kernel source: Debian's tarball, the part of it that we need, our patches, our arch/wasm."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from .cache import files_key, key_of
from .errors import BuildError

TARBALLS = Path("/usr/src")
PATTERN = "linux-source-6.*.tar.xz"

BUILD_FILE = re.compile(r"(Kconfig|Makefile|Kbuild)[^/]*$|\.mk$")
"""Kbuild and Kconfig read these of all directories, used or not."""

_NUMBER = re.compile(r"\d+")

DRIVERS = {"base", "block", "char", "clocksource", "irqchip", "misc", "of", "tty", "virtio"}
"""Directories of drivers/ of which all is unpacked."""

LEFT_OUT = {"Documentation", "LICENSES", "arch", "net", "rust", "samples", "sound"}
"""Top directories of which only the build files are unpacked."""


def wanted(path: str) -> bool:
    """Is this file of the tarball (path below its top directory) needed?

    A sixth of the source is.  Unpacking all of it would take most of the time of a build.
    """
    parts = path.split("/")
    if BUILD_FILE.search(parts[-1]) or len(parts) == 1:
        return True
    if parts[0] in LEFT_OUT:
        return False
    if parts[0] == "drivers":
        return len(parts) == 2 or parts[1] in DRIVERS
    if parts[0] == "tools":
        return parts[1] == "include" or parts[-1].endswith(".sh")
    return True


def find_tarball(given: Path | None) -> Path:
    """The given tarball, or the newest of Debian's."""
    if given is not None:
        if not given.is_file():
            raise BuildError(f"{given}: no such file")
        return given.resolve()
    found = sorted(TARBALLS.glob(PATTERN), key=lambda p: [int(n) for n in _NUMBER.findall(p.name)])
    if not found:
        raise BuildError(f"no kernel source {TARBALLS / PATTERN}: apt install linux-source-6.12")
    return found[-1]


def tarball_key(tarball: Path, memo: Path) -> str:
    """SHA-256 of the tarball, remembered in the file `memo` by name, size and time."""
    stat = tarball.stat()
    name = f"{tarball} {stat.st_size} {stat.st_mtime_ns}"
    known: dict[str, str] = {}
    with contextlib.suppress(OSError, ValueError):
        known = json.loads(memo.read_text())
    if name not in known:
        with tarball.open("rb") as file:
            known[name] = hashlib.file_digest(file, "sha256").hexdigest()
        with contextlib.suppress(OSError):
            memo.parent.mkdir(parents=True, exist_ok=True)
            new = memo.with_name(f"{memo.name}.{os.getpid()}")
            new.write_text(json.dumps(known, indent=1))
            new.replace(memo)
    return known[name]


def tree_key(tarball_sha256: str, patches: Path) -> str:
    """Name of the patched source tree; a change in what is unpacked makes another one, too."""
    return key_of(tarball_sha256, files_key(patches), Path(__file__).read_bytes())


def unpack(tarball: Path, out: Path, progress: Callable[[str], None]) -> None:
    """Unpack what is wanted of the tarball, without its top directory, into `out`."""
    command = ["xz", "-dc", str(tarball)] if tarball.suffix == ".xz" else ["cat", str(tarball)]
    directories = set()
    files = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as pipe:
        try:
            with tarfile.open(fileobj=pipe.stdout, mode="r|", bufsize=1 << 20) as tar:
                for member in tar:
                    pure = PurePosixPath(member.name)
                    path = "/".join(pure.parts[1:])
                    if not path or not wanted(path):
                        continue
                    if pure.is_absolute() or ".." in pure.parts:
                        raise BuildError(f"{tarball}: bad path {member.name}")
                    target = out / path
                    if target.parent not in directories:
                        target.parent.mkdir(parents=True, exist_ok=True)
                        directories.add(target.parent)
                    if member.issym():
                        target.symlink_to(member.linkname)
                    elif member.isfile():
                        data = tar.extractfile(member)
                        assert data is not None
                        target.write_bytes(data.read())
                        target.chmod(0o755 if member.mode & 0o100 else 0o644)
                        files += 1
                        progress(f"{files} files")
        except (tarfile.TarError, EOFError) as error:
            raise BuildError(f"{tarball}: {error}") from None
        assert pipe.stdout is not None
        assert pipe.stderr is not None
        pipe.stdout.close()
        message = pipe.stderr.read().decode(errors="replace").strip()
    if pipe.returncode:
        raise BuildError(f"{tarball}: {message or 'cannot be unpacked'}")
    if not (out / "Makefile").is_file():
        raise BuildError(f"{tarball}: no kernel source in it")


def apply_patches(tree: Path, patches: Path) -> None:
    """Apply all patches, in the order of their names; BuildError names the one that fails."""
    for path in sorted(patches.glob("*.patch")):
        done = subprocess.run(
            ["patch", "-p1", "-s", "-f", "--no-backup-if-mismatch", "-i", str(path)],
            cwd=tree, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            reason = " ".join((done.stdout + done.stderr).split())[:300]
            raise BuildError(f"{path.name} does not apply to this kernel source: {reason}")


def kernel_files(directory: Path) -> list[Path]:
    """What a kernel build reads in a directory that also has other files."""
    files = directory.iterdir()
    return sorted(p for p in files if p.suffix in (".c", ".h") or BUILD_FILE.search(p.name))


def overlay(tree: Path, arch: Path, bugs: Path, out: Path) -> None:
    """Make `out` a source tree with our arch/wasm: relative links into `tree`, and a copy of ours,
    in which `bugs` is arch/wasm/bugs.

    `out` will be moved to a sibling of its parent's parent: ROOT/work/x -> ROOT/port/KEY.
    """
    up = PurePosixPath("../..") / tree.relative_to(tree.parent.parent)
    (out / "arch").mkdir()
    for entry in sorted(tree.iterdir()):
        if entry.name != "arch":
            (out / entry.name).symlink_to(up / entry.name)
    for entry in sorted((tree / "arch").iterdir()):
        (out / "arch" / entry.name).symlink_to(PurePosixPath("..") / up / "arch" / entry.name)
    shutil.copytree(arch, out / "arch" / "wasm", ignore=shutil.ignore_patterns("__pycache__"))
    (out / "arch" / "wasm" / "bugs").mkdir()
    for path in kernel_files(bugs):
        shutil.copy(path, out / "arch" / "wasm" / "bugs" / path.name)
