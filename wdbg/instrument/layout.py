"""Debug memory: the shared memory through which a rewritten guest and its host talk.

It is one shared memory for all instances of a machine, imported as "wdbg" "debug". Only one fiber
runs at a time, so every word has a constant address. Offsets are in bytes, integers are
little-endian.
"""

from __future__ import annotations

MODULE = "wdbg"
"""Module name of everything that rewriting adds to the imports."""

PARK = "park"
"""The one imported function of a kernel, () -> (), asynchronous."""
DEBUG_MEMORY = "debug"
PROGRAM_TICK = "tick"
PROGRAM_SLOW = "tick_slow"
"""Imports of a program: the mutable i32 global ``TICK_EXPORT`` and the function
``USER_TICK_EXPORT`` of the kernel instance of the same task. Its other imports from ``MODULE`` are
named like the kernel's exports (the wait functions)."""

TICK_EXPORT = "__wdbg_tick"
"""Global: ticks left while the guest runs."""
USER_TICK_EXPORT = "__wdbg_tick_user"
HOOKS_EXPORT = "__wdbg_hooks"
PROBE_EXPORT = "__wdbg_probe"
"""(i32 address of the stop point's byte) -> i32: parks with CALL_PROBE."""
WATCH_EXPORT = "__wdbg_watch"
"""(i32 address, i32 length, i32 ACCESS bits) -> (): parks with CALL_WATCH."""
WATCH_RANGE_EXPORT = "__wdbg_watch_range"
"""The same, but parks only if a granule of the range is marked."""
PROGRAM_PROBES = "probes"
"""Import of a program: immutable i32 global, address of its first stop point's byte."""
TRAP_EXPORT = "__wdbg_trap"
"""() -> (): executes ``unreachable``."""
WAIT32_EXPORT = "__wdbg_wait32"
WAIT64_EXPORT = "__wdbg_wait64"
NOTIFY_EXPORT = "__wdbg_notify"
STACK_POINTER_EXPORT = "__wdbg_sp"
"""Global: the kernel's stack pointer, if the kernel does not export it itself."""
START_EXPORT = "__wdbg_start"
"""() -> (): a program's start function, which is not run by instantiation."""
EXPORT_PREFIX = "__wdbg_"

PAGE = 65536
PAGES = 1
"""Least size in 64 KiB pages: the words below. Modules import the memory with equal minimum and
maximum (``Variant.debug_pages``), which makes the bound of an access a constant of the engine."""

TICK = 0
"""i32: ticks left in the quantum. Valid while the guest is parked; the guest reads it again when
it goes on, so the host grants a quantum by writing it."""
CALL = 4
"""i32: what a parked guest asks for, one of the numbers below."""
RESULT = 8
"""i64: the host's answer: the first result of the call, i32 results in the low half."""
TRAP = 16
"""i32: nonzero makes the parked fiber that is resumed next execute ``unreachable``."""
CLOCK_END = 24
"""i64: virtual nanoseconds at the end of the quantum."""
NS_PER_TICK = 32
"""i64: virtual nanoseconds of a tick."""
ARGS = 40
"""16 slots of 8 bytes: arguments, zero-extended (floats by their bits). A call with more than one
result finds results 1, 2, ... in slots 0, 1, ... after the park."""
ARG_SLOTS = 16

UNWIND = 168
"""i32: nonzero in a forked copy whose stacks are being read: a fiber that goes on hands over the
frame it is in at each stop point after a call, and returns."""

CUT = 172
"""i32: accesses up to the cut, in variants with cuts: each counts it down first and parks with
CALL_TICK where it becomes 0. The host sets it to 0 where none is wanted: 2^32 accesses are more
than a quantum has."""

SAMPLE = 176
"""i32: plain accesses up to the next sample, in variants that sample: each counts it down, and the
one that makes it 0 parks with CALL_WATCH. The host sets it."""

