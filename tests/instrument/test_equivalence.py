"""A few hundred random modules; the nightly target compares ten thousand."""

import collections

import pytest

from tests.instrument.equivalence import check
from tests.instrument.generator import generate
from tests.instrument.harness import validate

CHUNKS, CHUNK = 12, 25


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_rewritten_modules_are_equivalent(chunk: int) -> None:
    for seed in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        check(seed)


def test_random_modules_do_many_things() -> None:
    seen: collections.Counter[str] = collections.Counter()
    for seed in range(40):
        generated = generate(seed)
        validate(generated.original)
        validate(generated.counted)
        report = check(seed)
        seen.update(trap or "result" for _, _, trap in report.outcomes)
        seen["host call"] += len(report.calls)
        seen["stop"] += report.stops
        seen["access"] += report.accesses
    assert seen["result"] > 100
    assert seen["host call"] > 100
    assert seen["stop"] > 1000
    assert seen["access"] > 100
    for trap in ("UNREACHABLE", "BAD_SIGNATURE", "MEMORY_OUT_OF_BOUNDS"):
        assert seen[f"TrapCode.{trap}"] > 0
    assert seen["thrown Wasm exception"] > 0


def test_a_seed_gives_the_same_module_every_time() -> None:
    assert generate(7) == generate(7)
    assert generate(7).original != generate(8).original
