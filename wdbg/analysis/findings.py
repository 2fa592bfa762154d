"""What a check has found: one shape for deadlocks, races, hangs and misuse of memory.

A finding has a stable identity: the same bug has the same one in every run of the same source, so
that a suppression file can name it. Whether a run counts as clean is decided here too.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

IDENTITY_DIGITS = 12

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong with the guest, or would be in another schedule."""

    kind: str
    """What it is: lower case with hyphens, of a documented list (docs/deadlocks.md ...)."""
    identity: str
    """`identity_of` the kind and names: no address, tick or pid goes into it."""
    title: str
    """One line."""
    tick: int
    """Where to look: `wdbg replay --to TICK`."""
    text: str
    """The report, many lines. Names from the guest have passed `printable`."""
    data: dict[str, Any] = field(default_factory=dict)
    """What the text was made of, JSON-able. `functions`: the names that suppressions match."""
    doubtful: str = ""
    """Why it may rest on a part of the trace that is missing; "": it does not."""


def identity_of(kind: str, parts: Iterable[str]) -> str:
    """A digest of the kind and of what makes this finding differ from others of its kind."""
    text = "\0".join((kind, *parts))
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:IDENTITY_DIGITS]


def printable(text: str) -> str:
    """A text of the guest's without control characters, which a terminal would obey."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def to_json(findings: Iterable[Finding]) -> str:
    """A JSON array of objects."""
    return json.dumps([asdict(finding) for finding in findings])


def from_json(text: str | bytes) -> list[Finding]:
    """Findings of such an array; ValueError if it is none."""
    try:
        return [Finding(**item) for item in json.loads(text)]
    except TypeError as error:
        raise ValueError(str(error)) from None


def is_failure(finding: Finding) -> bool:
    """Whether it makes a run fail: nothing that rests on missing parts of a trace does."""
    return not finding.doubtful
