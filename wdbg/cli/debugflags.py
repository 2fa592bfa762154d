"""`wdbg run --gdb --lldb --wait`: the flags. What they ask for is imported only if they do."""

from __future__ import annotations

import argparse


def add_debug_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add_port_arguments(parser)
    parser.add_argument(
        "--wait", action="store_true", help="let a debugger attach before the first instruction"
    )


def add_port_arguments(parser: argparse.ArgumentParser) -> None:
    """--gdb and --lldb."""
    for name in ("gdb", "lldb"):
        parser.add_argument(
            f"--{name}", metavar="[HOST:]PORT",
            help=f"let {name.upper()} attach there (0: any free port)",
        )  # fmt: skip


def wanted(args: argparse.Namespace) -> bool:
    """Whether any of the flags was given."""
    return bool(args.gdb is not None or args.lldb is not None or args.wait)
