"""Debug memory: the shared memory through which a rewritten guest and its host talk.

It is one shared memory for all instances of a machine, imported as "wdbg" "debug". Only one fiber
runs at a time, so every word has a constant address. Offsets are in bytes, integers are
little-endian.
"""

from __future__ import annotations

MODULE = "wdbg"
"""Module name of everything that rewriting adds to the imports."""

MIN_PAGES = 1
MAX_PAGES = 65536
"""Limits that a rewritten module declares for the memory (64 KiB pages): the host may make it of
any size, ``PAGES`` is enough for what is described here."""
PAGES = 1

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

TAIL_RETURNED = -2
"""Flow value with which the wrapper of the user-mode tail asks again after a signal handler."""
TAIL_RUN_HANDLER = 1
TAIL_UNWIND = 2
TAIL_SET_TLS = 4
"""Bits of RESULT for the wrapper of the user-mode tail; slot 1 is the TLS base."""
