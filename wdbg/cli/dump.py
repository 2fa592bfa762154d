"""`wdbg dump save|info|export|serve`: dumps of guests."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from wdbg.cli.registry import ask, list_guests
from wdbg.errors import BadInput


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs and their flags."""
    verbs = parser.add_subparsers(dest="dump_verb", metavar="WHAT", required=True)
    save = verbs.add_parser("save", help="write a dump of a guest that runs")
    save.add_argument("name", nargs="?", metavar="NAME",
                      help="the guest, as wdbg ps shows it (default: the only one)")  # fmt: skip
    save.add_argument("-o", "--output", type=Path, metavar="FILE",
                      help="the dump (default NAME.dump)")  # fmt: skip
    save.set_defaults(act=_save)


def run(args: argparse.Namespace) -> int:
    """Do what was asked for."""
    act: Callable[[argparse.Namespace], int] = args.act
    return act(args)


def _save(args: argparse.Namespace) -> int:
    name = args.name or _only()
    path = (args.output or Path(f"{name}.dump")).absolute()
    if path.is_dir() or not path.parent.is_dir():
        raise BadInput(f"{path}: no place for a file")
    done = False
    for answer in ask(name, None, None, str(path)):
        if "error" in answer:
            raise BadInput(str(answer["error"]))
        if "progress" in answer:
            print(f"wdbg: {answer['progress']}", file=sys.stderr, flush=True)
        if "line" in answer:
            print(answer["line"], flush=True)
        done = bool(answer.get("done", False))
    if not done:
        raise BadInput(f"guest {name} has ended")
    return 0


def _only() -> str:
    guests = list_guests()
    if len(guests) == 1:
        return guests[0].name
    raise BadInput(
        "no guest runs here" if not guests else "several guests run here: name one",
        "wdbg ps lists them",
    )
