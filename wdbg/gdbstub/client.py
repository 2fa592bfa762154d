"""A peer that is attached: its connection, its dialect, and what it believes of the guest."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Protocol

from wdbg.debugger.model import Action, DebugError, Debugger, Resume, StopEvent
from wdbg.errors import WdbgError
from wdbg.gdbstub.connection import Connection
from wdbg.gdbstub.dialect import DialectFactory
from wdbg.gdbstub.rsp import Packet, Signal

log = logging.getLogger(__name__)

PacketLog = Callable[[str, str, bytes], None]
"""Called with the listener's name, "<-" or "->", and a payload."""


class Control(Protocol):
    """What a client asks of the server."""

    debugger: Debugger

    def resume(self, actions: Mapping[int, Action], default: Action) -> None:
        """Let the guest go on."""

    def kill(self) -> None:
        """End the guest."""


class Client:
    """One peer; this is its dialect's Session."""

    def __init__(
        self,
        name: str,
        control: Control,
        connection: Connection,
        factory: DialectFactory,
        packet_log: PacketLog | None,
    ) -> None:
        self.name = name
        """Of the port where it came."""
        self.connection = connection
        self.waits = False
        """It believes that the guest runs: a stop reply is to come."""
        self.leaving = False
        """It has said goodbye."""
        self._control = control
        self._quiet = False
        self._log = packet_log
        self.dialect = factory(self)

    # ---- Session

    @property
    def debugger(self) -> Debugger:
        """The guest under control."""
        return self._control.debugger

    def send(self, payload: bytes) -> None:
        """A packet, whatever for."""
        if self._log is not None:
            self._log(self.name, "->", payload)
        self.connection.send(payload)

    def end_acknowledgements(self) -> None:
        """No-ack mode from after the reply to the packet in hand."""
        self._quiet = True

    def resume(self, actions: Mapping[int, Action], default: Action) -> None:
        """Let the guest go on. DebugError if that would move no task that exists."""
        if default.how is Resume.STOPPED and not any(
            action.how is not Resume.STOPPED and self.debugger.thread(tid) is not None
            for tid, action in actions.items()
        ):
            raise DebugError("no such thread")
        self._control.resume(actions, default)
        self.waits = True

    def detach(self) -> None:
        """The client leaves after the reply."""
        self.leaving = True

    def kill(self) -> None:
        """The guest ends."""
        self.leaving = True
        self._control.kill()

    # ---- for the server

    def take(self, item: Packet | Signal) -> None:
        """Handle one packet while the guest stands still, and reply."""
        if isinstance(item, Packet):
            if self._log is not None:
                self._log(self.name, "<-", item.payload)
            reply = self._answer(item.payload)
        elif item is Signal.INTERRUPT:
            reply = None  # it has crossed a stop reply on its way
        else:
            reply = self.dialect.error(f"packet is {item.value}")
        if reply is not None:
            self.send(reply)
        if self._quiet:
            self.connection.acknowledges = False

    def _answer(self, packet: bytes) -> bytes | None:
        try:
            return self.dialect.handle(packet)
        except (DebugError, WdbgError) as error:
            return self.dialect.error(str(error))
        except Exception:
            # A packet must not end a run that may have taken hours.
            log.exception("%s: packet %r", self.name, packet[:200])
            return self.dialect.error("internal error of wdbg")

    def tell(self, event: StopEvent) -> None:
        """The guest has stopped for longer."""
        try:
            if self.waits:
                self.waits = False
                self.send(self.dialect.stopped(event))
            else:
                self.dialect.noticed(event)
        except Exception:
            log.exception("%s: stop %r", self.name, event)
            self.connection.close()

    def wants(self, event: StopEvent) -> bool:
        """Whether it has asked for such a stop."""
        try:
            return self.dialect.wants(event)
        except Exception:
            log.exception("%s: stop %r", self.name, event)
            return True

    def close(self) -> None:
        """Take its breakpoints back and end the connection."""
        self.connection.flush()
        self.connection.close()
        try:
            self.dialect.closed()
        except Exception:
            log.exception("%s: leaving", self.name)
