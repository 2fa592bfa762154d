"""Addresses and frame records: what the stub serves is where the shadow ELF looks for it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symbols.shadow import addresses, frames


@given(st.integers(0, addresses.MOST_PROGRAMS), st.integers(0, addresses.PROGRAM_LIMIT - 1))
def test_code_addresses_go_there_and_back(module: int, offset: int) -> None:
    address = addresses.code_address(module, offset)
    assert address is not None
    assert addresses.code_place(address) == (module, offset)
    assert not addresses.is_host(address)
    assert addresses.frame_slot(address) is None


def test_no_room() -> None:
    assert addresses.code_address(addresses.MOST_PROGRAMS + 1, 0) is None
    assert addresses.code_address(1, addresses.PROGRAM_LIMIT) is None
    assert addresses.code_address(0, -1) is None
    assert addresses.code_place(addresses.HOST_RETURN) is None
    assert addresses.is_host(addresses.HOST_RETURN)
    with pytest.raises(ValueError, match="slot"):
        addresses.frame_area(addresses.MOST_SLOTS)


@given(
    st.integers(0, addresses.MOST_SLOTS - 1),
    st.integers(0, frames.MOST_DEPTH - 1),
    st.integers(0, frames.RECORD_SIZE - 1),
)
def test_every_byte_of_a_record_has_a_position(slot: int, depth: int, offset: int) -> None:
    found = frames.position(frames.record_start(slot, depth) + offset)
    assert found is not None
    assert (found.thread_slot, found.depth, found.offset) == (slot, depth, offset)


def test_values_are_where_the_registers_point() -> None:
    values = [None if i % 7 == 3 else i * 0x0101_0101_0101 for i in range(300)]
    operands = [10, None, 12]
    record = frames.pack_record(
        caller_pc=0xC000_1234, caller_ebp=0xE00F_0000, stack_pointer=None, function=77,
        local_values=values, operands=operands, memory_base=(2, 0x12345678),
    )  # fmt: skip
    cfa = frames.frame_cfa(3, 5)
    start = frames.record_start(3, 5)
    regs = frames.frame_registers(cfa)
    windows = (regs.ebp, regs.esi, regs.edi, regs.ebx)

    def read(address: int, length: int) -> bytes:
        return record.read(address - start, length)

    for index in range(frames.MOST_LOCALS):
        base = windows[index // 16] if index < 64 else regs.ebp
        address = base + 56 - 8 * (index % 16 if index < 64 else index)
        value = values[index]
        assert read(address, 8) == (b"" if value is None else value.to_bytes(8, "little"))
        found = frames.position(address + 5)
        assert found is not None
        assert (found.slot, found.index, found.byte) == (frames.Slot.LOCAL, index, 5)
    assert read(regs.esp, 16) == (10).to_bytes(8, "little")
    assert read(regs.esp + 8, 8) == b""
    assert read(regs.esp + 16, 8) == (12).to_bytes(8, "little")
    assert read(cfa - frames.CALLER_PC, 4) == (0xC000_1234).to_bytes(4, "little")
    assert read(cfa - frames.CALLER_EBP, 4) == (0xE00F_0000).to_bytes(4, "little")
    assert read(regs.ebp + 68, 4) == (77).to_bytes(4, "little")
    assert read(regs.ebp + frames.STACK_POINTER_FROM_EBP, 4) == b""
    assert (cfa - frames.CACHE_LINE) % frames.CACHE_LINE == 0
    assert len(read(cfa - frames.CACHE_LINE, frames.CACHE_LINE)) == frames.CACHE_LINE
    assert read(regs.esp - 64, 4) == b""
    assert read(regs.esp - 60, 8) == (0x12345678).to_bytes(4, "little")
    pointer = frames.position(regs.ebp + frames.STACK_POINTER_FROM_EBP)
    assert pointer is not None
    assert pointer.slot is frames.Slot.STACK_POINTER


@given(st.integers(0, 100_000))
def test_deep_stacks_keep_the_innermost_frames(innermost: int) -> None:
    outermost = frames.outermost_depth(innermost)
    assert 0 <= innermost - outermost < frames.MOST_DEPTH
    assert outermost == 0 or innermost - outermost >= frames.MOST_DEPTH // 2 - 1
