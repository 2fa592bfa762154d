"""The seam between the server, which owns sockets and the loop, and a client's dialect.

A dialect is made for each client that attaches. All its methods are called while the guest
stands still.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from wdbg.debugger.model import Action, Debugger, StopEvent


class Session(Protocol):
    """What a dialect may ask of the server on its client's behalf."""

    @property
    def debugger(self) -> Debugger:
        """The guest under control."""

    def send(self, payload: bytes) -> None:
        """A packet besides the reply, such as console output (`O`) while the client waits."""

    def end_acknowledgements(self) -> None:
        """No-ack mode, from after the reply to the packet in hand."""

    def resume(self, actions: Mapping[int, Action], default: Action) -> None:
        """Let the guest go on. `handle` returns None then; the next stop comes to `stopped`."""

    def detach(self) -> None:
        """The client leaves, after the reply to the packet in hand."""

    def kill(self) -> None:
        """End the guest, after the reply to the packet in hand."""


class Dialect(Protocol):
    """One client's view of the guest."""

    def handle(self, packet: bytes) -> bytes | None:
        """The reply to a packet; b"" for what is not understood, None for none (yet). A
        DebugError or WdbgError becomes `error`."""

    def wants(self, event: StopEvent) -> bool:
        """Whether this client asked for such a stop: not so for another client's breakpoint or
        a condition that does not hold. A stop that nobody wants does not last."""

    def stopped(self, event: StopEvent) -> bytes:
        """The stop reply for a client that has resumed the guest. May `send` packets before."""

    def noticed(self, event: StopEvent) -> None:
        """The guest has stopped again, resumed by another client, while this one did not wait
        for a stop."""

    def error(self, message: str) -> bytes:
        """The reply that says that a packet failed, and why."""

    def closed(self) -> None:
        """The client is gone: take back its breakpoints and watchpoints."""


DialectFactory = Callable[[Session], Dialect]
