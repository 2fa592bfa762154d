"""`--check locks` and `wdbg report locks` on the real guest: bugs, their twins, the self test."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from tests.guest.conftest import run_guest, wdbg

pytestmark = pytest.mark.guest

BUGS = Path(__file__).resolve().parents[2] / "examples" / "bugs"
CASES = {case["name"]: case for case in tomllib.loads((BUGS / "cases.toml").read_text())["case"]}
RULE = "=" * 78
CHECKED = [
    "abbcca", "completion_cycle", "irq_inversion", "missed_unlock", "reader_writer",
    "self_deadlock", "sleep_in_atomic", "softirq_inversion",
]  # fmt: skip


def checked(case: str, *more: object):
    append = f"quiet bugs.case={case}"
    return wdbg("run", "--append", append, "--check", "locks", "--exec", "true", *more)


def kinds(messages: str) -> list[str]:
    return re.findall(r"^\[\d+/\d+\] ([a-z-]+): ", messages, re.M)


def pattern(line: str) -> str:
    """Without what another build of the kernel may change."""
    return re.sub(r"(tick |-|:)\d+", r"\1N", line).rstrip()


@pytest.mark.usefixtures("guest")
class TestBugs:
    @pytest.mark.parametrize("name", CHECKED)
    def test_it_is_accused(self, name):
        run = checked(name)
        assert run.status == 1, run.messages
        assert CASES[name]["finding"] in kinds(run.messages), run.messages

    @pytest.mark.parametrize("name", CHECKED)
    def test_its_twin_is_not(self, name):
        run = checked(CASES[name]["twin"])
        assert run.status == 0, run.messages
        assert "no problems found" in run.messages

    def test_the_session_of_the_page(self, tree):
        page = (tree / "docs/deadlocks.md").read_text()
        (block,) = re.findall(r"^```\n\$ wdbg (run .*?)\n(.*?)^```", page, re.M | re.S)
        run = wdbg(*block[0].split())
        assert run.status == 1
        begin = run.messages.index("[1/1]")
        shown = run.messages[begin : run.messages.index(RULE, begin)]
        assert [pattern(line) for line in shown.splitlines()] == [
            pattern(line) for line in block[1].splitlines()
        ]

    def test_trace_report_and_suppressions(self, tmp_path):
        path, known = tmp_path / "t.wdt", tmp_path / "known"
        live = checked("abba", "--trace", path)
        report = wdbg("report", "locks", path, "--json")
        assert report.status == 1
        (found,) = json.loads(report.console)["findings"]
        assert found["identity"] in live.messages
        assert "cache_add at" in found["text"]  # the run was done again for it
        lines = wdbg("report", "locks", path, "--gen-suppressions").console
        assert found["identity"] in lines.splitlines()
        known.write_text(lines)
        again = wdbg("report", "locks", path, "--suppress", known)
        assert again.status == 0
        assert "1 suppressed" in again.console
        # In the middle of the run nothing is known of what was held before.
        tick, part = found["tick"], tmp_path / "part.wdt"
        wdbg("trace", "cut", path, "--range", f"{tick - 300}..{tick + 300}", "-o", part)
        late = json.loads(wdbg("report", "locks", part, "--json").console)["findings"]
        assert all(each["doubtful"] for each in late)


def test_the_self_test(tree, tmp_path):
    """All cases of lib/locking-selftest.c, and no finding about the boot around them."""
    path = tmp_path / "selftest.wdt"
    run = run_guest("--config", "torture", "--check", "locks", "--trace", path, "--exec", "true")
    assert run.status == 0, run.messages
    assert "no problems found" in run.messages
    report = wdbg("report", "locks", path, "--selftest")
    assert report.status == 0
    page = (tree / "docs/locking-selftest.md").read_text()
    assert report.console in page
    assert report.console.count("✓") == 394


def test_no_self_test_in_the_trace(guest, tmp_path):
    path = tmp_path / "t.wdt"
    run_guest("--check", "locks", "--trace", path, "--exec", "true")
    report = wdbg("report", "locks", path, "--selftest")
    assert report.status == 2
    assert "--config torture" in report.messages
