"""The one error root: every failure that a user can meet is a `WdbgError`.

A message is one line that says what is wrong; the hint, when there is one, says what to do
about it.  The command line prints both and ends with `exit_status`; no traceback reaches a user.
"""

from __future__ import annotations


class WdbgError(Exception):
    """Something that ends the command: exit status 3 unless a subclass says otherwise."""

    exit_status = 3

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class BadInput(WdbgError):
    """A file, flag or environment that wdbg cannot work with: exit status 2."""

    exit_status = 2
