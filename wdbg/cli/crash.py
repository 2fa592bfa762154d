"""`wdbg report crash FILE [FILE2]`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from wdbg.analysis.crash.report import crash_report
from wdbg.analysis.crash.show import text_report
from wdbg.dump.container import is_dump, replacing
from wdbg.dump.file import read_dump
from wdbg.errors import BadInput


def add_crash_parser(verbs: Any) -> None:
    """Declare the report and its flags."""
    text = "what happened to a guest that crashed, from its dump; of two: the same?"
    parser = verbs.add_parser("crash", help=text, description=text[0].upper() + text[1:] + ".")
    parser.add_argument("file", type=Path, metavar="FILE", help="a dump (see wdbg dump)")
    parser.add_argument("other", type=Path, nargs="?", metavar="FILE2", help="one to compare")
    parser.add_argument("--kernel", type=Path, metavar="KERNEL",
                        help="the kernel's file, if it is not where it was")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="machine-readable output")
    parser.add_argument("--html", type=Path, metavar="OUT", help="write one self-contained page")
    parser.set_defaults(act=_crash)


def _crash(args: argparse.Namespace) -> int:
    document = _document(args.file, args.kernel)
    if args.other is not None:
        return _compare(document, _document(args.other, args.kernel), as_json=args.json)
    if args.html is not None:
        from wdbg.analysis.crash.page import html_page

        with replacing(args.html) as file:
            file.write(html_page(document).encode("utf-8", "backslashreplace"))
    if args.json:
        print(json.dumps(document, indent=2))
    elif args.html is None:
        print(text_report(document))
    return int(document["what"]["kind"] != "none")


def _document(path: Path, kernel: Path | None) -> dict[str, Any]:
    if not is_dump(path):
        raise BadInput(f"{path}: no dump of wdbg's", "wdbg run --dump FILE writes one")
    return crash_report(read_dump(path, kernel), path)


def _compare(left: dict[str, Any], right: dict[str, Any], *, as_json: bool) -> int:
    """Whether two crashes are the same one, by kind and innermost calls; 1 if not."""
    same = left["signature"] == right["signature"]
    if as_json:
        sides = [
            {key: side[key] for key in ("file", "signature", "calls", "what")}
            for side in (left, right)
        ]
        print(json.dumps({"same": same, "crashes": sides}, indent=2))
        return int(not same)
    print("the same crash" if same else "different crashes")
    for side in (left, right):
        what = side["what"]
        print(f"{side['file']}: {side['signature']} {what['kind']}: {' < '.join(side['calls'])}")
    return int(not same)
