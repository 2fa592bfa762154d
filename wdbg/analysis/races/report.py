"""Races as findings: one for each pair of functions and object, in the words of KCSAN."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from symbols.dwarf.index import SourceFrame
from wdbg.analysis.findings import Finding, identity_of, printable
from wdbg.analysis.races.detect import Race
from wdbg.analysis.races.locks import Held
from wdbg.analysis.races.objects import Objects
from wdbg.analysis.races.order import HARDIRQ, SOFTIRQ
from wdbg.analysis.races.shadow import Access
from wdbg.analysis.races.sites import Site, Sites, short
from wdbg.trace.events import MEM_OP_SHIFT, LockKind, MemFlag, MemOp
from wdbg.trace.tables import Tables

KIND = "data-race"
UNKNOWN_ORIGIN = "race-at-unknown-origin"
"""A value changed while its reader or writer was held, and nobody was seen to change it."""
_CPU = SOFTIRQ - 1
_INSIDE_LOCK = re.compile(r"(\.rlock|\.wait_lock)?\.(raw_lock|owner|count|cnts)\b[.\w]*")
"""The member of a lock that is at its start."""


@dataclass(frozen=True, slots=True)
class Names:
    """What the texts of a report are made from."""

    sites: Sites
    objects: Objects
    tables: Tables
    stacks: Mapping[int, tuple[str, ...]]
    """Lines of the callers' names, innermost first, by the number of the access."""
    seed: int = 0

    def task(self, number: int, tick: int) -> str:
        """comm/pid of a task."""
        lives = [row for row in self.tables.tasks if row.number == number]
        if not lives:
            return f"task {number}"
        row = max((r for r in lives if r.tick <= tick), key=lambda r: r.tick, default=lives[0])
        return f"{printable(row.comm)}/{row.pid}" if row.pid >= 0 else f"task {row.address:#x}"

    def lock(self, address: int, lock_class: int, tick: int) -> str:
        """The name of a lock."""
        name = _INSIDE_LOCK.sub("", self.objects.name(address, tick))
        if not name:
            rows = self.tables.classes
            name = next((row.name for row in rows if row.number == lock_class), "")
        return f"{name} ({address:#x})" if name else f"{address:#x}"


def findings(races: Iterable[Race], names: Names) -> list[Finding]:
    """One for each different race, the most frequent first."""
    groups: dict[tuple[str, ...], list[Race]] = {}
    for race in races:
        sites = [names.sites.site(a.position).function for a in race.accesses]
        last = race.accesses[-1]
        what = names.objects.stable(last.address, last.tick)
        groups.setdefault((*sorted(sites), what), []).append(race)
    found = [_finding(key, group, names) for key, group in groups.items()]
    return sorted(found, key=lambda each: (-each.data["count"], each.tick))


def _finding(key: tuple[str, ...], races: Sequence[Race], names: Names) -> Finding:
    race = races[0]
    accesses = race.accesses
    sites = [names.sites.site(a.position) for a in accesses]
    last = accesses[-1]
    what = names.objects.name(last.address, last.tick)
    count = sum(each.count for each in races)
    title = " / ".join(site.function for site in sites)
    if what:
        title += f": {what}"
    known = race.second is not None
    text = [f"data race {'in' if known else 'at unknown origin, with'} {title}", ""]
    for access, site in zip(accesses, sites, strict=True):
        text += [*_describe(access, site, names), ""]
    if race.new:
        text.append(f"value changed: {_number(race.old)} -> {_number(race.new)}")
    elif race.old:
        text.append(f"value did not change: {_number(race.old)}")
    if race.second is not None:
        text += _locks_in_common(race.first, race.second, names)
        text.append(_remedy(race.first, race.second))
    text.append(f"seen {count} times" if count > 1 else "seen once")
    if len(races) > 1:
        text.append("between these places:")
        text += [f"  {_pair(each, names)}" for each in races[:10]]
    text.append(f"seed {names.seed}, tick {last.tick}")
    data: dict[str, Any] = {
        "count": count,
        "object": what,
        "functions": [site.function for site in sites],
        "accesses": [_data(a, s, names) for a, s in zip(accesses, sites, strict=True)],
        "pairs": [_pair(each, names) for each in races],
        "value_changed": any(each.new for each in races) if any(r.old for r in races) else None,
        "seed": names.seed,
    }
    name = KIND if known else UNKNOWN_ORIGIN
    return Finding(name, identity_of(name, key), title, last.tick, "\n".join(text), data)


