"""What is at an address: `task_struct.flags of cat/41`, `runqueues.nr_running of CPU 1`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from symbols.dwarf.index import Index
from symbols.dwarf.types import Type, TypeKind
from symbols.errors import SymbolsError
from wdbg.analysis.findings import printable
from wdbg.trace.tables import TaskLife

_PER_CPU = ("runqueues", "hrtimer_bases", "kernel_cpustat")
"""Variables that every kernel has for each CPU."""
_AREA = 1 << 16
"""No static per-CPU variable is farther than this from another one."""
_DEEPEST = 16
"""Levels of members that a name goes down."""


class Objects:
    """Names addresses in one run of one kernel."""

    def __init__(
        self, index: Index, tasks: Sequence[TaskLife], per_cpu: Mapping[int, int] | None = None
    ) -> None:
        """`per_cpu`: what is added to a per-CPU variable's address, by CPU."""
        self._index = index
        self._tasks = tasks
        self._per_cpu = dict(per_cpu or {})
        known = (index.variable(name) for name in _PER_CPU)
        self._reference = next((variable for variable in known if variable is not None), None)
        try:
            self._task = index.struct("task_struct")
        except SymbolsError:
            self._task = None

    def name(self, address: int, tick: int) -> str:
        """The object's name; "" if nothing is known of the address."""
        return self._variable(address) or self._of_task(address, tick) or self._of_cpu(address)

    def stable(self, address: int, tick: int) -> str:
        """The name without what differs from run to run."""
        return self.name(address, tick).split(" of ")[0]

    def _variable(self, address: int) -> str:
        found = self._index.variable_at(address)
        if found is None or found.relative:
            return ""
        return found.name + path(found.type, address - found.address)

    def _of_cpu(self, address: int) -> str:
        """A per-CPU variable. CPUs' areas are far from each other: of all variables that the
        address could be, it is the one that is nearest to a known per-CPU one."""
        if self._reference is None:
            return ""
        near = [
            (abs(address - offset - self._reference.address), cpu, offset)
            for cpu, offset in self._per_cpu.items()
            if offset
        ]
        distance, cpu, offset = min(near, default=(_AREA, 0, 0))
        name = self._variable(address - offset) if distance < _AREA else ""
        return f"{name} of CPU {cpu}" if name else ""

    def _of_task(self, address: int, tick: int) -> str:
        if self._task is None:
            return ""
        size = self._task.size
        known = [row for row in self._tasks if row.address <= address < row.address + size]
        if not known:
            return ""
        row = max((r for r in known if r.tick <= tick), key=lambda r: r.tick, default=known[0])
        who = f"{printable(row.comm)}/{row.pid}"
        return f"task_struct{path(self._task, address - row.address)} of {who}"


def path(kind: Type, offset: int) -> str:
    """The member of a type that is `offset` bytes from its start: `.a.b[3]`; "" for the whole."""
    out = ""
    try:
        for _ in range(_DEEPEST):
            bare = kind.bare
            if bare.kind is TypeKind.ARRAY:
                size = bare.target.size
                if not size:
                    break
                out += f"[{offset // size}]"
                kind, offset = bare.target, offset % size
                continue
            inside = [
                m for m in bare.flat_members if m.offset <= offset < m.offset + max(m.size, 1)
            ]
            if not inside:
                break
            member = inside[0]
            out += f".{member.name}"
            kind, offset = member.type, offset - member.offset
    except SymbolsError:
        pass
    return out if not offset or not out else f"{out}+{offset}"
