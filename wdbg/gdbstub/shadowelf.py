"""The shadow ELF of a module, made by a process of its own if the cache does not have it (see
`wdbg.runtime.symbolindex` for why).

`python -m wdbg.gdbstub.shadowelf MODULE NUMBER` makes it and prints a JSON object: {"elf": path},
or {"error": line, "hint": line}.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from wdbg.errors import BadInput, WdbgError


def open_shadow_elf(path: Path, number: int) -> Path:
    """The ELF for GDB of the module at `path`, loaded as number `number` (0: the kernel).

    BadInput if there can be none.
    """
    done = subprocess.run(
        [sys.executable, "-m", "wdbg.gdbstub.shadowelf", str(path), str(number)],
        stdin=subprocess.DEVNULL, capture_output=True, check=False,
    )  # fmt: skip
    # about damaged DWARF; the terminal may be in raw mode
    sys.stderr.write(done.stderr.decode(errors="replace").replace("\n", "\r\n"))
    try:
        message = json.loads(done.stdout)
    except ValueError:
        raise WdbgError(
            f"the process that makes symbols for GDB ended with status {done.returncode}"
        ) from None
    if "elf" not in message:
        raise BadInput(message["error"], message["hint"])
    return Path(message["elf"])


def main() -> int:
    """Make the ELF that the command line asks for; 1 if that failed."""
    from wdbg.gdbstub.symbolfiles import gdb_files, program_elf

    path, number = Path(sys.argv[1]), int(sys.argv[2])
    try:
        elf = program_elf(path, number) if number else gdb_files(path).elf
        print(json.dumps({"elf": str(elf)}))
    except WdbgError as error:
        print(json.dumps({"error": error.message, "hint": error.hint}))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
