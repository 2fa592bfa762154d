"""`wdbg VERB ...`: find the verb, run it, turn errors into one line and an exit status."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from types import ModuleType

from wdbg import __version__
from wdbg.errors import WdbgError

VERBS = {
    "run": "boot a kernel on the deterministic runtime",
    "replay": "do a recorded run again, to its end or to a place in it",
    "ps": "list the guests that run",
    "attach": "let debuggers attach to a guest that runs",
    "bundle": "pack a recording and its guest into one file",
    "explore": "try many schedules of a workload, keep those that find something",
    "guest": "build the example guest: Linux compiled to WebAssembly",
    "symbols": "look up addresses, names and lines; write the ELF file for GDB",
    "trace": "show a recorded trace, export it to other tools, cut it",
    "report": "what a trace or dump tells: scheduling, calls, locks, crashes",
    "dump": "write a guest's state to a file; show, export and debug such files",
    "drgn": "drgn's shell on a dump, or on a guest that runs",
    "zygote": "keep a guest that has booted, for runs that start at once",
    "doctor": "say what a kernel module is and whether it can run",
}
"""Verb to one-line help; the module is `wdbg.cli.VERB`, imported only when it is used."""

EPILOG = "Exit status: 0 clean, 1 findings (panic, hang, trap ...), 2 bad input, 3 internal error."


def _parser(verb: str | None) -> tuple[argparse.ArgumentParser, ModuleType | None]:
    parser = argparse.ArgumentParser(
        prog="wdbg",
        description="Kernel debugging and tracing for Linux on WebAssembly.",
        epilog=EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"wdbg {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    module = None
    for name, text in VERBS.items():
        sub = verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        if name == verb:
            module = importlib.import_module(f"wdbg.cli.{name}")
            module.add_arguments(sub)
    return parser, module


def report(error: WdbgError) -> int:
    """Print an error as one line (and its hint); returns the exit status."""
    print(f"wdbg: {error.message}", file=sys.stderr)
    if error.hint:
        print(f"wdbg: hint: {error.hint}", file=sys.stderr)
    return error.exit_status


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["run"] and any(word.split("=")[0] == "--from-zygote" for word in words):
        from wdbg.cli import fromzygote  # without the parser of the other flags: at once

        try:
            return fromzygote.main(words)
        except WdbgError as error:
            return report(error)
    verb = next((word for word in words if word in VERBS), None)
    parser, module = _parser(verb)
    args = parser.parse_args(words)
    assert module is not None  # argparse has refused anything else
    try:
        return int(module.run(args))
    except WdbgError as error:
        return report(error)
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if os.environ.get("WDBG_TRACEBACK"):
            raise
        text = f"internal error: {type(error).__name__}: {error}"
        return report(WdbgError(text, "WDBG_TRACEBACK=1 shows where; please report it"))


if __name__ == "__main__":
    sys.exit(main())
