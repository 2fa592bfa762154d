"""Suppression files: findings that are known, and are not to fail a run.

A line is an identity (12 hexadecimal digits), or ``kind:glob``. The glob is matched against the
finding's title, and against each of its functions. ``#`` starts a comment.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from wdbg.analysis.findings import IDENTITY_DIGITS, Finding
from wdbg.errors import BadInput

_IDENTITY = re.compile(rf"[0-9a-f]{{{IDENTITY_DIGITS}}}")
_PATTERN = re.compile(r"([a-z*?][a-z0-9*?-]*):(.+)")
_LIMIT = 4 << 20
"""Bytes of a file."""


@dataclass(frozen=True, slots=True)
class Suppressions:
    """The lines of the files that were given."""

    identities: frozenset[str] = frozenset()
    patterns: tuple[tuple[str, str], ...] = ()
    """(glob of kinds, glob of titles and functions)."""

    def match(self, finding: Finding) -> bool:
        """Whether a line means this finding."""
        if finding.identity in self.identities:
            return True
        functions = finding.data.get("functions", ())
        names = [finding.title, *(str(name) for name in functions)]
        return any(
            fnmatch.fnmatchcase(finding.kind, kind)
            and any(fnmatch.fnmatchcase(name, glob) for name in names)
            for kind, glob in self.patterns
        )


def read_suppressions(paths: Iterable[Path]) -> Suppressions:
    """BadInput for a file that cannot be read, or a line that is neither."""
    identities: set[str] = set()
    patterns: list[tuple[str, str]] = []
    for path in paths:
        try:
            with path.open("rb") as file:
                data = file.read(_LIMIT + 1)
        except OSError as error:
            raise BadInput(f"--suppress {path}: {error.strerror}") from None
        if len(data) > _LIMIT:
            raise BadInput(f"--suppress {path}: more than {_LIMIT} bytes")
        for number, raw in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
            # A comment starts a line or stands behind a blank: titles may hold a "#".
            line = re.split(r"(?:^|\s)#", raw, maxsplit=1)[0].strip()
            if not line:
                continue
            pattern = _PATTERN.fullmatch(line)
            if _IDENTITY.fullmatch(line):
                identities.add(line)
            elif pattern:
                patterns.append((pattern[1], pattern[2].strip()))
            else:
                raise BadInput(
                    f"--suppress {path}:{number}: {line[:60]!r} is no suppression",
                    f"{IDENTITY_DIGITS} hexadecimal digits, or kind:glob",
                )
    return Suppressions(frozenset(identities), tuple(patterns))


def suppression_lines(findings: Iterable[Finding]) -> list[str]:
    """A file's lines that suppress these findings."""
    lines: dict[str, None] = {}
    for finding in findings:
        lines[f"# {finding.kind}: {finding.title}"] = None
        lines[finding.identity] = None
    return list(lines)
