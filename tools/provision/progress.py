"""One line per setup step, a log of everything else, and the one-line failure."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path


class SetupError(Exception):
    """A step can't be done; the message is one line that says what to do about it."""


class CommandFailed(Exception):
    """A command ended with a status other than 0. `output` is all that it printed."""

    def __init__(self, command: Sequence[str], status: int, output: str) -> None:
        super().__init__(f"{command[0]} ended with status {status}")
        self.status = status
        self.output = output


class Progress:
    """Shows steps on standard output; what commands print goes to the log file.

    On a terminal the running command's last line is shown and overwritten, elsewhere (CI) a step
    is one line when it starts and one when it ends.
    """

    def __init__(self, log: Path) -> None:
        self._log_path = log
        self._terminal = sys.stdout.isatty()
        self._label = ""

    @property
    def log_path(self) -> Path:
        """Where the output of the commands is kept."""
        return self._log_path

    @contextmanager
    def step(self, label: str) -> Iterator[None]:
        """Show that a step runs, then that it is done and how long it took."""
        start = time.monotonic()
        self._label = label
        self._show(f"setup: {label} ...", last=not self._terminal)
        yield
        self._show(f"setup: {label}: done in {time.monotonic() - start:.0f} s", last=True)

    def run(self, command: Sequence[str], env: Mapping[str, str] | None = None) -> str:
        """Run a command inside a step; return what it printed.

        Raises CommandFailed when the command's status is not 0, OSError when it can't start.
        """
        lines = []
        self._log_path.parent.mkdir(parents=True, exist_ok=True)
        with self._log_path.open("a", encoding="utf-8") as log:
            log.write(f"$ {' '.join(command)}\n")
            with subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
                env=None if env is None else dict(env),
            ) as process:
                assert process.stdout is not None
                for line in process.stdout:
                    lines.append(line)
                    log.write(line)
                    if self._terminal and line.strip():
                        self._show(f"setup: {self._label}: {line.strip()}", last=False)
        if process.returncode:
            raise CommandFailed(command, process.returncode, "".join(lines))
        return "".join(lines)

    def _show(self, text: str, last: bool) -> None:
        if not self._terminal:
            print(text, flush=True)
            return
        columns = os.get_terminal_size(sys.stdout.fileno()).columns or 80
        print(f"\r\x1b[K{text[: columns - 1]}", end="\n" if last else "", flush=True)


def no_network(output: str) -> bool:
    """Whether the output of apt-get or pip says that the network can't be reached."""
    signs = (
        "Temporary failure resolving",
        "Temporary failure in name resolution",
        "Could not resolve",
        "Name or service not known",
        "Network is unreachable",
        "Could not connect",
        "Unable to connect",
        "Connection refused",
        "Connection timed out",
        "NewConnectionError",
        "ConnectTimeoutError",
        "ReadTimeoutError",
        "ProxyError",
    )
    return any(sign in output for sign in signs)
