"""Consoles: what reaches the guest, and when; the terminal through a real pseudo-terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import termios

import pytest

from wdbg.runtime.console import StreamConsole, TerminalConsole


def test_a_script_is_typed_in_pieces_and_ends_with_control_d():
    console = StreamConsole(None, b"x" * 1500)
    assert console.poll() == b""
    typed = [console.idle(77) for _ in range(3)]
    assert typed == [(b"x" * 1024, 0), (b"x" * 476 + b"\x04", 0), (b"", 77)]
    assert console.idle(None) is None


def test_no_script_no_control_d():
    assert StreamConsole(None).idle(5) == (b"", 5)
    assert StreamConsole(None).idle(None) is None


def test_output_to_a_closed_pipe_is_dropped():
    reader, writer = os.pipe()
    os.close(reader)
    console = StreamConsole(writer)
    console.write(b"lost")
    console.write(b"lost too")
    os.close(writer)


@pytest.fixture(name="terminal")
def terminal_fixture():
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 33, 101, 0, 0))
    before = termios.tcgetattr(slave)
    yield master, slave
    assert termios.tcgetattr(slave) == before
    os.close(master)
    os.close(slave)


@pytest.mark.parametrize(
    ("typed", "passed", "left"),
    [
        (b"ls\r", b"ls\r", False),
        (b"\x03", b"\x03", False),
        (b"\x01a\x01\x01", b"\x01\x01", False),
        (b"a\x01xb", b"a", True),
        (b"\x01h", b"", False),
    ],
)
def test_keys(terminal, typed, passed, left):
    master, slave = terminal
    console = TerminalConsole(slave, slave, real=True)
    os.write(master, typed)
    try:
        data, _ = console.idle(None)
        assert data == passed
        assert console.left() is left
        assert console.window_size() == (33, 101)
        console.write(b"out")
        shown = b""
        while not shown.endswith(b"out"):
            shown += os.read(master, 1000)
    finally:
        console.close()


def test_real_pace_sleeps_and_virtual_pace_does_not(terminal):
    _, slave = terminal
    console = TerminalConsole(slave, slave, real=True)
    try:
        data, passed = console.idle(1_000_000)
        assert data == b""
        assert 0 < passed <= 1_000_000
        console._real = False
        assert console.idle(10**12) == (b"", 10**12)
    finally:
        console.close()


def test_keys_that_come_while_the_guest_stands_still_are_kept(terminal):
    master, slave = terminal
    console = TerminalConsole(slave, slave, real=True)
    try:
        console.look()
        os.write(master, b"ab")
        select.select([slave], [], [])
        console.look()
        assert not console.left()
        assert console.poll() == b"ab"
        assert console.poll() == b""
        os.write(master, b"\x01x")
        select.select([slave], [], [])
        console.look()
        assert console.left()
    finally:
        console.close()


def test_other_descriptors_end_a_wait(terminal):
    _, slave = terminal
    console = TerminalConsole(slave, slave, real=True)
    reader, writer = os.pipe()
    os.write(writer, b"x")
    try:
        console.wake_on([reader])
        data, passed = console.idle(3600 * 10**9)
        assert data == b""
        assert passed < 3600 * 10**9
    finally:
        console.close()
        os.close(reader)
        os.close(writer)
