"""The guest under the control of debuggers: ports, sessions, the loop that serves them."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from symbols.shadow.addresses import MEMORY_LIMIT
from wdbg.cli.dumping import answer_dump
from wdbg.cli.registry import Registration, Request
from wdbg.debugger.levels import Keep, Level, Past
from wdbg.debugger.model import ModuleInfo
from wdbg.debugger.replaying import recorded_end, recorded_place
from wdbg.debugger.rewind import bring_to
from wdbg.debugger.session import Session
from wdbg.debugger.timeline import Timeline
from wdbg.errors import BadInput, WdbgError
from wdbg.gdbstub.attach import gdb_line, lldb_line
from wdbg.gdbstub.gdb.dialect import gdb_dialect
from wdbg.gdbstub.listener import Address, Listener
from wdbg.gdbstub.lldb.dialect import lldb_dialect
from wdbg.gdbstub.lldb.modules import prepare
from wdbg.gdbstub.server import Server
from wdbg.gdbstub.shadowelf import open_shadow_elf
from wdbg.runtime.boot import BootOptions, boot
from wdbg.runtime.console import StreamConsole
from wdbg.runtime.journal import Position
from wdbg.runtime.machine import Machine
from wdbg.runtime.recording import Recording
from wdbg.runtime.stop import Stop, StopKind
from wdbg.runtime.symbolindex import open_index

log = logging.getLogger(__name__)

PROGRESS_SECONDS = 1.0
"""Seconds between two words on how far a guest is that runs again."""
PATIENCE = 0.25
"""Seconds between two looks at requests to end, while the guest stands still."""


@dataclass(frozen=True, slots=True)
class DebugRequest:
    """Where debuggers may attach."""

    gdb: Address | None
    lldb: Address | None
    wait: bool = False

    @classmethod
    def of(cls, args: argparse.Namespace) -> DebugRequest:
        """What the flags ask for. BadInput for what cannot be."""
        return cls.parse(args.gdb, args.lldb, wait=args.wait)

    @classmethod
    def parse(cls, gdb: str | None, lldb: str | None, *, wait: bool = False) -> DebugRequest:
        """From the ports' texts. BadInput for what cannot be."""
        if gdb is None and lldb is None:
            raise BadInput("no debugger could attach", "give --gdb PORT or --lldb PORT")
        return cls(
            None if gdb is None else Address.parse(gdb),
            None if lldb is None else Address.parse(lldb),
            wait,
        )

    def check(self, options: BootOptions) -> None:
        """BadInput if that guest cannot be debugged."""
        if self.gdb is not None and options.memory > MEMORY_LIMIT:
            raise BadInput(
                f"--memory {options.memory >> 20}: GDB's address space has room for "
                f"{MEMORY_LIMIT >> 20} MiB"
            )

    def listen(self) -> list[Listener]:
        """Open the ports. BadInput if one is taken."""
        listeners = []
        if self.gdb is not None:
            listeners.append(Listener("gdb", self.gdb, gdb_dialect(_shadow)))
        if self.lldb is not None:
            listeners.append(Listener("lldb", self.lldb, lldb_dialect()))
        return listeners


def _shadow(module: ModuleInfo) -> Path | None:
    """The shadow ELF of a module; a module without one has no symbols in GDB."""
    if module.path is None:
        return None
    try:
        return open_shadow_elf(module.path, module.number)
    except WdbgError as error:
        print(f"wdbg: {error.message}\r", file=sys.stderr)
        return None


def attach_lines(listeners: list[Listener], kernel: Path) -> list[str]:
    """What to type to attach, a line for each port."""
    lines = []
    for listener in listeners:
        if listener.name == "gdb":
            elf = _shadow(ModuleInfo(0, kernel.stem, kernel, 0, 0, 0, 0))
            lines.append(gdb_line(listener.address, elf))
        else:
            prepare(kernel)
            lines.append(lldb_line(listener.address, kernel))
    return lines


def schedule_text(options: BootOptions) -> str:
    """Who runs next, in words."""
    if options.schedule == "random":
        return f"random, seed {options.seed or 0}"
    return "round robin"


def boot_silent(
    options: BootOptions, variant: str, again: Callable[[Machine], None] | None = None
) -> Machine:
    """A guest of another variant that nobody sees; `again` is done to it before it runs."""
    machine = boot(replace(options, variant=variant), StreamConsole(None))
    if again is not None:
        again(machine)
    return machine


