"""`wdbg drgn FILE | --connect [HOST:]PORT`: drgn's shell, or a script of its, on a guest."""

from __future__ import annotations

import argparse
import runpy
import sys
import traceback
from pathlib import Path
from typing import Any

from wdbg.errors import BadInput


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add = parser.add_argument
    add("file", nargs="?", type=Path, metavar="FILE", help="a dump (see wdbg dump)")
    add("script", nargs="*", metavar="SCRIPT", help="a script to run, with its arguments")
    add("--connect", metavar="[HOST:]PORT", help="the GDB port of a guest that runs")
    add("-c", dest="code", metavar="CODE", help="run this Python code, then end")
    add("--kernel", type=Path, metavar="KERNEL",
        help="the kernel's file (default with --connect: the example guest's)")  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Make the program and run what is wanted."""
    from wdbg.dump.drgnprogram import frames_of, make_program

    names: dict[str, Any] = {}
    remote = None
    if args.connect is not None:
        from wdbg.gdbstub.listener import Address
        from wdbg.gdbstub.remote import Remote
        from wdbg.runtime.guest import default_guest

        script = [*([str(args.file)] if args.file is not None else []), *args.script]
        kernel = args.kernel or default_guest().kernel
        remote = Remote(Address.parse(args.connect))
        prog = make_program(kernel, remote.size(), remote.read, live=True)
    else:
        from wdbg.dump.file import read_dump

        if args.file is None:
            raise BadInput("which guest?", "a dump's file, or --connect PORT")
        script = args.script
        snapshot = read_dump(args.file, args.kernel)
        path = snapshot.modules[0].path if snapshot.modules else None
        if path is None:
            raise BadInput("drgn needs the kernel's file", "--kernel FILE says where it is")
        prog = make_program(path, snapshot.memory.size(), snapshot.memory.read)
        names["frames"] = lambda task: frames_of(prog, snapshot, task)
        names["snapshot"] = snapshot
    try:
        return _use(prog, names, args.code, script)
    finally:
        if remote is not None:
            remote.close()


def _use(prog: Any, names: dict[str, Any], code: str | None, script: list[str]) -> int:
    import drgn

    if code is None and not script:
        from drgn.cli import run_interactive

        def more(default: dict[str, Any]) -> dict[str, Any]:
            return {**default, **names}

        run_interactive(prog, globals_func=more)
        return 0
    drgn.set_default_prog(prog)
    space = {"prog": prog, "drgn": drgn, **names, **_helpers()}
    if code is None and not Path(script[0]).is_file():
        raise BadInput(f"{script[0]}: no such script")
    try:
        if code is not None:
            exec(compile(code, "<code>", "exec"), space)
        else:
            sys.argv[:] = script
            runpy.run_path(script[0], init_globals=space, run_name="__main__")
    except Exception:
        traceback.print_exc()  # it is the user's code that has failed
        return 1
    return 0


def _helpers() -> dict[str, Any]:
    """What drgn's shell has at hand as well."""
    import drgn.helpers.linux as linux

    return {name: getattr(linux, name) for name in linux.__all__}
