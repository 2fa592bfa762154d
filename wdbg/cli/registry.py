"""The guests that run on this host, for `wdbg ps` and `wdbg attach`.

Each `wdbg run` keeps a file NAME.json with a lock on it in a directory of the user's: who can take
the lock knows that the guest is gone. A request is a file NAME.request and a SIGUSR1; the guest
looks at it at its next scheduling point, and answers on a socket that the request names. A guest
that nobody asks anything pays nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import stat
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType

from wdbg.errors import BadInput
from wdbg.instrument.cache import cache_root

REQUEST_LIMIT = 64 << 10
"""Bytes of a registration, a request or an answer."""
_MOST_GUESTS = 10_000
_ANSWER_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Entry:
    """A guest that runs."""

    name: str
    pid: int
    kernel: str
    cpus: int
    command: str
    """What --exec runs; "" for a shell."""
    started: float
    """Seconds since the epoch."""


def registry_directory() -> Path:
    """Where the files are: $XDG_RUNTIME_DIR/wdbg/run, or run/ in the cache directory."""
    base = os.environ.get("XDG_RUNTIME_DIR", "")
    return Path(base) / "wdbg" / "run" if os.path.isabs(base) else cache_root() / "run"


def open_directory() -> Path:
    """The directory, made if it is not there. OSError if it belongs to somebody else."""
    directory = registry_directory()
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = directory.stat()
    if found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o022:
        raise PermissionError(f"{directory} can be written by others")
    return directory


class Registration:
    """This process's guest in the registry, and the requests that come for it."""

    def __init__(self, kernel: Path, cpus: int, command: str) -> None:
        """OSError if the registry cannot be written."""
        self._directory = open_directory()
        self._asked = False
        for number in range(1, _MOST_GUESTS):
            self.name = f"vm{number}"
            path = self._path("json")
            try:
                self._lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except OSError:
                if path.is_dir():
                    continue
                raise
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if path.stat().st_ino == os.fstat(self._lock).st_ino:
                    break
            except OSError:
                pass
            os.close(self._lock)
        else:
            raise OSError("too many guests")
        entry = Entry(self.name, os.getpid(), str(kernel), cpus, command, time.time())
        os.ftruncate(self._lock, 0)
        os.write(self._lock, json.dumps(asdict(entry)).encode())
        self._path("request").unlink(missing_ok=True)

    def _path(self, kind: str) -> Path:
        return self._directory / f"{self.name}.{kind}"

    def on_signal(self, _number: int, _frame: FrameType | None) -> None:
        """Handler of SIGUSR1: there is a request."""
        self._asked = True

    def take_request(self) -> Request | None:
        """The request that a signal has announced, once."""
        if not self._asked:
            return None
        self._asked = False
        path = self._path("request")
        try:
            fields = json.loads(_read(path))
            path.unlink()
            return Request(
                _text(fields["gdb"]),
                _text(fields["lldb"]),
                Answer(str(fields["answer"])),
                _text(fields.get("dump")),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def close(self) -> None:
        """The guest is gone."""
        for kind in ("json", "request"):
            with contextlib.suppress(OSError):
                self._path(kind).unlink(missing_ok=True)
        os.close(self._lock)


class Answer:
    """The way back to who has asked: lines of JSON on a socket."""

    def __init__(self, path: str) -> None:
        import socket  # takes a while, and few guests are ever asked

        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(_ANSWER_SECONDS)
        with contextlib.suppress(OSError):
            self._socket.connect(path)

    def send(self, **fields: object) -> None:
        """A line; lost if nobody listens any more."""
        with contextlib.suppress(OSError):
            self._socket.sendall(json.dumps(fields).encode() + b"\n")

    def close(self) -> None:
        """The end of the answer."""
        self._socket.close()


@dataclass(frozen=True, slots=True)
class Request:
    """Somebody wants debuggers to be able to attach, or a dump."""

    gdb: str | None
    lldb: str | None
    """[HOST:]PORT each."""
    answer: Answer
    dump: str | None = None
    """Path of the dump that is wanted."""


def _text(value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise ValueError("no text")
    return value


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(REQUEST_LIMIT)


def list_guests() -> list[Entry]:
    """The guests that run, by name; files of those that are gone are removed."""
    found = []
    directory = registry_directory()
    for path in sorted(directory.glob("vm*.json"), key=lambda p: (len(p.name), p.name)):
        try:
            with path.open("rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    fields = json.loads(file.read(REQUEST_LIMIT))
                    found.append(Entry(**fields))
                    continue
                path.unlink(missing_ok=True)
        except (OSError, ValueError, TypeError):
            continue  # being made or removed
    return found


def ask(
    name: str, gdb: str | None, lldb: str | None, dump: str | None = None
) -> Iterator[dict[str, object]]:
    """Ask a guest to let debuggers attach or to write a dump; yields its answer's lines, and ends
    with them.

    BadInput if there is no such guest, or it does not answer.
    """
    import socket

    entry = next((guest for guest in list_guests() if guest.name == name), None)
    if entry is None:
        raise BadInput(f"no guest {name} runs here", "wdbg ps lists those that do")
    directory = registry_directory()
    place = directory / f"answer-{os.getpid()}"
    request = directory / f"{name}.request"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        place.unlink(missing_ok=True)
        listener.bind(str(place))
        listener.listen(1)
        listener.settimeout(_ANSWER_SECONDS)
        temporary = directory / f".{name}.{os.getpid()}"
        text = json.dumps({"gdb": gdb, "lldb": lldb, "dump": dump, "answer": str(place)})
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(request)
        os.kill(entry.pid, signal.SIGUSR1)
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            request.unlink(missing_ok=True)
            raise BadInput(f"guest {name} does not answer") from None
        with connection, connection.makefile("rb") as lines:
            connection.settimeout(None)
            for line in lines:
                yield json.loads(line)
    except OSError as error:
        raise BadInput(f"cannot ask guest {name}: {error.strerror or error}") from None
    finally:
        listener.close()
        place.unlink(missing_ok=True)


def show_answers(name: str, answers: Iterable[dict[str, object]]) -> None:
    """Print what a guest answers to `ask`. BadInput if it refuses, or ends meanwhile."""
    done = False
    for answer in answers:
        if "error" in answer:
            raise BadInput(str(answer["error"]))
        if "progress" in answer:
            print(f"wdbg: {answer['progress']}", file=sys.stderr, flush=True)
        if "line" in answer:
            print(answer["line"], flush=True)
        done = bool(answer.get("done", False))
    if not done:
        raise BadInput(f"guest {name} has ended")
