"""`wdbg run`: boot a kernel, on the terminal or for one scripted command."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from wdbg.cli.debugflags import add_debug_arguments, wanted
from wdbg.cli.dumpflags import add_dump_arguments, dump_wanted
from wdbg.cli.findings import print_findings, suppressions_of
from wdbg.cli.registry import Registration
from wdbg.cli.traceflags import add_trace_arguments, trace_wanted
from wdbg.errors import BadInput, WdbgError
from wdbg.runtime.boot import VARIANTS, BootOptions, boot
from wdbg.runtime.console import Console, StreamConsole, TerminalConsole
from wdbg.runtime.guest import default_guest
from wdbg.runtime.machine import Machine
from wdbg.runtime.stop import FINDINGS, Stop, StopKind

if TYPE_CHECKING:
    from wdbg.analysis.findings import Finding
    from wdbg.cli.tracing import TraceRequest
    from wdbg.debugger.session import Session

MAX_CPUS = 64
MIN_MEMORY, MAX_MEMORY = 24, 4095
"""MiB; a wasm32 memory ends at 4 GiB."""
SCRIPT_LIMIT = 16 << 20
"""Bytes of standard input that are typed to the guest, where that is no terminal."""

_UNSAFE = re.compile(rb"[^A-Za-z0-9_./,:;=+-]")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add = parser.add_argument
    add("kernel", nargs="?", type=Path, metavar="KERNEL",
        help="vmlinux.wasm (default: the built example guest)")  # fmt: skip
    add("--config", action="append", default=[], metavar="FRAGMENT",
        help="use the example guest built with this configuration fragment")  # fmt: skip
    add("--initrd", type=Path, metavar="FILE", help="initramfs, a newc cpio archive")
    add("--append", default="", metavar="TEXT", help="kernel command line")
    add("--cpus", type=int, default=4, metavar="N", help="virtual CPUs (default 4)")
    add("--memory", type=int, default=128, metavar="MIB", help="guest memory (default 128)")
    add("--seed", type=int, metavar="N", help="seed of the random schedule")
    add("--schedule", choices=("rr", "random"),
        help="who runs next (default: random with --seed, else round robin)")  # fmt: skip
    add("--exec", dest="command", metavar="COMMAND",
        help="run this shell command in the guest, then power off")  # fmt: skip
    add("--timeout", type=float, metavar="SECONDS", help="end the run after so much wall time")
    add("--pace", choices=("virtual", "real"),
        help="idle in no time, or as the clock goes (default: real on a terminal)")  # fmt: skip
    add("--print-hash", action="store_true", help="print the run hash at the end (stderr)")
    add("--stats", action="store_true", help="print ticks, switches and times at the end (stderr)")
    add_trace_arguments(parser)
    add_dump_arguments(parser)
    add_debug_arguments(parser)
    add("--variant", choices=tuple(VARIANTS), default="tick", help=argparse.SUPPRESS)
    add("--freeze-clock", action="store_true", help=argparse.SUPPRESS)


def percent_encode(command: str) -> str:
    """Protect what the kernel's command line parser would split or drop (spaces, quotes ...)."""
    return _UNSAFE.sub(lambda m: b"%%%02X" % m[0][0], command.encode()).decode()


