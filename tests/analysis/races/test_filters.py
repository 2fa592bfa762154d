"""KCSAN's filters."""

from types import SimpleNamespace

import pytest

from wdbg.analysis.races.detect import Race
from wdbg.analysis.races.filters import KINDS, Filters
from wdbg.analysis.races.shadow import Access
from wdbg.errors import BadInput
from wdbg.trace.events import MemFlag

READ, WRITE, MARKED = MemFlag.READ, MemFlag.WRITE, MemFlag.MARKED


class Sites:
    def site(self, position):
        return SimpleNamespace(frames=[SimpleNamespace(name=f"function_{position}")])


def access(flags, size=4, address=64, position=1) -> Access:
    return Access(0, 0, 0, 1, 1, position, address, size, int(flags), 0, None, False, 0)


def race(one, other, old=b"", new=b"") -> Race:
    return Race(one, other, 1, old, new)


@pytest.mark.parametrize(
    ("kind", "left_out", "kept"),
    [
        ("atomics", race(access(READ | MARKED), access(WRITE)), race(access(READ), access(WRITE))),
        ("plain-writes", race(access(READ | MARKED), access(WRITE)),
         race(access(READ), access(WRITE | MARKED))),
        ("plain-writes", race(access(WRITE), access(WRITE)), race(access(WRITE), access(READ))),
        ("plain-writes", race(access(WRITE), access(WRITE)),
         race(access(WRITE, size=8), access(WRITE))),
        ("unchanged", race(access(READ), access(WRITE), b"a"),
         race(access(READ), access(WRITE), b"a", b"b")),
        ("unchanged", race(access(READ), access(WRITE), b"a"), race(access(READ), access(WRITE))),
        ("one-bit", race(access(READ), access(WRITE), b"a", b"c"),
         race(access(READ), access(WRITE), b"a", b"b")),
        ("one-bit", race(access(READ), access(WRITE), b"a", b"c"),
         race(access(READ | MARKED), access(WRITE), b"a", b"c")),
    ],
)  # fmt: skip
def test_kinds(kind, left_out, kept):
    filters = Filters.parse(kind, None)
    assert not filters.keep(left_out, Sites())
    assert filters.keep(kept, Sites())
    assert Filters().keep(left_out, Sites())


def test_functions():
    filters = Filters.parse(None, ["*_2"])
    assert filters.keep(race(access(READ), access(WRITE)), Sites())
    assert not filters.keep(race(access(READ), access(WRITE, position=2)), Sites())


def test_what_cannot_be_ignored():
    assert Filters.parse(",".join(KINDS), None).kinds == KINDS.keys()
    with pytest.raises(BadInput, match="everything cannot be ignored"):
        Filters.parse("everything", None)
