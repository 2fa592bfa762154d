# SPDX-License-Identifier: GPL-2.0-only
"""Kernel configurations: the default one and fragments that change it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from .errors import BuildError

_SETTING = re.compile(r"(CONFIG_\w+)=(.+)")


def known_fragments(configs: Path) -> list[str]:
    """Names of our fragments."""
    return sorted(path.stem for path in configs.glob("*.config"))


def settings(text: str, name: str) -> dict[str, str]:
    """CONFIG_X -> value of a fragment; comments and empty lines are allowed."""
    result = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        match = _SETTING.fullmatch(line)
        if match is None:
            raise BuildError(f"{name}, line {number}: not a setting: {line}")
        result[match[1]] = match[2]
    return result


def merged(configs: Path, fragments: Sequence[str]) -> dict[str, str]:
    """The default configuration with the fragments over it, in their order.

    A fragment is one of ours, by its name, or a file of the user's, by its path.
    """
    result = settings((configs / "wasm_defconfig").read_text(), "wasm_defconfig")
    for fragment in fragments:
        ours = configs / f"{fragment}.config"
        path = ours if "/" not in fragment and ours.is_file() else Path(fragment)
        try:
            text = path.read_text()
        except (OSError, UnicodeDecodeError):
            names = ", ".join(known_fragments(configs))
            raise BuildError(f"no configuration {fragment}: there are {names}") from None
        result |= settings(text, str(fragment))
    return result


def lost(asked: dict[str, str], config: str) -> list[str]:
    """Settings that Kconfig did not keep, given the resulting .config: a dependency is not met."""
    got = {m[1]: m[2] for m in _SETTING.finditer(config)}
    return sorted(
        f"{name}={value}" for name, value in asked.items() if got.get(name, "n") != value
    )