def _number(data: bytes) -> str:
    return f"{int.from_bytes(data, 'little'):#x}" if len(data) <= 8 else data.hex(" ")


def _pair(race: Race, names: Names) -> str:
    places = []
    for access in race.accesses:
        site = names.sites.site(access.position)
        places.append(f"{kind(access)} {site.place or site.function}")
    return f"{' / '.join(places)}, {race.count} times"


def kind(access: Access) -> str:
    """What an access does: "write", "marked read", "marked read-write (add)"."""
    flags = access.flags
    reads, writes = flags & MemFlag.READ, flags & MemFlag.WRITE
    text = "read-write" if reads and writes else "write" if writes else "read"
    if flags & MemFlag.MARKED:
        text = f"marked {text}"
        operation = flags >> MEM_OP_SHIFT
        if operation:
            text += f" ({MemOp(operation).name.lower()})"
    return text


def who(access: Access, names: Names) -> str:
    """The context that made an access."""
    task = names.task(access.task, access.tick)
    if access.context & HARDIRQ:
        return f"an interrupt on CPU {access.context & _CPU} (in {task})"
    if access.context & SOFTIRQ:
        return f"a softirq on CPU {access.context & _CPU} (in {task})"
    return f"{task} on CPU {access.cpu}"


def stack(access: Access, site: Site, names: Names) -> list[str]:
    """Lines of the stack, innermost first."""
    lines = [frame_line(frame) for frame in site.frames]
    outer = list(names.stacks.get(access.seq, ()))
    if outer and site.frames and outer[0] == site.frames[-1].name:
        outer = outer[1:]
    return lines + outer


def frame_line(frame: SourceFrame) -> str:
    """A level of the source's calls."""
    where = f" at {short(frame.file)}:{frame.line}" if frame.line else ""
    return f"{frame.name}{where}{' (inlined)' if frame.inlined else ''}"


def _describe(access: Access, site: Site, names: Names) -> list[str]:
    plural = "s" if access.size != 1 else ""
    value = ""
    if access.flags & MemFlag.VALUE_KNOWN and access.flags & MemFlag.WRITE:
        value = f", value {access.value:#x}"
    lines = [
        f"{kind(access)} of {access.size} byte{plural} at {access.address:#x} by "
        f"{who(access, names)}, tick {access.tick}{value}:"
    ]
    lines += [f"    {line}" for line in stack(access, site, names)]
    state = f"  interrupts {'off' if access.irqs_off else 'on'}"
    if access.held is not None:
        state += f", locks held: {_held(access.held, access.tick, names)}"
    return [*lines, state]


def _held(held: Held, tick: int, names: Names) -> str:
    if not held:
        return "none"
    return ", ".join(
        f"{LockKind(lock_kind).name.lower()} "
        f"{names.lock(address, cls, tick) if address else 'read section'}"
        for address, lock_kind, _, cls in held
    )


def _locks_in_common(first: Access, second: Access, names: Names) -> list[str]:
    if first.held is None or second.held is None:
        return []
    common = {lock[0] for lock in first.held} & {lock[0] for lock in second.held} - {0}
    if not common:
        return ["no common lock"]
    both = ", ".join(names.lock(address, 0, second.tick) for address in sorted(common))
    return [f"common locks, which do not exclude each other here: {both}"]


def _remedy(first: Access, second: Access) -> str:
    interrupts = (first.context | second.context) & (SOFTIRQ | HARDIRQ)
    if interrupts and first.cpu == second.cpu:
        return "would be ordered if the task had switched interrupts (softirqs) off"
    plain = [a for a in (first, second) if not a.flags & MemFlag.MARKED]
    marks = {bool(a.flags & MemFlag.WRITE): a for a in plain}
    text = " and ".join("WRITE_ONCE()" if write else "READ_ONCE()" for write in sorted(marks))
    return f"would be ordered by a lock that both take; would not be a data race with {text}"


def _data(access: Access, site: Site, names: Names) -> dict[str, Any]:
    return {
        "kind": kind(access),
        "marked": bool(access.flags & MemFlag.MARKED),
        "size": access.size,
        "address": access.address,
        "tick": access.tick,
        "cpu": access.cpu,
        "task": names.task(access.task, access.tick),
        "context": who(access, names),
        "position": access.position,
        "place": site.place,
        "stack": stack(access, site, names),
        "locks": [hex(lock[0]) for lock in access.held or ()],
        "irqs_off": access.irqs_off,
        "value": access.value if access.flags & MemFlag.VALUE_KNOWN else None,
    }
