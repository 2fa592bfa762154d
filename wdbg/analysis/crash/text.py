"""Names from a guest may hold anything: what of them may reach a terminal."""

from __future__ import annotations


def visible(text: str) -> str:
    """The text with control characters, and what turns writing around, as escapes."""
    return "".join(c if c.isprintable() or c in "\n\t" else _escaped(c) for c in text)


def line(text: str) -> str:
    """The same on one line."""
    return visible(text).replace("\n", "\\n").replace("\t", " ")


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
