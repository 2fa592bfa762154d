"""The log's ring buffer: messages, wraps, and damage."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.linux.image import Kernel, struct
from wdbg.linux.dmesg import read_log, read_records
from wdbg.linux.image import Corrupt, Unknown

STRUCTS = {
    "printk_ringbuffer": struct(
        64, desc_ring__count_bits=(0, 4), desc_ring__descs=(4, 4), desc_ring__infos=(8, 4),
        desc_ring__head_id__counter=(12, 4), desc_ring__tail_id__counter=(16, 4),
        text_data_ring__size_bits=(20, 4), text_data_ring__data=(24, 4),
    ),
    "prb_desc": struct(
        12, state_var__counter=(0, 4), text_blk_lpos__begin=(4, 4), text_blk_lpos__next=(8, 4)
    ),
    "printk_info": struct(
        24, seq=(0, 8), ts_nsec=(8, 8), text_len=(16, 2), facility=(18, 1), flags=(19, 1)
    ),
}  # fmt: skip
PRB, RING, DESCS, INFOS, TEXT = 0x100, 0x200, 0x1000, 0x2000, 0x8000
COUNT_BITS, SIZE_BITS = 3, 8
FINALIZED = 2 << 30


class Log(Kernel):
    """What printk does, as far as a reader can see."""

    def __init__(self) -> None:
        super().__init__(STRUCTS, {"prb": PRB})
        self.put(PRB, RING)
        for path, value in (
            ("desc_ring.count_bits", COUNT_BITS), ("desc_ring.descs", DESCS),
            ("desc_ring.infos", INFOS), ("text_data_ring.size_bits", SIZE_BITS),
            ("text_data_ring.data", TEXT),
        ):  # fmt: skip
            self.set(RING, "printk_ringbuffer", path, value)
        self.head = -1
        self.position = 0

    def say(self, text: str, time: int = 0, level: int = 6) -> None:
        self.head += 1
        raw = text.encode()
        size, whole = 4 + (len(raw) + 3 & ~3), 1 << SIZE_BITS
        begin = self.position
        after = begin + size
        start = begin % whole
        if begin // whole != (after - 1) // whole:
            after, start = (begin // whole + 1) * whole + size, 0
        self.put(TEXT + start, self.head)
        self.put(TEXT + start + 4, raw)
        self.position = after
        index = self.head % (1 << COUNT_BITS)
        info, descriptor = INFOS + 24 * index, DESCS + 12 * index
        self.set(info, "printk_info", "seq", self.head)
        self.set(info, "printk_info", "ts_nsec", time)
        self.set(info, "printk_info", "text_len", len(raw))
        self.set(info, "printk_info", "flags", level << 5)
        self.set(descriptor, "prb_desc", "state_var.counter", FINALIZED | self.head)
        self.set(descriptor, "prb_desc", "text_blk_lpos.begin", begin)
        self.set(descriptor, "prb_desc", "text_blk_lpos.next", after)
        tail = max(0, self.head - (1 << COUNT_BITS) + 1)
        self.set(RING, "printk_ringbuffer", "desc_ring.head_id.counter", self.head)
        self.set(RING, "printk_ringbuffer", "desc_ring.tail_id.counter", tail)


def test_messages_come_as_dmesg_prints_them():
    log = Log()
    log.say("Linux version 6.12", time=1_234_567_890)
    log.say("two\nlines", time=2_000_001_000, level=3)
    assert read_log(log.image) == [
        "[    1.234567] Linux version 6.12",
        "[    2.000001] two\n               lines",
    ]
    assert [record.level for record in read_records(log.image)] == [6, 3]


def test_the_ring_wraps():
    log = Log()
    said = [f"message {number} {'x' * (number % 23)}" for number in range(100)]
    for number, text in enumerate(said):
        log.say(text)
        kept = [record.text for record in read_records(log.image)]
        assert kept == said[: number + 1][-len(kept) :]
        assert len(kept) >= min(number + 1, 5)
        assert kept[-1] == text


def test_what_is_not_written_yet_is_left_out():
    log = Log()
    for text in ("a", "b", "c"):
        log.say(text)
    log.set(DESCS + 12, "prb_desc", "state_var.counter", 1)  # reserved
    assert [record.text for record in read_records(log.image)] == ["a", "c"]


def test_a_ring_of_absurd_size_is_corrupt():
    log = Log()
    log.say("a")
    log.set(RING, "printk_ringbuffer", "desc_ring.count_bits", 77)
    with pytest.raises(Corrupt):
        read_log(log.image)


def test_a_kernel_without_a_log_says_so():
    with pytest.raises(Unknown):
        read_log(Kernel({}, {}).image)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(st.integers(0x1F0, 0x2200), st.binary(min_size=1, max_size=16))))
def test_damage_is_never_more_than_a_missing_message(damage):
    log = Log()
    for number in range(12):
        log.say(f"message {number}")
    for address, raw in damage:
        log.put(address, raw)
    try:
        assert len(read_log(log.image)) <= 1 << 25
    except Corrupt:
        pass
