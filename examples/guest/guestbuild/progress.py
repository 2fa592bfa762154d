# SPDX-License-Identifier: GPL-2.0-only
"""Progress of a build: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TextIO

INTERVAL = 0.1
"""Seconds between two updates of the live line."""


class Progress:
    """Shows one step after the other; goes to stdout unless that is wanted for results."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream if stream is not None else sys.stdout
        self._live = self._stream.isatty()
        self._step = ""
        self._began = 0.0
        self._shown = 0.0

    def begin(self, step: str) -> None:
        """A new step, such as "compiling"."""
        self._step = step
        self._began = time.monotonic()
        self._shown = 0.0
        if self._live:
            self._line("")
        else:
            self._print(f"guest: {step} ...")

    def update(self, detail: str) -> None:
        """How far the step is, such as "120 of 330 objects"; shown on a terminal only."""
        now = time.monotonic()
        if self._live and now - self._shown >= INTERVAL:
            self._shown = now
            self._line(detail)

    def end(self, detail: str = "") -> None:
        """The step is done."""
        seconds = time.monotonic() - self._began
        text = f"guest: {self._step}: {detail + ', ' if detail else ''}{seconds:.0f} s"
        self._print(f"\r\033[K{text}" if self._live else text)

    def note(self, text: str) -> None:
        """A line of its own."""
        self._print(f"\r\033[K{text}" if self._live else text)

    def abandon(self) -> None:
        """The step will not end: leave the terminal at the start of a line."""
        if self._live:
            self._stream.write("\r\033[K")
            self._stream.flush()

    def _line(self, detail: str) -> None:
        self._stream.write(f"\r\033[Kguest: {self._step} {detail}".rstrip() + " ")
        self._stream.flush()

    def _print(self, text: str) -> None:
        self._stream.write(text + "\n")
        self._stream.flush()
