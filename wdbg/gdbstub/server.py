"""The loop of a guest under control: its slices, and the clients' packets between them.

One thread does everything. While the guest runs, `Debugger.pump` gets the time and the sockets
are looked at after each slice; while it stands still, the loop waits for the sockets alone.
"""

from __future__ import annotations

import logging
import select
import time
from collections.abc import Mapping, Sequence

from wdbg.debugger.model import Action, Debugger, Resume, StopEvent, StopReason
from wdbg.gdbstub.client import Client, PacketLog
from wdbg.gdbstub.connection import Connection
from wdbg.gdbstub.listener import REFUSAL_SECONDS, Listener
from wdbg.gdbstub.rsp import Signal

log = logging.getLogger(__name__)

CONTINUE = Action(Resume.CONTINUE)
_FAREWELL_SECONDS = 1.0
_SLICE_SECONDS = 0.01


class Server:
    """`debugger`'s guest and those who watch it, one client a listener at a time.

    The guest stands still at first if `wait` is set, else it runs. A client that attaches stops
    it. If one client resumes it, it runs for all; each stop is told to those who wait for one.
    A packet that comes while the guest runs holds it for as long as it takes to answer.
    """

    def __init__(
        self,
        debugger: Debugger,
        listeners: Sequence[Listener],
        *,
        wait: bool = False,
        packet_log: PacketLog | None = None,
    ) -> None:
        self.debugger = debugger
        self.listeners = list(listeners)
        self.clients: list[Client] = []
        self.running = False
        self.ended: StopEvent | None = None
        """How the guest ended, once it has."""
        self._packet_log = packet_log
        self._interrupting = False
        self._held = False
        """It stands still only for as long as it takes to answer."""
        self._actions: Mapping[int, Action] = {}
        self._default = CONTINUE
        for listener in self.listeners:
            listener.listen()
        if not wait:
            self.resume({}, CONTINUE)

    def run(self) -> StopEvent:
        """Serve until the guest has ended, and say how. Closes all sockets."""
        try:
            while self.ended is None:
                self.turn()
            deadline = time.monotonic() + _FAREWELL_SECONDS
            while time.monotonic() < deadline and self._owed():
                self._sockets(0.05)
            return self.ended
        finally:
            self.close()

    def _owed(self) -> bool:
        """Whether some client has yet to read its last replies."""
        return any(client.connection.wants_write for client in self.clients)

    def turn(self, patience: float | None = None) -> None:
        """A slice of the guest if it runs, then what the sockets have; waits for the sockets if
        the guest stands still, `patience` seconds at most (None: as long as it takes)."""
        if self.running:
            self._run()
        work = any(client.connection.items or client.leaving for client in self.clients)
        at_rest = not self.running and not self._held and self.ended is None
        self._sockets(patience if at_rest and not work else 0.0)
        for client in list(self.clients):
            if client.connection.items and self.ended is None and not client.connection.closed:
                self._item(client)
            if client.leaving or client.connection.closed:
                self._gone(client)
        if self._held and not any(client.connection.items for client in self.clients):
            self._held = False
            self.resume(self._actions, self._default)

    def _run(self) -> None:
        """A slice; stops that nobody wants, perhaps thousands a second, do not end it."""
        self.debugger.wake_on(self._wakers())
        deadline = time.monotonic() + _SLICE_SECONDS
        while (event := self.debugger.pump()) is not None:
            if self._stop(event) or time.monotonic() >= deadline:
                return

    def close(self) -> None:
        """Close all sockets; the guest is left as it is."""
        for client in self.clients:
            client.connection.close()
        for listener in self.listeners:
            listener.close()
        self.clients.clear()

    # ---- sockets

    def _wakers(self) -> list[int]:
        readers = [client.connection for client in self.clients if client.connection.wants_read]
        sources: list[Listener | Connection] = [*self.listeners, *readers]
        return [fd for source in sources if (fd := source.fileno()) >= 0]

    def _sockets(self, timeout: float | None) -> None:
        """Accept, read and write what is ready; wait for something for `timeout` seconds at
        most, None: as long as it takes."""
        # poll(2) keeps no state in the kernel, so the guest's forks cannot disturb it.
        poll = select.poll()
        sources: dict[int, Listener | Connection] = {}
        for listener in self.listeners:
            sources[listener.fileno()] = listener
            poll.register(listener, select.POLLIN)
            for connection, _ in listener.refused:
                sources[connection.fileno()] = connection
                poll.register(connection, select.POLLIN)
                timeout = REFUSAL_SECONDS if timeout is None else timeout
        for client in self.clients:
            connection = client.connection
            if not connection.closed:
                sources[connection.fileno()] = connection
                mask = select.POLLIN if connection.wants_read else 0
                poll.register(connection, mask | (select.POLLOUT if connection.wants_write else 0))
        for fd, ready in poll.poll(None if timeout is None else timeout * 1000):
            source = sources[fd]
            if isinstance(source, Listener):
                self._accept(source)
                continue
            if ready & select.POLLOUT:
                source.flush()
            if ready & ~select.POLLOUT and not source.closed:
                source.receive()
        for listener in self.listeners:
            listener.drop_refused()

    def _accept(self, listener: Listener) -> None:
        sock = listener.accept()
        if sock is None:
            return
        if any(client.name == listener.name for client in self.clients):
            log.info("%s: second client refused", listener.name)
            listener.refuse(sock)
            return
        log.info("%s: client attached", listener.name)
        self._halt()
        if self._held:  # whoever runs it learns that it stands still now
            self._held = False
            self._announce(self.debugger.stop_event())
        connection = Connection(sock)
        self.clients.append(
            Client(listener.name, self, connection, listener.factory, self._packet_log)
        )

    # ---- packets

    def _item(self, client: Client) -> None:
        """Handle one thing that a client has sent."""
        item = client.connection.items.popleft()
        if item is Signal.INTERRUPT and client.waits and (self.running or self._held):
            self._interrupting = True
            if self._held:
                self._held = False
                self._stop(self.debugger.stop_event())
            else:
                self.debugger.interrupt()
            return
        self._halt()
        if self.ended is None:
            client.take(item)

    def _gone(self, client: Client) -> None:
        """A client has left or vanished: the guest goes on if nobody else holds it."""
        if client not in self.clients:
            return
        log.info("%s: client left", client.name)
        self._halt()
        self.clients.remove(client)
        client.close()
        if self.ended is not None:
            return
        if not self.clients:
            self._held = False
            self.debugger.detach()
            self._mark_running({}, CONTINUE)
        elif all(other.waits for other in self.clients):
            self._held = False
            self.resume({}, CONTINUE)

    # ---- running and standing

    def resume(self, actions: Mapping[int, Action], default: Action) -> None:
        """Let the guest go on."""
        self.debugger.resume(actions, default)
        self._mark_running(actions, default)

    def _mark_running(self, actions: Mapping[int, Action], default: Action) -> None:
        self._actions, self._default = actions, default
        self._held = False
        self.running = True

    def kill(self) -> None:
        """End the guest."""
        self.debugger.kill()
        event = self.debugger.stop_event()
        while event.reason is not StopReason.EXITED:
            event = self.debugger.pump() or event
        self._stop(event)

    def _halt(self) -> None:
        """Make the guest stand still if it runs, without a word to anybody unless it stops for
        a reason of its own meanwhile."""
        if not self.running:
            return
        self.debugger.interrupt()
        while self.running:
            event = self.debugger.pump()
            if event is None:
                continue
            if event.reason is StopReason.INTERRUPT and not self._interrupting:
                self.running, self._held = False, True
            elif not self._stop(event) and self.running:
                self.debugger.interrupt()

    def _stop(self, event: StopEvent) -> bool:
        """The guest has stopped. True if that lasts."""
        self.running = False
        self._interrupting = self._interrupting and event.reason is not StopReason.INTERRUPT
        if event.reason is StopReason.EXITED:
            self.ended = event
        elif not any(client.wants(event) for client in self.clients):
            self.resume(self._actions, self._default)
            return False
        self._announce(event)
        return True

    def _announce(self, event: StopEvent) -> None:
        self._interrupting = False
        for client in self.clients:
            client.tell(event)
