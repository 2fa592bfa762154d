"""`wdbg symbols KERNEL`: what is at an address, where a name or a line is, the ELF for GDB."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from wdbg.errors import BadInput
from wdbg.runtime.guest import default_guest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "kernel", nargs="?", type=Path, metavar="KERNEL",
        help="vmlinux.wasm or a program with DWARF (default: the built example guest)",
    )  # fmt: skip
    parser.add_argument(
        "--lookup", action="append", default=[], metavar="ADDR|NAME|FILE:LINE",
        help="show what it is: an address (0x...) as DWARF, GDB or LLDB have it, a function, "
        "variable or type, a source line; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--elf",
        type=Path,
        metavar="OUT",
        help="write the ELF file that GDB and drgn read symbols from, and OUT.gdb with commands "
        "for GDB",
    )


def run(args: argparse.Namespace) -> int:
    """Look up and write; exit status 1 if something that was looked up does not exist."""
    path: Path = args.kernel or default_guest().kernel
    if not args.lookup and args.elf is None:
        raise BadInput("nothing to do", "give --lookup ADDR|NAME|FILE:LINE, or --elf OUT")
    status = 0
    if args.elf is not None:
        write_elf(path, args.elf)
    if args.lookup:
        status = look_up(path, args.lookup)
    return status


def write_elf(path: Path, out: Path) -> None:
    """Write the shadow ELF of the module at `path`, and GDB's commands beside it."""
    from wdbg.gdbstub.symbolfiles import write_elf as write

    files = write(path, out)
    print(f"gdb -x {shlex.quote(str(files.script))}")


def look_up(path: Path, queries: list[str]) -> int:
    """Print what each query finds; 1 if one finds nothing."""
    from symbols.errors import SymbolsError
    from wdbg.cli.lookup import Lookup
    from wdbg.runtime.symbolindex import open_index

    index = open_index(path)
    if not index.has_dwarf:
        print(f"wdbg: {path.name} has no DWARF: names of functions only", file=sys.stderr)
    for note in index.notes[:MOST_NOTES]:
        print(f"wdbg: damaged DWARF: {note}", file=sys.stderr)
    if len(index.notes) > MOST_NOTES:
        print(f"wdbg: ... and {len(index.notes) - MOST_NOTES} more", file=sys.stderr)
    lookup = Lookup(index)
    status = 0
    for query in queries:
        try:
            lines = lookup.find(query)
        except SymbolsError as error:
            lines = []
            print(f"wdbg: {query}: damaged DWARF: {error}", file=sys.stderr)
        if lines:
            print("\n".join(lines))
        else:
            print(f"wdbg: {query}: {lookup.nothing(query)}", file=sys.stderr)
            status = 1
    return status


MOST_NOTES = 5
"""Lines about damage that are printed."""