def make_session(
    machine: Machine,
    options: BootOptions,
    again: Callable[[Machine], None] | None = None,
    level: Level = Level.DEBUG,
) -> Session:
    """A session that knows the kernel's symbols, as far as there are any."""

    def rebuild(
        old: Machine, variant: str, place: Position, keep: Keep | None = None,
        past: Past | None = None,
    ) -> Machine:  # fmt: skip
        fresh = partial(boot_silent, options, variant, again)
        return bring_to(old, fresh, place, keep=keep, past=past)

    symbols = None
    try:
        index = open_index(options.kernel)
        symbols = index if index.has_dwarf else None
    except WdbgError as error:
        print(f"wdbg: {error.message}\r", file=sys.stderr)
    return Session(machine, symbols, schedule_text(options), rebuild, level)


def make_timeline(
    machine: Machine,
    options: BootOptions,
    again: Callable[[Machine], None] | None = None,
    recording: Recording | None = None,
    level: Level = Level.DEBUG,
) -> Timeline:
    """A session with a past; with `recording`, of a machine that follows it."""
    session = make_session(machine, options, again, level)
    if recording is None:
        return Timeline(session)
    end = recorded_place(recording), recorded_end(recording)
    return Timeline(session, recording.journal.interventions, end)


def serve(
    session: Timeline,
    listeners: list[Listener],
    *,
    wait: bool,
    say: Callable[[str], None],
    registration: Registration | None,
) -> Stop:
    """Run the guest to its end, with debuggers in control of it whenever they want."""
    packet_log = _packet_log(os.environ.get("WDBG_PACKETS"))
    server = Server(session, listeners, wait=wait, packet_log=packet_log)
    say("ready for debuggers")
    while server.ended is None:
        server.turn(PATIENCE)
        if not server.running:
            session.machine.console.look()
            if session.machine.console.left():
                session.machine.request_stop(Stop(StopKind.INTERRUPTED, "left"))
        if session.machine.asked_to_stop and not server.running and server.ended is None:
            server.kill()
        request = registration.take_request() if registration is not None else None
        if request is not None and request.dump is not None:
            answer_dump(request, session.machine)
        elif request is not None:
            _more_ports(server, session, request)
    server.run()
    session.close()
    stop = session.machine.stop
    assert stop is not None
    return stop


def _more_ports(server: Server, session: Timeline, request: Request) -> None:
    """Somebody asks for ports of a guest that debuggers can attach to already."""
    taken = {listener.name for listener in server.listeners}
    try:
        wanted = DebugRequest.parse(request.gdb, request.lldb)
        if (wanted.gdb is not None and "gdb" in taken) or (
            wanted.lldb is not None and "lldb" in taken
        ):
            raise BadInput(f"that guest has a port for it: {', '.join(sorted(taken))}")
        opened = wanted.listen()
    except WdbgError as error:
        request.answer.send(error=error.message)
    else:
        kernel = session.probes.modules[0].path
        assert kernel is not None
        for line in attach_lines(opened, kernel):
            request.answer.send(line=line)
        server.listeners += opened
        request.answer.send(done=True)
    request.answer.close()


def serve_request(
    request: Request,
    machine: Machine,
    options: BootOptions,
    *,
    follow: Callable[[Timeline], None],
    say: Callable[[str], None],
    registration: Registration,
) -> Stop | None:
    """Bring a guest that runs without stop points to the variant that has them, and serve it to
    its end; `follow` is told of the session that has its machine. None if that is not possible:
    it goes on as it was."""
    answer = request.answer
    last = 0.0

    def progress(what: str, fraction: float, elapsed: float) -> None:
        nonlocal last
        if elapsed - last > PROGRESS_SECONDS:
            last = elapsed
            answer.send(progress=f"running again: {what}, {fraction:.0%}")

    listeners: list[Listener] = []
    try:
        wanted = DebugRequest.parse(request.gdb, request.lldb)
        wanted.check(options)
        listeners = wanted.listen()
        lines = attach_lines(listeners, options.kernel)
        answer.send(progress="bringing the guest to the variant with stop points")
        place = Position(machine.moment())
        debugged = bring_to(machine, partial(boot_silent, options, "debug"), place, progress)
    except WdbgError as error:
        for listener in listeners:
            listener.close()
        answer.send(error=error.message)
        answer.close()
        return None
    options = replace(options, variant="debug")
    session = make_timeline(debugged, options)
    follow(session)
    for line in lines:
        answer.send(line=line)
    answer.send(done=True)
    answer.close()
    return serve(session, listeners, wait=False, say=say, registration=registration)


def _packet_log(path: str | None) -> Callable[[str, str, bytes], None] | None:
    """A log of all packets in the file that the environment names, for those who debug us."""
    if not path:
        return None
    # open as long as the run, which has no end that this could be tied to
    file = open(path, "a", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115

    def write(name: str, direction: str, payload: bytes) -> None:
        print(name, direction, payload.decode("latin-1")[:2000], file=file, flush=True)

    return write
