"""Guest backtraces in original offsets: what a trap or a parked fiber shows.

Offsets of the rewritten module never leave this module: text that depends on the
instrumentation variant would make variants diverge as soon as the guest reads it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from wdbg.runtime.engine import RawFrame


class Code(Protocol):
    """A rewritten module that can tell where an instruction came from."""

    def locate(self, file_offset: int) -> tuple[str, int, int, int] | None:
        """(name, original code-section offset, offset in the function, function size).

        `file_offset` is the rewritten module's; None: code that the instrumenter generated.
        """
        ...


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame in terms of the original module."""

    function: str
    code_offset: int
    """Offset from the start of the code section's contents: what DWARF calls an address."""
    offset: int
    """Offset from the start of the function's body."""
    size: int
    """Size of the function's body, bytes."""
    module: str
    """"" for the kernel, else the program's short name."""

    def __str__(self) -> str:
        text = f"{self.function}+{self.offset:#x}/{self.size:#x}"
        return f"{text} [{self.module}]" if self.module else text


def original_frames(
    raw: Iterable[RawFrame], codes: dict[str, tuple[str, Code]]
) -> tuple[Frame, ...]:
    """Translate frames; `codes` maps the engine's module name to (shown name, code)."""
    frames = []
    for frame in raw:
        known = codes.get(frame.module)
        if known is None:
            continue
        shown, code = known
        place = code.locate(frame.offset)
        if place is not None:
            frames.append(Frame(place[0], place[1], place[2], place[3], shown))
    return tuple(frames)
