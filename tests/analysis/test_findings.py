"""Findings, their identities, and the files that suppress them."""

import argparse
import io
import json
from pathlib import Path

import pytest

from wdbg.analysis.checks import CHECKS, checks_named, make_check
from wdbg.analysis.findings import Finding, from_json, identity_of, printable, to_json
from wdbg.analysis.suppressions import read_suppressions, suppression_lines
from wdbg.cli.findings import add_suppression_flags, print_findings, suppressions_of
from wdbg.errors import BadInput

ABBA = Finding(
    "circular-dependency", identity_of("circular-dependency", ["a", "b"]), "a and b: both ways",
    1234, "the report", {"functions": ["take_a", "take_b"]},
)  # fmt: skip
MAYBE = Finding(
    "unbalanced-release", identity_of("x", ["y"]), "y", 5, "text", doubtful="started late"
)


def suppress(tmp_path: Path, *lines: str):
    path = tmp_path / "known.txt"
    path.write_text("\n".join(lines))
    return read_suppressions([path])


def test_identities_depend_on_kind_and_names_alone() -> None:
    assert identity_of("k", ["a", "b"]) == identity_of("k", iter(["a", "b"]))
    assert (
        len({identity_of("k", ["ab"]), identity_of("k", ["a", "b"]), identity_of("l", ["ab"])}) == 3
    )
    assert len(ABBA.identity) == 12


def test_findings_survive_json() -> None:
    assert from_json(to_json([ABBA, MAYBE])) == [ABBA, MAYBE]
    with pytest.raises(ValueError, match="missing"):
        from_json('[{"kind": 1}]')


def test_control_characters_do_not_reach_a_terminal() -> None:
    assert printable("a\x1b[31mb\n\tc\x9b") == "a\\x1b[31mb\n\tc\\x9b"


@pytest.mark.parametrize(
    "line",
    [
        ABBA.identity,
        "circular-dependency:*",
        "circular-*:take_b",
        "*:a and b*",
        f"{ABBA.identity}  # it",
    ],
)
def test_a_line_suppresses(tmp_path: Path, line: str) -> None:
    assert suppress(tmp_path, "# a comment", "", line).match(ABBA)
    assert not suppress(tmp_path, line).match(MAYBE)


@pytest.mark.parametrize("line", ["", "# x", "0123456789ab", "other:*", "circular-dependency:take"])
def test_a_line_does_not(tmp_path: Path, line: str) -> None:
    assert not suppress(tmp_path, line).match(ABBA)


def test_bad_files(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="No such file"):
        read_suppressions([tmp_path / "none"])
    with pytest.raises(BadInput, match=":2:"):
        suppress(tmp_path, "# fine", "what is this")


def test_generated_lines_suppress_what_they_were_made_of(tmp_path: Path) -> None:
    found = suppress(tmp_path, *suppression_lines([ABBA, MAYBE]))
    assert found.match(ABBA)
    assert found.match(MAYBE)


def test_exit_status(tmp_path: Path) -> None:
    none = suppress(tmp_path)
    assert print_findings([], none, file=io.StringIO()) == 0
    assert print_findings([MAYBE], none, file=io.StringIO()) == 0
    assert print_findings([MAYBE, ABBA], none, file=io.StringIO()) == 1
    assert print_findings([ABBA], suppress(tmp_path, ABBA.identity), file=io.StringIO()) == 0


def test_printing(tmp_path: Path) -> None:
    out = io.StringIO()
    print_findings([ABBA, MAYBE], suppress(tmp_path), file=out)
    assert "the report" in out.getvalue()
    assert "doubtful: started late" in out.getvalue()
    assert out.getvalue().endswith("1 problem found (1 doubtful)\n")
    out = io.StringIO()
    print_findings([ABBA], suppress(tmp_path), as_json=True, file=out)
    assert json.loads(out.getvalue())["findings"][0]["tick"] == 1234
    out = io.StringIO()
    print_findings([ABBA], suppress(tmp_path), generate=True, file=out)
    assert ABBA.identity in out.getvalue().splitlines()


def test_flags(tmp_path: Path) -> None:
    path = tmp_path / "known"
    path.write_text(ABBA.identity)
    parser = argparse.ArgumentParser()
    add_suppression_flags(parser)
    assert suppressions_of(parser.parse_args(["--suppress", str(path)])).match(ABBA)


def test_the_registry() -> None:
    assert [spec.name for spec in checks_named("locks,locks")] == ["locks"]
    for text in ("", "nothing", "locks,nothing"):
        with pytest.raises(BadInput, match="cannot be checked"):
            checks_named(text)


@pytest.mark.parametrize("name", [name for name, spec in CHECKS.items() if spec.maker])
def test_every_check_can_be_made(name: str) -> None:
    from tests.trace.synthetic import HEADER

    check = make_check(CHECKS[name], HEADER)
    assert check.findings.__name__ == "findings"
    assert check.tables
