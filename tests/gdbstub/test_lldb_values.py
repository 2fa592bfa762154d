"""Where LLDB's variables are: expressions, registers, calls with nops, steps into functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symbols.dwarf.index import Index
from symbols.lldb.image import image
from symbols.wasm.decode import instructions
from symbols.wasm.module import Module
from symbols.wasm.readers import read_locals
from tests.gdbstub.fake import CAT, FakeDebugger
from wdbg.debugger.model import (
    DebugError,
    Frame,
    ModuleInfo,
    Place,
    StopEvent,
    StopReason,
)
from wdbg.gdbstub.lldb import registers
from wdbg.gdbstub.lldb.dialect import Lldb
from wdbg.gdbstub.lldb.evaluate import Location, Surroundings, evaluate
from wdbg.gdbstub.lldb.modules import Modules
from wdbg.gdbstub.lldb.padding import calls, pad_calls, padded
from wdbg.runtime.guest import Guest

LOCALS = {(0, 1): 0x1000, (0, 2): (1 << 32) - 5, (0, 3): 0x1122334455667788, (2, 0): 9}


def no_base() -> int:
    raise DebugError("no frame base")


def around(base: Callable[[], int] = no_base) -> Surroundings:
    def wasm(kind: int, index: int) -> int:
        if (kind, index) not in LOCALS:
            raise DebugError("not kept")
        return LOCALS[kind, index]

    return Surroundings(wasm, base, lambda address, length: bytes(range(length)))


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("ed0001 9f", Location(0x1000, False, 1)),
        ("ed0001", Location(0x1000, True)),
        ("ed0200 9f", Location(9, False)),
        ("ed0003 9f", Location(0x1122334455667788, False, 3)),
        ("ed0001 2308", Location(0x1008, True)),
        ("ed0001 11 7f 22 9f", Location(0xFFF, False)),
        ("ed0001 34 1e 31 1c 9f", Location(0x1000 * 4 - 1, False)),
        ("ed0001 10ff01 1a 9f", Location(0, False)),
        ("37 9f", Location(7, False)),
        ("09 fe 9f", Location((1 << 64) - 2, False)),
        ("31 20 9f", Location((1 << 64) - 2, False)),
        ("36 32 1b 9f", Location(3, False)),
        ("ed0001 12 13 94 02 9f", Location(0x0100, False)),
        ("ed0001 06 9f", Location(0x03020100, False)),
        ("31 32 16 1c 9f", Location(1, False)),
        ("ed0001 9f 93 04 32 9f 93 04", Location(2 << 32 | 0x1000, False)),
        ("9102", Location(0x2002, True)),
    ],
)
def test_expressions(expression: str, expected: Location) -> None:
    assert evaluate(bytes.fromhex(expression), around(lambda: 0x2000)) == expected


@pytest.mark.parametrize(
    "expression",
    ["ed0009 9f", "", "9f", "13", "22", "31 30 1b 9f", "31 30 1d 9f", "ed0001 9f 93 04 93 04",
     "ed0003 9f 93 08 31 9f 93 04", "a3 01 50", "e0", "ed", "03 01"],
)  # fmt: skip
def test_what_is_not_known_is_an_error(expression: str) -> None:
    with pytest.raises(DebugError):
        evaluate(bytes.fromhex(expression), around())


@given(st.binary(max_size=40))
def test_no_expression_breaks_the_evaluator(expression: bytes) -> None:
    try:
        location = evaluate(expression, around(lambda: 0x2000))
    except DebugError:
        return
    assert 0 <= location.value < 1 << 64


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("10 f1a0808000", "0101 10 f1a080 00"),
        ("10 8580808000", "01010101 10 05"),
        ("10 05", "10 05"),
        ("10 8500", "10 8500"),
        ("11 8280808000 8080808000", "01" * 8 + "11 02 00"),
        ("12 8280808000", "12 8280808000"),
    ],
)
def test_calls_get_nops(call: str, expected: str) -> None:
    found = padded(bytes.fromhex(call))
    assert len(found) == len(bytes.fromhex(call))
    if call == "10 f1a0808000":
        assert found == bytes.fromhex("010101 10 f120")
    else:
        assert found == bytes.fromhex(expected)


@pytest.fixture(scope="module")
def program(guest: Guest) -> Path:
    return guest.kernel.parent / "debug" / "box.wasm"


def test_code_stays_code(program: Path) -> None:
    data = program.read_bytes()
    module, out = Module(data), bytearray(data)
    pad_calls(module, out)
    changed = bytes(out)
    padded_calls = 0
    for _, start, end in module.bodies:
        first = read_locals(data, start, end)[1]
        before = [(i.opcode.name, i.operands) for i in instructions(data, first, end)]
        after = [(i.opcode.name, i.operands) for i in instructions(changed, first, end)]
        assert [row for row in after if row[0] != "nop"] == before
        padded_calls += len(after) - len(before) > 0
    assert padded_calls > 100


class Guestlike:
    """A fake with the guest's program as its only module, standing in one of its functions."""

    def __init__(self, program: Path, folder: Path) -> None:
        self.index = Index.open(program)
        module = Module(program.read_bytes())
        self.info = ModuleInfo(0, "box", program, module.code_base, 0x40000, 0, 0)
        self.debugger = FakeDebugger()
        self.debugger.loaded = [self.info]
        self.modules = Modules(folder / "cache")
        self.function = self.index.find_function("run_applet")[0]
        _, table = image(program.read_bytes(), 0)
        self.registers = [
            n for n in range(64, 1 << 14) if any(table.candidates(self.function.low, n))
        ]
        place = Place(0, self.function.low + 20)
        self.debugger.stacks[CAT] = [Frame(0, place, "run_applet", self.function.low, 0, 0x4000)]
        self.debugger.locals = {(CAT, 0, n): 0x100 + n for n in range(4)}

    def read(self, number: int) -> int:
        return registers.read(self.debugger, self.modules, CAT, number)


