"""Who would have signalled what a task sleeps on: nothing in the kernel's memory says so.

A function that signals a static object has its address as a constant in its code; a task that is
to signal an object elsewhere has a pointer to it in a local or on its stack. Both are hints, and
are told as such.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from symbols.dwarf.index import Function, Index
from symbols.dwarf.types import TypeKind
from symbols.errors import SymbolsError
from symbols.wasm.leb import decode_s32
from wdbg.analysis.hang.scene import Actor, Scene
from wdbg.linux.image import Corrupt, Unknown

_I32_CONST = 0x41


@dataclass(frozen=True, slots=True)
class IdleTimer:
    """A timer that nobody has armed, whose function mentions an object."""

    name: str
    function: str


class Wakers:
    """Hints for one scene."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._index: Index = scene.index

    def mentioning(self, address: int) -> list[Function]:
        """Functions with a static address as a constant in their code."""
        if not self._scene.object_name(address):
            return []
        data, base = self._index.module.data, self._index.module.code_base
        found: dict[int, Function] = {}
        for size in (0, 5):  # linkers leave room for the largest number
            wanted = bytes([_I32_CONST]) + _sleb(address, size)
            at = data.find(wanted, base)
            while at >= 0:
                function = self._index.function_at(at - base)
                if function is not None:
                    found[function.low] = function
                at = data.find(wanted, at + 1)
        return list(found.values())

    def likely(self, address: int, sleeper: int, others: list[Actor]) -> Iterator[tuple[int, str]]:
        """(task, why) of tasks that would signal an object: they are in a function that mentions
        it, or they have a pointer to it."""
        lows = {function.low: function.name for function in self.mentioning(address)}
        for actor in others:
            if actor.task == sleeper:
                continue
            frames = self._scene.snapshot.frames(actor.task)
            name = next((lows[f.start] for f in frames if not f.module and f.start in lows), "")
            if name:
                yield actor.task, f"{name}() refers to it"
                continue
            if any(address in (*f.locals.values(), *f.operands.values()) for f in frames):
                yield actor.task, "it has a pointer to it"

    def idle_timers(self, address: int) -> list[IdleTimer]:
        """Timers that are not armed: static ones whose function mentions an object, and those of
        the struct that the object is a member of."""
        pointers = {
            self._table.get(function.index): function.name for function in self.mentioning(address)
        }
        pointers.pop(None, None)
        found = self._beside(address)
        if not pointers:
            return found
        image, armed = self._scene.image, {timer.address for timer in self._scene.timers}
        for name, at in self._static_timers:
            try:
                function = pointers.get(image.field(at, "timer_list", "function"))
            except (Corrupt, Unknown):
                continue
            timer = IdleTimer(name, function or "")
            if function is not None and at not in armed and timer not in found:
                found.append(timer)
        return found

    def _beside(self, address: int) -> list[IdleTimer]:
        try:
            variable = self._index.variable_at(address)
            members = variable.type.bare.flat_members if variable is not None else ()
        except SymbolsError:
            return []
        armed = {timer.address for timer in self._scene.timers}
        functions = {number: index for index, number in self._table.items()}
        found = []
        for member in members:
            if variable is None or member.type.bare.name != "timer_list":
                continue
            at = variable.address + member.offset
            try:
                pointer = self._scene.image.field(at, "timer_list", "function")
            except (Corrupt, Unknown):
                continue
            index = functions.get(pointer)
            function = next((f for f in self._index.functions() if f.index == index), None)
            if function is not None and at not in armed:
                found.append(IdleTimer(f"{variable.name}.{member.name}", function.name))
        return found

    @cached_property
    def _static_timers(self) -> list[tuple[str, int]]:
        """Variables that are a timer or have one as a member: (name, address of the timer)."""
        found = []
        for variable in self._index.all_variables():
            try:
                kind = variable.type.bare
                if variable.relative or kind.kind is not TypeKind.STRUCT:
                    continue
                if kind.name == "timer_list":
                    found.append((variable.name, variable.address))
                    continue
                found += [
                    (f"{variable.name}.{member.name}", variable.address + member.offset)
                    for member in kind.flat_members
                    if member.type.bare.name == "timer_list"
                ]
            except SymbolsError:
                continue
        return found

    @cached_property
    def _table(self) -> dict[int, int]:
        """Index in the function table by function."""
        module = self._index.module
        found: dict[int, int] = {}
        for element in module.elements:
            if element.offset is None or element.table or element.functions is None:
                continue
            start, end = element.offset
            if module.data[start] == _I32_CONST:
                base, _ = decode_s32(module.data, start + 1, end)
                for at, function in enumerate(element.functions):
                    found.setdefault(function, base + at)
        return found


def _sleb(value: int, size: int) -> bytes:
    """A signed LEB128 of an address as an i32, of at least `size` bytes."""
    if value >= 1 << 31:
        value -= 1 << 32
    out = bytearray()
    while True:
        byte, value = value & 0x7F, value >> 7
        done = (value == 0 and not byte & 0x40) or (value == -1 and byte & 0x40)
        if done and len(out) + 1 >= size:
            return bytes([*out, byte])
        out.append(byte | 0x80)
