"""`wdbg doctor KERNEL`: what a module is, and whether `wdbg run` can boot it."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from wdbg.runtime.examine import Examination, examine
from wdbg.runtime.guest import default_guest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "kernel", nargs="?", type=Path, metavar="KERNEL",
        help="vmlinux.wasm (default: the built example guest)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="machine-readable output")


def run(args: argparse.Namespace) -> int:
    """Examine; exit status 1 if the kernel cannot be run or has something to warn of."""
    found = examine(args.kernel or default_guest().kernel)
    if args.json:
        print(json.dumps(_fields(found), indent=2))
    else:
        print(render(found))
    return 0 if found.runnable and not found.warnings() else 1


def _fields(found: Examination) -> dict[str, object]:
    fields = asdict(found)
    fields["path"] = str(found.path)
    fields["runnable"] = found.runnable
    fields["problems"] = found.problems()
    fields["warnings"] = found.warnings()
    return fields


def render(found: Examination) -> str:
    """The report as text."""
    if found.memory is None:
        memory = "none imported"
    else:
        least, most, shared = found.memory
        limit = f"at most {most // 16} MiB" if most else "no limit"
        memory = f"{'shared' if shared else 'not shared'}, {least} pages at first, {limit}"
    if found.dwarf_size:
        dwarf = f"version {found.dwarf_version}, {found.dwarf_size / 1e6:.1f} MB"
    else:
        dwarf = "none"
    zero = sum(r.end - r.start for r in found.static_data if r.zero)
    copied = sum(r.end - r.start for r in found.static_data if not r.zero)
    lines = [
        f"{found.path}: {found.size / 1e6:.1f} MB",
        f"  kernel      {'Linux ' + found.version if found.version else 'no Linux banner found'}",
        f"  port        {found.port or 'unknown host interface'}",
        f"  extras      {', '.join(found.extras) or 'none: interrupts only where it is idle'}",
        f"  memory      {memory}",
        f"  code        {found.functions} functions, {found.code_size / 1e6:.2f} MB",
        f"  data        {copied} bytes initialised, {zero} bytes zero",
        f"  DWARF       {dwarf}",
        f"  accesses    {found.plain_accesses} plain, {found.atomic_accesses} atomic (marked), "
        f"{found.fences} fences",
        f"  left out    {found.unconfigured} system calls refused by the host",
    ]
    lines += [f"  problem     {text}" for text in found.problems()]
    lines += [f"  warning     {text}" for text in found.warnings()]
    lines.append(f"  verdict     {'wdbg run can boot it' if found.runnable else 'not runnable'}")
    return "\n".join(lines)
