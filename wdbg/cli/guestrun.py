"""A guest from its first instruction to its end: console, signals, debuggers, trace, recording."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from wdbg.cli.debugflags import wanted
from wdbg.cli.findings import print_findings
from wdbg.cli.hangs import arm, show_hang
from wdbg.cli.registry import Registration
from wdbg.errors import BadInput, WdbgError
from wdbg.runtime.boot import BootOptions, boot
from wdbg.runtime.console import Console
from wdbg.runtime.machine import Machine
from wdbg.runtime.stop import FINDINGS, Stop, StopKind

if TYPE_CHECKING:
    from wdbg.analysis.findings import Finding
    from wdbg.analysis.suppressions import Suppressions
    from wdbg.cli.dumpflags import DumpRequest
    from wdbg.cli.tracing import TraceRequest
    from wdbg.debugger.timeline import Timeline
    from wdbg.runtime.recording import Recording


def _nothing(_machine: Machine) -> None:
    """A run that is neither recorded nor replayed."""


def _nothing_found(_machine: Machine) -> list[Finding]:
    """No check works inside this process."""
    return []


def _run(machine: Machine) -> Stop | None:
    return machine.run()


@dataclass(frozen=True, slots=True)
class Start:
    """What is booted, and what is done to each fresh machine."""

    options: BootOptions
    live: Callable[[Machine], None] = _nothing
    """To the first one."""
    again: Callable[[Machine], None] = _nothing
    """To those that run the same again in another variant, before they run."""
    drive: Callable[[Machine], Stop | None] = _run
    """Runs the machine; None: it has been asked to pause."""
    recording: Recording | None = None
    """What the machine follows."""
    to: str = ""
    """A place to go to before a debugger comes; "": the beginning."""
    found: Callable[[Machine], list[Finding]] = _nothing_found
    """What the checks that work inside this process have found, at the end."""
    registers: bool = True
    """It is to be seen by `wdbg ps`."""
    patience: float = 0.0
    """Virtual seconds after which a watchdog takes a task for stuck; 0: there is none."""


def run_guest(
    args: argparse.Namespace,
    start: Start,
    trace: TraceRequest | None,
    open_console: Callable[[], Console],
    suppressions: Suppressions,
    dump: DumpRequest | None = None,
) -> int:
    """Boot and run to the end; returns the exit status."""
    options = start.options
    if wanted(args):
        if trace is not None and trace.checks:
            raise BadInput("--check cannot go with --gdb or --lldb yet")
        return _run_debugged(args, start, trace, open_console)
    console = open_console()
    registration: Registration | None = None
    say = partial(_say, console=console)
    session: Timeline | None = None
    findings: list[Finding] = []

    def current() -> Machine:
        return machine if session is None else session.machine

    def follow(found: Timeline) -> None:
        nonlocal session
        session = found

    try:
        machine = boot(options, console)
        arm(machine, options, start.patience)
        start.live(machine)
        if trace is not None:
            trace.start(machine, options)
        dumper = None
        if dump is not None:
            from wdbg.cli.dumping import Dumper

            dumper = Dumper(dump, machine, say)
        registration = _register(options, args) if start.registers else None
        handle_signals(current, args.timeout, registration)
        if console.interactive:
            machine.request_resize()
        while (stop := start.drive(machine)) is None:
            if dumper is not None:
                dumper.paused(machine)
            request = registration.take_request() if registration is not None else None
            if request is not None and request.dump is not None:
                from wdbg.cli.dumping import answer_dump

                answer_dump(request, machine)
            elif request is not None and registration is not None:
                from wdbg.cli.debugging import serve_request

                stop = serve_request(
                    request, machine, options, follow=follow, say=say, registration=registration
                )
                if stop is not None:
                    break
        if trace is not None:
            findings = trace.finish(current(), stop)
            if findings and not args.gen_suppressions:
                from wdbg.cli.stacks import again, fill_stacks

                findings = fill_stacks(findings, again(options, machine.journal))
        findings = [*findings, *start.found(current())]
        if dumper is not None:
            dumper.ended(current(), stop, args.trace)
    finally:
        console.close()
        if registration is not None:
            registration.close()
    recorded = args.trace if trace is not None and "lock" in trace.events else None
    status = finish(args, current(), stop, recorded)
    if args.check is None:
        return status
    found = print_findings(findings, suppressions, generate=args.gen_suppressions, file=sys.stderr)
    return status or found


def _run_debugged(
    args: argparse.Namespace,
    start: Start,
    trace: TraceRequest | None,
    open_console: Callable[[], Console],
) -> int:
    """The same with ports where debuggers attach."""
    from wdbg.cli.debugging import DebugRequest, attach_lines, make_timeline, serve

    request = DebugRequest.of(args)
    request.check(start.options)
    options = start.options
    if options.variant in ("tick", "plain"):
        options = replace(options, variant="debug")
    listeners = request.listen()
    lines = attach_lines(listeners, options.kernel)
    console = open_console()
    registration: Registration | None = None
    say = partial(_say, console=console)
    try:
        machine = boot(options, console)
        arm(machine, options, start.patience)
        start.live(machine)
        if trace is not None:
            trace.start(machine, options)
        session = make_timeline(machine, options, start.again, start.recording)
        registration = _register(options, args) if start.registers else None
        handle_signals(lambda: session.machine, args.timeout, registration)
        if console.interactive:
            session.machine.request_resize()
        for line in lines:
            say(line)
        if start.to:
            from wdbg.cli.goto import Goal, go

            go(session, Goal.parse(start.to))
        wait = request.wait or start.recording is not None
        stop = serve(session, listeners, wait=wait, say=say, registration=registration)
        if trace is not None:
            trace.finish(session.machine, stop)
    finally:
        console.close()
        if registration is not None:
            registration.close()
    return finish(args, session.machine, stop)


def _register(options: BootOptions, args: argparse.Namespace) -> Registration | None:
    """Make the guest known to `wdbg ps`; a directory that cannot be written is no reason not to
    run."""
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # a request must not end it
    try:
        return Registration(options.kernel, options.cpus, args.command or "")
    except (OSError, WdbgError):
        return None


def handle_signals(
    current: Callable[[], Machine], timeout: float | None, registration: Registration | None
) -> None:
    """`current` is the machine that runs: another variant can take over."""

    def on_signal(number: int, _frame: FrameType | None) -> None:
        machine = current()
        if number == signal.SIGALRM:
            machine.request_stop(Stop(StopKind.TIMEOUT, f"not done after {timeout:g} s"))
        else:
            machine.request_stop(
                Stop(StopKind.INTERRUPTED, signal.Signals(number).name, signal=number)
            )

    def on_request(number: int, frame: FrameType | None) -> None:
        if registration is not None:
            registration.on_signal(number, frame)
            current().pause()

    def on_resize(_number: int, _frame: FrameType | None) -> None:
        current().request_resize()

    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGUSR1, on_request)
    if current().console.interactive:
        signal.signal(signal.SIGWINCH, on_resize)
    if timeout is not None:
        signal.signal(signal.SIGALRM, on_signal)
        signal.setitimer(signal.ITIMER_REAL, timeout)


def _say(text: str, console: Console | None = None) -> None:
    """A line on stderr; a terminal in raw mode, which `console` may hold, wants a return too."""
    end = "\r\n" if console is not None and console.interactive else "\n"
    print(f"wdbg: {text}", file=sys.stderr, end=end, flush=True)


def finish(
    args: argparse.Namespace, machine: Machine, stop: Stop, trace: Path | None = None
) -> int:
    """Say how the run ended; returns the exit status. `trace`: one with events of locks."""
    if machine.recorder is not None:
        machine.recorder.finish(stop)
    for trap in machine.traps:
        _say(f"trap in the kernel: {trap.message}")
        _show_frames(trap)
    if stop.kind is StopKind.DIVERGED:
        raise WdbgError(stop.message)
    if stop.kind is StopKind.HANG and machine.options is not None:
        if not show_hang(machine, machine.options, stop, trace, _say):
            _show_cpus(machine)
    elif stop.kind in FINDINGS:
        _say(f"{stop.kind.value}: {stop.message}")
        _show_frames(stop)
        if stop.kind is StopKind.TIMEOUT:
            _show_cpus(machine)
    if stop.kind is StopKind.RECORDED:
        _say(f"tick {machine.ticks}: {stop.message}")
    if args.stats:
        _say(
            f"{machine.ticks} ticks, {machine.now() / 1e9:.6f} s of virtual time, "
            f"{machine.switches} context switches, {machine.quanta} quanta, "
            f"{machine.host_calls} host calls"
        )
    if args.print_hash:
        _say(f"run hash {machine.digest(memory=True)}")
    if stop.exit_code:
        _say(f"the command ended with status {stop.exit_code}")
    if stop.kind in FINDINGS or machine.traps or stop.exit_code:
        return 1
    if stop.kind is StopKind.INTERRUPTED and stop.signal:
        return 128 + stop.signal
    return 0


def _show_frames(stop: Stop) -> None:
    for frame in stop.frames:
        print(f"    {frame}", file=sys.stderr)


def _show_cpus(machine: Machine) -> None:
    for cpu in machine.online():
        if cpu.task is not None:
            state = "running" if cpu.ready else "idle"
            _say(f"CPU {cpu.number} {state}: task {cpu.task.name}")
            for frame in machine.abi.backtrace(cpu.task):
                print(f"    {frame}", file=sys.stderr)
