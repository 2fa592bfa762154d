"""The on-disk cache of rewritten and compiled modules.

An entry is a directory of plain files with a manifest of their sizes and checksums, made under a
temporary name and renamed, so it is whole or absent. Readers check the manifest: a damaged entry
is made again. The checksum is CRC-32 (zlib's runs at 4.7 GB/s where SHA-256 does 1.4 and BLAKE2b
0.8): it guards against accidents, not against someone who can write to the user's cache.

Users of an entry hold a shared lock on its directory, makers an exclusive one on theirs; whoever
cleans up takes nothing that is locked. Two processes that make the same entry at once both work;
the second to finish uses the first one's. The cache is kept under a size limit by removing the
entries that were not used for longest.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import weakref
import zlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from wdbg.errors import BadInput
from wdbg.instrument.port import Port
from wdbg.instrument.variant import Variant

DEFAULT_LIMIT = 5 << 30
"""Bytes that all entries together may take."""
_MANIFEST = "manifest.json"
_FORMAT = 1
_TEMPORARY = ".new-"
_CHUNK = 1 << 20


def cache_root() -> Path:
    """Where wdbg caches: $XDG_CACHE_HOME/wdbg, or ~/.cache/wdbg. BadInput if there is no home."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(base):  # the XDG specification says to ignore relative ones
        return Path(base) / "wdbg"
    try:
        return Path.home() / ".cache" / "wdbg"
    except RuntimeError:
        hint = "set HOME or XDG_CACHE_HOME to a directory that can be written"
        raise BadInput("no home directory to keep compiled kernels in", hint) from None


@lru_cache(maxsize=1)
def instrumenter_version() -> str:
    """Digest of the sources that decide what a rewritten module looks like."""
    digest = hashlib.sha256()
    here = Path(__file__).resolve().parent
    for directory in (here, here.parents[1] / "symbols" / "wasm"):
        for path in sorted(directory.glob("*.py")):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


