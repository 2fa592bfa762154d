"""`wdbg attach NAME --gdb PORT`: let debuggers attach to a guest that runs without."""

from __future__ import annotations

import argparse

from wdbg.cli.debugflags import add_port_arguments
from wdbg.cli.registry import ask, show_answers
from wdbg.errors import BadInput


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("name", metavar="NAME", help="the guest, as wdbg ps shows it")
    add_port_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Ask, show what the guest says meanwhile, and print the lines to type."""
    if args.gdb is None and args.lldb is None:
        raise BadInput("no debugger could attach", "give --gdb PORT or --lldb PORT")
    show_answers(args.name, ask(args.name, args.gdb, args.lldb))
    return 0
