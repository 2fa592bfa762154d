"""What the README shows on a console is what the commands print."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).resolve().parent.parent / "README.md"


def transcript() -> list[tuple[str, str]]:
    """The commands of the README's first console block, each with what is shown below it."""
    block = re.search(r"^```console\n(.*?)^```", README.read_text("utf-8"), re.M | re.S)
    assert block is not None
    parts = re.split(r"^\$ (.*)\n", block[1], flags=re.MULTILINE)[1:]
    return list(zip(parts[::2], parts[1::2], strict=True))


def masked(output: str) -> str:
    """`output` without what depends on the compiler and the kernel's point release."""
    output = re.sub(r"[0-9a-f]{32}", "HASH", output.replace("\r", ""))
    return re.sub(r" *\d+", " N", output)


def shell(command: str) -> str:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-c", f"{{ {command}; }} 2>&1"],
        env=os.environ | {"PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
    )
    return done.stdout


@pytest.mark.guest
@pytest.mark.parametrize(("command", "shown"), transcript(), ids=str)
def test_the_transcript_is_real(command: str, shown: str) -> None:
    assert masked(shell(command)) == masked(shown)


@pytest.mark.guest
def test_equal_seeds_have_equal_hashes_in_the_transcript() -> None:
    first, again, other, _ = [re.findall(r"[0-9a-f]{32}", shown) for _, shown in transcript()]
    assert first == again
    assert first != other
