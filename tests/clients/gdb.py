"""Debian's GDB as a subprocess: commands in, what it prints out."""

import contextlib
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from wdbg.gdbstub.server import Server

DEADLINE = 150.0
_MARK = "=== "
_SETTINGS = (
    "set pagination off",
    "set confirm off",
    "set width 0",
    "set print address on",
    "set style enabled off",
)


def program() -> str:
    """Where gdb is. Its absence is a failure: it is what these tests are about."""
    found = shutil.which("gdb")
    assert found, "gdb is not installed: tools/provision"
    return found


@dataclass(frozen=True)
class Transcript:
    """What each command printed, in order."""

    parts: tuple[tuple[str, str], ...]

    def __getitem__(self, command: str) -> str:
        """Output of the only, or the first, such command."""
        return self.all(command)[0]

    def all(self, command: str) -> list[str]:
        return [text for name, text in self.parts if name == command]

    @property
    def text(self) -> str:
        return "\n".join(f"(gdb) {name}\n{text}".rstrip() for name, text in self.parts) + "\n"


def command_line(
    commands: Sequence[str], files: Sequence[Path] = (), before: Sequence[str] = ()
) -> list[str]:
    """A gdb that runs the commands and prints a mark before each, but not those of `before`."""
    words = [program(), "-nx", "-q", "-batch"]
    for setting in (*_SETTINGS, *before):
        words += ["-ex", setting]
    for command in commands:
        words += ["-ex", f"echo {_MARK}{_quoted(command)}\\n", "-ex", command]
    return words + [str(path) for path in files]


def _quoted(command: str) -> str:
    return command.replace("\\", "\\\\")


def parse(output: str, commands: Sequence[str]) -> Transcript:
    """The output, cut at the marks."""
    output = output.replace("[Inferior 1 (Remote target) detached]\n", "")  # at its end
    pieces = re.split(rf"^{_MARK}.*\n", output, flags=re.MULTILINE)[1:]
    assert len(pieces) == len(commands), output
    return Transcript(tuple(zip(commands, pieces, strict=True)))


@contextlib.contextmanager
def started(words: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A client whose output goes to a file: a pipe that nobody empties would block it."""
    with log.open("wb") as out:
        client = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
        )
        try:
            yield client
        finally:
            if client.poll() is None:
                client.kill()
            client.wait()


def drive(
    server: Server, port: int, commands: Sequence[str], log: Path, *, target: bool = True
) -> Transcript:
    """Turn the server until a gdb that attaches to it has run its commands."""
    commands = [*([f"target remote :{port}"] if target else []), *commands]
    deadline = time.monotonic() + DEADLINE
    with started(command_line(commands), log) as client:
        while client.poll() is None:
            assert time.monotonic() < deadline, log.read_text()
            if server.ended is None:
                server.turn(patience=0.05)
            else:
                server.close()
                client.wait(20)
    return parse(log.read_text(errors="replace"), commands)
