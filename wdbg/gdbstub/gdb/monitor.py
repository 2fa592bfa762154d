"""`monitor` commands. GDB 13 shows no text with a failed one, so that a failure is output too."""

from __future__ import annotations

from wdbg import __version__
from wdbg.debugger.model import DebugError, Debugger
from wdbg.errors import WdbgError

_LINE_LIMIT = 4096


def monitor(debugger: Debugger, command: bytes) -> str:
    """What a command prints, with a newline at its end."""
    line = command[:_LINE_LIMIT].decode("utf-8", "replace").strip()
    if line == "info version":
        # scripts/gdb of Linux tells QEMU from other stubs by whether this is answered.
        return f"wdbg {__version__}\n"
    try:
        output = debugger.monitor(line)
    except (DebugError, WdbgError) as failure:
        output = f"{failure}\n"
    return output if output.endswith("\n") or not output else output + "\n"
