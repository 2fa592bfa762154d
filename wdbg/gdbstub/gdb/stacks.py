"""Stacks as GDB sees them: each task has a slot of frame records (`symbols.shadow.frames`).

Records are made when they are read and kept until the guest goes on. A local that the debugger
cannot tell makes the read fail, so GDB says that it cannot access it: never a wrong value.
"""

from __future__ import annotations

from collections.abc import Sequence

from symbols.shadow.addresses import HOST_RETURN, MOST_SLOTS, code_address
from symbols.shadow.frames import (
    RECORD_SIZE,
    Position,
    Record,
    Registers,
    Slot,
    frame_cfa,
    frame_registers,
    outermost_depth,
    pack_record,
    position,
)
from wdbg.debugger.model import DebugError, Debugger, Frame
from wdbg.gdbstub.gdb.entries import Entries
from wdbg.gdbstub.gdb.linkage import MEMORY_BASE, Linkage

_WORD = 8
"""Bytes of a local's or operand's slot."""


class Stacks:
    """All tasks' frames at one stop, and the slots that tasks keep from stop to stop."""

    def __init__(self, debugger: Debugger, entries: Entries) -> None:
        self._debugger = debugger
        self._entries = entries
        self._linkage = Linkage(debugger)
        self._slots: dict[int, int] = {}
        self._tids: dict[int, int] = {}
        self._frames: dict[int, Sequence[Frame]] = {}
        self._links: dict[tuple[int, int], Record] = {}

    def forget(self) -> None:
        """The guest goes on: nothing that was read holds any more, but the slots."""
        self._frames.clear()
        self._links.clear()

    # ---- frames

    def frames(self, tid: int) -> Sequence[Frame]:
        """Those frames of a task that have a place in GDB's address space, innermost first; the
        outer ones of a very deep stack are left out."""
        if tid not in self._frames:
            frames = self._debugger.frames(tid)
            if frames:
                outermost = outermost_depth(frames[0].depth)
                frames = [
                    frame
                    for frame in frames
                    if frame.depth >= outermost and _address(frame) is not None
                ]
            self._frames[tid] = frames
        return self._frames[tid]

    def pc(self, tid: int) -> int:
        """GDB address of where a task stands; the host's if that is not known."""
        frames = self.frames(tid)
        if not frames:
            return HOST_RETURN
        place, event = frames[0].place, self._debugger.stop_event()
        if event.tid == tid and event.place is not None and frames[0].level == 0:
            place = event.place  # perhaps a breakpoint between two stop points
        offset = self._entries.shown(place, frames[0].function_start)
        return code_address(place.module, offset) or HOST_RETURN

    def registers(self, tid: int) -> Registers:
        """The innermost frame's; zeros if the task has none."""
        frames = self.frames(tid)
        slot = self._slot(tid)
        if not frames or slot is None:
            return Registers(0, 0, 0, 0, 0)
        depth = frames[0].depth - outermost_depth(frames[0].depth)
        return frame_registers(frame_cfa(slot, depth))

    def _slot(self, tid: int) -> int | None:
        """A task's slot; None if more tasks than slots are alive."""
        if tid not in self._slots:
            if len(self._slots) >= MOST_SLOTS:
                alive = {thread.tid for thread in self._debugger.threads()}
                for dead in [other for other in self._slots if other not in alive]:
                    del self._tids[self._slots.pop(dead)]
            free = next((slot for slot in range(MOST_SLOTS) if slot not in self._tids), None)
            if free is None:
                return None
            self._slots[tid], self._tids[free] = free, tid
        return self._slots[tid]

    # ---- the frame area

    def read(self, address: int, length: int) -> bytes:
        """Bytes of frame records, up to the first one that is not known."""
        out = bytearray()
        while len(out) < length:
            piece = self._piece(address + len(out))
            if not piece:
                break
            out += piece
        return bytes(out[:length])

    def _piece(self, address: int) -> bytes:
        """The rest of the slot at an address; b"" if it is not known."""
        where = position(address)
        found = self._frame(where)
        if where is None or found is None:
            return b""
        tid, frame = found
        if where.slot is Slot.LOCAL or where.slot is Slot.OPERAND:
            ask = self._debugger.local if where.slot is Slot.LOCAL else self._debugger.operand
            value = ask(tid, frame.level, where.index)
            return b"" if value is None else _word(value)[where.byte :]
        return self._record(tid, frame).read(where.offset, RECORD_SIZE)

    def _frame(self, where: Position | None) -> tuple[int, Frame] | None:
        if where is None or where.thread_slot not in self._tids:
            return None
        tid = self._tids[where.thread_slot]
        frames = self.frames(tid)
        if not frames:
            return None
        depth = where.depth + outermost_depth(frames[0].depth)
        return next(((tid, frame) for frame in frames if frame.depth == depth), None)

    def _record(self, tid: int, frame: Frame) -> Record:
        """A record's links; the locals are read one by one instead."""
        key = tid, frame.level
        if key not in self._links:
            frames = self.frames(tid)
            caller = next((other for other in frames if other.level > frame.level), None)
            caller_pc, caller_ebp = HOST_RETURN, 0
            slot = self._slots[tid]
            if caller is not None:
                depth = caller.depth - outermost_depth(frames[0].depth)
                caller_pc = _address(caller) or HOST_RETURN
                caller_ebp = frame_registers(frame_cfa(slot, depth)).ebp
            module = frame.place.module
            base = self._linkage.value(tid, module, MEMORY_BASE) if module else None
            self._links[key] = pack_record(
                caller_pc=caller_pc,
                caller_ebp=caller_ebp,
                stack_pointer=frame.stack_pointer or None,
                function=frame.function_start,
                local_values=(),
                memory_base=None if base is None else (module, base),
            )
        return self._links[key]

    def write(self, address: int, data: bytes) -> None:
        """Write locals; DebugError for all else."""
        while data:
            where = position(address)
            found = self._frame(where)
            if where is None or found is None or where.slot is not Slot.LOCAL:
                raise DebugError("only memory and locals can be written")
            tid, frame = found
            value = self._debugger.local(tid, frame.level, where.index)
            if value is None:
                raise DebugError("that local is not available here")
            word = bytearray(_word(value))
            part = data[: _WORD - where.byte]
            word[where.byte : where.byte + len(part)] = part
            self._debugger.set_local(tid, frame.level, where.index, int.from_bytes(word, "little"))
            address, data = address + len(part), data[len(part) :]


def _word(value: int) -> bytes:
    return (value & 0xFFFF_FFFF_FFFF_FFFF).to_bytes(_WORD, "little")


def _address(frame: Frame) -> int | None:
    return code_address(frame.place.module, frame.place.offset)
