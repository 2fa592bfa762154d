"""All that a dump says of a crash, as one JSON-able document; `show` and `page` render it.

Each part stands alone: one that cannot be read because of damage, or because the kernel has no
DWARF, is left out with a note.
"""

from __future__ import annotations

import hashlib
import shlex
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from wdbg.analysis.crash.backtrace import Call, call_line, calls, faulting, local_lines, printer
from wdbg.analysis.crash.cause import Cause, find_cause
from wdbg.analysis.crash.checks import check_all
from wdbg.analysis.crash.objects import involved
from wdbg.analysis.crash.stackuse import stack_uses
from wdbg.analysis.crash.symbols import Names
from wdbg.analysis.findings import Finding
from wdbg.analysis.hang import LIMIT, Hang, explain
from wdbg.dump.snapshot import Snapshot
from wdbg.errors import WdbgError
from wdbg.linux.dmesg import read_log
from wdbg.linux.image import Corrupt, Unknown

Document = dict[str, Any]

DMESG_LINES = 60
"""Lines of the log in the text report; the document has all."""
SIGNATURE_CALLS = 6
"""Innermost calls that tell one crash from another."""
_SLEEPERS = (
    "__switch_to", "context_switch", "__schedule", "schedule", "do_wait_for_common",
    "__wait_for_common", "wait_for_com", "__mutex_lock", "mutex_lock", "rwsem_down", "__down",
    "down", "_raw_", "__raw_", "queued_spin", "arch_spin", "wait_", "wasm_cpu_relax",
)  # fmt: skip
LAST_EVENTS = 10
"""Events of each CPU."""


def crash_report(snapshot: Snapshot, path: Path) -> Document:
    """The document for a dump in a file."""
    names = Names(snapshot)
    notes = list(snapshot.notes)

    def part(what: str, make: Callable[[], Any], empty: Any) -> Any:
        try:
            return make()
        except (Corrupt, Unknown, WdbgError, LookupError, ValueError) as error:
            notes.append(f"{what}: {error}")
            return empty

    cause = find_cause(names)
    hang = part("waits", lambda: _waits(snapshot), None)
    if hang is not None and cause.kind == "hang":
        blame(snapshot, cause, hang.findings)
    task = snapshot.tasks.get(cause.task)
    found = calls(names, task, cause.frames) if task is not None else _bare_calls(cause)
    where = awake(faulting(found)) if hang is not None and hang.findings else faulting(found)
    objects = part("objects", lambda: involved(names, cause, where), [])
    problems = part("checks", lambda: check_all(names), [])
    if cause.kind == "panic" and any("end of the stack" in problem for problem in problems):
        cause.kind = "stack-overflow"
    document: Document = {
        "file": str(path),
        "what": {
            "kind": cause.kind,
            "title": cause.title,
            "message": cause.message,
            "details": cause.details,
            "tick": cause.tick,
            "virtual_ns": snapshot.virtual_ns,
        },
        "signature": signature(cause, where),
        "calls": [call.function for call in where[:SIGNATURE_CALLS]],
        "where": _where(names, where),
        "task": _task(names, cause),
        "backtrace": part("backtrace", lambda: _backtrace(names, found), []),
        "objects": [
            {
                "address": item.address, "size": item.size, "owner": item.owner,
                "free": item.free, "pointers": item.pointers, "types": item.types,
                "contents": item.contents, "before": item.before,
            }
            for item in objects
        ],
        "problems": problems,
        "cpus": _cpus(names),
        "tasks": part("tasks", lambda: _tasks(names), []),
        "waits": hang.text if hang is not None else "",
        "stacks": part("stacks", lambda: stack_uses(names), []),
        "events": part("events", lambda: _events(snapshot), {}),
        "dmesg": part("dmesg", lambda: _dmesg(snapshot), []),
        "console": snapshot.console[-4096:].decode("utf-8", "backslashreplace"),
        "boot": {
            "kernel": snapshot.boot.kernel, "digest": _digest(snapshot),
            "command_line": snapshot.boot.command_line, "cpus": snapshot.boot.cpus,
            "memory": snapshot.boot.memory, "seed": snapshot.boot.seed,
            "schedule": snapshot.boot.schedule,
        },
        "replay": replay_command(snapshot, cause, path),
        "notes": notes,
    }  # fmt: skip
    damaged = sorted(getattr(snapshot.memory, "damaged", ()))
    if damaged:
        notes.append(f"damaged memory at {', '.join(hex(address) for address in damaged[:8])}")
    return document


def _bare_calls(cause: Cause) -> list[Call]:
    return [
        Call(level, frame.function, "", 0, False, frame.module, frame.offset)
        for level, frame in enumerate(cause.frames)
    ]


def signature(cause: Cause, where: list[Call]) -> str:
    """Of the crash: kind and innermost functions; no address, tick or pid."""
    text = " ".join([cause.kind, *(call.function for call in where[:SIGNATURE_CALLS])])
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def blame(snapshot: Snapshot, cause: Cause, findings: Sequence[Finding]) -> None:
    """Make a hang's cause what the first finding says, and its task the first that it names."""
    if not findings:
        return
    first = findings[0]
    cause.kind, cause.title = first.kind, first.title
    cause.details += [finding.title for finding in findings[1:8]]
    tasks = first.data.get("tasks")
    pids = [task.get("pid") for task in tasks if isinstance(task, dict)] if tasks else []
    for address, facts in snapshot.facts.items():
        if pids and facts.pid == pids[0] and facts.pid:
            cause.task = address
            state = snapshot.tasks.get(address)
            cause.frames = state.frames if state is not None else ()
            return


