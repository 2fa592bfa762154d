"""Fixtures that tests of every package use."""

import os
from pathlib import Path

import pytest

from wdbg.runtime.guest import Guest, default_guest

TREE = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def tree() -> Path:
    """The root of the repository."""
    return TREE


@pytest.fixture(scope="session")
def guest() -> Guest:
    """The example guest in its default configuration, as `make test` has built it."""
    return default_guest()


@pytest.fixture(scope="session")
def guest_kernel(guest: Guest) -> Path:
    """The default example guest's vmlinux.wasm, with its DWARF."""
    return guest.kernel


@pytest.fixture(scope="session")
def guest_initrd(guest: Guest) -> Path:
    """The default example guest's initramfs."""
    return guest.initrd


@pytest.fixture
def cache_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache directory of the test's own in place of the user's.

    No guest is built in there: take the guest's fixtures first where both are needed.
    """
    home = tmp_path / "cache"
    home.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    return home


@pytest.fixture(autouse=True)
def _same_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what the developer's shell sets from changing what a test sees."""
    for name in [name for name in os.environ if name.startswith("WDBG_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
