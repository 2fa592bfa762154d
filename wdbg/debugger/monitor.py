"""`monitor` commands: what debuggers pass through without understanding it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from wdbg.debugger.model import DebugError
from wdbg.dump.container import is_dump
from wdbg.dump.file import write_dump
from wdbg.dump.snapshot import Snapshot
from wdbg.errors import WdbgError
from wdbg.linux.dmesg import read_log
from wdbg.linux.image import Corrupt, Unknown

if TYPE_CHECKING:
    from wdbg.debugger.session import Session


def run(session: Session, command: str) -> str:
    """The output of a command. DebugError for one that does not exist."""
    name, _, rest = command.strip().partition(" ")
    found = COMMANDS.get(name or "help")
    if found is None:
        raise DebugError(f"monitor {name}: no such command; monitor help lists them")
    return found[0](session, rest.strip())


def _tasks(session: Session, _rest: str) -> str:
    """all tasks: pid, CPU, state, name"""
    lines = [f"{'tid':>10} {'pid':>6} {'cpu':>3}  {'state':<20} name"]
    for thread in session.threads():
        cpu = "" if thread.cpu is None else str(thread.cpu)
        state = thread.detail or thread.state.value
        lines.append(f"{thread.tid:>10} {thread.pid:>6} {cpu:>3}  {state:<20} {thread.name}")
    return "\n".join(lines) + "\n"


def _cpus(session: Session, _rest: str) -> str:
    """the virtual CPUs: what each does, and where"""
    lines = []
    by_cpu = {t.cpu: t for t in session.threads() if t.cpu is not None}
    for cpu in session.machine.online():
        thread = by_cpu.get(cpu.number)
        if thread is None:
            continue
        frames = session.frames(thread.tid)
        place = f" in {frames[0].function}" if frames else ""
        state = "runs" if cpu.ready else "waits"
        lines.append(f"CPU {cpu.number} {state}: {thread.name} ({thread.tid}){place}")
    return "\n".join(lines) + "\n"


def _tick(session: Session, _rest: str) -> str:
    """where the run stands: ticks, virtual time"""
    machine = session.machine
    return f"tick {machine.ticks}, {machine.now() / 1e9:.9f} s of virtual time\n"


def _seed(session: Session, _rest: str) -> str:
    """the schedule of this run"""
    return f"{session.schedule}\n"


def _dmesg(session: Session, _rest: str) -> str:
    """the kernel's log"""
    image = session.view.image
    if image is None:
        raise DebugError("the kernel has no DWARF: where its log lies is not known")
    try:
        return "".join(f"{line}\n" for line in read_log(image))
    except (Corrupt, Unknown) as error:
        raise DebugError(f"the kernel's log cannot be read: {error}") from None


def _locks(session: Session, _rest: str) -> str:
    """who waits for which lock, who holds it, and what is wrong with that"""
    from wdbg.analysis.hang import locks_text  # takes a while to load
    from wdbg.dump.snapshot import Snapshot

    if session.view.image is None:
        raise DebugError("the kernel has no DWARF: its locks are not known")
    return locks_text(Snapshot.of_machine(session.machine)) + "\n"


def _dump(session: Session, rest: str) -> str:
    """NAME: the guest's state as a file in the directory where it was started"""
    path = Path(rest)
    # Whoever can connect is no reason to let them write elsewhere, or over something else.
    if not rest or path.name != rest or (path.exists() and not is_dump(path)):
        raise DebugError("monitor dump NAME: a new file's name, or that of a dump")
    try:
        write_dump(path, Snapshot.of_machine(session.machine))
    except WdbgError as error:
        raise DebugError(error.message) from None
    return f"wrote {path.absolute()}\n"


def _help(_session: Session, _rest: str) -> str:
    """this list"""
    return "".join(f"{name:<10} {function.__doc__}\n" for name, (function,) in COMMANDS.items())


COMMANDS: dict[str, tuple[Callable[[Session, str], str]]] = {
    "help": (_help,),
    "tasks": (_tasks,),
    "cpus": (_cpus,),
    "dump": (_dump,),
    "tick": (_tick,),
    "seed": (_seed,),
    "dmesg": (_dmesg,),
    "locks": (_locks,),
    "waits": (_locks,),
}
