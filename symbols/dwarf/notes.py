"""What damage made the readers leave out: lines for people, a bounded number of them."""

from __future__ import annotations

from symbols.errors import SymbolsError

MOST = 100
"""Notes that are kept; a hostile file could make a million."""


class Notes:
    """Collects notes."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._more = 0

    def add(self, line: str) -> None:
        """Add a line, or count it if there are enough."""
        if len(self._lines) < MOST:
            self._lines.append(line)
        else:
            self._more += 1

    def left_out(self, what: str, error: Exception) -> None:
        """Add a line that says what was left out, and why."""
        reason = error.message if isinstance(error, SymbolsError) else "truncated or malformed"
        self.add(f"{what} left out: {reason}")

    @property
    def lines(self) -> list[str]:
        """All of them, the last one telling how many more there were."""
        return [*self._lines, *([f"{self._more} more"] if self._more else [])]
