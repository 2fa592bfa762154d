"""`wdbg bundle`: a recording and its guest in one file; what such a file holds."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from wdbg.errors import BadInput

if TYPE_CHECKING:
    from wdbg.explore.bundles import Manifest, Member

INFO = "info"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add = parser.add_argument
    parser.usage = (
        "wdbg bundle RECORDING -o FILE [--no-guest] [--report FILE ...]\n"
        "       wdbg bundle info FILE [--report NAME]"
    )
    add("what", nargs="+", metavar="RECORDING", help="or: info FILE")
    add("-o", "--output", type=Path, metavar="FILE", help="the bundle to write")
    add("--no-guest", action="store_true",
        help="leave kernel and initrd out; their hashes and recipe go in")  # fmt: skip
    add("--report", action="append", default=[], metavar="FILE",
        help="put this file in, too; with info: print the report of this name")  # fmt: skip
    add("--kernel", type=Path, metavar="FILE", help="where the recorded run's kernel is now")
    add("--initrd", type=Path, metavar="FILE", help="where its initial RAM disk is")


def run(args: argparse.Namespace) -> int:
    """Pack, or look."""
    if args.what[0] == INFO and len(args.what) == 2:
        return _info(Path(args.what[1]), args.report)
    if len(args.what) != 1:
        raise BadInput("one recording makes a bundle", "wdbg bundle RECORDING -o FILE")
    if args.output is None:
        raise BadInput("where is the bundle to go?", "wdbg bundle RECORDING -o FILE")
    return _make(args, Path(args.what[0]))


def _make(args: argparse.Namespace, path: Path) -> int:
    from wdbg.cli.recordings import options_of
    from wdbg.explore.bundles import make_bundle
    from wdbg.runtime.recording import read

    options = options_of(read(path), args.kernel, args.initrd)
    reports = [Path(report) for report in args.report]
    make_bundle(
        args.output, path, options.kernel, options.initrd,
        with_guest=not args.no_guest, reports=reports,
    )  # fmt: skip
    size = args.output.stat().st_size
    print(f"{args.output}: {size / 1e6:.1f} MB; wdbg replay {args.output}")
    return 0


def _info(path: Path, reports: list[str]) -> int:
    from wdbg.cli.recordings import differences
    from wdbg.explore.bundles import open_bundle, read_report

    if reports:
        for name in reports:
            sys.stdout.buffer.write(read_report(path, name))
        return 0
    opened = open_bundle(path)
    recording = opened.recording
    for line in _lines(opened.manifest):
        print(line)
    print(f"command line  {recording.command_line}")
    print(f"machine       {recording.cpus} CPUs, {recording.memory >> 20} MiB")
    seed = "" if recording.seed is None else f", seed {recording.seed}"
    needs = f"; needs {', '.join(recording.needs)}" if recording.needs else ""
    print(f"schedule      {recording.schedule}{seed}, {len(recording.decisions)} decisions{needs}")
    end = recording.end
    print(f"end           {'killed' if end is None else f'{end.kind} at tick {end.moment.ticks}'}")
    for line in differences(recording) or ["as here: the same instrumenter, the same engine"]:
        print(f"made with     {line}")
    return 0


def _lines(manifest: Manifest) -> list[str]:
    lines = [f"kernel        {_describe(manifest.kernel)}"]
    if manifest.kernel.recipe is not None:
        lines.append(f"recipe        {json.dumps(manifest.kernel.recipe, sort_keys=True)}")
    initrd = manifest.initrd
    lines.append(f"initrd        {'none' if initrd is None else _describe(initrd)}")
    lines.append(f"recording     {_describe(manifest.recording)}")
    lines += [
        f"report        {name}, {member.size} bytes" for name, member in manifest.reports.items()
    ]
    lines.append(f"wdbg          {manifest.wdbg}")
    return lines


def _describe(member: Member) -> str:
    size = f"{member.size} bytes" if member.included else "not included"
    return f"SHA-256 {member.sha256[:16]}…, {size}"
