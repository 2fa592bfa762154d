"""What is asked of a guest wherever clients look at it: at the end of its run, or further back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wdbg.debugger.model import Frame, ModuleInfo, Thread


class Looking:
    """See `wdbg.debugger.model.Debugger` for the methods."""

    @property
    def at(self) -> Any:
        """The session that clients look at: here, or in another process."""
        raise NotImplementedError

    def threads(self) -> Sequence[Thread]:
        """See Debugger."""
        found: Sequence[Thread] = self.at.threads()
        return found

    def thread(self, tid: int) -> Thread | None:
        """See Debugger."""
        found: Thread | None = self.at.thread(tid)
        return found

    def modules(self) -> Sequence[ModuleInfo]:
        """See Debugger."""
        found: Sequence[ModuleInfo] = self.at.modules()
        return found

    def frames(self, tid: int) -> Sequence[Frame]:
        """See Debugger."""
        found: Sequence[Frame] = self.at.frames(tid)
        return found

    def local(self, tid: int, level: int, index: int) -> int | None:
        """See Debugger."""
        found: int | None = self.at.local(tid, level, index)
        return found

    def operand(self, tid: int, level: int, slot: int) -> int | None:
        """See Debugger."""
        found: int | None = self.at.operand(tid, level, slot)
        return found

    def set_local(self, tid: int, level: int, index: int, value: int) -> None:
        """See Debugger."""
        self.at.set_local(tid, level, index, value)

    def global_value(self, tid: int, module: int, index: int) -> int | None:
        """See Debugger."""
        found: int | None = self.at.global_value(tid, module, index)
        return found

    def set_global(self, tid: int, module: int, index: int, value: int) -> None:
        """See Debugger."""
        self.at.set_global(tid, module, index, value)

    def read_memory(self, address: int, length: int) -> bytes:
        """See Debugger."""
        found: bytes = self.at.read_memory(address, length)
        return found

    def write_memory(self, address: int, data: bytes) -> None:
        """See Debugger."""
        self.at.write_memory(address, data)

    def return_value(self, tid: int) -> int | None:
        """See Debugger."""
        found: int | None = self.at.return_value(tid)
        return found
