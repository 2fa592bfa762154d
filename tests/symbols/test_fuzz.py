"""Two thousand mutations in a process with a memory limit; nightly runs a hundred thousand."""

import subprocess
import sys
from pathlib import Path


def test_mutated_modules_are_refused_or_handled(tree: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.symbols.fuzz_container", "--mutations", "2000"],
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert "2000 mutations" in done.stdout
    assert "'valid, 2 rewritten'" in done.stdout
