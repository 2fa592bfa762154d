"""`wdbg dump save|info|export|serve`: dumps of guests."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wdbg.analysis.crash.text import line
from wdbg.cli.debugflags import add_port_arguments
from wdbg.cli.registry import ask, list_guests, show_answers
from wdbg.dump.container import replacing
from wdbg.dump.file import read_dump
from wdbg.dump.snapshot import Snapshot
from wdbg.errors import BadInput

Act = Callable[[argparse.Namespace], int]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs and their flags."""
    verbs = parser.add_subparsers(dest="dump_verb", metavar="WHAT", required=True)
    save = verbs.add_parser("save", help="write a dump of a guest that runs")
    save.add_argument("name", nargs="?", metavar="NAME",
                      help="the guest, as wdbg ps shows it (default: the only one)")  # fmt: skip
    save.add_argument("-o", "--output", type=Path, metavar="FILE",
                      help="the dump (default NAME.dump)")  # fmt: skip
    save.set_defaults(act=_save)
    info = _of_file(verbs, "info", "what a dump holds", _info)
    info.add_argument("--json", action="store_true", help="machine-readable output")
    export = _of_file(verbs, "export", "write a dump in the format of other tools", _export)
    export.add_argument("--format", required=True, choices=tuple(FORMATS),
                        help="elfcore: for stock GDB, with a script beside it; "
                        "wasm-coredump: a module, as WebAssembly's tool conventions have it",
                        )  # fmt: skip
    export.add_argument("-o", "--output", type=Path, required=True, metavar="OUT")
    serve = _of_file(verbs, "serve", "let debuggers attach to a dump", _serve)
    add_port_arguments(serve)


def run(args: argparse.Namespace) -> int:
    """Do what was asked for."""
    act: Callable[[argparse.Namespace], int] = args.act
    return act(args)


def _save(args: argparse.Namespace) -> int:
    name = args.name or _only()
    path = (args.output or Path(f"{name}.dump")).absolute()
    if path.is_dir() or not path.parent.is_dir():
        raise BadInput(f"{path}: no place for a file")
    show_answers(name, ask(name, None, None, str(path)))
    return 0


def _of_file(verbs: Any, name: str, text: str, act: Act) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=text)
    parser.add_argument("file", type=Path, metavar="FILE", help="a dump")
    parser.add_argument("--kernel", type=Path, metavar="KERNEL",
                        help="the kernel's file, if it is not where it was")  # fmt: skip
    parser.set_defaults(act=act)
    return parser


def _read(args: argparse.Namespace) -> Snapshot:
    """The dump; tells what is missing of it."""
    snapshot = read_dump(args.file, args.kernel)
    for note in snapshot.notes:
        print(f"wdbg: {line(note)}", file=sys.stderr)
    return snapshot


def _info(args: argparse.Namespace) -> int:
    snapshot = _read(args)
    boot = snapshot.boot
    facts: dict[str, object] = {
        "stop": snapshot.stop.kind, "message": snapshot.stop.message, "tick": snapshot.tick,
        "virtual_ns": snapshot.virtual_ns, "memory": snapshot.memory.size(),
        "cpus": len(snapshot.cpus), "tasks": len(snapshot.tasks),
        "frames": sum(len(task.frames) for task in snapshot.tasks.values()),
        "kernel": boot.kernel, "kernel_sha256": snapshot.modules[0].digest,
        "initrd": boot.initrd, "command_line": boot.command_line, "seed": boot.seed,
        "schedule": boot.schedule,
        "modules": [module.name for module in snapshot.modules],
        "sections": {name: len(data) for name, data in snapshot.sections.items()},
    }  # fmt: skip
    if args.json:
        print(json.dumps(facts, indent=2))
    else:
        for name, value in facts.items():
            print(line(f"{name.replace('_', ' '):<14} {value}"))
    return 0


def _export(args: argparse.Namespace) -> int:
    snapshot = _read(args)
    for text in FORMATS[args.format](snapshot, args.output):
        print(text)
    return 0


def _elfcore(snapshot: Snapshot, out: Path) -> list[str]:
    from wdbg.debugger.offline import Offline
    from wdbg.gdbstub.corefile import write_core
    from wdbg.gdbstub.symbolfiles import core_script

    with replacing(out) as file:
        write_core(Offline(snapshot), snapshot.memory.size(), file)
    kernel = snapshot.modules[0].path
    if kernel is None:
        return [f"gdb -c {shlex.quote(str(out))}"]
    programs = [(m.path, m.number) for m in snapshot.modules[1:] if m.path is not None]
    return [shlex.join(["gdb", "-x", str(core_script(kernel, programs, out))])]


def _wasm_coredump(snapshot: Snapshot, out: Path) -> list[str]:
    from wdbg.dump.coredump import write_coredump

    with replacing(out) as file:
        write_coredump(snapshot, file)
    return []


FORMATS: dict[str, Callable[[Snapshot, Path], list[str]]] = {
    "elfcore": _elfcore,
    "wasm-coredump": _wasm_coredump,
}


def _serve(args: argparse.Namespace) -> int:
    """Until the last client has left for good: k, or Ctrl-C here."""
    from wdbg.cli.debugging import DebugRequest, attach_lines
    from wdbg.debugger.offline import Offline
    from wdbg.gdbstub.server import Server

    snapshot = _read(args)
    kernel = snapshot.modules[0].path
    if kernel is None:
        raise BadInput("debuggers need the kernel's file", "--kernel FILE says where it is")
    listeners = DebugRequest.parse(args.gdb, args.lldb).listen()
    lines = attach_lines(listeners, kernel)
    server = Server(Offline(snapshot), listeners, wait=True)
    for text in lines:
        print(text, flush=True)
    server.run()
    return 0


def _only() -> str:
    guests = list_guests()
    if len(guests) == 1:
        return guests[0].name
    raise BadInput(
        "no guest runs here" if not guests else "several guests run here: name one",
        "wdbg ps lists them",
    )
