"""Agent expressions: GDB's bytecode, and bytes that are none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wdbg.debugger.model import DebugError
from wdbg.gdbstub.gdb.agent import MOST_STEPS, AgentError, evaluate

MEMORY = bytes(range(256))


def read(address: int, length: int) -> bytes:
    if address + length > len(MEMORY):
        raise DebugError("outside")
    return MEMORY[address : address + length]


def run(code: str) -> int:
    return evaluate(bytes.fromhex(code), lambda number: 1000 + number, read)


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("2205 2203 02 27", 8),
        ("2203 2205 03 27", (1 << 64) - 2),
        ("2203 2205 04 27", 15),
        ("22f9 1608 2202 05 27", (1 << 64) - 3),  # -7 / 2 goes towards zero
        ("22f9 1608 2202 07 27", (1 << 64) - 1),
        ("2207 2202 06 27", 3),
        ("2207 2202 08 27", 1),
        ("2201 223f 09 27", 1 << 63),
        ("2201 22ff 09 27", 0),
        ("22ff 1608 2204 0a 27", (1 << 64) - 1),
        ("2210 2204 0b 27", 1),
        ("2200 0e 27", 1),
        ("220c 220a 0f 27", 8),
        ("220c 220a 10 27", 14),
        ("220c 220a 11 27", 6),
        ("2200 12 27", (1 << 64) - 1),
        ("2205 2205 13 27", 1),
        ("22ff 1608 2201 14 27", 1),
        ("22ff 1608 2201 15 27", 0),
        ("2210 17 27", 0x10),
        ("2210 18 27", 0x1110),
        ("2210 19 27", 0x13121110),
        ("2210 1a 27", 0x1716151413121110),
        ("23 1234 27", 0x1234),
        ("24 12345678 27", 0x12345678),
        ("25 8000000000000001 27", 0x8000000000000001),
        ("26 0005 27", 1005),
        ("2201 20 0008 2209 27 2207 27", 7),
        ("21 0006 2209 27 2207 27", 7),
        ("2205 28 02 27", 10),
        ("2205 2206 29 27", 5),
        ("2205 2206 2b 03 27", 1),
        ("23 1fff 2a 08 27", 0xFF),
        ("2205 2206 2207 32 02 27", 5),
        ("2201 2202 2203 33 27", 2),
    ],
)
def test_operators(code: str, value: int) -> None:
    assert run(code) == value


@pytest.mark.parametrize(
    "code",
    ["", "27", "02 27", "22", "2205", "21 0000", "2201 2200 05 27", "ff 27", "0c", "21 ffff"],
)
def test_what_cannot_be_evaluated(code: str) -> None:
    with pytest.raises(AgentError):
        run(code)


def test_memory_that_is_not_there() -> None:
    with pytest.raises(DebugError):
        run("22ff 19 27")


@given(st.binary(max_size=60))
def test_rubbish_ends(code: bytes) -> None:
    try:
        value = evaluate(code, lambda number: number, read)
    except DebugError:
        return
    assert 0 <= value < 1 << 64
    assert MOST_STEPS


def test_a_stack_cannot_grow_without_bound() -> None:
    with pytest.raises(AgentError):
        run("2201 28 21 0002")
