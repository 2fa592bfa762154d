"""Run every check of `make test`: ruff, mypy, then pytest, whose summary comes last."""

import os
import subprocess
import sys
import time
from pathlib import Path

TREE = Path(__file__).resolve().parent.parent

CHECKS = (
    ("ruff", ["ruff", "check", "."]),
    ("mypy", ["mypy"]),
    ("pytest", ["pytest"]),
)


def main(arguments: list[str]) -> int:
    """Run the checks; `arguments` go to pytest. Return 0, or 1 when any check failed."""
    failed = []
    for name, command in CHECKS:
        print(f"check: {name}", flush=True)
        start = time.monotonic()
        extra = arguments if name == "pytest" else []
        if name == "pytest" and os.environ.get("CI"):
            extra = ["--durations=10", *extra]
        status = subprocess.run(
            [sys.executable, "-m", *command, *extra], cwd=TREE, check=False
        ).returncode
        if status:
            failed.append(name)
        if name != "pytest":
            verdict = "failed" if status else "passed"
            print(f"check: {name} {verdict} in {time.monotonic() - start:.0f} s", flush=True)
    if failed:
        print(f"check: failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
