"""A kernel's memory and the types in it: what all walkers read through."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from symbols.errors import SymbolsError


class MemberLike(Protocol):
    """A struct's member."""

    @property
    def offset(self) -> int:
        """Bytes from the start of the struct."""

    @property
    def size(self) -> int:
        """Bytes."""


class TypeLike(Protocol):
    """A struct."""

    @property
    def size(self) -> int:
        """Bytes."""

    def member(self, path: str) -> MemberLike:
        """A member by its dotted path; SymbolsError if there is none."""


class VariableLike(Protocol):
    """A variable with static storage."""

    @property
    def address(self) -> int:
        """In guest memory."""


class Symbols(Protocol):
    """What the walkers ask of `symbols.dwarf.index.Index`."""

    def struct(self, name: str) -> TypeLike | None:
        """A struct by its name."""

    def variable(self, name: str) -> VariableLike | None:
        """A global variable by its name."""


class Unknown(Exception):
    """The kernel's DWARF does not tell of something (another configuration, or no DWARF)."""


class Corrupt(Exception):
    """Guest memory does not hold what it should."""


class Image:
    """Typed reads. Member offsets are looked up once."""

    def __init__(self, read: Callable[[int, int], bytes], symbols: Symbols) -> None:
        """`read(address, length)` returns exactly that much, or raises any Exception."""
        self._read = read
        self._symbols = symbols
        self._members: dict[tuple[str, str], tuple[int, int]] = {}
        self._addresses: dict[str, int] = {}

    def member(self, struct: str, path: str) -> tuple[int, int]:
        """(offset, size) of a member; Unknown if there is none."""
        key = struct, path
        known = self._members.get(key)
        if known is None:
            try:
                found = self._symbols.struct(struct)
                if found is None:
                    raise Unknown(f"struct {struct}")
                member = found.member(path)
                known = member.offset, member.size
            except SymbolsError as error:
                raise Unknown(str(error)) from None
            self._members[key] = known
        return known

    def size(self, struct: str) -> int:
        """Bytes of a struct; Unknown if it does not exist."""
        try:
            found = self._symbols.struct(struct)
            size = found.size if found is not None else 0
        except SymbolsError as error:
            raise Unknown(str(error)) from None
        if not size:
            raise Unknown(f"struct {struct}")
        return size

    def address(self, variable: str) -> int:
        """Address of a global variable; Unknown if it does not exist."""
        if variable not in self._addresses:
            try:
                found = self._symbols.variable(variable)
            except SymbolsError as error:
                raise Unknown(str(error)) from None
            if found is None:
                raise Unknown(variable)
            self._addresses[variable] = found.address
        return self._addresses[variable]

    def bytes(self, address: int, length: int) -> bytes:
        """Memory; Corrupt if it does not exist."""
        if address < 0 or length < 0:
            raise Corrupt(f"no memory at {address:#x}")
        try:
            return self._read(address, length)
        except Exception as error:  # whatever a reader raises, also one over a file or a socket
            raise Corrupt(str(error)) from None

    def number(self, address: int, size: int = 4) -> int:
        """An unsigned little-endian number."""
        return int.from_bytes(self.bytes(address, size), "little")

    def field(self, address: int, struct: str, path: str) -> int:
        """An unsigned member of the struct at an address."""
        offset, size = self.member(struct, path)
        if not 0 < size <= 8:
            raise Unknown(f"{struct}.{path} is no number")
        return self.number(address + offset, size)

    def text(self, address: int, struct: str, path: str) -> str:
        """A char array member, up to its first zero."""
        offset, size = self.member(struct, path)
        raw = self.bytes(address + offset, min(size, 4096))
        return raw.split(b"\0", 1)[0].decode("utf-8", "backslashreplace")
