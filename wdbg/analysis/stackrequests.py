"""Stacks that a report wants: places in a run, by tick and task, to be looked up afterwards.

A trace tells the call site of an event at most. But a run can be repeated: the report asks for
stacks by number, in lines of their own, and whoever can run the guest again puts them in. Until
then, and where that is not possible, the call site stands there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from wdbg.analysis.findings import Finding

_MARK = re.compile(r"^([ ]*)@stack:(\d+)@$", re.MULTILINE)
_INDENT = "      "


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stack is wanted."""

    tick: int
    task: int
    """Guest address of the task_struct; 0: not known."""
    position: int
    """Original code offset of the call at which the event was recorded; 0: not known."""


class StackRequests:
    """The stacks of one report."""

    def __init__(self) -> None:
        self._places: dict[Place, int] = {}
        self._sites: list[str] = []

    def add(self, tick: int, task: int, position: int, site: str) -> str:
        """A line for the report in whose place the stack will be; `site`: what is known of it."""
        place = Place(tick, task, position)
        number = self._places.get(place)
        if number is None:
            number = self._places[place] = len(self._sites)
            self._sites.append(site)
        return f"{_INDENT}@stack:{number}@"

    def as_data(self) -> list[dict[str, Any]]:
        """JSON-able: for `Finding.data["stacks"]`."""
        return [
            {"tick": place.tick, "task": place.task, "position": place.position,
             "frames": [site] if site else []}
            for place, site in zip(self._places, self._sites, strict=True)
        ]  # fmt: skip


def places(finding: Finding) -> list[Place]:
    """The places whose stacks a finding wants."""
    return [
        Place(item["tick"], item["task"], item["position"])
        for item in finding.data.get("stacks", ())
    ]


def with_stacks(finding: Finding, found: Mapping[Place, list[str]]) -> Finding:
    """The finding with the stacks that were found, and call sites for the others."""
    items = [
        {**item, "frames": found.get(place) or item["frames"]}
        for place, item in zip(places(finding), finding.data.get("stacks", ()), strict=True)
    ]

    def lines(mark: re.Match[str]) -> str:
        number = int(mark[2])
        frames = items[number]["frames"] if number < len(items) else []
        return "\n".join(mark[1] + frame for frame in frames or ["(call site not recorded)"])

    data = {**finding.data, "stacks": items} if items else finding.data
    return replace(finding, text=_MARK.sub(lines, finding.text), data=data)