@pytest.fixture
def like(program: Path, tmp_path: Path) -> Guestlike:
    return Guestlike(program, tmp_path)


def test_registers_have_values_or_are_refused(like: Guestlike) -> None:
    values = []
    for number in like.registers[1:]:
        try:
            values.append(like.read(number))
        except DebugError:
            continue
    assert 0x100 in values
    assert 0x101 in values
    like.debugger.locals.clear()
    for number in like.registers[1:]:
        with pytest.raises(DebugError):
            like.read(number)


def test_recursion_is_not_guessed_at(like: Guestlike) -> None:
    (frame,) = like.debugger.stacks[CAT]
    first = like.registers[1]
    assert like.read(first)
    like.debugger.stacks[CAT].append(replace(frame, level=1))
    with pytest.raises(DebugError, match="several frames"):
        like.read(first)


def test_registers_of_nobody(like: Guestlike) -> None:
    for number in (1, 63, 1 << 14, 1 << 40):
        with pytest.raises(DebugError):
            like.read(number)
    spare = next(n for n in range(64, 1 << 14) if n not in like.registers)
    with pytest.raises(DebugError, match="no frame"):
        like.read(spare)


def test_locals_are_set(like: Guestlike) -> None:
    number = next(n for n in like.registers[1:] if _value(like, n) == 0x101)
    registers.write(like.debugger, like.modules, CAT, number, 0xFFFF_FFFF_0000_0007)
    assert like.debugger.locals[CAT, 0, 1] == 7, "an i32 takes the low half"
    with pytest.raises(DebugError):
        registers.write(like.debugger, like.modules, CAT, 0, 7)


def _value(like: Guestlike, number: int) -> int | None:
    try:
        return like.read(number)
    except DebugError:
        return None


class Wire:
    """A session that plays its part of a step."""

    def __init__(self, debugger: FakeDebugger) -> None:
        self.debugger = debugger
        self.resumed = 0

    def send(self, payload: bytes) -> None: ...

    def end_acknowledgements(self) -> None: ...

    def resume(self, actions: object, default: object) -> None:
        self.resumed += 1

    def detach(self) -> None: ...

    def kill(self) -> None: ...


def test_a_step_into_an_unexpected_call_shows_the_call(like: Guestlike, program: Path) -> None:
    data, base = program.read_bytes(), like.info.code_base
    module = Module(data)
    body = next(b for b in module.bodies if b[1] == like.function.low + base)
    first, last = next(
        span for span in calls(data, body[1], body[2]) if padded(data[slice(*span)])[0] == 1
    )
    opcode = first + padded(data[first:last]).index(b"\x10")
    debugger = like.debugger
    (frame,) = debugger.stacks[CAT]
    here = replace(frame, place=Place(0, like.function.low + 5))
    debugger.stacks[CAT] = [here]
    debugger.event = StopEvent(StopReason.BREAKPOINT, CAT, here.place)
    wire = Wire(debugger)
    dialect = Lldb(wire, like.modules)

    def pc() -> int:
        reply = dialect.handle(b"p0;thread:2a;")
        assert reply is not None
        return int.from_bytes(bytes.fromhex(reply.decode()), "little") & 0xFFFF_FFFF

    def step_into_callee() -> None:
        assert dialect.handle(b"vCont;s:2a") is None
        callee = like.index.find_function("cat_main")[0].low
        debugger.stacks[CAT] = [
            Frame(0, Place(0, callee + 2), "cat_main", callee, 1, 0x3F00),
            replace(frame, level=1, place=Place(0, last - base)),
        ]
        debugger.event = StopEvent(StopReason.STEP, CAT, Place(0, callee + 2))
        assert b"reason:trace" in dialect.stopped(debugger.event)

    step_into_callee()
    assert pc() == first, "about to call"
    stack = dialect.handle(b"qWasmCallStack:2a")
    assert stack is not None
    callee = like.index.find_function("cat_main")[0].low
    for offset, seen in ((first, True), (callee + 2 + base, False)):
        assert (offset.to_bytes(4, "little").hex().encode() in stack) == seen
    # `step` runs to the call as it is disassembled, and then goes in: nothing runs for that.
    dialect.handle(b"Z0,%x,1" % (0x4000000000000000 + opcode))
    assert b"reason:breakpoint" in (dialect.handle(b"c") or b"")
    assert pc() == opcode
    assert b"reason:trace" in (dialect.handle(b"vCont;s:2a") or b"")
    assert pc() == callee + 2 + base
    assert wire.resumed == 1
    # `next` goes on.
    debugger.stacks[CAT] = [here]
    dialect.noticed(StopEvent(StopReason.STEP, CAT, here.place))
    dialect.handle(b"z0,%x,1" % (0x4000000000000000 + opcode))
    step_into_callee()
    assert dialect.handle(b"c") is None
    assert wire.resumed == 3
