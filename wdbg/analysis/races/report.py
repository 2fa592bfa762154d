"""Races as findings: one for each pair of functions and object, in the words of KCSAN."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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
_CPU = SOFTIRQ - 1
_INSIDE_LOCK = re.compile(r"(\.rlock|\.wait_lock)?\.(raw_lock|owner|count|cnts)\b[.\w]*")
"""The member of a lock that is at its start."""


@dataclass(frozen=True, slots=True)
class Names:
    """What the texts of a report are made from."""

    sites: Sites
    objects: Objects
    tables: Tables
    stacks: Mapping[int, tuple[int, ...]]
    """See `stacks.stacks_of`."""
    functions: Mapping[int, str]
    """Names of functions by number."""
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
        sites = [names.sites.site(a.position).function for a in (race.first, race.second)]
        what = names.objects.stable(race.second.address, race.second.tick)
        groups.setdefault((*sorted(sites), what), []).append(race)
    found = [_finding(key, group, names) for key, group in groups.items()]
    return sorted(found, key=lambda each: (-each.data["count"], each.tick))


def _finding(key: tuple[str, ...], races: Sequence[Race], names: Names) -> Finding:
    race = races[0]
    first, second = race.first, race.second
    sites = [names.sites.site(a.position) for a in (first, second)]
    what = names.objects.name(second.address, second.tick)
    count = sum(each.count for each in races)
    title = f"{sites[0].function} / {sites[1].function}"
    if what:
        title += f": {what}"
    text = [f"data race in {title}", ""]
    for access, site in ((first, sites[0]), (second, sites[1])):
        text += [*_describe(access, site, names), ""]
    text.append(_locks_in_common(first, second, names))
    text.append(_remedy(first, second))
    text.append(f"seen {count} times" if count > 1 else "seen once")
    if len(races) > 1:
        text.append("between these places:")
        text += [f"  {_pair(each, names)}" for each in races[:10]]
    text.append(f"seed {names.seed}, tick {second.tick}")
    data: dict[str, Any] = {
        "count": count,
        "object": what,
        "functions": [site.function for site in sites],
        "accesses": [_data(a, s, names) for a, s in zip((first, second), sites, strict=True)],
        "pairs": [_pair(each, names) for each in races],
        "seed": names.seed,
    }
    return Finding(KIND, identity_of(KIND, key), title, second.tick, "\n".join(text), data)


def _pair(race: Race, names: Names) -> str:
    places = []
    for access in (race.first, race.second):
        site = names.sites.site(access.position)
        places.append(f"{kind(access)} {site.place or site.function}")
    return f"{places[0]} / {places[1]}, {race.count} times"


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
    lines = []
    for frame in site.frames:
        where = f" at {short(frame.file)}:{frame.line}" if frame.line else ""
        lines.append(f"{frame.name}{where}{' (inlined)' if frame.inlined else ''}")
    outer = [names.functions.get(n, f"function-{n}") for n in names.stacks.get(access.seq, ())]
    if outer and site.frames and outer[0] == site.frames[-1].name:
        outer = outer[1:]
    return lines + outer


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
    lines.append(f"  interrupts {'off' if access.irqs_off else 'on'}, locks held: "
                 f"{_held(access.held, access.tick, names)}")  # fmt: skip
    return lines


def _held(held: Held, tick: int, names: Names) -> str:
    if not held:
        return "none"
    return ", ".join(
        f"{LockKind(lock_kind).name.lower()} "
        f"{names.lock(address, cls, tick) if address else 'read section'}"
        for address, lock_kind, _, cls in held
    )


def _locks_in_common(first: Access, second: Access, names: Names) -> str:
    common = {lock[0] for lock in first.held} & {lock[0] for lock in second.held} - {0}
    if not common:
        return "no common lock"
    both = ", ".join(names.lock(address, 0, second.tick) for address in sorted(common))
    return f"common locks, which do not exclude each other here: {both}"


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
        "locks": [hex(lock[0]) for lock in access.held],
        "irqs_off": access.irqs_off,
        "value": access.value if access.flags & MemFlag.VALUE_KNOWN else None,
    }
