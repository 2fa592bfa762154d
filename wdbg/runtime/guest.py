"""Where the built example guests are.

`wdbg guest build` keeps each build under the cache directory by a hash of its inputs, and links
`current/NAME` to the newest of each configuration; NAME is "default" or the fragments' names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wdbg.errors import BadInput
from wdbg.instrument.cache import cache_root


@dataclass(frozen=True, slots=True)
class Guest:
    """A built guest."""

    kernel: Path
    initrd: Path


def guest_root() -> Path:
    """The directory of all builds."""
    return cache_root() / "guest"


def configuration_name(fragments: Sequence[str]) -> str:
    """Name of a configuration: "default", or the sorted fragments joined by "+"."""
    return "+".join(sorted(fragments)) or "default"


def default_guest(fragments: Sequence[str] = ()) -> Guest:
    """The current build of a configuration; BadInput if there is none."""
    name = configuration_name(fragments)
    place = guest_root() / "current" / name
    guest = Guest(place / "vmlinux.wasm", place / "initrd.cpio")
    if not guest.kernel.is_file():
        flags = "".join(f" --config {fragment}" for fragment in fragments)
        raise BadInput(
            f"the example guest ({name}) has not been built", f"wdbg guest build{flags}"
        )
    return guest