RING_HEAD = 0x1000
"""u32: bytes of the ring that hold records (docs/tracing.md)."""
CALL_SITE = 0x1004
"""u32: original code offset of the last call of a function whose entry is recorded with its call
site, 0 once it has been recorded."""

DUMP = 0x2000
DUMP_SLOTS = 512
"""Slots of 8 bytes: the locals of the stop point at hand, zero-extended, i32s first."""

PROBES = 0x10000
PROBES_END = 0x100_0000
"""A byte for each stop point: nonzero = the guest parks there. The kernel's come first, programs'
follow in the order of loading."""
RING = PROBES_END
RING_END = 0x200_0000
"""Trace records."""
RING_FULL = 0x4_0000
"""Bytes of records with which the guest parks: so few that they stay in a second-level cache."""
RING_ROOM = 0x40_0000
"""Bytes behind those, for records that do not look whether the ring is full: of functions' ends,
as many as frames fit on a native stack, and the host's."""
RING_SIZE = RING_FULL + RING_ROOM
WATCH_MAP = RING_END
WATCH_GRANULE = 6
WATCH_END = WATCH_MAP + (1 << 32 - WATCH_GRANULE)
"""A byte for each 64 bytes of guest memory: nonzero = part of it is watched. A page follows that
scans of ranges may read."""

CALL_TICK = 1
"""The quantum is over, in kernel code. RESULT 1 = take an interrupt now."""
CALL_TICK_USER = 2
"""The same in user code; slot 0 is the user stack pointer below its red zone, 0 = none."""
CALL_WAIT32 = 3
"""memory.atomic.wait32 whose value is as expected: slots are address, expected value, timeout in
ns (i64, negative = none). RESULT 0 = woken, 2 = timed out."""
CALL_NOTIFY = 4
"""memory.atomic.notify: slots are address and count; RESULT = number of waiters woken."""
CALL_WAIT64 = 5
"""memory.atomic.wait64, as CALL_WAIT32."""
CALL_PROBE = 6
"""A stop point whose byte is set: slot 0 is the address of the byte, the locals are in DUMP.
RESULT 1 = return at once, from this function and from all its callers (``UNWIND``); 2 = take the
locals back from DUMP, in variants that can (``Variant.reload``)."""
PROBE_UNWIND, PROBE_RELOAD = 1, 2
CALL_WATCH = 7
"""An access that touches a watched granule, before it happens: slots are address, length and
``ACCESS_*`` bits."""
ACCESS_READ, ACCESS_WRITE = 1, 2
ACCESS_MARKED = 4
"""An atomic instruction; told by variants that sample."""
ACCESS_POSITION = 3
"""In those the bits from here are the code offset of the instruction."""
CALL_RING = 8
"""The ring of trace records is full: the host empties it."""
CALL_IMPORT = 16
"""Plus i: the i-th imported function of the original module, functions only."""

RED_ZONE = 128
"""Bytes below the stack pointer that LLVM's wasm leaf functions use without moving it."""

HOOK_SIGNAL_HANDLER = 0
"""Entry of the table ``__wdbg_hooks``: () -> (), the program's signal dispatcher."""
HOOK_SET_TLS = 1
"""Entry: (i32) -> (), sets the program's TLS base."""
HOOKS = 16
"""Entries of the table."""

ARG_NEW_TLS = 1
ARG_USER_POINTER = 2
ARG_USER_TLS = 3
"""Slots of the user-mode tail: the TLS base that TAIL_SET_TLS sets (the host writes it); what the
kernel's get_user_stack_pointer and get_user_tls_base returned before the park. Slot 0 is the flow.
"""
TAIL_RETURNED = -2
"""Flow value with which the wrapper of the user-mode tail asks again after a signal handler."""
TAIL_RUN_HANDLER = 1
TAIL_UNWIND = 2
TAIL_SET_TLS = 4
"""Bits of RESULT for the wrapper of the user-mode tail."""
