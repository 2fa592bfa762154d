"""Rewritten location expressions mean what the original ones do, in GDB's arithmetic."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symbols.errors import SymbolsError
from symbols.shadow.expressions import Context, Globals, Rewriter
from symbols.shadow.frames import MOST_LOCALS, frame_cfa, frame_registers, pack_record, record_start
from symbols.shadow.operations import fill, parse
from symbols.wasm.leb import encode_signed, encode_unsigned

WIDE, HALF, U64, S32 = 0x40, 0x1F1, 0x77, 0x1C1
"""Offsets of base types: signed 8 bytes, unsigned 4, unsigned 8, signed 4."""
TYPES = {(8, True): WIDE, (4, False): HALF, (4, True): S32}
STACK_POINTER, MEMORY_BASE, PROGRAM = 0, 1, 3
REGISTERS = frame_registers(frame_cfa(0, 0))
NUMBERS = {3: REGISTERS.ebx, 4: REGISTERS.esp, 5: REGISTERS.ebp, 6: REGISTERS.esi, 7: REGISTERS.edi}
M64 = (1 << 64) - 1


def local(index: int) -> bytes:
    return b"\xed\0" + encode_unsigned(index)


def rewrite(expression: bytes, size: int | None = 4, *, frame_base: bool = False) -> bytes:
    context = Context(
        lambda: size,
        lambda width, signed: TYPES.get((width, signed)),
        {WIDE: 8, HALF: 4, U64: 8, 0x30: 4}.get,
        {5: 0x1234}.get,
    )
    rewriter = Rewriter(Globals(STACK_POINTER, MEMORY_BASE, PROGRAM))
    first = rewriter.rewrite(expression, context, frame_base)
    assert rewriter.rewrite(expression, context, frame_base) == first, "remembered"
    return first


class Gdb:
    """What GDB makes of an expression: generic values have 32 bits, typed ones those of their
    type. A value is (bits, signed, number)."""

    def __init__(self, values: list[int], operands: list[int]) -> None:
        self.record = pack_record(
            caller_pc=0, caller_ebp=0, stack_pointer=0x4440, function=0, local_values=values,
            operands=operands, memory_base=(PROGRAM, 0x70000),
        )  # fmt: skip
        self.memory = {0x4440: b"\x99\x88\x77\x66"}

    def read(self, address: int, length: int) -> bytes:
        start = record_start(0, 0)
        if address < start:
            return self.memory[address][:length]
        data = self.record.read(address - start, length)
        assert len(data) == length, "unknown"
        return data

    def evaluate(self, expression: bytes) -> tuple[str, int]:
        """("address" or "value", number); ("bytes", ...) for an implicit value."""
        stack: list[tuple[int, bool, int]] = []

        def push(number: int, bits: int = 32, signed: bool = False) -> None:
            number &= (1 << bits) - 1
            if signed and number >> bits - 1:
                number -= 1 << bits
            stack.append((bits, signed, number))

        kind = "address"
        for op in parse(expression):
            code, arguments = op.code, op.arguments
            if 0x70 <= code < 0x90:
                push(NUMBERS[code - 0x70] + arguments[0])
            elif code == 0x06:
                push(int.from_bytes(self.read(stack.pop()[2], 4), "little"))
            elif 0x30 <= code < 0x50:
                push(code - 0x30)
            elif code in (0x03, 0x08, 0x0A, 0x0C, 0x10, 0x11):
                push(arguments[0])
            elif code == 0x23:
                push(stack.pop()[2] + arguments[0])
            elif code == 0xA8:
                types = {WIDE: (64, True), HALF: (32, False), U64: (64, False), S32: (32, True)}
                bits, signed = types[arguments[0]]
                push(stack.pop()[2], bits, signed)
            elif code in (0x1F, 0x20):
                bits, signed, number = stack.pop()
                push(-number if code == 0x1F else ~number, bits, signed)
            elif code == 0x9F:
                kind = "value"
            elif code == 0x9E:
                return "bytes", int.from_bytes(op.block, "little")
            elif code == 0x12:
                stack.append(stack[-1])
            elif code != 0x96:
                right, left = stack.pop(), stack.pop()
                assert left[:2] == right[:2], "Incompatible types on DWARF stack"
                push(arithmetic(code, left[2], right[2], left[0]), *left[:2])
        return kind, stack[-1][2]


def arithmetic(code: int, left: int, right: int, bits: int) -> int:
    """A binary operation on signed numbers of `bits` (unsigned for logical shifts)."""
    mask = (1 << bits) - 1

    def signed(number: int) -> int:
        number &= mask
        return number - (1 << bits) if number >> bits - 1 else number

    a, b = signed(left), signed(right)
    if code == 0x1B:
        return 0 if not b else abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
    shift = min(right & mask, bits)
    return {
        0x1A: a & b, 0x1C: a - b, 0x1E: a * b, 0x21: a | b, 0x22: a + b, 0x24: a << shift,
        0x25: (a & mask) >> shift, 0x26: a >> shift, 0x27: a ^ b, 0x29: a == b, 0x2A: a >= b,
        0x2B: a > b, 0x2C: a <= b, 0x2D: a < b, 0x2E: a != b,
    }[code]  # fmt: skip


def meaning(expression: bytes, values: list[int]) -> int:
    """Of an original expression, in 64 bits."""
    stack: list[int] = []
    for op in parse(expression):
        if op.code == 0xED:
            stack.append(values[op.arguments[1]])
        elif 0x30 <= op.code < 0x50:
            stack.append(op.code - 0x30)
        elif op.code in (0x08, 0x10, 0x11):
            stack.append(op.arguments[0])
        elif op.code == 0x23:
            stack.append(stack.pop() + op.arguments[0])
        elif op.code in (0x1F, 0x20):
            number = stack.pop()
            stack.append(-number if op.code == 0x1F else ~number)
        elif op.code == 0x12:
            stack.append(stack[-1])
        elif op.code != 0x9F:
            right, left = stack.pop(), stack.pop()
            stack.append(arithmetic(op.code, left, right, 64))
    return stack[-1] & M64


SIMPLE = [b"\x1f", b"\x20", b"\x23\x07", b"\x23\xff\xff\xff\xff\x0f"]
DOUBLED = b"\x12\x22"
RING = st.sampled_from([0x1A, 0x1C, 0x1E, 0x21, 0x22, 0x27])
ANY = st.sampled_from([0x1A, 0x1B, 0x1C, 0x1E, 0x21, 0x22, 0x25, 0x26, 0x27, 0x29, 0x2B, 0x2E])
CONSTANT = st.one_of(
    st.integers(0, 31).map(lambda n: bytes((0x30 + n,))),
    st.integers(0, M64).map(lambda n: b"\x10" + encode_unsigned(n)),
    st.integers(-(1 << 62), 1 << 62).map(lambda n: b"\x11" + encode_signed(n)),
)


def formulas(
    binary: st.SearchStrategy[int], extra: tuple[bytes, ...] = (DOUBLED,)
) -> st.SearchStrategy[bytes]:
    unary = st.sampled_from([*SIMPLE, *extra])
    step = st.one_of(unary, st.tuples(CONSTANT, binary).map(lambda p: p[0] + bytes((p[1],))))
    return st.lists(step, min_size=1, max_size=6).map(b"".join)


@given(st.integers(0, 70), st.integers(0, M64), formulas(ANY))
def test_values_of_8_bytes_are_computed_in_64_bits(index: int, value: int, steps: bytes) -> None:
    expression = local(index) + steps + b"\x9f"
    values = [0] * index + [value]
    result = rewrite(expression, 8)
    assert Gdb(values, []).evaluate(result)[1] & M64 == meaning(expression, values)


@given(st.integers(0, 70), st.integers(0, M64), formulas(RING))
def test_values_of_4_bytes_have_the_right_lower_half(index: int, value: int, steps: bytes) -> None:
    expression = local(index) + steps + b"\x9f"
    values = [0] * index + [value]
    result = rewrite(expression, 4)
    kind, number = Gdb(values, []).evaluate(result)
    assert kind == "value"
    assert number & 0xFFFFFFFF == meaning(expression, values) & 0xFFFFFFFF
    assert index >= 64 or len(result) <= len(expression), "it has to fit in place"


@given(CONSTANT, formulas(RING, ()), st.integers(5, 8))
def test_constants_of_8_bytes(constant: bytes, steps: bytes, size: int) -> None:
    expression = constant + steps + b"\x9f"
    kind, number = Gdb([], []).evaluate(rewrite(expression, size))
    assert (kind, number) == ("bytes", meaning(expression, []) & ((1 << 8 * size) - 1))


@pytest.mark.parametrize("index", [0, 15, 16, 47, 63, 64, 127, 128, MOST_LOCALS - 1])
def test_a_local_alone_is_a_place(index: int) -> None:
    expression = local(index) + b"\x9f"
    result = rewrite(expression, None)
    values = list(range(100, 100 + MOST_LOCALS))
    gdb = Gdb(values, [])
    kind, address = gdb.evaluate(result)
    assert kind == "address", "so that it can be written"
    assert gdb.read(address, 8) == values[index].to_bytes(8, "little")
    assert len(result) <= len(expression)


def test_other_places() -> None:
    gdb = Gdb([7], [0x1111111122222222, 5])
    assert gdb.read(gdb.evaluate(rewrite(b"\xed\2\1\x9f"))[1], 4) == b"\5\0\0\0"
    assert gdb.evaluate(rewrite(b"\xed\3\0\0\0\0\x9f"))[0] == "address"
    frame_base = rewrite(b"\xed\3\0\0\0\0\x9f", frame_base=True)
    assert gdb.evaluate(frame_base) == ("address", 0x4440)
    assert frame_base[0] < 0x50, "GDB takes what starts with a register for one"
    assert gdb.evaluate(rewrite(local(0) + b"\x23\x09")) == ("address", 16)
    assert rewrite(local(MOST_LOCALS) + b"\x9f") == b""
    assert rewrite(b"\xed\3\2\0\0\0\x9f") == b"", "another global"


def test_static_data_of_programs() -> None:
    static = b"\xed\3\1\0\0\0\x03\x34\x12\0\0\x22"
    indexed = b"\xed\3\1\0\0\0\xa1\5\x22"
    gdb = Gdb([], [])
    for expression in (static, indexed):
        result = rewrite(expression)
        assert gdb.evaluate(result) == ("address", 0x71234)
        assert len(result) <= len(expression)
    assert rewrite(b"\xed\3\1\0\0\0\x03\xff\xff\xff\xff\x22") == b"", "left out by the linker"


def test_pieces_stand_for_themselves() -> None:
    whole = local(0) + b"\x9f\x93\x04" + local(1) + b"\x31\x25\x9f\x93\x04\x30\x9f\x93\x10"
    assert rewrite(whole, 24) == b"\x75\x38\x93\x04\x93\x04\x9e\x10" + bytes(16) + b"\x93\x10"


@pytest.mark.parametrize(("bits", "size"), [(32, 4), (32, 2), (8, 4), (8, 1), (0, 8), (56, 1)])
def test_bytes_of_a_local(bits: int, size: int) -> None:
    gdb = Gdb([0, 0x1122334455667788], [])
    result = rewrite(local(1) + b"\x10" + encode_unsigned(bits) + b"\x25\x9f", size)
    kind, address = gdb.evaluate(result)
    right = 0x1122334455667788 >> bits & (1 << 8 * size) - 1
    assert (kind, gdb.read(address, size)) == ("address", right.to_bytes(size, "little"))


@pytest.mark.parametrize("number", [5, -5, -(1 << 31), (1 << 31) - 1])
@pytest.mark.parametrize("prefix", [b"", b"\x20"])
def test_extended_signs(number: int, prefix: bytes) -> None:
    expression = local(1) + prefix + bytes.fromhex("12101f2530201e10202421") + b"\x9f"
    result = rewrite(expression, 8)
    assert len(result) <= len(expression), "it has to fit in place"
    right = ~number if prefix else number
    assert Gdb([0, number & 0xFFFFFFFF], []).evaluate(result) == ("value", right)


def test_bytes_beyond_a_local() -> None:
    assert rewrite(local(1) + b"\x10\x28\x25\x9f", 4) == b""
    assert rewrite(local(1) + b"\x10\x24\x25\x9f", 4) == b"", "no whole bytes"


def test_conversions_of_dwarf_5() -> None:
    half, wide = b"\xa8" + encode_unsigned(HALF), b"\xa8" + encode_unsigned(WIDE)
    gdb = Gdb([0xFFFFFFFF00000005], [])
    assert gdb.evaluate(rewrite(local(0) + half + wide + b"\x9f", 8)) == ("value", 5)
    number = 0xFFFFFFFF00000005 - (1 << 64)
    assert gdb.evaluate(rewrite(local(0) + wide + b"\x9f", 8)) == ("value", number)
    assert rewrite(local(0) + b"\x31\x22" + wide + b"\x9f", 8) == b""
    assert rewrite(local(0) + half + b"\x9f", 8) == b"", "narrower than the variable"


@pytest.mark.parametrize(
    "expression",
    [
        local(0) + b"\x31\x25\x9f",  # the local may have 64 bits
        b"\x10\x80\x80\x80\x80\x10\x08\x20\x25\x9f",  # the constant has
        b"\xa3\x03" + local(0),
        b"\x30\x9f\x93\x04\x31",
    ],
)
def test_dropped(expression: bytes) -> None:
    assert rewrite(expression, 4) == b""


def test_addresses_in_the_frame_stay() -> None:
    for expression in (b"\x91\x10\x9f", b"\x91\x10\x06\x31\x22\x9f", b"\x91\x10"):
        assert rewrite(expression, 4) == expression


def test_nothing_is_known_of_values_without_a_size() -> None:
    assert rewrite(b"\x30\x9f", None) == b""
    assert rewrite(local(0) + b"\x31\x22\x9f", None) == b""
    assert rewrite(b"\x30\x9f", 16) == b"\x9e\x10" + bytes(16)
    assert rewrite(b"\x31\x9f", 16) == b""


LIES = [b"\xed", b"\xed\0\xff", b"\x10" + b"\x80" * 40, b"\x9e\x7f", b"\x03a"]


@pytest.mark.parametrize("data", LIES)
def test_malformed(data: bytes) -> None:
    with pytest.raises(SymbolsError):
        parse(data)


@given(st.binary(max_size=40), st.integers(1, 60))
def test_filled_to_the_byte(expression: bytes, room: int) -> None:
    filled = fill(expression, room, lambda: 8)
    if filled is None:
        assert len(expression) >= room
    else:
        assert len(filled) == room