def run(args: argparse.Namespace) -> int:
    """Boot and run to the end."""
    if not 1 <= args.cpus <= MAX_CPUS:
        raise BadInput(f"--cpus {args.cpus}: 1 to {MAX_CPUS} virtual CPUs are possible")
    if not MIN_MEMORY <= args.memory <= MAX_MEMORY:
        raise BadInput(f"--memory {args.memory}: {MIN_MEMORY} to {MAX_MEMORY} MiB are possible")
    if args.seed is not None and not 0 <= args.seed < 1 << 64:
        raise BadInput(f"--seed {args.seed}: 0 to 2^64-1 are possible")
    if args.timeout is not None and not args.timeout > 0:
        raise BadInput(f"--timeout {args.timeout}: more than 0 seconds are needed")
    kernel, initrd = args.kernel, args.initrd
    if kernel is None:
        guest = default_guest(args.config)
        kernel, initrd = guest.kernel, initrd or guest.initrd
    elif args.config:
        raise BadInput("--config chooses an example guest: it cannot go with KERNEL")
    append = args.append
    if args.command is not None:
        append = f"{append} WDBG_EXEC={percent_encode(args.command)}".strip()
    trace: TraceRequest | None = None
    suppressions = suppressions_of(args)
    if trace_wanted(args):
        from wdbg.cli.tracing import TraceRequest

        trace = TraceRequest.of(args, kernel)
    options = BootOptions(
        kernel=kernel,
        initrd=initrd,
        command_line=append,
        cpus=args.cpus,
        memory=args.memory << 20,
        seed=args.seed,
        schedule=args.schedule or ("rr" if args.seed is None else "random"),
        variant=args.variant,
        frozen_clock=args.freeze_clock,
        recording=None if trace is None else trace.recording,
    )
    dump = dump_wanted(args)
    if dump is not None:
        options = dump.prepare(options)
    sys.stdout.flush()
    if wanted(args):
        if trace is not None:
            raise BadInput("--trace and --check cannot go with --gdb or --lldb yet")
        return _run_debugged(args, options)
    console = _console(args)
    registration: Registration | None = None
    say = partial(_say, console=console)
    session: Session | None = None
    findings: list[Finding] = []

    def current() -> Machine:
        return machine if session is None else session.machine

    def follow(found: Session) -> None:
        nonlocal session
        session = found

    try:
        machine = boot(options, console)
        if trace is not None:
            trace.start(machine, options)
        dumper = None
        if dump is not None:
            from wdbg.cli.dumping import Dumper

            dumper = Dumper(dump, machine, say)
        registration = _register(options, args.command or "")
        _handle_signals(current, args.timeout, registration)
        if console.interactive:
            machine.request_resize()
        while (stop := machine.run()) is None:
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
            findings = trace.finish(machine, stop)
        if dumper is not None:
            dumper.ended(current(), stop, args.trace)
    finally:
        console.close()
        if registration is not None:
            registration.close()
    status = _finish(args, current(), stop)
    if args.check is None:
        return status
    found = print_findings(findings, suppressions, generate=args.gen_suppressions, file=sys.stderr)
    return status or found


def _run_debugged(args: argparse.Namespace, options: BootOptions) -> int:
    """The same with ports where debuggers attach."""
    from wdbg.cli.debugging import DebugRequest, attach_lines, make_session, serve

    request = DebugRequest.of(args)
    request.check(options)
    options = replace(options, variant="debug")
    listeners = request.listen()
    lines = attach_lines(listeners, options.kernel)
    console = _console(args)
    registration: Registration | None = None
    say = partial(_say, console=console)
    try:
        session = make_session(boot(options, console), options)
        registration = _register(options, args.command or "")
        _handle_signals(lambda: session.machine, args.timeout, registration)
        if console.interactive:
            session.machine.request_resize()
        for line in lines:
            say(line)
        stop = serve(session, listeners, wait=request.wait, say=say, registration=registration)
    finally:
        console.close()
        if registration is not None:
            registration.close()
    return _finish(args, session.machine, stop)


def _register(options: BootOptions, command: str) -> Registration | None:
    """Make the guest known to `wdbg ps`; a directory that cannot be written is no reason not to
    run."""
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # a request must not end it
    try:
        return Registration(options.kernel, options.cpus, command)
    except (OSError, WdbgError):
        return None


def _console(args: argparse.Namespace) -> Console:
    if args.command is not None:
        return StreamConsole(1)
    if os.isatty(0) and os.isatty(1):
        return TerminalConsole(0, 1, real=args.pace != "virtual")
    return StreamConsole(1, _read_script())


def _read_script() -> bytes:
    """Standard input to its end: what will be typed."""
    script = sys.stdin.buffer.read(SCRIPT_LIMIT + 1)
    if len(script) > SCRIPT_LIMIT:
        raise BadInput(f"standard input: a script of more than {SCRIPT_LIMIT} bytes")
    return script


def _handle_signals(
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


def _finish(args: argparse.Namespace, machine: Machine, stop: Stop) -> int:
    """Say how the run ended; returns the exit status."""
    for trap in machine.traps:
        _say(f"trap in the kernel: {trap.message}")
        _show_frames(trap)
    if stop.kind in FINDINGS:
        _say(f"{stop.kind.value}: {stop.message}")
        _show_frames(stop)
        if stop.kind in (StopKind.HANG, StopKind.TIMEOUT):
            _show_cpus(machine)
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
