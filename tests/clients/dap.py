"""A small client of the Debug Adapter Protocol, for lldb-dap."""

import json
import os
import selectors
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.clients.lldb import program

DEADLINE = 90.0
Message = dict[str, Any]


class Adapter:
    """lldb-dap as an editor runs it: one session over its standard streams."""

    def __init__(self, log: Path) -> None:
        self._log = log.open("wb")
        self._process = subprocess.Popen(
            [program("lldb-dap-22")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log,
        )  # fmt: skip
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        os.set_blocking(self._stdout.fileno(), False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._stdout, selectors.EVENT_READ)
        self._rest = b""
        self._sequence = 0
        self.seen: list[Message] = []
        """All messages from the adapter, in order."""
        self._answered: set[int] = set()

    # ---- messages

    def post(self, command: str, **arguments: object) -> int:
        """Send a request; its number, for `answer`."""
        self._sequence += 1
        request = {
            "seq": self._sequence,
            "type": "request",
            "command": command,
            "arguments": arguments,
        }
        body = json.dumps(request).encode()
        self._stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        self._stdin.flush()
        return self._sequence

    def answer(self, number: int) -> Message:
        """The response to a request, which must be a success."""
        found = self.wait(lambda m: m["type"] == "response" and m["request_seq"] == number, since=0)
        assert found["success"], found
        body = found.get("body") or {}
        assert isinstance(body, dict)
        return body

    def ask(self, command: str, **arguments: object) -> Message:
        """A request and its response's body."""
        return self.answer(self.post(command, **arguments))

    def event(self, name: str, since: int) -> Message:
        """The first such event that is not among the first `since` messages seen."""
        found = self.wait(lambda m: m["type"] == "event" and m["event"] == name, since)
        body = found.get("body") or {}
        assert isinstance(body, dict)
        return body

    def resume(self, command: str, **arguments: object) -> Message:
        """Let the guest go on, and give the stop that follows."""
        since = len(self.seen)
        self.ask(command, **arguments)
        return self.event("stopped", since)

    def wait(self, wanted: Callable[[Message], bool], since: int) -> Message:
        """The first message after `since` others that is wanted."""
        deadline = time.monotonic() + DEADLINE
        while True:
            for message in self.seen[since:]:
                if wanted(message):
                    return message
            since = len(self.seen)
            left = deadline - time.monotonic()
            assert left > 0, f"no such message; seen: {self.seen[-10:]}"
            self._selector.select(left)
            self._receive()

    def _receive(self) -> None:
        data = self._stdout.read()
        if data is None:
            return
        assert data, f"lldb-dap has ended: {self.seen[-10:]}"
        self._rest += data
        while b"\r\n\r\n" in self._rest:
            header, _, rest = self._rest.partition(b"\r\n\r\n")
            length = int(header.partition(b":")[2])
            if len(rest) < length:
                return
            self.seen.append(json.loads(rest[:length]))
            self._rest = rest[length:]

    # ---- what a person does in an editor

    def stack(self, thread: int) -> list[Message]:
        """A thread's frames, innermost first."""
        frames = self.ask("stackTrace", threadId=thread)["stackFrames"]
        assert isinstance(frames, list)
        return frames

    def locals(self, frame: int) -> dict[str, str]:
        """Variables of a frame by name."""
        scopes = self.ask("scopes", frameId=frame)["scopes"]
        (scope,) = (scope for scope in scopes if scope["name"] == "Locals")
        found = self.ask("variables", variablesReference=scope["variablesReference"])
        return {row["name"]: row["value"] for row in found["variables"]}

    @property
    def console(self) -> str:
        """What the adapter has printed."""
        return "".join(
            str(message["body"]["output"])
            for message in self.seen
            if message["type"] == "event" and message["event"] == "output"
        )

    def end(self) -> None:
        """Whatever state it is in."""
        self._selector.close()
        self._process.kill()
        self._process.wait()
        self._stdin.close()
        self._stdout.close()
        self._log.close()
