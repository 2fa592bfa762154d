"""The kernel's log, as kernel/printk/printk_ringbuffer.h lays it out: descriptors in a ring, each
with an info record, and the text of the messages in a ring of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from wdbg.linux.image import Corrupt, Image

_COMMITTED, _FINALIZED = 1, 2
_FLAG_BITS = 2
"""The state of a descriptor is in the highest bits of its state_var, its id in the others."""
_MOST_BITS = 24
"""Sizes of rings that are believed: 2^n descriptors or bytes."""


@dataclass(frozen=True, slots=True)
class Record:
    """One message of the log."""

    sequence: int
    time: int
    """ns since boot."""
    level: int
    facility: int
    text: str

    def __str__(self) -> str:
        """As dmesg prints it; following lines are indented to the first one's text."""
        seconds, rest = divmod(self.time, 1_000_000_000)
        prefix = f"[{seconds:5d}.{rest // 1000:06d}] "
        return prefix + self.text.replace("\n", "\n" + " " * len(prefix))


@dataclass(frozen=True, slots=True)
class _Ring:
    descriptors: int
    infos: int
    count: int
    text: int
    text_size: int
    word: int
    """Bytes of an unsigned long."""


def read_records(image: Image) -> Iterator[Record]:
    """All messages, oldest first. Unknown or Corrupt if the ring is not where it should be;
    single messages that make no sense are left out."""
    base = image.number(image.address("prb"))
    ring = _ring(image, base)
    head = image.field(base, "printk_ringbuffer", "desc_ring.head_id.counter")
    number = image.field(base, "printk_ringbuffer", "desc_ring.tail_id.counter")
    mask = (1 << 8 * ring.word - _FLAG_BITS) - 1
    for _ in range(ring.count + 1):
        try:
            record = _record(image, ring, number & mask, mask)
        except Corrupt:
            record = None
        if record is not None:
            yield record
        if number & mask == head & mask:
            return
        number += 1


def read_log(image: Image) -> list[str]:
    """The messages as dmesg prints them."""
    return [str(record) for record in read_records(image)]


def _ring(image: Image, base: int) -> _Ring:
    count_bits = image.field(base, "printk_ringbuffer", "desc_ring.count_bits")
    size_bits = image.field(base, "printk_ringbuffer", "text_data_ring.size_bits")
    if count_bits > _MOST_BITS or size_bits > _MOST_BITS:
        raise Corrupt(f"a log of 2^{count_bits} messages in 2^{size_bits} bytes")
    return _Ring(
        image.field(base, "printk_ringbuffer", "desc_ring.descs"),
        image.field(base, "printk_ringbuffer", "desc_ring.infos"),
        1 << count_bits,
        image.field(base, "printk_ringbuffer", "text_data_ring.data"),
        1 << size_bits,
        image.member("prb_desc", "text_blk_lpos.begin")[1],
    )


def _record(image: Image, ring: _Ring, number: int, mask: int) -> Record | None:
    """The message with that id; None if there is none (any more, or yet)."""
    index = number % ring.count
    descriptor = ring.descriptors + index * image.size("prb_desc")
    state = image.field(descriptor, "prb_desc", "state_var.counter")
    if state & mask != number or state >> (8 * ring.word - _FLAG_BITS) not in (
        _COMMITTED,
        _FINALIZED,
    ):
        return None
    info = ring.infos + index * image.size("printk_info")
    length = image.field(info, "printk_info", "text_len")
    begin = image.field(descriptor, "prb_desc", "text_blk_lpos.begin")
    after = image.field(descriptor, "prb_desc", "text_blk_lpos.next")
    flags_offset = image.member("printk_info", "flags")[0]
    # `flags` and `level` are bit fields that share a byte: u8 flags:5, level:3.
    level = image.number(info + flags_offset, 1) >> 5
    return Record(
        image.field(info, "printk_info", "seq"),
        image.field(info, "printk_info", "ts_nsec"),
        level,
        image.field(info, "printk_info", "facility"),
        _text(image, ring, number, begin, after, length),
    )


def _text(image: Image, ring: _Ring, number: int, begin: int, after: int, length: int) -> str:
    """The text of a block at the logical positions [begin, after), which starts with the id of
    its message. Corrupt if it does not: later text is there."""
    if begin & 1 or after & 1:
        return ""  # a message without text
    start, size = begin % ring.text_size, after - begin
    if begin // ring.text_size != after // ring.text_size and after % ring.text_size:
        start, size = 0, after % ring.text_size  # blocks do not wrap: it lies at the beginning
    if image.number(ring.text + start, ring.word) != number:
        raise Corrupt(f"the text of message {number} is overwritten")
    size = min(size, ring.text_size - start) - ring.word
    raw = image.bytes(ring.text + start + ring.word, max(0, min(length, size)))
    return raw.decode("utf-8", "backslashreplace")
