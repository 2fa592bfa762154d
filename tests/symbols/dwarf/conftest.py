"""Compiled samples, and an index directory of the tests' own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from symbols.dwarf.index import Index
from tests.symbols.dwarf.samples import Sample, compile_sample


@pytest.fixture(scope="session", name="linked")
def linked_fixture(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Sample], Path]:
    """linked(sample) -> the module, compiled once."""
    directory = tmp_path_factory.mktemp("samples")
    made: dict[Sample, Path] = {}

    def get(sample: Sample) -> Path:
        if sample not in made:
            made[sample] = compile_sample(sample, directory)
        return made[sample]

    return get


@pytest.fixture(scope="session", name="index_of")
def index_of_fixture(
    linked: Callable[[Sample], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Sample], Index]:
    """index_of(sample) -> its index, built once."""
    cache = tmp_path_factory.mktemp("index")
    return lambda sample: Index.open(linked(sample), cache=cache)


@pytest.fixture(scope="session", name="kernel_index")
def kernel_index_fixture(guest_kernel: Path, tmp_path_factory: pytest.TempPathFactory) -> Index:
    """The index of the example guest's kernel, built anew."""
    return Index.open(guest_kernel, cache=tmp_path_factory.mktemp("kernel-index"))
