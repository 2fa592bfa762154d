# SPDX-License-Identifier: GPL-2.0-only
"""What ends a build early."""

from __future__ import annotations


class BuildError(Exception):
    """A message of one line for the user, and the exit status that goes with it.

    Status 2: something is missing or wrong on this machine or in the arguments; 1: a tool failed.
    """

    def __init__(self, message: str, status: int = 2) -> None:
        super().__init__(message)
        self.status = status
