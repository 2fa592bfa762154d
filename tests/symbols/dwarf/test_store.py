"""The index on disk: used again, rebuilt when damaged, written whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from array import array
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symbols.dwarf import index as index_module
from symbols.dwarf.index import Index, cache_directory
from symbols.dwarf.store import Store, StoreError, tidy, write
from symbols.errors import SymbolsError
from tests.symbols.dwarf.samples import Sample

SAMPLE = Sample("1", 5)


@pytest.fixture(name="built")
def built_fixture(linked, tmp_path):
    """(module, cache directory) with the index in it."""
    path = linked(SAMPLE)
    Index.open(path, cache=tmp_path)
    return path, tmp_path


def only(cache: Path) -> Path:
    (path,) = cache.iterdir()
    return path


def test_an_index_is_built_once(built, monkeypatch):
    path, cache = built

    def build(*_arguments: object) -> None:
        raise AssertionError("built again")

    monkeypatch.setattr(index_module, "build", build)
    steps: list[float] = []
    index = Index.open(path, steps.append, cache)
    assert index.find_function("entry")
    assert not steps
    assert Index.cached(path, cache) is not None


def test_progress_goes_from_0_to_1(linked, tmp_path):
    steps: list[float] = []
    assert Index.cached(linked(SAMPLE), tmp_path) is None
    Index.open(linked(SAMPLE), steps.append, tmp_path)
    assert steps == sorted(steps)
    assert all(0 <= step <= 1 for step in steps)
    assert steps[-1] == 1


@pytest.mark.parametrize("damage", ["cut", "empty", "flip", "zeros", "directory", "version"])
def test_a_damaged_index_is_built_again(built, damage):
    path, cache = built
    place = only(cache)
    data = bytearray(place.read_bytes())
    if damage == "cut":
        del data[len(data) // 2 :]
    elif damage == "empty":
        data.clear()
    elif damage == "flip":
        data[len(data) * 2 // 3] ^= 4
    elif damage == "zeros":
        data[:] = bytes(len(data))
    elif damage == "version":
        data[8] ^= 0xFF
    if damage == "directory":
        place.unlink()
        place.symlink_to("/nonexistent/x")
    else:
        place.write_bytes(data)
    assert Index.cached(path, cache) is None
    assert Index.open(path, cache=cache).find_function("entry")
    assert Index.cached(path, cache) is not None
    assert len(list(cache.iterdir())) == 1


def test_an_index_of_another_version_is_built_again(built, monkeypatch):
    path, cache = built
    monkeypatch.setattr(index_module, "VERSION", index_module.VERSION + 1)
    assert Index.cached(path, cache) is None
    assert Index.open(path, cache=cache).find_function("entry")


def test_a_changed_module_has_an_index_of_its_own(built, tmp_path):
    path, cache = built
    other = tmp_path / "other.wasm"
    other.write_bytes(path.read_bytes() + b"\0\x05\x04name")
    assert Index.cached(other, cache) is None


def test_a_cache_that_cannot_be_written(linked, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(OSError, match="file"):
        Index.open(linked(SAMPLE), cache=blocked / "cache")


def test_what_is_no_module(tmp_path):
    path = tmp_path / "x.wasm"
    path.write_bytes(b"\0asm\x01\0\0\0\x01\x7f")
    with pytest.raises(SymbolsError, match="truncated"):
        Index.open(path, cache=tmp_path)
    with pytest.raises(FileNotFoundError):
        Index.open(tmp_path / "absent", cache=tmp_path)


def test_the_cache_directory_follows_the_xdg_rules(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_directory() == tmp_path / "wdbg" / "symbols"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_directory() == tmp_path / ".cache" / "wdbg" / "symbols"


def test_two_processes_at_once(linked, tmp_path, tree):
    code = (
        "import sys; from pathlib import Path; from symbols.dwarf.index import Index; "
        "print(len(list(Index.open(Path(sys.argv[1]), cache=Path(sys.argv[2])).functions())))"
    )
    command = [sys.executable, "-c", code, linked(SAMPLE), tmp_path]
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(3)
    ]
    outputs = {process.communicate(timeout=120)[0] for process in running}
    assert len(outputs) == 1
    assert all(process.returncode == 0 for process in running)
    assert len(list(tmp_path.iterdir())) == 1


def test_opening_does_not_load_numpy(built, tree):
    path, cache = built
    code = (
        "import sys; from pathlib import Path; from symbols.dwarf.index import Index; "
        "i = Index.open(Path(sys.argv[1]), cache=Path(sys.argv[2])); i.struct('everything'); "
        "assert 'numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, path, cache], cwd=tree, check=True, timeout=120)


@given(
    st.dictionaries(
        st.text(max_size=10),
        st.one_of(
            st.binary(max_size=30),
            st.lists(st.integers(0, (1 << 32) - 1), max_size=10).map(lambda v: array("I", v)),
        ),
        max_size=5,
    )
)
def test_columns_come_back(tmp_path_factory, columns):
    path = tmp_path_factory.mktemp("store") / "x.idx"
    write(path, {"a": 1}, columns)
    store = Store(path)
    assert store.facts == {"a": 1}
    for name, column in columns.items():
        assert list(store.column(name)) == list(column)
    with pytest.raises(StoreError):
        store.column("no such name, longer than any of them")


def test_strings_end(tmp_path):
    write(tmp_path / "x", {}, {"s": b"ab\0" + b"c" * 100 + b"\0d"})
    store = Store(tmp_path / "x")
    assert store.bytes_at("s", 0) == b"ab"
    assert store.bytes_at("s", 3) == b"c" * 100
    with pytest.raises(StoreError):
        store.bytes_at("s", 104)


def test_tidy_keeps_what_was_used_last(tmp_path):
    for number in range(6):
        path = tmp_path / f"{number}.idx"
        path.write_bytes(b"")
        os.utime(path, (1000 + number, 1000 + number))
    stale = tmp_path / ".5.idx.1-ff"
    stale.write_bytes(b"")
    os.utime(stale, (1000 - 90_000, 1000 - 90_000))
    tidy(tmp_path, keep=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["4.idx", "5.idx"]
    tidy(tmp_path / "absent")
