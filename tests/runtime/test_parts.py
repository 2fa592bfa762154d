"""Small parts of the runtime: schedulers, run hash, guest memory, backtraces, built guests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wdbg.errors import BadInput
from wdbg.runtime.backtrace import Frame, original_frames
from wdbg.runtime.cpu import Cpu
from wdbg.runtime.engine import Engine, RawFrame, SharedMemory
from wdbg.runtime.guest import configuration_name, default_guest
from wdbg.runtime.memory import GuestFault, GuestMemory
from wdbg.runtime.runhash import RunHash
from wdbg.runtime.scheduler import DEFAULT_QUANTUM, Point, RoundRobin, SeededRandom

HERE = Point(0, 0, False)
READY = st.lists(st.sets(st.integers(0, 63), min_size=1), min_size=1, max_size=50)


@given(READY, st.integers(0, 2**64 - 1))
def test_a_scheduler_is_a_function_of_seed_and_questions(asked, seed):
    def play(scheduler):
        return [
            (turn.cpu.number, turn.ticks)
            for numbers in asked
            for turn in [scheduler.pick([Cpu(n) for n in sorted(numbers)], HERE)]
        ]

    assert play(SeededRandom(seed)) == play(SeededRandom(seed))
    assert play(RoundRobin()) == play(RoundRobin())
    for numbers, (chosen, quantum) in zip(asked, play(SeededRandom(seed)), strict=True):
        assert chosen in numbers
        assert 1 <= quantum <= 2 * DEFAULT_QUANTUM


@given(st.sets(st.integers(0, 63), min_size=1))
def test_round_robin_visits_every_ready_cpu(numbers):
    scheduler, ready = RoundRobin(), [Cpu(n) for n in sorted(numbers)]
    assert {scheduler.pick(ready, HERE).cpu.number for _ in ready} == numbers


@given(st.lists(st.tuples(st.integers(0, 2**63), st.integers(0, 255), st.integers(0, 2**32 - 1))))
def test_the_hash_does_not_depend_on_when_it_is_looked_at(events):
    plain, looked_at = RunHash(), RunHash()
    for event in events:
        plain.event(*event)
        looked_at.event(*event)
        looked_at.digest()
    assert plain.digest() == looked_at.digest()
    plain.data(1, b"x")
    assert plain.digest() != looked_at.digest()


def test_memory_is_part_of_the_hash_only_if_asked():
    run = RunHash()
    one, other = memoryview(b"one"), memoryview(b"two")
    assert run.digest(one) != run.digest(other) != run.digest()


@pytest.fixture(name="memory", scope="module")
def memory_fixture() -> GuestMemory:
    return GuestMemory(SharedMemory(Engine(), 1, 3), 3 * 65536)


@given(st.integers(-10, 2**33), st.integers(-10, 2**33))
def test_guest_addresses_are_checked(memory, address, length):
    inside = address >= 0 and length >= 0 and address + length <= memory.size()
    if inside:
        assert len(memory.read(address, length)) == length
    else:
        with pytest.raises(GuestFault):
            memory.read(address, length)


def test_strings_end_at_the_end_of_memory(memory):
    end = memory.size()
    memory.write(end - 3, b"abc")
    assert memory.read_string(end - 3) == "abc"
    memory.write(100, b"caf\xc3\xa9\xff\0rest")
    assert memory.read_string(100) == "café\\xff"
    with pytest.raises(GuestFault):
        memory.read_string(end + 1)


def test_memory_that_grows_is_seen(memory):
    before = memory.size()
    memory.shared.grow(1)
    memory.write_u32(before, 7)
    assert memory.read_u32(before) == 7


def test_frames_of_unknown_modules_and_generated_code_are_left_out():
    class Code:
        def locate(self, offset):
            return ("f", offset - 1000, offset - 1010, 64) if offset < 2000 else None

    raw = [RawFrame("k", 1, 1020), RawFrame("?", 2, 1030), RawFrame("k", 3, 2000)]
    frames = original_frames(raw, {"k": ("", Code())})
    assert frames == (Frame("f", 20, 10, 64, ""),)
    assert str(frames[0]) == "f+0xa/0x40"
    assert str(Frame("g", 1, 2, 3, "prog")) == "g+0x2/0x3 [prog]"


def test_the_current_guest_of_a_configuration(cache_home):
    with pytest.raises(BadInput, match="has not been built") as caught:
        default_guest(["og"])
    assert caught.value.hint == "wdbg guest build --config og"
    place = cache_home / "wdbg" / "guest" / "current" / "og"
    place.mkdir(parents=True)
    (place / "vmlinux.wasm").touch()
    assert default_guest(["og"]).kernel == place / "vmlinux.wasm"
    assert configuration_name(["b", "a"]) == "a+b"
    assert configuration_name([]) == "default"
