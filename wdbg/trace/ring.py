"""Ring records: what rewritten code writes inline, and what the host adds to it.

A ring is a sequence of *units* of 8 bytes, two little-endian u32 words (low, high). A record is a
head unit and as many further units as its kind's fields need; fields in units left out are 0.

    head     low  = kind | arg << 8     (bit 31 clear; arg has 23 bits)
             high = ticks left in the quantum (the tick global)
    further  low  = 1 << 31 | 31 bits
             high = 32 bits

So code that records a call is one i64.store of (constant | ticks << 32). A head's tick is
``tick_end - high``, where tick_end is the machine's tick at which the quantum will be over: it
comes from the last CONTEXT record, which the host puts in before every fiber that it resumes:

    head     arg = CPU, high = guest address of the task_struct
    further  tick_end       (64-bit number n: low has bits 0 to 30, high the bits from 31 on)
    further  skipped: virtual nanoseconds that no tick accounts for (a tick's time is
             skipped + tick * ns_per_tick)

Three kinds are in rings only. CONTEXT is the above; SWITCHED (further: high = address of the
task_struct) says that another task goes on, with all else as it was; so does SCHED_SWITCH, for its
`next`; LOCK_TAKEN, with the fields of the lock kinds, is LOCK_ACQUIRE and LOCK_ACQUIRED at once.

A record of the host itself (console output, the task that a fork made ...) has as its `high` what
the tick global would have held. Units that are 0 are padding. Ticks never go backwards.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from wdbg.trace.events import FIELDS, TABLE_OF, Kind, Slot

UNIT = 8
"""Bytes of a unit."""
CONTINUED = 1 << 31
"""Of the low word: not a head."""
ARG_SHIFT = 8
ARG_MAX = (1 << 23) - 1
LOW_MAX = (1 << 31) - 1
CONTEXT_SIZE = 3 * UNIT

_CONTEXT = struct.Struct("<QQQ")
_HEAD = struct.Struct("<II")


def wide(value: int) -> int:
    """A further unit that carries a 63-bit number."""
    return (value & LOW_MAX) | CONTINUED | (value >> 31) << 32


def context(cpu: int, task: int, tick_end: int, skipped: int) -> bytes:
    """A CONTEXT record. `task` is a guest address, `skipped` in virtual nanoseconds."""
    head = Kind.CONTEXT | cpu << ARG_SHIFT | task << 32
    return _CONTEXT.pack(head, wide(tick_end), wide(skipped))


def units_of(kind: Kind) -> int:
    """Units of a full record of this kind, the head included."""
    return 1 + max((field.slot + 1) // 2 for field in FIELDS[TABLE_OF[kind]])


def record(kind: Kind, ticks_left: int, values: Mapping[str, int]) -> bytes:
    """A record of the host's, with all units of its kind; fields not in `values` are 0."""
    words = [0] * (2 * units_of(kind))
    for field in FIELDS[TABLE_OF[kind]]:
        slot, value = field.slot, values.get(field.name, 0) & 0xFFFFFFFF
        if slot is Slot.ARG:
            words[0] |= (value & ARG_MAX) << ARG_SHIFT
        else:
            words[slot + 1] = value if slot % 2 == 0 else value & LOW_MAX
    words[0] |= kind
    words[1] = ticks_left & 0xFFFFFFFF
    for low in range(2, len(words), 2):
        words[low] |= CONTINUED
    return struct.pack(f"<{len(words)}I", *words)
