"""The example guest under debuggers' control, as a user starts it: `wdbg run --gdb 0 ...`."""

import contextlib
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pexpect

from tests.clients.gdb import DEADLINE, Transcript, command_line, parse, started

READY = b"ready for debuggers"
CROWD = "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 100 & done; cat /proc/uptime"
"""Makes more than 50 tasks, with the kernel's own, before the program opens a file."""
_BOOT_DEADLINE = 240.0
"""The first start rewrites and compiles the kernel."""


@dataclass
class LiveGuest:
    """A guest in a process of its own, on a terminal."""

    process: pexpect.spawn
    ports: dict[str, int]
    elf: Path | None
    place: Path
    ended: bool = False
    said: bytes = b""
    """What the guest has written at its end."""

    def gdb(self, *commands: str, before: Sequence[str] = ()) -> Transcript:
        """Attach a gdb with the ELF that the guest has told of, and run its commands; those of
        `before` come before it attaches, and are not in the transcript."""
        commands = (f"target remote :{self.ports['gdb']}", *commands)
        files = [self.elf] if self.elf is not None else []
        words = command_line(commands, files, before)
        with tempfile.NamedTemporaryFile(dir=self.place, suffix=".txt", delete=False) as file:
            log = Path(file.name)
        with started(words, log) as client:
            deadline = time.monotonic() + DEADLINE
            while client.poll() is None:
                assert time.monotonic() < deadline, f"gdb hangs: {log.read_text(errors='replace')}"
                self._listen(client)
        return parse(log.read_text(errors="replace"), commands)

    def _listen(self, client: subprocess.Popen[bytes]) -> None:
        """Read the guest's terminal for a moment: a guest that is not read stands still."""
        if self.ended or self.process.expect([pexpect.EOF, pexpect.TIMEOUT], timeout=0.1):
            with contextlib.suppress(subprocess.TimeoutExpired):
                client.wait(0.1 if self.ended else 0)
            return
        self.ended = True
        self.said = self.process.before

    def terminal(self) -> pexpect.spawn:
        """A gdb at a prompt, attached."""
        words = command_line([])
        arguments = [word for word in words[1:] if word != "-batch"]
        child = pexpect.spawn(words[0], [*arguments, str(self.elf)], encoding="utf-8", timeout=60)
        child.expect_exact("(gdb) ")
        child.sendline(f"target remote :{self.ports['gdb']}")
        child.expect_exact("(gdb) ")
        return child

    def end(self) -> int:
        """Wait for the guest to end, and give its exit status."""
        if not self.ended:
            self.process.expect(pexpect.EOF, timeout=DEADLINE)
            self.ended, self.said = True, self.process.before
        self.process.close()
        status = self.process.exitstatus
        return -1 if status is None else status


@contextlib.contextmanager
def live_guest(place: Path, *arguments: str) -> Iterator[LiveGuest]:
    """`wdbg run ARGUMENTS`, which must ask for ports, from when debuggers can attach; or
    `wdbg replay`, if that is the first one."""
    words = ["run", "--append", "quiet"] if arguments[0] != "replay" else []
    command = ["-m", "wdbg", *words, *arguments]
    process = pexpect.spawn(sys.executable, command, timeout=_BOOT_DEADLINE, dimensions=(50, 250))
    try:
        process.expect_exact(READY)
        said = process.before.decode(errors="replace")
        ports = {"gdb": r"target remote :(\d+)", "lldb": r"connect://[^:]*:(\d+)"}
        found = {name: re.search(pattern, said) for name, pattern in ports.items()}
        elf = re.search(r"gdb (/\S+) -ex", said)
        yield LiveGuest(
            process,
            {name: int(match[1]) for name, match in found.items() if match},
            Path(elf[1]) if elf else None,
            place,
        )
    finally:
        process.close(force=True)
