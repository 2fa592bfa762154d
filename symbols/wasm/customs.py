"""Small custom sections of the tool conventions: target features, producers, build id.

Declared with construct; they are read once and have a few dozen entries. Layouts: the tool
conventions repository, Linking.md, ProducersSection.md and BuildId.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from construct import (
    Byte,
    Bytes,
    ConstructError,
    PascalString,
    PrefixedArray,
    Struct,
    Terminated,
    VarInt,
)

from symbols.errors import SymbolsError
from symbols.wasm.container import Section
from symbols.wasm.module import Module

_MAX_SIZE = 16 << 10
"""Largest section of these kinds that is read, bytes; real ones have a few hundred."""

_TEXT = PascalString(VarInt, "utf8")
FEATURES = PrefixedArray(VarInt, Struct("prefix" / Byte, "name" / _TEXT))
PRODUCERS = PrefixedArray(
    VarInt,
    Struct(
        "field" / _TEXT,
        "values" / PrefixedArray(VarInt, Struct("name" / _TEXT, "version" / _TEXT)),
    ),
)
BUILD_ID = Struct("size" / VarInt, "id" / Bytes(lambda this: this.size))
"""Contents of the three sections; each must fill its section."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One target feature, e.g. "atomics". ``used`` is False for "must not be used" entries."""

    name: str
    used: bool


@dataclass(frozen=True, slots=True)
class Producer:
    """One tool or language: field is "language", "processed-by" or "sdk"."""

    field: str
    name: str
    version: str


def _parse(layout: Any, module: Module, section: Section) -> Any:
    if section.end - section.start > _MAX_SIZE:
        raise SymbolsError(f"section {section.name} is too large", section.header)
    try:
        whole = Struct("value" / layout, Terminated)
        return whole.parse(module.contents(section)).value
    except (ConstructError, UnicodeError):
        raise SymbolsError(f"malformed section {section.name}", section.start) from None


def target_features(module: Module) -> list[Feature]:
    """Features the linker recorded; empty if it recorded none."""
    section = module.custom("target_features")
    if section is None:
        return []
    return [Feature(e.name, e.prefix != ord("-")) for e in _parse(FEATURES, module, section)]


def producers(module: Module) -> list[Producer]:
    """Languages and tools that made the module."""
    section = module.custom("producers")
    if section is None:
        return []
    return [
        Producer(entry.field, value.name, value.version)
        for entry in _parse(PRODUCERS, module, section)
        for value in entry["values"]
    ]


def build_id(module: Module) -> bytes | None:
    """The linker's build id, None if there is none."""
    section = module.custom("build_id")
    return None if section is None else bytes(_parse(BUILD_ID, module, section).id)
