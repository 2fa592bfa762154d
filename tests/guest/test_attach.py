"""`wdbg ps` and `wdbg attach`: a debugger for a guest that was started without."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys

import pexpect
import pytest

pytestmark = pytest.mark.guest

DEADLINE = 240


def wdbg(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "wdbg", *arguments],
        capture_output=True, text=True, timeout=DEADLINE, check=False,
    )  # fmt: skip


@pytest.fixture(name="runtime")
def runtime_fixture(tmp_path, monkeypatch):
    """A registry of the test's own."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture(name="shell")
def shell_fixture(guest, runtime):
    child = pexpect.spawn(
        sys.executable, ["-m", "wdbg", "run", "--append", "quiet"], timeout=DEADLINE
    )
    child.expect_exact(b"# ")
    yield child
    child.close(force=True)


def names() -> list[str]:
    return [entry["name"] for entry in json.loads(wdbg("ps", "--json").stdout)]


def stop_reply(port: int) -> bytes:
    """What a client that says nothing but `?` hears."""
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as peer:
        peer.sendall(b"+$?#3f")
        heard = b""
        while not re.search(rb"\$T[^#]*#..", heard):
            more = peer.recv(4096)
            assert more, heard
            heard += more
        peer.sendall(b"+$D#44")
        while b"$OK#9a" not in heard:
            more = peer.recv(4096)
            assert more, heard
            heard += more
    return heard


def test_a_guest_that_runs_gets_a_debugger(shell):
    shell.sendline(b"echo before > /tmp/file")
    shell.expect_exact(b"# ")
    assert names() == ["vm1"]
    assert "vm1" in wdbg("ps").stdout
    done = wdbg("attach", "vm1", "--gdb", "0")
    assert done.returncode == 0, done.stderr
    port = int(re.search(r"target remote \S*:(\d+)", done.stdout)[1])
    assert b"T" in stop_reply(port)
    shell.sendline(b"cat /tmp/file; echo $((6 * 7))")
    shell.expect_exact(b"before\r\n42\r\n")
    again = wdbg("attach", "vm1", "--gdb", "0")
    assert again.returncode == 2
    assert "port" in again.stderr
    more = wdbg("attach", "vm1", "--lldb", "0")
    assert more.returncode == 0, more.stderr
    assert "connect://" in more.stdout
    shell.sendline(b"poweroff")
    shell.expect(pexpect.EOF)
    assert names() == []


def test_a_port_that_is_taken_leaves_the_guest_as_it_was(shell):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = wdbg("attach", "vm1", "--gdb", str(taken.getsockname()[1]))
    assert done.returncode == 2
    assert "listen" in done.stderr
    shell.sendline(b"echo $((6 * 7))")
    shell.expect_exact(b"42\r\n")


def test_a_guest_that_was_killed_is_not_listed(shell):
    assert names() == ["vm1"]
    shell.kill(9)
    shell.wait()
    assert names() == []
    done = wdbg("attach", "vm1", "--gdb", "0")
    assert done.returncode == 2
    assert "wdbg ps" in done.stderr


@pytest.mark.parametrize("arguments", [("vm1",), ("../x", "--gdb", "0"), ("vm7", "--gdb", "0")])
def test_bad_requests_are_refused(runtime, arguments):
    assert wdbg("attach", *arguments).returncode == 2
