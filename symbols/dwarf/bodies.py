"""Which of several claims on a function's body is true.

When a weak function has been replaced by a strong one, wasm-ld makes all references to the weak
one point to the strong one, and those of the weak one's DWARF are no exception: its entry and its
lines claim the first bytes of code that they know nothing about (a kernel has dozens of such
pairs, its system calls that are not configured among them). The true claim covers the body to
its end. A claim that does not counts only where there is no true one.
"""

from __future__ import annotations

from bisect import bisect_right

from symbols.wasm import Module


class Bodies:
    """The bodies of a module's functions; addresses are code-section offsets."""

    def __init__(self, module: Module) -> None:
        base = module.code_base
        self._starts = [start - base for _, start, _ in module.bodies]
        self._ends = [end - base for _, _, end in module.bodies]

    def at(self, address: int) -> int:
        """Index of the body that holds an address, -1 if none does."""
        index = bisect_right(self._starts, address) - 1
        return index if index >= 0 and address < self._ends[index] else -1

    def covers(self, body: int, end: int) -> bool:
        """Whether a claim on `body` that ends at address `end` covers it to its end."""
        return body >= 0 and self._ends[body] == end
