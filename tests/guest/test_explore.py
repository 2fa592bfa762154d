"""`wdbg explore` on the guest's bugs: those that the default schedule does not show are found."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import tomllib
from pathlib import Path

import pytest

TREE = Path(__file__).resolve().parents[2]
CASES = tomllib.loads((TREE / "examples/bugs/cases.toml").read_text(encoding="utf-8"))["case"]
HIDDEN = [case["name"] for case in CASES if case["shows"] == "explore"]
REPRODUCTIONS = int(os.environ.get("WDBG_REPRODUCTIONS", "3"))
"""How often each recording is replayed; `make nightly` says 50."""
QUICK = ("abba", "completion_cycle", "lost_wakeup")
CHOSEN = HIDDEN if REPRODUCTIONS > 10 else [name for name in HIDDEN if name in QUICK]
EXPLAIN = ["--explain"] if REPRODUCTIONS > 10 else []
"""Compiles another build of the kernel: at night."""
BUDGET = 2000
"""Schedules, with cuts: docs/explore.md promises it."""
DEADLINE = 600.0


def wdbg(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "wdbg", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE)


def test_the_cases_are_known():
    assert set(QUICK) <= set(HIDDEN)


@pytest.mark.parametrize("name", CHOSEN)
def test_a_hidden_bug_is_found_and_reproduced(name, tmp_path):
    done = wdbg(
        "explore", "--append", f"bugs.case={name}", "--cuts",
        "--schedules", str(BUDGET), "--effort", "0", "-o", str(tmp_path), *EXPLAIN,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    reports = [report.read_text(encoding="utf-8") for report in tmp_path.glob("*.txt")]
    assert len(reports) == len(EXPLAIN)
    assert all("Who waits for whom" in report for report in reports)
    [recording] = tmp_path.glob("*.wdr")
    assert f"again: wdbg replay {recording}" in done.stdout
    hashes = set()
    for _ in range(REPRODUCTIONS):
        again = wdbg("replay", str(recording), "--quiet", "--print-hash")
        assert again.returncode == 1, again.stderr
        hashes.add(re.search("run hash ([0-9a-f]+)", again.stderr)[1])
    assert len(hashes) == 1


def test_a_twin_without_the_bug_is_left_alone(tmp_path):
    done = wdbg(
        "explore", "--append", "bugs.case=abba_ok", "--schedules", "100", "-o", str(tmp_path)
    )
    assert done.returncode == 0, done.stdout
    assert "100 schedules" in done.stderr
    assert not list(tmp_path.iterdir())


def test_no_process_is_left_when_a_search_is_killed():
    command = [sys.executable, "-m", "wdbg", "explore", "--append", "bugs.case=abba_ok"]
    with subprocess.Popen(
        [*command, "--schedules", "1000000"], stderr=subprocess.PIPE
    ) as process:
        assert b"the workload begins" in process.stderr.readline()
        process.kill()
        # Workers and schedules hold the other end, too: it ends with the last of them.
        timer = threading.Timer(DEADLINE, process.stderr.close)
        timer.start()
        process.stderr.read()
        timer.cancel()


def test_a_command_whose_status_depends_on_the_schedule(tmp_path):
    """Two processes append to a file; the recording goes into a bundle, and out of it again."""
    command = "(echo a >>/f)& (echo b >>/f)& wait; test \"$(cat /f)\" = 'a\nb'"
    done = wdbg(
        "explore", "--append", "quiet", "--exec", command, "--schedules", "500", "--effort", "0",
        "--until", "exit", "-o", str(tmp_path),
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "exit: the command ended with status 1" in done.stdout
    [recording] = tmp_path.glob("exit-*.wdr")
    bundle = tmp_path / "bug.wdbg"
    assert wdbg("bundle", str(recording), "-o", str(bundle)).returncode == 0
    info = wdbg("bundle", "info", str(bundle))
    assert "scripted" in info.stdout
    assert "as here" in info.stdout
    again = wdbg("replay", str(bundle), "--quiet")
    assert again.returncode == 1
    assert "status 1" in again.stderr
    plain = tmp_path / "plain.wdr"
    done = wdbg("run", "--append", "quiet", "--exec", command, "--record", str(plain))
    assert done.returncode == 0
    compared = wdbg("explore", "--compare", str(plain), str(recording))
    assert compared.returncode == 1, compared.stderr
    assert re.search(r"the same for \d+ turns", compared.stdout)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "what is to be explored?"),
        (["--exec", "x", "--schedules", "0"], "--schedules 0"),
        (["--exec", "x", "--jobs", "0"], "--jobs 0"),
        (["--exec", "x", "--text", "("], "--text ("),
        (["--exec", "x", "--from", "there"], "--from there"),
        (["--exec", "x", "--limit", "0"], "--limit 0"),
        (["--exec", "x", "-o", "/dev/null/x"], "Not a directory"),
        (["--append", "quiet bugs.case=abba"], "did not come within"),
        (["--exec", "true", "--from", "console:never seen"], "before the console line"),
        (["--compare", "/does/not/exist", "/nor/this"], "No such file"),
    ],
)
def test_bad_input(flags, message):
    done = wdbg("explore", *flags)
    assert done.returncode == 2
    assert message in done.stderr
