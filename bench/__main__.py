"""`python -m bench [--rounds N] [--only NAME ...]`: measure, print the table, write JSON."""

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

from bench.figures import ASKED_FOR, FIGURES
from bench.host import describe
from bench.processes import BenchError
from bench.rows import Row
from wdbg.errors import WdbgError
from wdbg.runtime.guest import default_guest

RESULTS = Path(__file__).parent / "results"


def main() -> int:
    """Return 0; 1 when a figure misses its bound; 2 when one could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure wdbg.")
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="default 7")
    usual = [name for name in FIGURES if name not in ASKED_FOR]
    parser.add_argument("--only", nargs="+", choices=FIGURES, default=usual)
    arguments = parser.parse_args()
    try:
        default_guest()
    except WdbgError as error:
        print(f"bench: {error.message}: {error.hint}", file=sys.stderr)
        return error.exit_status
    host = describe()
    rows: list[Row] = []
    broken = False
    print("| figure | median | lowest – highest | bound |\n| --- | --- | --- | --- |")
    for name in arguments.only:
        try:
            for row in FIGURES[name](arguments.rounds):
                rows.append(row)
                print(table_line(row), flush=True)
        except BenchError as error:
            print(f"bench: {name}: {error}", file=sys.stderr)
            broken = True
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}.json"
    result = {"host": host, "rounds": arguments.rounds, "rows": [asdict(row) for row in rows]}
    path.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print("\n" + ", ".join(f"{name} {fact}" for name, fact in host.items()))
    print(f"written to {path}")
    if broken:
        return 2
    return int(any(row.good is False for row in rows))


def table_line(row: Row) -> str:
    """The row as a line of a Markdown table."""
    verdict = {None: "", True: f"{row.bound} ✓", False: f"{row.bound} ✗"}[row.good]
    value = row.value
    return (
        f"| {row.figure} | {number(value.median)} {row.unit} "
        f"| {number(value.low)} – {number(value.high)} | {verdict} |"
    )


def number(value: float) -> str:
    """Three significant digits."""
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


if __name__ == "__main__":
    sys.exit(main())
