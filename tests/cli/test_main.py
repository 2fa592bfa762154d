"""The command line's frame: help, version, errors."""

from __future__ import annotations

import pytest

from wdbg import __version__
from wdbg.cli import doctor
from wdbg.cli.main import VERBS, main
from wdbg.errors import BadInput, WdbgError


def test_help_names_every_verb(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert all(verb in text for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb, capsys):
    with pytest.raises(SystemExit) as ended:
        main([verb, "--help"])
    assert ended.value.code == 0
    assert f"usage: wdbg {verb}" in capsys.readouterr().out


def test_version(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"wdbg {__version__}\n"


@pytest.mark.parametrize(
    ("error", "status", "lines"),
    [
        (BadInput("no such thing", "make one"), 2, ["no such thing", "hint: make one"]),
        (WdbgError("broken"), 3, ["broken"]),
        (ZeroDivisionError("oh"), 3, ["internal error: ZeroDivisionError: oh", "hint: WDBG_TRACE"]),
        (KeyboardInterrupt(), 130, []),
    ],
)
def test_errors_are_lines_and_statuses(error, status, lines, monkeypatch, capsys):
    def fail(_args):
        raise error

    monkeypatch.setattr(doctor, "run", fail)
    assert main(["doctor"]) == status
    told = capsys.readouterr().err.splitlines()
    assert len(told) == len(lines)
    assert all(line.startswith(f"wdbg: {start}") for line, start in zip(told, lines, strict=True))


def test_a_developer_can_have_the_traceback(monkeypatch):
    def fail(_args):
        raise ZeroDivisionError

    monkeypatch.setattr(doctor, "run", fail)
    monkeypatch.setenv("WDBG_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        main(["doctor"])
