"""Sections, the readers of their contents, names and small custom sections."""

import pytest
import wasmtime
from hypothesis import given
from hypothesis import strategies as st

from symbols.errors import SymbolsError
from symbols.wasm import customs
from symbols.wasm.container import (
    MODULE_PREAMBLE,
    ORDER,
    SectionId,
    read_sections,
    write_custom,
    write_module,
    write_name,
    write_section,
    write_vector,
)
from symbols.wasm.leb import encode_unsigned
from symbols.wasm.module import Module
from symbols.wasm.readers import read_locals
from symbols.wasm.types import (
    Export,
    FuncType,
    GlobalType,
    Kind,
    Limits,
    TableType,
    ValueType,
)
from tests.symbols.rich import RICH

I32, I64, F64 = ValueType.I32, ValueType.I64, ValueType.F64


def rich() -> Module:
    return Module(wasmtime.wat2wasm(RICH))


def test_types_imports_and_index_spaces() -> None:
    module = rich()
    assert module.types[:2] == [FuncType((I32, I64), (F64,)), FuncType((), ())]
    assert [(e.module, e.name, e.kind) for e in module.imports] == [
        ("env", "memory", Kind.MEMORY), ("env", "f", Kind.FUNCTION), ("env", "t", Kind.TABLE),
        ("env", "g", Kind.GLOBAL), ("env", "e", Kind.TAG),
    ]  # fmt: skip
    assert module.function_imports == 1
    assert module.function_types == [0, 0, 1]
    assert module.declared == [0, 1]
    assert module.memories == [Limits(2, 16, shared=True), Limits(1, None)]
    funcref, externref = ValueType.FUNCREF, ValueType.EXTERNREF
    assert [t.element for t in module.tables] == [funcref, externref, funcref]
    assert module.tables[0] == TableType(funcref, Limits(3, 9))
    assert module.tables[2].initializer == bytes((0xD2, 1, 0x0B))
    assert [module.types[i].params for i in module.tags] == [(I32,), (I64,)]
    assert module.globals == [
        GlobalType(I32, mutable=True), GlobalType(I32, mutable=False), GlobalType(I64, mutable=True)
    ]  # fmt: skip
    assert module.data[slice(*module.defined_globals[1].initializer)].hex() == "420142027c0b"
    assert str(module.types[0]) == "(i32 i64) -> (f64)"


def test_exports_start_elements_and_data() -> None:
    module = rich()
    assert module.exports["one"] == Export("one", Kind.FUNCTION, 1)
    assert [(e.kind, e.index) for e in module.exports.values()] == [
        (Kind.FUNCTION, 1), (Kind.MEMORY, 0), (Kind.GLOBAL, 2), (Kind.TAG, 1), (Kind.TABLE, 1),
    ]  # fmt: skip
    assert module.start == 2
    assert [(e.mode, e.table, e.functions) for e in module.elements[:4]] == [
        ("active", 0, (1, 2)), ("active", 2, (1,)), ("passive", 0, (0,)), ("declared", 0, (2,)),
    ]  # fmt: skip
    assert [len(e.expressions or ()) for e in module.elements[4:]] == [2, 1, 1]
    assert module.elements[5].type is ValueType.EXTERNREF
    assert [module.data[s.start : s.end] for s in module.segments] == [
        b"active", b"passive\0", b"other",
    ]  # fmt: skip
    assert [(s.active, s.memory) for s in module.segments] == [(True, 0), (False, 0), (True, 1)]


def test_bodies_and_locals() -> None:
    module = rich()
    (size_at, start, end), (next_at, _, last) = module.bodies
    assert (end, last) == (next_at, module.section(SectionId.CODE).end)
    assert module.data[size_at] == end - start
    groups, code = read_locals(module.data, start, end)
    assert groups == [(1, I32), (2, I64)]
    assert module.data[code] == 0x44
    assert module.code_base == module.section(SectionId.CODE).start


def test_names() -> None:
    names = rich().names
    assert names.functions == {0: "imported", 1: "one", 2: "begin"}
    assert names.globals == {0: "ig", 1: "gi", 2: "gx"}
    assert names.data == {0: "rodata", 1: "passive"}
    assert names.locals[1] == {2: "x"}


def test_an_empty_module_has_nothing() -> None:
    module = Module(MODULE_PREAMBLE)
    for name in (
        "types", "imports", "declared", "tables", "memories", "tags", "globals", "exports",
        "elements", "segments", "bodies", "dwarf",
    ):  # fmt: skip
        assert not getattr(module, name)
    assert module.start is None
    assert (module.names.functions, module.names.locals) == ({}, {})
    assert customs.target_features(module) == []
    assert customs.producers(module) == []
    assert customs.build_id(module) is None


