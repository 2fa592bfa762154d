"""Puts a rewritten module together from the original's sections and what was added."""

from __future__ import annotations

from symbols.wasm.container import (
    MODULE_PREAMBLE,
    ORDER,
    SectionId,
    write_custom,
    write_name,
    write_section,
    write_vector,
)
from symbols.wasm.leb import decode_u32, encode_unsigned
from symbols.wasm.module import Module
from symbols.wasm.types import Import, Kind
from wdbg.instrument.additions import Additions
from wdbg.instrument.renumber import Renumbering
from wdbg.instrument.sweep import SweepResult


def assemble(
    module: Module,
    add: Additions,
    renumbering: Renumbering,
    imports: list[bytes],
    leading_types: list[int],
    swept: SweepResult,
    names: dict[int, str],
    label: str,
    keep_start: bool,
) -> tuple[bytes, int]:
    """The new module, and the file offset of its code section's contents.

    ``imports`` are encoded entries; ``leading_types`` the type indices of the generated functions
    that come before the original ones; ``names`` maps original functions, ``label`` is the name
    of the module.
    """
    data, new = module.data, renumbering.function
    out = [MODULE_PREAMBLE]
    dylink = module.custom("dylink.0")
    if dylink is not None:
        out.append(data[dylink.header : dylink.end])
    code_base = 0
    for section in ORDER:
        contents: bytes | None
        if section is SectionId.IMPORT:
            contents = write_vector(imports)
        elif section is SectionId.FUNCTION:
            kinds = [*leading_types, *module.declared, *add.function_types]
            contents = write_vector([encode_unsigned(i) for i in kinds])
        elif section is SectionId.EXPORT:
            contents = _exports(module, add, renumbering)
        elif section is SectionId.START:
            start = module.start if keep_start else None
            contents = None if start is None else encode_unsigned(new(start))
        elif section is SectionId.ELEMENT:
            contents = _elements(module, renumbering)
        elif section is SectionId.DATA:
            contents = _data(module, renumbering)
        elif section is SectionId.CODE:
            if swept.hints:
                out.append(_hints(swept.hints, renumbering))
            contents = swept.code
            code_base = sum(map(len, out)) + 1 + len(encode_unsigned(len(contents)))
        else:
            contents = _appended(module, section, _added(add, section), renumbering)
        if contents is not None:
            out.append(write_section(section, contents))
    every = {new(i): name for i, name in names.items()}
    every.update(add.names)
    out.append(_name_section(every, label))
    return b"".join(out), code_base


def raw_import(data: bytes, entry: Import) -> bytes:
    """An import entry as it was."""
    start, end = entry.descriptor
    return write_name(entry.module) + write_name(entry.name) + data[start:end]


def _added(add: Additions, section: SectionId) -> list[bytes]:
    return {
        SectionId.TYPE: add.types,
        SectionId.TABLE: add.tables,
        SectionId.TAG: add.tags,
        SectionId.GLOBAL: add.globals,
    }.get(section, [])


def _appended(
    module: Module, section: SectionId, entries: list[bytes], renumbering: Renumbering
) -> bytes | None:
    """Contents of a vector section with entries appended, None if it would be absent."""
    old = module.section(section)
    if old is None:
        return write_vector(entries) if entries else None
    if section is SectionId.GLOBAL and not renumbering.trivial:
        mine = []
        for entry in module.defined_globals:
            head = bytes((entry.type.value, entry.type.mutable))
            mine.append(head + renumbering.expression(module.data, *entry.initializer))
        return write_vector(mine + entries)
    if not entries:
        return module.contents(old)
    count, pos = decode_u32(module.data, old.start, old.end)
    return encode_unsigned(count + len(entries)) + module.data[pos : old.end] + b"".join(entries)


def _exports(module: Module, add: Additions, renumbering: Renumbering) -> bytes:
    entries = []
    for export in module.exports.values():
        index = export.index
        if export.kind is Kind.FUNCTION:
            index = renumbering.function(index)
        elif export.kind is Kind.GLOBAL:
            index = renumbering.global_(index)
        entries.append(write_name(export.name) + bytes((export.kind,)) + encode_unsigned(index))
    return write_vector(entries + add.exports)


def _elements(module: Module, renumbering: Renumbering) -> bytes | None:
    section = module.section(SectionId.ELEMENT)
    if section is None:
        return None
    if renumbering.trivial:
        return module.contents(section)
    return write_vector([renumbering.element(module.data, e) for e in module.elements])


def _data(module: Module, renumbering: Renumbering) -> bytes | None:
    section = module.section(SectionId.DATA)
    if section is None:
        return None
    if not renumbering.global_shift:
        return module.contents(section)
    entries = []
    for segment in module.segments:
        head = encode_unsigned(segment.flags)
        if segment.offset is not None:
            if segment.flags == 2:
                head += encode_unsigned(segment.memory)
            head += renumbering.expression(module.data, *segment.offset)
        size = encode_unsigned(segment.end - segment.start)
        entries.append(head + size + module.data[segment.start : segment.end])
    return write_vector(entries)


def _hints(hints: list[tuple[int, list[int]]], renumbering: Renumbering) -> bytes:
    """The branch hint section: each branch of a probe is unlikely. Entries must be sorted."""
    entries = []
    for function, offsets in hints:
        each = [encode_unsigned(offset) + b"\x01\x00" for offset in offsets]
        entries.append(encode_unsigned(renumbering.function(function)) + write_vector(each))
    return write_custom("metadata.code.branch_hint", write_vector(entries))


def _name_section(names: dict[int, str], module_name: str) -> bytes:
    """Function names, and the module's own: trap frames say whose they are by it."""
    entries = [encode_unsigned(i) + write_name(name) for i, name in sorted(names.items())]
    contents = write_vector(entries)
    own = write_name(module_name)
    return write_custom(
        "name",
        b"\x00" + encode_unsigned(len(own)) + own
        + b"\x01" + encode_unsigned(len(contents)) + contents,
    )  # fmt: skip
