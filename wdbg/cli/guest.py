"""`wdbg guest build`: compile the example guest (Linux plus our arch/wasm) on this machine.

The work is done by examples/guest/build.py, which is GPL-2.0 like the kernel and therefore a
program of its own; this verb finds it and passes the flags on.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from wdbg.errors import BadInput, WdbgError

BUILD_SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "guest" / "build.py"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    build = actions.add_parser("build", help="build it, or say that it is built")
    add = build.add_argument
    add("--kernel-source", metavar="TARBALL",
        help="linux-source-6.*.tar.xz (default: the newest in /usr/src)")  # fmt: skip
    add("--llvm", type=int, metavar="N", help="LLVM version (default: the newest, at least 18)")
    add("--config", action="append", default=[], metavar="FRAGMENT",
        help="torture, lockdep, kcsan or og; may be repeated")  # fmt: skip
    add("--out", metavar="DIR", help="put a copy of the result there")
    add("--jobs", type=int, metavar="N", help="parallel compilations (default: all CPUs)")


def run(args: argparse.Namespace) -> int:
    """Build, unless it is built; the script makes the result the current guest."""
    if not BUILD_SCRIPT.is_file():
        raise BadInput(
            "the guest's sources are not here", "run wdbg from a clone of its repository"
        )
    command = [sys.executable, str(BUILD_SCRIPT)]
    for flag in ("kernel_source", "llvm", "out", "jobs"):
        value = getattr(args, flag)
        if value is not None:
            command += [f"--{flag.replace('_', '-')}", str(value)]
    for fragment in args.config:
        command += ["--config", fragment]
    status = subprocess.call(command)
    if status == BadInput.exit_status or status == WdbgError.exit_status:
        return status
    if status:
        raise WdbgError(f"the guest's build ended with status {status}")
    return 0
