"""What a rewritten module contains beyond the mailbox."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from wdbg.instrument import layout
from wdbg.instrument.points import Recording


@dataclass(frozen=True, slots=True)
class Variant:
    """A set of instrumentation passes.

    All variants with ``ticks`` count the same ticks, whatever else they contain: a recording made
    with one replays with any other.
    """

    name: str
    ticks: bool
    probes: bool = False
    """Stop points that the host can arm, which hand over the locals that DWARF describes."""
    watch: bool = False
    """Checks of every access of the guest's memory against the watched ranges."""
    reload: bool = False
    """Stop points take back the locals that they hand over: the host can change them."""
    cuts: bool = False
    """Memory accesses are counted: a schedule can switch at each (``CutPass``)."""
    samples: bool = False
    """Some accesses of the kernel park, and those of watched memory (``SamplePass``)."""
    recording: Recording | None = None
    """What the kernel records into the trace ring."""

    @property
    def key(self) -> str:
        """Identifies the variant in cache keys: all fields, not only the name."""
        return self.to_json()

    @property
    def debug_pages(self) -> int:
        """64 KiB pages of debug memory that its modules want."""
        if self.watch or self.samples:
            return layout.WATCH_END // layout.PAGE + 1
        if self.recording is not None or self.probes:  # programs do not know of the recording
            return (layout.RING + layout.RING_SIZE) // layout.PAGE
        return layout.PAGES

    def to_json(self) -> str:
        """All fields in one line."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Variant:
        """Inverse of ``to_json``."""
        fields = json.loads(text)
        recording = fields.pop("recording")
        return cls(
            **fields, recording=None if recording is None else Recording.from_fields(recording)
        )


PLAIN = Variant("plain", ticks=False)
"""Mailbox only. The clock stands still and nothing is preempted: a baseline for benchmarks."""
TICK = Variant("tick", ticks=True)
"""Ticks at function entries and loop headers: the normal variant."""
DEBUG = Variant("debug", ticks=True, probes=True)
"""With stop points: what a debugger drives."""
WATCH = Variant("watch", ticks=True, probes=True, watch=True)
"""With watchpoints as well."""
EDIT = Variant("edit", ticks=True, probes=True, watch=True, reload=True)
"""With locals that a debugger can write as well."""
CUTS = Variant("cuts", ticks=True, cuts=True)
"""Ticks, and cuts at single memory accesses."""