class Cache:
    """Entries by key. One object holds the locks of the entries it handed out for as long as it
    lives, forked children included."""

    def __init__(self, root: Path | None = None, limit: int = DEFAULT_LIMIT) -> None:
        """``root`` defaults to the directory ``code`` of ``cache_root()``; it is made when
        something is stored. ``limit`` is in bytes."""
        self.root = cache_root() / "code" if root is None else root
        self._limit = limit
        self._locks: list[int] = []
        weakref.finalize(self, _release, self._locks)

    @staticmethod
    def key(module: bytes, variant: Variant, port: Port | None, extra: str = "") -> str:
        """Key of a module's entry; ``port`` None for user programs, ``extra`` names the compiler
        and its settings."""
        parts = (
            hashlib.sha256(module).hexdigest(),
            variant.key,
            port.key if port else "program",
            instrumenter_version(),
            extra,
        )
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:40]

    def get(self, key: str) -> Path | None:
        """The entry's directory if it is there and whole; works on a read-only file system."""
        entry = self.root / key
        lock = _lock(entry, fcntl.LOCK_SH)
        if not _whole(entry):
            if lock is not None:
                os.close(lock)
            return None
        if lock is not None:
            self._locks.append(lock)
        try:
            os.utime(entry)
        except OSError:
            pass  # a cache that cannot be written still serves
        return entry

    def get_or_make(self, key: str, make: Callable[[Path], None]) -> Path:
        """The entry's directory; if there is none or it is damaged, ``make`` fills an empty
        directory with plain files first. BadInput if the cache cannot be written; whatever else
        ``make`` raises passes through. In no case does anything half-written stay behind."""
        found = self.get(key)
        if found is not None:
            return found
        try:
            return self._make(key, make)
        except OSError as error:
            raise _unusable(self.root, error) from error

    def _make(self, key: str, make: Callable[[Path], None]) -> Path:
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._tidy()
        temporary = _fresh(self.root)
        lock = _lock(temporary, fcntl.LOCK_EX)
        try:
            make(temporary)
            _write_manifest(temporary)
            entry = self.root / key
            for _ in range(3):
                try:
                    os.rename(temporary, entry)
                except OSError as error:
                    if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                        raise
                    found = self.get(key)  # another process was faster
                    if found is not None:
                        return found
                    _remove(entry)
                    continue
                if lock is not None:
                    os.close(lock)  # the maker's, exclusive: what follows is a user's
                    lock = None
                self._evict(keep=key)
                found = self.get(key)
                if found is None:
                    raise OSError(errno.EIO, "what was written reads back differently", str(entry))
                return found
            raise OSError(errno.EBUSY, "the entry is damaged and cannot be removed", str(entry))
        finally:
            _delete(temporary)
            if lock is not None:
                os.close(lock)

    def _tidy(self) -> None:
        """Remove what processes that were killed left."""
        for path in self.root.glob(_TEMPORARY + "*"):
            lock = _lock(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if lock is not None:
                _delete(path)
                os.close(lock)

    def _evict(self, keep: str) -> None:
        """Remove the entries that were not used for longest, down to the limit."""
        entries = []
        for path in self.root.iterdir():
            if path.name.startswith(".") or not path.is_dir():
                continue
            try:
                size = sum(f.stat().st_size for f in path.iterdir())
                entries.append((path.stat().st_mtime_ns, size, path))
            except OSError:
                continue  # gone meanwhile
        total = sum(size for _, size, _ in entries)
        for _, size, path in sorted(entries):
            if total <= self._limit:
                return
            if path.name == keep:
                continue
            lock = _lock(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if lock is not None:
                _remove(path)
                os.close(lock)
                total -= size


def _release(locks: list[int]) -> None:
    while locks:
        os.close(locks.pop())


def _lock(directory: Path, how: int) -> int | None:
    """A descriptor that holds the lock, None if it cannot be had."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, how)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _fresh(root: Path) -> Path:
    """A new empty directory that nobody takes for an entry."""
    path = root / f"{_TEMPORARY}{os.getpid()}-{os.urandom(6).hex()}"
    path.mkdir(mode=0o700)
    return path


def _delete(directory: Path) -> None:
    import shutil  # slow to import, and needed only when something is made

    shutil.rmtree(directory, ignore_errors=True)


def _remove(entry: Path) -> None:
    """Remove an entry so that no half of it is ever seen under its name."""
    aside = _fresh(entry.parent)
    try:
        os.rename(entry, aside / "old")
    except FileNotFoundError:
        pass
    finally:
        _delete(aside)


def _checksum(path: Path) -> tuple[int, int]:
    """Size and CRC-32 of a file."""
    size = crc = 0
    buffer = bytearray(_CHUNK)
    view = memoryview(buffer)
    with open(path, "rb", buffering=0) as file:
        while count := file.readinto(buffer):
            size += count
            crc = zlib.crc32(view[:count], crc)
    return size, crc


def _write_manifest(directory: Path) -> None:
    files = {path.name: _checksum(path) for path in sorted(directory.iterdir())}
    text = json.dumps({"format": _FORMAT, "files": files}, indent=1)
    (directory / _MANIFEST).write_text(text + "\n", encoding="utf-8")


def _whole(entry: Path) -> bool:
    """True if the entry has a manifest and every file is as it says."""
    try:
        manifest = json.loads((entry / _MANIFEST).read_bytes())
        if manifest["format"] != _FORMAT:
            return False
        for name, (size, crc) in manifest["files"].items():
            if os.stat(entry / name).st_size != size or _checksum(entry / name) != (size, crc):
                return False
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False
    return True


def _unusable(root: Path, error: OSError) -> BadInput:
    reason = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        hint = "free some space, or set XDG_CACHE_HOME to a directory with room"
    else:
        hint = "set XDG_CACHE_HOME to a directory that can be written"
    return BadInput(f"cannot write the cache {root}: {reason}", hint)
