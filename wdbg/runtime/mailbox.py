"""The host's side of the debug memory: what a parked guest asks, and what it is answered.

The words and their meaning are `wdbg.instrument.layout`'s.
"""

from __future__ import annotations

import ctypes

from wdbg.instrument import layout
from wdbg.runtime.engine import Engine, SharedMemory


class Mailbox:
    """One for a machine.  The words are ctypes objects over the memory: read and set `.value`."""

    def __init__(self, engine: Engine, ns_per_tick: int, pages: int = layout.PAGES) -> None:
        """`pages`: `Variant.debug_pages` of the modules that will run."""
        self.memory = SharedMemory(engine, pages, pages)
        base = self.memory.address
        self.tick = ctypes.c_int32.from_address(base + layout.TICK)
        self.call = ctypes.c_int32.from_address(base + layout.CALL)
        self.result = ctypes.c_int64.from_address(base + layout.RESULT)
        self.trap = ctypes.c_int32.from_address(base + layout.TRAP)
        self.cut = ctypes.c_int32.from_address(base + layout.CUT)
        self.sample = ctypes.c_int32.from_address(base + layout.SAMPLE)
        self.unwind = ctypes.c_int32.from_address(base + layout.UNWIND)
        self.ring_head = ctypes.c_uint32.from_address(base + layout.RING_HEAD)
        self.clock_end = ctypes.c_int64.from_address(base + layout.CLOCK_END)
        ctypes.c_int64.from_address(base + layout.NS_PER_TICK).value = ns_per_tick
        arguments = base + layout.ARGS
        self._signed = (ctypes.c_int32 * (2 * layout.ARG_SLOTS)).from_address(arguments)
        self.words = (ctypes.c_uint32 * (2 * layout.ARG_SLOTS)).from_address(arguments)
        """Argument i as u32 is word 2*i: the hot path of `argument`."""
        self._long = (ctypes.c_int64 * layout.ARG_SLOTS).from_address(arguments)

    def argument(self, index: int) -> int:
        """An argument of the host call at hand, as u32."""
        return self.words[2 * index]

    def signed_argument(self, index: int) -> int:
        """The same as i32."""
        return self._signed[2 * index]

    def long_argument(self, index: int) -> int:
        """The same as i64."""
        return self._long[index]

    def set_argument(self, index: int, value: int) -> None:
        """Pass a u32 back to the wrapper of the host call at hand."""
        self.words[2 * index] = value
