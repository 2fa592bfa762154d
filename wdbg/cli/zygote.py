"""`wdbg zygote`: keep a guest that has booted, from which `wdbg run --from-zygote` starts.

It stands where the kernel has started init, the first program, and forks for each run. A run's
command is put in place of one that the guest was booted with, which only held room for it.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import re
import select
import signal
import socket
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wdbg.cli.fromzygote import (
    DEFAULT_NAME,
    MESSAGE_LIMIT,
    check_name,
    listening_place,
    lock_place,
)
from wdbg.cli.guestflags import add_guest_arguments
from wdbg.cli.run import MAX_CPUS, MAX_MEMORY, MIN_MEMORY, percent_encode
from wdbg.errors import BadInput, WdbgError
from wdbg.runtime.boot import BootOptions, boot
from wdbg.runtime.console import Console
from wdbg.runtime.guest import default_guest

if TYPE_CHECKING:
    from wdbg.runtime.machine import Machine

ROOM = 2000
"""Bytes of the kernel's command line that a run's command, percent-encoded, can have."""
_VARIABLE = b"WDBG_EXEC="
_NO_VARIABLE = b"WDBG_NONE="
_HELD = _VARIABLE + b"@" * ROOM


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add = parser.add_argument
    add_guest_arguments(parser)
    add("--name", default=DEFAULT_NAME, help=f"how runs call it (default {DEFAULT_NAME})")
    add("--seed", type=int, metavar="N", help="seed of the random schedule")
    add("--variant", choices=("tick", "debug"), default="tick", help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Boot, then serve until a signal ends it."""
    check_name(args.name)
    options = _options(args)
    zygote = Zygote(options)
    with _claimed(args.name) as listener:
        print(
            f"wdbg: zygote {args.name} stands at tick {zygote.machine.ticks}: "
            f"wdbg run --from-zygote {args.name} --exec COMMAND",
            file=sys.stderr, flush=True,
        )  # fmt: skip
        return serve(zygote, listener)


def _options(args: argparse.Namespace) -> BootOptions:
    if not 1 <= args.cpus <= MAX_CPUS:
        raise BadInput(f"--cpus {args.cpus}: 1 to {MAX_CPUS} virtual CPUs are possible")
    if not MIN_MEMORY <= args.memory <= MAX_MEMORY:
        raise BadInput(f"--memory {args.memory}: {MIN_MEMORY} to {MAX_MEMORY} MiB are possible")
    kernel, initrd = args.kernel, args.initrd
    if kernel is None:
        guest = default_guest(args.config)
        kernel, initrd = guest.kernel, initrd or guest.initrd
    elif args.config:
        raise BadInput("--config chooses an example guest: it cannot go with KERNEL")
    return BootOptions(
        kernel=kernel, initrd=initrd, command_line=f"{args.append} {_HELD.decode()}".strip(),
        cpus=args.cpus, memory=args.memory << 20, seed=args.seed,
        schedule="rr" if args.seed is None else "random", variant=args.variant,
    )  # fmt: skip


class _Kept:
    """A console that keeps what a boot writes."""

    interactive = False

    def __init__(self) -> None:
        self.text = bytearray()

    def write(self, data: bytes) -> None:
        self.text += data

    def poll(self) -> bytes:
        return b""

    def idle(self, wait_ns: int | None) -> tuple[bytes, int] | None:
        return None if wait_ns is None else (b"", wait_ns)

    def look(self) -> None:
        pass

    def wake_on(self, fds: object) -> None:
        pass

    def window_size(self) -> tuple[int, int]:
        return 0, 0

    def left(self) -> bool:
        return False

    def close(self) -> None:
        pass


class Zygote:
    """A machine whose guest is about to run its first program."""

    def __init__(self, options: BootOptions) -> None:
        """BadInput if the guest does not come that far."""
        from wdbg.explore.start import Start, go_to_start

        self.options = options
        self.pid = os.getpid()
        self._console = _Kept()
        self.machine: Machine = boot(options, self._console)
        stop = go_to_start(self.machine, Start(program=1))
        if stop is not None:
            raise BadInput(f"the guest ended ({stop.kind.value} {stop.message}) before its init")
        self._places = _find_all(bytes(self.machine.memory.view()), _HELD)

    def begin(self, command: str | None, console: Console) -> None:
        """In a forked copy: have the guest run this command, or a shell, on that console."""
        if command is None:
            text = _NO_VARIABLE
        else:
            encoded = percent_encode(command).encode()
            if len(encoded) > ROOM:
                raise BadInput(f"--exec: {len(encoded)} bytes are too long, a zygote takes {ROOM}")
            text = _VARIABLE + encoded
        machine = self.machine
        for place in self._places:
            machine.memory.write(place, text.ljust(len(_HELD), b"\0"))
        machine.inputs.console = console
        # printk cuts long lines: part of what was held may be all there is of it.
        console.write(re.sub(_VARIABLE + b"@+", lambda _: text, bytes(self._console.text)))
        if console.interactive:
            machine.request_resize()