def test_custom_sections() -> None:
    module = Module(
        MODULE_PREAMBLE
        + write_custom("target_features", b"\x02+\x07atomics-\x04simd")
        + write_custom("producers", b"\x01\x08language\x01\x03C11\x00")
        + write_custom("build_id", b"\x02\xab\xcd")
        + write_custom(".debug_info", b"123")
    )
    assert customs.target_features(module) == [
        customs.Feature("atomics", True), customs.Feature("simd", False),
    ]  # fmt: skip
    assert customs.producers(module) == [customs.Producer("language", "C11", "")]
    assert customs.build_id(module) == b"\xab\xcd"
    assert module.contents(module.dwarf[".debug_info"]) == b"123"


@pytest.mark.parametrize(
    "contents",
    [
        b"",
        b"\x05",
        b"\xff" * 50,
        b"\x01+\x7fab",
        b"\x01+\x02\xff\xfe",
        b"\x80" * 16000,
        b"\0" * 20000,
    ],
)
def test_malformed_custom_sections_are_symbols_errors(contents: bytes) -> None:
    for name, read in (
        ("target_features", customs.target_features),
        ("producers", customs.producers),
        ("build_id", customs.build_id),
    ):
        module = Module(MODULE_PREAMBLE + write_custom(name, contents))
        with pytest.raises(SymbolsError, match=name):
            read(module)


SECTIONS = st.lists(
    st.tuples(st.just(SectionId.CUSTOM), st.text(max_size=20), st.binary(max_size=300)), max_size=8
)


@given(SECTIONS, st.sets(st.sampled_from(ORDER)), st.randoms(use_true_random=False))
def test_container_round_trip(custom: list, known: set, rng) -> None:
    sections = [(s, "", rng.randbytes(rng.randrange(200))) for s in ORDER if s in known]
    for entry in custom:
        sections.insert(rng.randrange(len(sections) + 1), entry)
    data = write_module(sections)
    found = read_sections(data)
    assert [(s.id, s.name, data[s.start : s.end]) for s in found] == sections
    assert write_module((s.id, s.name, data[s.start : s.end]) for s in found) == data


def test_a_real_module_round_trips() -> None:
    module = rich()
    parts = [(s.id, s.name, module.contents(s)) for s in module.sections]
    assert write_module(parts) == module.data


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"\x7fELF\x02\x01\x01\0", "not a WebAssembly module"),
        (b"#!/bin/sh", "not a WebAssembly module"),
        (b"\0as", "truncated module"),
        (b"\0asm\x01\0", "truncated module"),
        (b"\0asm\x0d\0\x01\0rest", "component, not a core module"),
        (b"\0asm\x02\0\0\0", "unsupported WebAssembly version 0x2"),
        (b"\0asm\x01\0\x02\0", "unsupported WebAssembly version 0x20001"),
        (MODULE_PREAMBLE + b"\x63\0", "unknown section id 99"),
        (MODULE_PREAMBLE + b"\x01", "truncated integer"),
        (MODULE_PREAMBLE + b"\x01\xff\xff\xff\xff\x0f\0", "section type claims 4294967295"),
        (MODULE_PREAMBLE + b"\0\x05\x09abcd", "name claims 9 bytes"),
        (MODULE_PREAMBLE + b"\0\x03\x02\xff\xfe", "name is not UTF-8"),
        (MODULE_PREAMBLE + b"\x03\x01\0\x01\x01\0", "section type out of order"),
        (MODULE_PREAMBLE + b"\x01\x01\0\x01\x01\0", "section type out of order or repeated"),
        (MODULE_PREAMBLE + b"\0\x01\0" * 10_001, "more than 10000 sections"),
    ],
)
def test_what_is_no_module(data: bytes, message: str) -> None:
    with pytest.raises(SymbolsError, match=message):
        Module(data)


def everything(data: bytes) -> None:
    """Read all of a module."""
    module = Module(data)
    for name in (
        "types", "imports", "function_types", "tables", "memories", "tags", "globals", "exports",
        "start", "elements", "segments", "bodies", "code_base", "dwarf",
    ):  # fmt: skip
        getattr(module, name)
    for name in ("functions", "globals", "data", "locals"):
        getattr(module.names, name)
    for _, start, end in module.bodies:
        read_locals(data, start, end)


