"""`wdbg report races` on files that it cannot use."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.trace.synthetic import HEADER, Synthetic, write_trace
from wdbg.cli.main import main


def test_a_trace_without_accesses(tmp_path: Path, capsys) -> None:
    write_trace(tmp_path / "t.wdt", Synthetic(seed=1).run(50), chunks=1)
    assert main(["report", "races", str(tmp_path / "t.wdt")]) == 2
    error = capsys.readouterr().err
    assert "mem events are not in the trace" in error
    assert "--events mem,lock,sched,irq" in error


@pytest.mark.parametrize(
    ("flags", "message"), [(["--kernel", "none"], "none: No such file"), ([], "--kernel FILE")]
)
def test_a_kernel_that_is_not_there(tmp_path: Path, capsys, flags: list[str], message: str) -> None:
    header = replace(HEADER, events="mem,lock,sched,irq")
    write_trace(tmp_path / "t.wdt", Synthetic(seed=1).run(50), chunks=1, header=header)
    assert main(["report", "races", str(tmp_path / "t.wdt"), *flags]) == 2
    assert message in capsys.readouterr().err