def _find_all(data: bytes, what: bytes) -> list[int]:
    found = []
    at = data.find(what)
    while at >= 0:
        found.append(at)
        at = data.find(what, at + len(what))
    return found


class _claimed:
    """The listening socket of a name; BadInput if another zygote has it."""

    def __init__(self, name: str) -> None:
        import fcntl

        self._path = listening_place(name)
        self._lock = os.open(lock_place(name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BadInput(f"a zygote {name} runs already", "--name gives it another") from None
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    def __enter__(self) -> socket.socket:
        self._path.unlink(missing_ok=True)
        try:
            self._socket.bind(str(self._path))
        except OSError as error:
            raise BadInput(f"{self._path}: {error}") from None
        self._socket.listen(64)
        return self._socket

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._path.unlink(missing_ok=True)
        os.close(self._lock)


def serve(zygote: Zygote, listener: socket.socket) -> int:
    """Fork for each request; 0 after SIGINT or SIGTERM, when all runs have been ended."""
    ended: list[int] = []
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(writer)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: ended.append(number))
    signal.signal(signal.SIGCHLD, lambda *_: None)
    children: set[int] = set()
    gc.collect()
    gc.freeze()
    while not ended:
        ready, _, _ = select.select([listener.fileno(), reader], [], [])
        if reader in ready:
            os.read(reader, 4096)
            children = {pid for pid in children if os.waitpid(pid, os.WNOHANG)[0] == 0}
        if listener.fileno() in ready:
            connection, _ = listener.accept()
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                _become_session(zygote, connection, listener)
            children.add(pid)
            connection.close()
    for pid in children:
        os.kill(pid, signal.SIGTERM)
    for pid in children:
        os.waitpid(pid, 0)
    return 0


def _become_session(zygote: Zygote, connection: socket.socket, listener: socket.socket) -> None:
    """The forked child: one run. Never returns."""
    status = 3
    try:
        listener.close()
        from wdbg.explore.trial import die_with_parent

        die_with_parent(zygote.pid)
        os.setsid()  # or a terminal that the zygote was started on would stop it
        status = _session(zygote, connection)
    except WdbgError as error:
        from wdbg.cli.main import report

        status = report(error)
    except BaseException as error:
        print(f"wdbg: internal error: {type(error).__name__}: {error}", file=sys.stderr)
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
            connection.settimeout(1)
            connection.sendall(json.dumps({"status": status}).encode() + b"\n")
        finally:
            os._exit(status)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What `wdbg run --from-zygote` sends."""

    command: str | None
    pace: str | None
    timeout: float | None
    print_hash: bool
    stats: bool


def _receive(connection: socket.socket) -> _Asked:
    """A request and the file descriptors 0, 1 and 2 of who sends it, in place of ours."""
    connection.settimeout(5)
    line, fds, _, _ = socket.recv_fds(connection, MESSAGE_LIMIT, 3)
    while line and not line.endswith(b"\n") and len(line) < MESSAGE_LIMIT:
        more = connection.recv(MESSAGE_LIMIT)
        if not more:
            break
        line += more
    connection.settimeout(None)
    if len(fds) != 3:
        raise BadInput("a request without a terminal")
    for target, fd in enumerate(fds):
        os.dup2(fd, target)
        os.close(fd)
    fields = json.loads(line)
    command = fields["command"]
    timeout = fields["timeout"]
    return _Asked(
        None if command is None else str(command), fields["pace"],
        None if timeout is None else float(timeout),
        bool(fields["print_hash"]), bool(fields["stats"]),
    )  # fmt: skip


def _session(zygote: Zygote, connection: socket.socket) -> int:
    from wdbg.cli.guestrun import finish, handle_signals
    from wdbg.cli.run import open_console

    asked = _receive(connection)
    args = argparse.Namespace(
        command=asked.command, pace=asked.pace, timeout=asked.timeout,
        print_hash=asked.print_hash, stats=asked.stats,
    )  # fmt: skip
    machine = zygote.machine
    console = open_console(args)
    try:
        zygote.begin(asked.command, console)
        handle_signals(lambda: machine, asked.timeout, None)
        _watch(connection, machine)
        stop = None
        while stop is None:
            stop = machine.run()
    finally:
        console.close()
    return finish(args, machine, stop)


def _watch(connection: socket.socket, machine: Machine) -> None:
    """Take the signals that who started the run passes on; its end ends the run, too."""
    import fcntl

    from wdbg.runtime.stop import Stop, StopKind

    connection.setblocking(False)

    def came(*_: object) -> None:
        try:
            data = connection.recv(64)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            machine.request_stop(Stop(StopKind.INTERRUPTED, "nobody is there any more"))
        for number in data:
            os.kill(os.getpid(), number)

    signal.signal(signal.SIGIO, came)
    fcntl.fcntl(connection, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(connection, fcntl.F_SETFL, fcntl.fcntl(connection, fcntl.F_GETFL) | os.O_ASYNC)
    came()
