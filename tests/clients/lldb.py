"""Debian's LLDB as a subprocess: commands in, what each says out."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wdbg.gdbstub.server import Server

DEADLINE = 90.0
_GUEST_DEADLINE = 300.0
"""The first watchpoint rewrites and compiles the kernel once more."""
DRIVER = Path(__file__).with_name("lldb_driver.py")


def program(name: str = "lldb-22") -> str:
    """Where the client is. Its absence is a failure: it is what these tests are about."""
    found = shutil.which(name)
    assert found, f"{name} is not installed: tools/provision"
    return found


@dataclass(frozen=True)
class Transcript:
    """What each command said, in order: (command, output, error)."""

    parts: tuple[tuple[str, str, str], ...]

    def __getitem__(self, command: str) -> str:
        """Output of the only, or the first, such command."""
        return self.all(command)[0]

    def all(self, command: str) -> list[str]:
        """Outputs and errors of all such commands."""
        return [text + error for name, text, error in self.parts if name == command]

    @property
    def text(self) -> str:
        """As a person would have seen it."""
        return "".join(f"(lldb) {name}\n{text}{error}" for name, text, error in self.parts)


class Client:
    """An LLDB that runs `commands` after it has attached to the port."""

    def __init__(self, port: int, commands: Sequence[str], folder: Path) -> None:
        self._results = folder / "lldb-results.json"
        self._results.unlink(missing_ok=True)
        self._log = folder / "lldb.log"
        script = folder / "lldb-commands.json"
        connect = f"process connect --plugin wasm connect://127.0.0.1:{port}"
        script.write_text(json.dumps([connect, *commands]))
        environment = os.environ | {
            "WDBG_LLDB_COMMANDS": str(script),
            "WDBG_LLDB_RESULTS": str(self._results),
        }
        command = f"command script import {DRIVER}"
        with self._log.open("wb") as out:
            self.process = subprocess.Popen(
                [program(), "--no-lldbinit", "--no-use-colors", "-b", "-o", command],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment,
            )  # fmt: skip

    def transcript(self) -> Transcript:
        """Once it has ended."""
        assert self.process.returncode == 0, self._log.read_text(errors="replace")
        lines = self._results.read_text().splitlines()
        return Transcript(tuple(tuple(json.loads(line)) for line in lines))

    def end(self) -> None:
        """Whatever state it is in."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def drive(server: Server, port: int, commands: Sequence[str], folder: Path) -> Transcript:
    """Turn the server until an LLDB that attaches to it has run its commands."""
    client = Client(port, commands, folder)
    deadline = time.monotonic() + DEADLINE
    try:
        while client.process.poll() is None:
            assert time.monotonic() < deadline, "LLDB does not end"
            if server.ended is None:
                server.turn(patience=0.05)
            else:
                server.close()
                client.process.wait(20)
        return client.transcript()
    finally:
        client.end()


def run(port: int, commands: Sequence[str], folder: Path) -> Transcript:
    """The same on a guest in another process."""
    client = Client(port, commands, folder)
    try:
        client.process.wait(_GUEST_DEADLINE)
        return client.transcript()
    finally:
        client.end()
