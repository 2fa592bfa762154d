"""A parsed module: each section is read when it is first asked for."""

from __future__ import annotations

from functools import cached_property

from symbols.errors import SymbolsError
from symbols.wasm import readers
from symbols.wasm.container import Section, SectionId, read_sections
from symbols.wasm.leb import decode_u32
from symbols.wasm.names import NameSection
from symbols.wasm.types import (
    DataSegment,
    Element,
    Export,
    FuncType,
    Global,
    GlobalType,
    Import,
    Kind,
    Limits,
    TableType,
)


class Module:
    """A core module over its bytes. Indices are those of the module's index spaces.

    The constructor checks the sections; everything else is parsed lazily, and SymbolsError can
    come from any attribute. ``data`` must not change while the object lives.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.sections: list[Section] = read_sections(data)
        self._known: dict[SectionId, Section] = {
            s.id: s for s in self.sections if s.id is not SectionId.CUSTOM
        }

    def section(self, section: SectionId) -> Section | None:
        """The section with this id, None if the module has none. Not for custom sections."""
        return self._known.get(section)

    def custom(self, name: str) -> Section | None:
        """The first custom section of that name."""
        for section in self.sections:
            if section.id is SectionId.CUSTOM and section.name == name:
                return section
        return None

    def contents(self, section: Section) -> bytes:
        """Bytes of a section, a copy."""
        return self.data[section.start : section.end]

    @cached_property
    def types(self) -> list[FuncType]:
        """Function signatures by type index."""
        return readers.read_types(self.data, self.section(SectionId.TYPE))

    @cached_property
    def imports(self) -> list[Import]:
        """All imports in order."""
        return readers.read_imports(self.data, self.section(SectionId.IMPORT))

    def imported(self, kind: Kind) -> list[Import]:
        """The imports of one kind: entry i has index i in the index space of that kind."""
        return [entry for entry in self.imports if entry.kind is kind]

    @cached_property
    def function_imports(self) -> int:
        """Number of imported functions = index of the first defined function."""
        return sum(entry.kind is Kind.FUNCTION for entry in self.imports)

    @cached_property
    def declared(self) -> list[int]:
        """Type index of each defined function."""
        return readers.read_indices(self.data, self.section(SectionId.FUNCTION), "function")

    @cached_property
    def function_types(self) -> list[int]:
        """Type index of each function, imported ones first; each index is in range."""
        imported = [e.type_index or 0 for e in self.imports if e.kind is Kind.FUNCTION]
        every = imported + self.declared
        if every and max(every) >= len(self.types):
            raise SymbolsError(f"function {every.index(max(every))} has no such type")
        return every

    @cached_property
    def tables(self) -> list[TableType]:
        """All tables, imported ones first."""
        mine = readers.read_tables(self.data, self.section(SectionId.TABLE))
        return [e.type for e in self.imports if isinstance(e.type, TableType)] + mine

    @cached_property
    def memories(self) -> list[Limits]:
        """All memories, imported ones first."""
        mine = readers.read_memories(self.data, self.section(SectionId.MEMORY))
        return [e.type for e in self.imports if isinstance(e.type, Limits)] + mine

    @cached_property
    def tags(self) -> list[int]:
        """Type index of each tag, imported ones first."""
        imported = [e.type_index or 0 for e in self.imports if e.kind is Kind.TAG]
        return imported + readers.read_tags(self.data, self.section(SectionId.TAG))

    @cached_property
    def defined_globals(self) -> list[Global]:
        """Globals that the module defines."""
        return readers.read_globals(self.data, self.section(SectionId.GLOBAL))

    @cached_property
    def globals(self) -> list[GlobalType]:
        """All globals, imported ones first."""
        imported = [e.type for e in self.imports if isinstance(e.type, GlobalType)]
        return imported + [entry.type for entry in self.defined_globals]

    @cached_property
    def exports(self) -> dict[str, Export]:
        """Exports by name, in file order."""
        return readers.read_exports(self.data, self.section(SectionId.EXPORT))

    @cached_property
    def start(self) -> int | None:
        """Index of the start function."""
        section = self.section(SectionId.START)
        if section is None:
            return None
        index, pos = decode_u32(self.data, section.start, section.end)
        if pos != section.end:
            raise SymbolsError("junk after the start function", pos)
        return index

    @cached_property
    def elements(self) -> list[Element]:
        """Element segments."""
        return readers.read_elements(self.data, self.section(SectionId.ELEMENT))

    @cached_property
    def segments(self) -> list[DataSegment]:
        """Data segments."""
        segments = readers.read_segments(self.data, self.section(SectionId.DATA))
        section = self.section(SectionId.DATA_COUNT)
        if section is not None:
            count, pos = decode_u32(self.data, section.start, section.end)
            if count != len(segments) or pos != section.end:
                raise SymbolsError(f"{count} data segments announced, {len(segments)} found", pos)
        return segments

    @cached_property
    def bodies(self) -> list[tuple[int, int, int]]:
        """(offset of the size field, first byte after it, end) of each code body, in the file."""
        bodies = readers.read_bodies(self.data, self.section(SectionId.CODE))
        if len(bodies) != len(self.declared):
            raise SymbolsError(f"{len(self.declared)} functions declared, {len(bodies)} bodies")
        return bodies

    @cached_property
    def code_base(self) -> int:
        """File offset of the code section's contents: offset 0 of DWARF and of wdbg."""
        section = self.section(SectionId.CODE)
        return section.start if section else len(self.data)

    @cached_property
    def names(self) -> NameSection:
        """The name section; empty if there is none."""
        return NameSection(self.data, self.custom("name"))

    @cached_property
    def dwarf(self) -> dict[str, Section]:
        """The ``.debug_*`` sections by name."""
        return {
            s.name: s
            for s in self.sections
            if s.id is SectionId.CUSTOM and s.name.startswith(".debug_")
        }
