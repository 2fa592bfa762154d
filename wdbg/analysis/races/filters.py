"""What KCSAN can be configured not to report (lib/Kconfig.kcsan), for races of both detectors."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass

from wdbg.analysis.races.detect import Race
from wdbg.analysis.races.shadow import Access
from wdbg.analysis.races.sites import Sites
from wdbg.errors import BadInput
from wdbg.trace.events import MemFlag

KINDS = {
    "atomics": "races with a marked access (KCSAN_IGNORE_ATOMICS)",
    "plain-writes": "aligned plain writes of up to a word count as marked "
    "(KCSAN_ASSUME_PLAIN_WRITES_ATOMIC)",
    "unchanged": "the value is known not to have changed (KCSAN_REPORT_VALUE_CHANGE_ONLY)",
    "one-bit": "a plain read, and one bit is known to have changed (KCSAN_PERMISSIVE)",
}
_WORD = 4


@dataclass(frozen=True, slots=True)
class Filters:
    """What is left out."""

    kinds: frozenset[str] = frozenset()
    """Of `KINDS`."""
    skip: tuple[str, ...] = ()
    """Globs of functions: races with an access in one of them, inlined or not."""

    @classmethod
    def parse(cls, text: str | None, skip: Sequence[str] | None) -> Filters:
        """From a comma-separated list; BadInput for what is none of `KINDS`."""
        kinds = frozenset(filter(None, (text or "").split(",")))
        unknown = sorted(kinds - KINDS.keys())
        if unknown:
            raise BadInput(
                f"--ignore {text}: {', '.join(unknown)} cannot be ignored",
                f"choose from {','.join(KINDS)}",
            )
        return cls(kinds, tuple(skip or ()))

    def keep(self, race: Race, sites: Sites) -> bool:
        """Whether the race is to be told."""
        kinds, accesses = self.kinds, race.accesses
        if any(self._skipped(access, sites) for access in accesses):
            return False
        if "atomics" in kinds and any(_marked(access) for access in accesses):
            return False
        if "plain-writes" in kinds and all(
            _marked(access) or _whole_write(access) for access in accesses
        ):
            return False
        if not race.old:
            return True
        if "unchanged" in kinds and not race.new:
            return False
        return not ("one-bit" in kinds and race.new and _one_bit(race))

    def _skipped(self, access: Access, sites: Sites) -> bool:
        if not self.skip:
            return False
        names = [frame.name for frame in sites.site(access.position).frames]
        return any(fnmatch.fnmatchcase(name, glob) for name in names for glob in self.skip)


def _marked(access: Access) -> bool:
    return bool(access.flags & MemFlag.MARKED)


def _whole_write(access: Access) -> bool:
    only_writes = bool(access.flags & MemFlag.WRITE) and not access.flags & MemFlag.READ
    return only_writes and access.size <= _WORD and access.address % max(access.size, 1) == 0


def _one_bit(race: Race) -> bool:
    """A plain read of something of which one bit has changed."""
    old, new = (int.from_bytes(data, "little") for data in (race.old, race.new))
    reads = any(not _marked(a) and a.flags & MemFlag.READ for a in race.accesses)
    return reads and (old ^ new).bit_count() == 1
