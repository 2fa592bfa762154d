"""A guest that has booted, kept for runs: what they do, and that nothing of them stays behind."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

DEADLINE = 60.0
SPIN = "echo up; while :; do :; done"


@pytest.fixture(name="environment")
def environment_fixture(tmp_path: Path) -> dict[str, str]:
    return os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)}


@pytest.fixture(name="zygote")
def zygote_fixture(environment) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "wdbg", "zygote", "--append", "quiet"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=environment) as process:
        line = process.stderr.readline()
        assert b"zygote default stands at tick" in line
        yield process
        process.kill()


def start(environment, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "wdbg", "run", "--from-zygote", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment)


def run(environment, *arguments: str, script: bytes = b"") -> tuple[int, str, str]:
    with start(environment, *arguments) as process:
        out, err = process.communicate(script, timeout=DEADLINE)
    return process.returncode, out.decode(), err.decode()


def read_until(fd: int, wanted: bytes | None) -> bytes:
    """What comes from `fd` up to some text, or to the end of file if None."""
    data = b""
    deadline = time.monotonic() + DEADLINE
    while wanted is None or wanted not in data:
        ready, _, _ = select.select([fd], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"only {data!r} came"
        more = os.read(fd, 4096)
        if not more:
            assert wanted is None, f"the end after {data!r}"
            break
        data += more
    return data


def test_commands_scripts_and_hashes(zygote, environment):
    status, out, err = run(environment, "--exec", "echo $((6 * 7)); exit 3", "--print-hash")
    assert status == 1
    assert out.startswith("42\r\n") or "42" in out.splitlines()[0]
    assert "the command ended with status 3" in err
    assert run(environment, "--exec", "echo $((6 * 7)); exit 3", "--print-hash") == (
        status, out, err,
    )  # fmt: skip
    status, out, _ = run(environment, script=b"echo typed in; uname\n")
    assert status == 0
    assert "typed in" in out
    status, out, _ = run(environment, "--exec", "echo 'a b' \"$WDBG_EXEC\" %41; cat /proc/cmdline")
    assert status == 0
    assert "a b  %41" in out
    assert "@" not in out
    status, _, err = run(environment, "--exec", "x" * 3000)
    assert status == 2
    assert "too long" in err


def test_on_a_terminal(zygote, environment):
    child = pexpect.spawn(
        sys.executable, ["-m", "wdbg", "run", "--from-zygote"],
        env=environment, timeout=DEADLINE, dimensions=(30, 90),
    )  # fmt: skip
    child.expect("# ")
    child.sendline("echo he''llo")
    child.expect("hello")
    child.sendline("poweroff")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def test_a_run_whose_starter_is_killed_ends(zygote, environment):
    with start(environment, "--exec", SPIN) as process:
        read_until(process.stdout.fileno(), b"up")
        process.kill()
        read_until(process.stdout.fileno(), None)  # the run holds the other end, too


def test_a_signal_reaches_the_run(zygote, environment):
    with start(environment, "--exec", SPIN) as process:
        read_until(process.stdout.fileno(), b"up")
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE) == 128 + signal.SIGTERM


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_runs_end_with_their_zygote(zygote, environment, how):
    with start(environment, "--exec", SPIN) as process:
        read_until(process.stdout.fileno(), b"up")
        zygote.send_signal(how)
        read_until(process.stdout.fileno(), None)
        assert process.wait(DEADLINE) != 0
    assert zygote.wait(DEADLINE) == (0 if how == signal.SIGTERM else -how)


def test_a_second_one_of_the_same_name_is_refused(zygote, environment):
    command = [sys.executable, "-m", "wdbg", "zygote"]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=DEADLINE)
    assert done.returncode == 2
    assert b"runs already" in done.stderr


def test_without_a_zygote(environment):
    status, _, err = run(environment, "--exec", "true")
    assert status == 2
    assert "no zygote default runs here" in err
    status, _, err = run(environment, "../x")
    assert status == 2
