"""The cache: whole entries or none, damage, races, eviction, and places that cannot be written."""

import errno
import fcntl
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from wdbg.errors import BadInput
from wdbg.instrument import cache as module
from wdbg.instrument.cache import Cache, cache_root, instrumenter_version
from wdbg.instrument.port import Port
from wdbg.instrument.variant import PLAIN, TICK

KEY = "0123456789abcdef"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cache"


class Maker:
    """Makes an entry of two files and counts how often."""

    def __init__(self, text: bytes = b"code") -> None:
        self.text = text
        self.runs = 0

    def __call__(self, directory: Path) -> None:
        self.runs += 1
        (directory / "module.cwasm").write_bytes(self.text * 1000)
        (directory / "facts.json").write_text("{}", encoding="utf-8")


def test_an_entry_is_made_once(root: Path) -> None:
    make = Maker()
    entry = Cache(root).get_or_make(KEY, make)
    assert (entry / "module.cwasm").read_bytes() == b"code" * 1000
    assert Cache(root).get_or_make(KEY, make) == entry
    assert Cache(root).get(KEY) == entry
    assert make.runs == 1
    assert Cache(root).get("other") is None
    assert os.stat(root).st_mode & 0o777 == 0o700


def flip(entry: Path) -> None:
    data = bytearray((entry / "module.cwasm").read_bytes())
    data[2000] ^= 1
    (entry / "module.cwasm").write_bytes(data)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "flipped bit": flip,
    "cut file": lambda entry: os.truncate(entry / "module.cwasm", 3999),
    "longer file": lambda entry: os.truncate(entry / "module.cwasm", 4001),
    "empty file": lambda entry: os.truncate(entry / "facts.json", 0),
    "lost file": lambda entry: os.unlink(entry / "facts.json"),
    "lost manifest": lambda entry: os.unlink(entry / "manifest.json"),
    "empty manifest": lambda entry: os.truncate(entry / "manifest.json", 0),
    "binary manifest": lambda entry: (entry / "manifest.json").write_bytes(b"\xff\xfe\0"),
    "other manifest": lambda entry: (entry / "manifest.json").write_text('{"format": 9}'),
    "list manifest": lambda entry: (entry / "manifest.json").write_text("[1, 2]"),
    "deep manifest": lambda entry: (entry / "manifest.json").write_text("[" * 100_000),
    "odd manifest": lambda entry: (entry / "manifest.json").write_text(
        '{"format": 1, "files": {"facts.json": 7}}'
    ),
    "directory": lambda entry: ((entry / "facts.json").unlink(), (entry / "facts.json").mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_entry_is_made_again(root: Path, damage: Callable[[Path], object]) -> None:
    make = Maker()
    entry = Cache(root).get_or_make(KEY, make)
    damage(entry)
    assert Cache(root).get(KEY) is None
    assert Cache(root).get_or_make(KEY, make) == entry
    assert make.runs == 2
    assert (entry / "module.cwasm").read_bytes() == b"code" * 1000
    assert os.listdir(root) == [KEY]


def test_a_file_in_the_place_of_an_entry_is_replaced(root: Path) -> None:
    root.mkdir()
    (root / KEY).write_text("in the way")
    assert (Cache(root).get_or_make(KEY, Maker()) / "facts.json").read_text() == "{}"


def test_nothing_is_left_when_making_fails(root: Path) -> None:
    def make(directory: Path) -> None:
        Maker()(directory)
        raise KeyError("something else")

    with pytest.raises(KeyError):
        Cache(root).get_or_make(KEY, make)
    assert os.listdir(root) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_bad_input(root: Path, code: int) -> None:
    def make(directory: Path) -> None:
        Maker()(directory)
        raise OSError(code, os.strerror(code))

    with pytest.raises(BadInput, match="cannot write the cache") as caught:
        Cache(root).get_or_make(KEY, make)
    assert "free some space" in (caught.value.hint or "")
    assert os.listdir(root) == []


def test_a_full_disk_while_the_manifest_is_written(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(directory: Path) -> None:
        (directory / "manifest.json").write_text('{"for')
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "_write_manifest", full)
    with pytest.raises(BadInput, match="No space left"):
        Cache(root).get_or_make(KEY, Maker())
    assert os.listdir(root) == []


def test_a_cache_that_cannot_be_made_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot write the cache") as caught:
        Cache(tmp_path / "file" / "cache").get_or_make(KEY, Maker())
    assert "XDG_CACHE_HOME" in (caught.value.hint or "")


def test_a_read_only_cache_serves_what_it_has(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = Maker()
    entry = Cache(root).get_or_make(KEY, make)

    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    for name in ("utime", "mkdir", "rename", "rmdir", "unlink"):
        monkeypatch.setattr(os, name, refuse)
    assert Cache(root).get_or_make(KEY, make) == entry
    with pytest.raises(BadInput, match="Read-only file system"):
        Cache(root).get_or_make("another", make)
    assert make.runs == 1


def test_a_cache_without_locks_works(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    make = Maker()
    assert Cache(root).get_or_make(KEY, make) == Cache(root).get_or_make(KEY, make)
    assert make.runs == 1


def race(root: Path, barrier: object, number: int, results: object) -> None:
    def make(directory: Path) -> None:
        Maker(b"%04d" % number)(directory)
        barrier.wait()

    entry = Cache(root).get_or_make(KEY, make)
    results.put((entry / "module.cwasm").read_bytes()[:4])


def test_processes_that_make_the_same_entry_at_once(root: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(4), context.Queue()
    processes = [
        context.Process(target=race, args=(root, barrier, number, results)) for number in range(4)
    ]
    for process in processes:
        process.start()
    seen = {results.get(timeout=60) for _ in processes}
    for process in processes:
        process.join(timeout=60)
        assert process.exitcode == 0
    assert len(seen) == 1  # all use the winner's entry
    assert os.listdir(root) == [KEY]


def test_leavings_of_killed_processes_are_removed_but_not_those_of_live_ones(root: Path) -> None:
    stale, live = root / ".new-stale", root / ".new-live"
    for path in (stale, live):
        path.mkdir(parents=True)
        (path / "half").write_text("x")
    descriptor = os.open(live, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    Cache(root).get_or_make(KEY, Maker())
    os.close(descriptor)
    assert sorted(os.listdir(root)) == [".new-live", KEY]


def fill(root: Path, limit: int, names: str) -> list[Cache]:
    """Entries of about 4000 bytes each, the first one used longest ago."""
    caches = []
    for age, name in enumerate(names):
        cache = Cache(root, limit)
        cache.get_or_make(name, Maker())
        os.utime(root / name, ns=(age * 10**9, age * 10**9))
        caches.append(cache)
    return caches


def test_the_entries_not_used_for_longest_are_removed(root: Path) -> None:
    fill(root, 1 << 30, "abcd")
    assert Cache(root).get("a") is not None  # now the youngest
    assert Cache(root, 13_500).get_or_make("e", Maker()).is_dir()
    assert sorted(os.listdir(root)) == ["a", "d", "e"]


def test_entries_in_use_are_not_removed(root: Path) -> None:
    caches = fill(root, 1 << 30, "ab")
    assert Cache(root, 1000).get_or_make("c", Maker()).is_dir()
    assert sorted(os.listdir(root)) == ["a", "b", "c"]
    caches.clear()  # the locks go with the objects
    assert Cache(root, 1000).get_or_make("d", Maker()).is_dir()
    assert "d" in os.listdir(root)


def test_an_entry_larger_than_the_limit_is_kept_for_its_maker(root: Path) -> None:
    entry = Cache(root, 10).get_or_make(KEY, Maker())
    assert entry.is_dir()


def test_the_key_depends_on_all_that_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    port = Port("linux")
    keys = [
        Cache.key(b"kernel", TICK, port, "engine 1"),
        Cache.key(b"kernel2", TICK, port, "engine 1"),
        Cache.key(b"kernel", PLAIN, port, "engine 1"),
        Cache.key(b"kernel", TICK, None, "engine 1"),
        Cache.key(b"kernel", TICK, Port("linux", clock_import="clock"), "engine 1"),
        Cache.key(b"kernel", TICK, Port("linux", uninjected=frozenset(("f",))), "engine 1"),
        Cache.key(b"kernel", TICK, port, "engine 2"),
    ]
    assert Cache.key(b"kernel", TICK, port, "engine 1") == keys[0]
    monkeypatch.setattr(module, "instrumenter_version", lambda: "another version")
    keys.append(Cache.key(b"kernel", TICK, port, "engine 1"))
    assert len(set(keys)) == len(keys)
    assert all(key.isalnum() for key in keys)


def test_the_version_is_a_digest_of_the_sources() -> None:
    assert len(instrumenter_version()) == 64


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_root() == tmp_path / "wdbg"
    assert Cache().root == tmp_path / "wdbg" / "code"
    monkeypatch.setenv("HOME", "/home/someone")
    for value in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert cache_root() == Path("/home/someone/.cache/wdbg")

    def homeless() -> Path:
        raise RuntimeError("no home")

    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(BadInput, match="no home directory") as caught:
        cache_root()
    assert "XDG_CACHE_HOME" in (caught.value.hint or "")
