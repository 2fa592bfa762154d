"""A kernel image made of Python: structs laid out by hand, in a piece of memory."""

from __future__ import annotations

import re
from dataclasses import dataclass

from symbols.errors import SymbolsError
from wdbg.linux.image import Image


@dataclass(frozen=True)
class Member:
    offset: int
    size: int


@dataclass(frozen=True)
class Struct:
    size: int
    members: dict[str, Member]

    def member(self, path: str) -> Member:
        if path not in self.members:
            raise SymbolsError(f"no member {path}")
        return self.members[path]


@dataclass(frozen=True)
class Variable:
    address: int


def struct(size: int, **members: tuple[int, int]) -> Struct:
    """`a__b=(offset, size)` is the member a.b."""
    return Struct(size, {re.sub("(?<=.)__", ".", n): Member(*m) for n, m in members.items()})


class Kernel:
    """Memory of 1 MiB and symbols."""

    def __init__(self, structs: dict[str, Struct], variables: dict[str, int]) -> None:
        self.memory = bytearray(1 << 20)
        self.structs = structs
        self.variables = variables
        self.image = Image(self.read, self)

    def read(self, address: int, length: int) -> bytes:
        if address + length > len(self.memory):
            raise ValueError("outside")
        return bytes(self.memory[address : address + length])

    def struct(self, name: str) -> Struct | None:
        return self.structs.get(name)

    def variable(self, name: str) -> Variable | None:
        return Variable(self.variables[name]) if name in self.variables else None

    def put(self, address: int, value: int | bytes, size: int = 4) -> None:
        raw = value if isinstance(value, bytes) else value.to_bytes(size, "little")
        self.memory[address : address + len(raw)] = raw

    def set(self, address: int, name: str, path: str, value: int | bytes) -> None:
        member = self.structs[name].member(path)
        self.put(address + member.offset, value, member.size)
