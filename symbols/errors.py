"""The one exception of this package."""

from __future__ import annotations


class SymbolsError(ValueError):
    """A file is malformed, or uses something this package does not understand.

    ``message`` is one line without the position; ``offset`` is the byte offset in the file at
    which the problem was noticed, or None if it concerns the file as a whole.
    """

    def __init__(self, message: str, offset: int | None = None) -> None:
        self.message = message
        self.offset = offset
        super().__init__(message if offset is None else f"{message} (at offset {offset:#x})")
