"""`wdbg ps`: the guests that run on this host."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict

from wdbg.cli.registry import list_guests


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("--json", action="store_true", help="one JSON array")


def run(args: argparse.Namespace) -> int:
    """Print a line for each."""
    guests = list_guests()
    if args.json:
        print(json.dumps([asdict(guest) for guest in guests], indent=1))
        return 0
    print(f"{'NAME':<8} {'PID':>8} {'CPUS':>4} {'AGE':>8}  KERNEL")
    for guest in guests:
        age = max(0, int(time.time() - guest.started))
        minutes, seconds = divmod(age, 60)
        hours, minutes = divmod(minutes, 60)
        text = f"{hours}:{minutes:02}:{seconds:02}"
        what = f"{guest.kernel}  {guest.command}".rstrip()
        print(f"{guest.name:<8} {guest.pid:>8} {guest.cpus:>4} {text:>8}  {what}")
    return 0
