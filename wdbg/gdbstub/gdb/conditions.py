"""Breakpoint conditions, evaluated where the guest stops.

A condition looks at the innermost frame, whose locals come with the stop. The frames around it
would cost a fork, so this evaluation does without them: the record is put at depth 0, wherever it
really lies.
"""

from __future__ import annotations

from symbols.shadow.addresses import code_address, frame_slot
from symbols.shadow.frames import MEMORY_BASES, Slot, frame_cfa, frame_registers, position
from wdbg.debugger.model import DebugError, Debugger, StopEvent
from wdbg.gdbstub.gdb.agent import MOST_BYTES, AgentError, evaluate
from wdbg.gdbstub.gdb.linkage import MEMORY_BASE, STACK_POINTER, Linkage
from wdbg.gdbstub.gdb.registers import EBP, EBX, EDI, EIP, ESI, ESP
from wdbg.gdbstub.gdb.text import BadPacket, hex_bytes, number

MOST_CONDITIONS = 64
_RECORD = frame_registers(frame_cfa(0, 0))
_REGISTERS = {
    EBX: _RECORD.ebx,
    ESP: _RECORD.esp,
    EBP: _RECORD.ebp,
    ESI: _RECORD.esi,
    EDI: _RECORD.edi,
}


def parse(text: bytes) -> tuple[bytes, ...]:
    """The conditions behind a `Z0` packet's kind: `;X` length `,` code, once or more, with
    `;cmds:` ... ignored. BadPacket."""
    conditions = []
    for part in text.split(b";cmds:")[0].split(b";"):
        for item in part.split(b"X")[1:]:
            length, _, code = item.partition(b",")
            data = hex_bytes(code)
            if number(length) != len(data) or len(data) > MOST_BYTES:
                raise BadPacket("condition's length is wrong")
            conditions.append(data)
        if part and not part.startswith(b"X"):
            raise BadPacket("no condition")
    if len(conditions) > MOST_CONDITIONS:
        raise BadPacket("too many conditions")
    return tuple(conditions)


class Conditions:
    """Evaluates conditions for the task that has stopped."""

    def __init__(self, debugger: Debugger) -> None:
        self._debugger = debugger
        self._linkage = Linkage(debugger)

    def holds(self, event: StopEvent, codes: tuple[bytes, ...]) -> bool:
        """Whether one of the conditions is true or cannot be evaluated here, in which case the
        client is to find out, and to say what is wrong. True if there are none."""

        def register(which: int) -> int:
            if which == EIP and event.place is not None:
                address = code_address(event.place.module, event.place.offset)
                if address is not None:
                    return address
            if which not in _REGISTERS:
                raise AgentError(f"register {which} is not available to a condition")
            return _REGISTERS[which]

        def read(address: int, length: int) -> bytes:
            if frame_slot(address) is None:
                return self._debugger.read_memory(address, length)
            return self._record(event, address)[:length]

        for code in codes:
            try:
                if evaluate(code, register, read):
                    return True
            except DebugError:
                return True
        return not codes

    def _record(self, event: StopEvent, address: int) -> bytes:
        """The rest of a slot of the innermost frame's record; AgentError if not known."""
        where = position(address)
        value: int | None = None
        if where is None or event.place is None or where.thread_slot or where.depth:
            raise AgentError("not in the innermost frame")
        tid, module = event.tid, event.place.module
        if where.slot is Slot.LOCAL:
            value = self._debugger.local(tid, 0, where.index)
        elif where.slot is Slot.OPERAND:
            value = self._debugger.operand(tid, 0, where.index)
        elif where.slot is Slot.STACK_POINTER:
            value = self._linkage.value(tid, module, STACK_POINTER)
        elif module and address == _RECORD.esp - MEMORY_BASES + 4 * (module - 1):
            value = self._linkage.value(tid, module, MEMORY_BASE)
        if value is None:
            raise AgentError("not available")
        return value.to_bytes(8, "little")[where.byte :]