def awake(found: list[Call]) -> list[Call]:
    """The calls without those that put a task to sleep."""
    for number, call in enumerate(found):
        if not any(call.function.startswith(name) for name in _SLEEPERS):
            return found[number:]
    return found


def _where(names: Names, where: list[Call]) -> Document | None:
    """The innermost call that has a line, with its source; rather not one inlined from a header."""
    lines = [call for call in where if call.line]
    inner = [call for call in lines if call.level == lines[0].level]
    call = next((call for call in inner if not call.file.endswith(".h")), next(iter(lines), None))
    if call is None:
        return None
    full = next(
        (
            frame.file
            for frame in names.source_frames(call.module, call.offset - (call.level > 0))
            if names.short(frame.file) == call.file
        ),
        call.file,
    )
    return {
        "function": call.function,
        "file": call.file,
        "line": call.line,
        "source": names.lines(full, call.line),
    }


def _task(names: Names, cause: Cause) -> Document:
    snapshot = names.snapshot
    facts = snapshot.facts.get(cause.task)
    cpu = snapshot.cpu_of(cause.task)
    return {
        "address": cause.task,
        "name": names.task_name(cause.task) if cause.task else "",
        "pid": facts.pid if facts is not None else 0,
        "cpu": cpu.number if cpu is not None else None,
    }


def _backtrace(names: Names, found: list[Call]) -> list[Document]:
    show = printer(names)
    return [
        {
            "level": call.level, "function": call.function, "file": call.file,
            "line": call.line, "inlined": call.inlined, "module": call.module,
            "offset": call.offset, "text": call_line(call, show),
            "locals": local_lines(call, show),
        }
        for call in found
    ]  # fmt: skip


def _cpus(names: Names) -> list[str]:
    snapshot = names.snapshot
    lines = []
    for cpu in snapshot.cpus:
        frames = snapshot.frames(cpu.task)
        place = f" in {frames[0].function}" if frames else ""
        state = "runs" if cpu.ready else "waits:"
        lines.append(f"CPU {cpu.number} {state} {names.task_name(cpu.task)}{place}")
    return lines


def _tasks(names: Names) -> list[Document]:
    """Every task: those that run first, then by state and name."""
    snapshot = names.snapshot
    rows = []
    for address in {**snapshot.tasks, **dict.fromkeys(snapshot.facts)}:
        facts, state = snapshot.facts.get(address), snapshot.tasks.get(address)
        cpu = snapshot.cpu_of(address)
        rows.append(
            {
                "name": facts.comm if facts is not None else state.name if state else "?",
                "pid": facts.pid if facts is not None else 0,
                "state": facts.state if facts is not None else "",
                "cpu": cpu.number if cpu is not None else None,
                "frames": [frame.function for frame in state.frames] if state else [],
            }
        )
    order = "RDSTtPZXI"
    rows.sort(
        key=lambda row: (
            row["cpu"] is None, order.find(str(row["state"])[:1]), row["pid"], row["name"],
        )
    )  # fmt: skip
    return rows


def _waits(snapshot: Snapshot) -> Hang:
    """Who waits for whom; of a guest that hangs: why."""
    limit = 0 if snapshot.stop.kind == "hang" else LIMIT
    raw = snapshot.sections.get("trace")
    if not raw:
        return explain(snapshot, limit=limit)
    with tempfile.NamedTemporaryFile(suffix=".wdt") as file:
        file.write(raw)
        file.flush()
        return explain(snapshot, Path(file.name), limit=limit)


def _events(snapshot: Snapshot) -> dict[str, list[str]]:
    """The last events of each CPU, from the trace in the dump."""
    raw = snapshot.sections.get("trace")
    if not raw:
        return {}
    from wdbg.analysis.crash.events import last_events

    with tempfile.NamedTemporaryFile(suffix=".wdt") as file:
        file.write(raw)
        file.flush()
        return last_events(Path(file.name), LAST_EVENTS)


def _dmesg(snapshot: Snapshot) -> list[str]:
    image = snapshot.image
    return read_log(image) if image is not None else []


def _digest(snapshot: Snapshot) -> str:
    return snapshot.modules[0].digest if snapshot.modules else ""


def replay_command(snapshot: Snapshot, cause: Cause, path: Path) -> str:
    """What to type to run the guest again to the moment before; "" if that is not known."""
    boot = snapshot.boot
    if "recording" in snapshot.sections:
        return f"wdbg replay {shlex.quote(str(path))} --to {max(0, cause.tick)}"
    if not boot.kernel:
        return ""
    words = ["wdbg", "run", boot.kernel]
    if boot.initrd:
        words += ["--initrd", boot.initrd]
    if boot.command_line:
        words += ["--append", boot.command_line]
    words += ["--cpus", str(boot.cpus), "--memory", str(boot.memory >> 20)]
    if boot.seed is not None:
        words += ["--seed", str(boot.seed)]
    if boot.schedule:
        words += ["--schedule", boot.schedule]
    return shlex.join([*words, "--gdb", "0", "--wait"])
