"""`wdbg run --from-zygote`: have a zygote run a command, on this terminal.

This side imports next to nothing: it is to start in milliseconds.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wdbg.cli.registry import open_directory
from wdbg.errors import BadInput, WdbgError

DEFAULT_NAME = "default"
MESSAGE_LIMIT = 64 << 10
FLAG = "--from-zygote"
_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGWINCH)


def check_name(name: str) -> None:
    """BadInput unless it can be part of a file name."""
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,40}", name):
        raise BadInput(f"--name {name}: letters, digits, _, . and - make a name")


def _place(name: str, suffix: str) -> Path:
    try:
        return open_directory() / f"zygote-{name}.{suffix}"
    except OSError as error:
        raise BadInput(f"no directory for sockets: {error}") from None


def listening_place(name: str) -> Path:
    """Where the zygote of that name listens."""
    return _place(name, "sock")


def lock_place(name: str) -> Path:
    """A file that the zygote of that name has a lock on."""
    return _place(name, "lock")


def main(words: Sequence[str]) -> int:
    """Run; returns the exit status."""
    parser = argparse.ArgumentParser(prog="wdbg run", allow_abbrev=False)
    add = parser.add_argument
    add(FLAG, dest="name", nargs="?", const=DEFAULT_NAME, required=True, metavar="NAME",
        help=f"which one (default {DEFAULT_NAME})")  # fmt: skip
    add("--exec", dest="command", metavar="COMMAND",
        help="run this shell command in the guest, then power off")  # fmt: skip
    add("--timeout", type=float, metavar="SECONDS", help="end the run after so much wall time")
    add("--pace", choices=("virtual", "real"), help="as of wdbg run")
    add("--print-hash", action="store_true", help="print the run hash at the end (stderr)")
    add("--stats", action="store_true", help="print ticks, switches and times at the end (stderr)")
    args = parser.parse_args(words[1:])
    check_name(args.name)
    if args.timeout is not None and not args.timeout > 0:
        raise BadInput(f"--timeout {args.timeout}: more than 0 seconds are needed")
    request = vars(args) | {"name": None}
    message = json.dumps(request).encode() + b"\n"
    if len(message) > MESSAGE_LIMIT:
        raise BadInput("--exec: a command that long cannot be passed on")
    kept = _terminal_mode()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(str(listening_place(args.name)))
        except OSError:
            raise BadInput(
                f"no zygote {args.name} runs here", f"wdbg zygote --name {args.name} starts one"
            ) from None
        sys.stdout.flush()
        for number in _PASSED_ON:
            signal.signal(number, lambda number, _: _pass_on(connection, number))
        socket.send_fds(connection, [message], [0, 1, 2])
        try:
            answer = _answer(connection)
        finally:
            _restore(kept)
    if answer is None:
        raise WdbgError("the zygote has ended, and the run with it")
    return answer


def _pass_on(connection: socket.socket, number: int) -> None:
    try:
        connection.send(bytes((number,)))
    except OSError:
        pass  # it has ended; so will this process


def _answer(connection: socket.socket) -> int | None:
    data = b""
    while not data.endswith(b"\n"):
        try:
            more = connection.recv(4096)
        except OSError:
            more = b""
        if not more:
            return None
        data += more
    return int(json.loads(data)["status"])


def _terminal_mode() -> list[Any] | None:
    """How the terminal is set: the run may be killed before it can put that back."""
    if not os.isatty(0):
        return None
    import termios

    return termios.tcgetattr(0)


def _restore(kept: list[Any] | None) -> None:
    if kept is not None:
        import termios

        termios.tcsetattr(0, termios.TCSADRAIN, kept)
