"""A checkpoint is a forked process that sleeps on a socket (DESIGN D3).

Whoever holds the other end can wake it as often as he likes: each time it forks again, and the
copy goes on from there, with a socket of its own, while the checkpoint sleeps on. It ends when the
other end is closed, by whatever end of its holder, kill -9 included. A process forked from a
checkpoint or from a copy of one has no other way to learn of that, so each closes every descriptor
that it has inherited: one that kept a sibling's socket open would keep the sibling alive.
"""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import signal
import socket
from collections.abc import Callable

from wdbg.errors import WdbgError

Serve = Callable[[socket.socket], None]
"""What a woken copy does; it ends when that returns."""

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class CheckpointError(WdbgError):
    """A process could not be forked, or has died."""


class Checkpoint:
    """The holder's side of one."""

    def __init__(self, sock: socket.socket, pid: int = 0) -> None:
        """`pid` if it is a child of this process, which then has to bury it."""
        self._socket = sock
        self._pid = pid

    def wake(self) -> socket.socket:
        """The socket of a copy that goes on from here. CheckpointError if there is none."""
        ours, theirs = socket.socketpair()
        try:
            socket.send_fds(self._socket, [b"w"], [theirs.fileno()])
        except OSError as error:
            ours.close()
            raise CheckpointError(f"a checkpoint has died: {error.strerror}") from None
        finally:
            theirs.close()
        return ours

    def drop(self) -> None:
        """Let it end."""
        self._socket.close()
        if self._pid:
            try:
                os.waitpid(self._pid, 0)
            except ChildProcessError:
                pass
            self._pid = 0


def take(serve: Serve) -> Checkpoint:
    """Fork a checkpoint of this process; its copies do `serve`. CheckpointError if there can be no
    more processes."""
    ours, theirs = socket.socketpair()
    parent = os.getpid()
    try:
        pid = os.fork()
    except OSError as error:
        ours.close()
        theirs.close()
        raise CheckpointError(f"no checkpoint: {error.strerror}") from None
    if pid == 0:
        _never_return(lambda: _sleep(theirs, serve, parent))
    theirs.close()
    return Checkpoint(ours, pid)


def take_for(sock: socket.socket, serve: Serve) -> None:
    """Fork a checkpoint of this process, itself a copy, for whoever has sent a socket through
    `sock`: it outlives this process."""
    _, fds, _, _ = socket.recv_fds(sock, 1, 1)
    theirs = socket.socket(fileno=fds[0])
    if os.fork() == 0:
        _never_return(lambda: _sleep(theirs, serve, 0))
    theirs.close()


def ask_for(sock: socket.socket) -> Checkpoint:
    """The other side of `take_for`."""
    ours, theirs = socket.socketpair()
    socket.send_fds(sock, [b"c"], [theirs.fileno()])
    theirs.close()
    return Checkpoint(ours)


def faults() -> int:
    """Pages that this process has had to copy or to fill so far. What is added between two
    checkpoints is the memory that the first of them keeps alive, about."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def _never_return(work: Callable[[], None]) -> None:
    """A forked process does its work and ends; nothing of its parent's stack runs there."""
    status = 1
    try:
        work()
        status = 0
    finally:
        os._exit(status)


def _sleep(sock: socket.socket, serve: Serve, parent: int) -> None:
    if parent:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            return
    _isolate(sock.fileno())
    gc.disable()  # a collection writes to every object, and each page of them would be copied
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # copies end unburied
    while True:
        data, fds, _, _ = socket.recv_fds(sock, 1, 1)
        if not data:
            return
        try:
            pid = os.fork()
        except OSError:
            pid = -1  # whoever waits for the copy sees its socket close
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            sock.close()
            with socket.socket(fileno=fds[0]) as own:
                serve(own)
            return
        os.close(fds[0])


def _isolate(keep: int) -> None:
    """Put /dev/null in the place of all descriptors but one and the error output, and take no part
    in the signals of a terminal. The numbers stay taken: objects that believe to own them may
    close them at any time."""
    null = os.open(os.devnull, os.O_RDWR)
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        if fd in (2, keep, null):
            continue
        try:
            os.dup2(null, fd)
        except OSError:
            continue  # the one that listed the directory
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGWINCH, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)
