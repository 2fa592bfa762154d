"""The i386 registers of a task: only those that unwinding needs, and a return value, are known.

The layout of `g` is GDB's default for i386 with SSE: 16 words, 8 times 10 bytes of x87 stack, 8
x87 words, 8 times 16 bytes, mxcsr. What is not known is "unavailable" (x for each digit), so that
GDB says so instead of showing a zero. Further registers are read one by one with `p`.
"""

from __future__ import annotations

from dataclasses import dataclass

from wdbg.debugger.model import DebugError, Debugger
from wdbg.gdbstub.gdb.linkage import STACK_POINTER, Linkage
from wdbg.gdbstub.gdb.stacks import Stacks
from wdbg.gdbstub.gdb.text import to_hex

EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI, EIP, EFLAGS = range(10)
_GENERAL = ("eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "eip", "eflags")
_SEGMENTS = ("cs", "ss", "ds", "es", "fs", "gs")
_X87_CONTROL = ("fctrl", "fstat", "ftag", "fiseg", "fioff", "foseg", "fooff", "fop")
_TYPES = {"eip": "code_ptr", "esp": "data_ptr", "ebp": "data_ptr"}
_INTERRUPTS_ON = 0x202


@dataclass(frozen=True, slots=True)
class _Extra:
    """A register beyond i386's, with what `p` answers."""

    name: str
    bits: int
    type: str


_EXTRAS = (
    _Extra("tick", 64, "uint64"),
    _Extra("wasm_offset", 32, "uint32"),
    _Extra("wasm_sp", 32, "data_ptr"),
)
TICK, WASM_OFFSET, WASM_SP = range(41, 41 + len(_EXTRAS))


def _sizes() -> tuple[int, ...]:
    """Bytes of each register, by number."""
    return (4,) * 16 + (10,) * 8 + (4,) * 8 + (16,) * 8 + (4,)


SIZES = _sizes()


def description() -> str:
    """The target description that GDB reads first (target.xml)."""
    lines = [
        '<?xml version="1.0"?>',
        '<!DOCTYPE target SYSTEM "gdb-target.dtd">',
        '<target version="1.0"><architecture>i386</architecture><osabi>none</osabi>',
        '<feature name="org.gnu.gdb.i386.core">',
    ]
    lines += [
        f'<reg name="{name}" bitsize="32" type="{_TYPES.get(name, "int32")}"/>'
        for name in _GENERAL + _SEGMENTS
    ]
    lines += [f'<reg name="st{n}" bitsize="80" type="i387_ext"/>' for n in range(8)]
    lines += [f'<reg name="{n}" bitsize="32" type="int" group="float"/>' for n in _X87_CONTROL]
    lines += [
        '</feature><feature name="org.gnu.gdb.i386.sse">',
        '<vector id="v4f" type="ieee_single" count="4"/>',
    ]
    lines += [f'<reg name="xmm{n}" bitsize="128" type="v4f"/>' for n in range(8)]
    lines += [
        '<reg name="mxcsr" bitsize="32" type="int"/>',
        '</feature><feature name="org.wdbg.guest">',
    ]
    lines += [
        f'<reg name="{extra.name}" bitsize="{extra.bits}" type="{extra.type}" group="general"/>'
        for extra in _EXTRAS
    ]
    lines.append("</feature></target>")
    return "\n".join(lines)


class RegisterFile:
    """What `g` and `p` answer."""

    def __init__(self, debugger: Debugger, stacks: Stacks) -> None:
        self._debugger = debugger
        self._stacks = stacks
        self._linkage = Linkage(debugger)

    def value(self, tid: int, register: int) -> int | None:
        """A register's value; None: not known."""
        if register == EIP:
            return self._stacks.pc(tid)
        if register == EFLAGS:
            return _INTERRUPTS_ON
        if register in (EAX, EDX):
            result = self._debugger.return_value(tid)
            if result is None:
                return None
            return (result >> (32 if register == EDX else 0)) & 0xFFFF_FFFF
        if register in (EBX, ESP, EBP, ESI, EDI):
            frame = self._stacks.registers(tid)
            return {
                EBX: frame.ebx,
                ESP: frame.esp,
                EBP: frame.ebp,
                ESI: frame.esi,
                EDI: frame.edi,
            }[register]
        if EFLAGS < register < EFLAGS + 1 + len(_SEGMENTS):
            return 0
        return self._extra(tid, register)

    def _extra(self, tid: int, register: int) -> int | None:
        if register == TICK:
            return self._debugger.stop_event().tick
        frames = self._stacks.frames(tid)
        if register == WASM_OFFSET and frames:
            return frames[0].place.offset
        if register == WASM_SP and frames:
            return self._linkage.value(tid, frames[0].place.module, STACK_POINTER)
        return None

    def all(self, tid: int) -> bytes:
        """The `g` packet's reply."""
        return b"".join(self.one(tid, register) for register in range(len(SIZES)))

    def one(self, tid: int, register: int) -> bytes:
        """One register in hex, least significant byte first, x where unknown; DebugError if
        there is no such register."""
        if register < len(SIZES):
            size = SIZES[register]
        elif register - len(SIZES) < len(_EXTRAS):
            size = _EXTRAS[register - len(SIZES)].bits // 8
        else:
            raise DebugError(f"there is no register {register}")
        value = self.value(tid, register)
        return b"xx" * size if value is None else to_hex(value.to_bytes(size, "little"))