def claim(section: SectionId, contents: str) -> bytes:
    return MODULE_PREAMBLE + write_section(section, bytes.fromhex(contents))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (claim(SectionId.TYPE, "ff ff ff ff 0f"), "type: 4294967295 entries claimed"),
        (claim(SectionId.TYPE, "c0 84 3d 00"), "type: 1000000 entries claimed, 1 bytes are left"),
        (claim(SectionId.TYPE, "01 5f 00"), "unsupported type form 0x5f|entries claimed"),
        (claim(SectionId.TYPE, "01 5f 00 00"), "unsupported type form 0x5f"),
        (claim(SectionId.TYPE, "01 60 01 01 00"), "unknown value type 0x01"),
        (claim(SectionId.TYPE, "01 60 00 00 00"), "bytes of junk"),
        (claim(SectionId.TYPE, "01 60 e9 07" + "7f" * 1001 + "00"), "signature with 1001"),
        (claim(SectionId.IMPORT, "01 01 61 01 62 07 00"), "unknown import or export kind 7"),
        (claim(SectionId.IMPORT, "01 01 61 01 62 02 02 01"), "without a maximum"),
        (claim(SectionId.IMPORT, "01 01 61 01 62 02 01 05 04"), "maximum below minimum"),
        (claim(SectionId.IMPORT, "01 01 61 01 62 02 10 05"), "unknown limits flags"),
        (claim(SectionId.IMPORT, "01 01 61 01 62 03 7f 02"), "unknown mutability 2"),
        (claim(SectionId.IMPORT, "01 01 61 01 62 01 7f 00 00"), "i32 is no reference type"),
        (claim(SectionId.IMPORT, "01 01 61 01 62 04 01 00"), "unknown tag attribute"),
        (claim(SectionId.FUNCTION, "01 00"), "has no such type"),
        (claim(SectionId.TABLE, "01 40 01 70 00 00"), "unknown table attribute"),
        (claim(SectionId.GLOBAL, "01 7f 00 41 00"), "instruction expected"),
        (claim(SectionId.EXPORT, "02 01 61 00 00 01 61 00 00"), "export 'a' given twice"),
        (claim(SectionId.START, "00 00"), "junk after the start function"),
        (claim(SectionId.ELEMENT, "01 08 00"), "unknown element segment flags"),
        (claim(SectionId.ELEMENT, "01 01 01 00"), "unknown element kind"),
        (claim(SectionId.CODE, "00"), ""),
        (claim(SectionId.CODE, "01 02 00 0b"), "0 functions declared, 1 bodies"),
        (claim(SectionId.CODE, "01 02 00 00"), "does not end with the end opcode"),
        (claim(SectionId.CODE, "01 70 00 0b"), "function body claims 112 bytes"),
        (claim(SectionId.DATA, "01 03 00"), "unknown data segment flags"),
        (claim(SectionId.DATA, "01 01 7f 00"), "data segment: 127 entries claimed"),
        (claim(SectionId.DATA_COUNT, "02"), "2 data segments announced, 0 found"),
        (MODULE_PREAMBLE + write_custom("name", b"\x01\x05"), "subsection 1 claims 5"),
        (MODULE_PREAMBLE + write_custom("name", b"\x01\x03\x01\0\x09"), "name claims 9 bytes"),
        (MODULE_PREAMBLE + write_custom("name", b"\x01\x01\x7f"), "127 entries claimed"),
    ],
)
def test_malformed_sections(data: bytes, message: str) -> None:
    if not message:
        everything(data)
        return
    with pytest.raises(SymbolsError, match=message) as caught:
        everything(data)
    assert caught.value.offset is None or 0 <= caught.value.offset <= len(data)


def test_names_that_are_not_utf8_are_shown_escaped() -> None:
    contents = b"\x01\x06\x01\x00\x03a\xffb"
    module = Module(MODULE_PREAMBLE + write_custom("name", contents))
    assert module.names.functions == {0: "a\\xffb"}


def test_truncation_anywhere_is_a_symbols_error_or_a_smaller_module() -> None:
    data = rich().data
    boundaries = {s.header for s in Module(data).sections}
    for size in range(len(data)):
        try:
            everything(data[:size])
        except SymbolsError:
            continue
        assert size in boundaries, f"a cut at {size} went unnoticed"


def test_many_locals_and_bodies_are_bounded() -> None:
    huge = b"\x01\xff\xff\xff\xff\x0f\x7f\x0b"
    with pytest.raises(SymbolsError, match="more than 50000 locals"):
        read_locals(huge, 0, len(huge))
    body = encode_unsigned(7_654_322) + b"\0" * 7_654_321 + b"\x0b"
    data = MODULE_PREAMBLE + write_section(SectionId.CODE, write_vector([body]))
    with pytest.raises(SymbolsError, match="limit"):
        everything(data)


def test_local_names_are_bounded_in_all() -> None:
    one = encode_unsigned(60_000) + b"\0\0" * 60_000
    maps = b"".join(encode_unsigned(i) + one for i in range(3))
    contents = encode_unsigned(3) + maps
    section = b"\x02" + encode_unsigned(len(contents)) + contents
    module = Module(MODULE_PREAMBLE + write_custom("name", section))
    assert [len(names) for names in module.names.locals.values()] == [1, 1, 1]


def test_writers_prefix_lengths() -> None:
    assert write_name("\u00e9") == b"\x02\xc3\xa9"
    assert write_vector([b"a", b"b"]) == b"\x02ab"
