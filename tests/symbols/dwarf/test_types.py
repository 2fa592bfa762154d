"""Types against what the compiler itself says of them: offsets that it put into the data."""

from __future__ import annotations

import pytest

from symbols.dwarf.types import TypeKind
from symbols.errors import SymbolsError
from tests.symbols.dwarf.samples import ODD, SAMPLES, Sample
from tests.symbols.dwarf.test_index import read

C_SAMPLES = [s for s in SAMPLES + ODD if s.source == "sample.c" and "-fPIC" not in s.extra]
MEMBERS = [
    "c",
    "a",
    "b",
    "text",
    "named",
    "self",
    "call",
    "value",
    "colour",
    "far",
    "flag",
    "d",
    "opaque",
    "tail",
    "named[1].s",
]  # fmt: skip


@pytest.mark.parametrize("sample", C_SAMPLES, ids=str)
def test_offsets_are_the_compilers(sample, index_of):
    index = index_of(sample)
    address = index.variable("truth").address
    truth = [read(index, address + 4 * n, 4) for n in range(len(MEMBERS) + 1)]
    kind = index.struct("everything")
    assert kind.size == truth[0]
    for name, offset in zip(MEMBERS[:-1], truth[1:-1], strict=True):
        assert kind.member(name).offset == offset, name
    inner = kind.member("named").offset + index.struct("inner").size
    assert inner + index.struct("inner").member("s").offset == truth[-1]


@pytest.mark.parametrize("sample", C_SAMPLES, ids=str)
def test_bit_fields_are_where_their_values_are(sample, index_of):
    index = index_of(sample)
    thing = index.variable("thing")

    def value(name: str) -> int:
        member = thing.type.member(name)
        assert member.bit_size is not None
        assert member.bit_offset is not None
        raw = read(index, thing.address + member.offset, member.size)
        return raw >> member.bit_offset & (1 << member.bit_size) - 1

    assert (value("one"), value("five"), value("next"), value("wide")) == (0, 9, 0, 5)


def test_members(index_of):
    kind = index_of(Sample("1", 4)).struct("everything")
    assert [m.name for m in kind.members][:2] == ["c", ""]
    flat = [m.name for m in kind.flat_members]
    assert flat[:5] == ["c", "a", "b", "text", "one"]
    assert kind.member("value.raw").size == 8
    assert kind.member("text").type.dimensions == (3, 4)
    assert kind.member("tail").type.dimensions in ((None,), (0,))
    assert kind.member("tail").size == 0
    assert kind.member("opaque").type.target.size == 0
    with pytest.raises(SymbolsError, match="no member"):
        kind.member("nothing")
    with pytest.raises(SymbolsError, match="no member"):
        kind.member("c.d")


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_spelling(sample, index_of):
    index = index_of(sample)
    kind = index.struct("everything")
    spelled = {m.name: str(m.type) for m in kind.flat_members}
    assert spelled["self"] == "const volatile struct everything *"
    assert spelled["call"] == "callback"
    assert str(index.typedef("callback")) == "int (*)(struct point *, const char *restrict)"
    assert spelled["text"] == "char [3][4]"
    assert spelled["named"] == "struct inner [2]"
    assert spelled["opaque"] == "struct unknown *"
    assert spelled["wide"] == "long long"
    assert str(index.typedef("everything_t")) == "struct everything"
    assert str(index.variable("matrix").type) == "int [3][4]"
    assert index.variable("matrix").type.size == 48
    assert str(index.variable("last").type) == "struct point *volatile"


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_enums(sample, index_of):
    index = index_of(sample)
    assert index.enum("color") == {"RED": 0, "GREEN": 5, "BLUE": 6}
    assert index.enum("paint") == index.enum("color")
    assert index.enum("wide") == {"MINUS": -3, "PLUS": 100000}
    assert index.enum("everything") is None
    assert index.variable("distance").type.signed


def test_types_by_name(index_of):
    index = index_of(Sample("g", 5))
    assert index.struct("value_t").kind is TypeKind.UNION
    assert index.struct("everything_t") == index.struct("everything")
    assert index.struct("paint") is None
    assert index.struct("unknown") is None
    assert index.typedef("everything") is None
    assert index.type("struct everything") == index.struct("everything")
    assert index.type("enum wide").kind is TypeKind.ENUM
    assert index.type("union everything") is None
    assert index.type("int").size == 4
    assert index.type("") is None
    assert index.type("struct") is None


def test_references_to_nowhere(index_of):
    types = index_of(Sample("g", 5)).types
    for entry in (0, 5, 1 << 31, -1):
        with pytest.raises(SymbolsError):
            types.at(entry)


def test_cpp(index_of):
    for sample in ODD:
        if sample.source == "sample.cc":
            index = index_of(sample)
            assert index.struct("hidden").member("secret").size == 4
            assert not index.notes
