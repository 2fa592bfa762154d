"""`wdbg attach NAME --gdb PORT`: let debuggers attach to a guest that runs without."""

from __future__ import annotations

import argparse
import sys

from wdbg.cli.debugflags import add_port_arguments
from wdbg.cli.registry import ask
from wdbg.errors import BadInput


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("name", metavar="NAME", help="the guest, as wdbg ps shows it")
    add_port_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Ask, show what the guest says meanwhile, and print the lines to type."""
    if args.gdb is None and args.lldb is None:
        raise BadInput("no debugger could attach", "give --gdb PORT or --lldb PORT")
    done = False
    for answer in ask(args.name, args.gdb, args.lldb):
        if "error" in answer:
            raise BadInput(str(answer["error"]))
        if "progress" in answer:
            print(f"wdbg: {answer['progress']}", file=sys.stderr, flush=True)
        if "line" in answer:
            print(answer["line"], flush=True)
        done = bool(answer.get("done", False))
    if not done:
        raise BadInput(f"guest {args.name} has ended")
    return 0
