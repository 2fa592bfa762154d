"""A progress bar that appears only when a step takes long enough to make a person wonder."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn


class ProgressBar:
    """One line on stderr that goes away at the end; a plain line where there is no terminal.

    It refreshes only in `update`: the process that runs a guest must not start threads.
    """

    def __init__(self, title: str, after: float) -> None:
        """`after`: seconds without a word."""
        self._title = title
        self._after = after
        self._said = False
        self._bar: Progress | None = None
        if sys.stderr.isatty():
            self._bar = Progress(
                TextColumn("wdbg: {task.description}"),
                BarColumn(),
                TextColumn("{task.fields[step]}"),
                TimeElapsedColumn(),
                console=Console(stderr=True),
                auto_refresh=False,
                transient=True,
            )
            self._task = self._bar.add_task(title, total=1.0, step="")

    def update(self, step: str, fraction: float, elapsed: float) -> None:
        """Show `step`, `fraction` (0 to 1) of the work done after `elapsed` seconds."""
        if elapsed < self._after:
            return
        if self._bar is None:
            if not self._said:
                print(f"wdbg: {self._title}: {step} ...", file=sys.stderr, flush=True)
        else:
            if not self._said:
                self._bar.start()
            self._bar.update(self._task, completed=fraction, step=step, refresh=True)
        self._said = True

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None and self._said:
            self._bar.stop()
