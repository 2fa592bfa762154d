"""What a session answers while the guest stands still, and changes nothing."""

from __future__ import annotations

from collections.abc import Sequence

from wdbg.debugger.model import Frame, ModuleInfo, StopEvent, Thread
from wdbg.debugger.view import View
from wdbg.runtime.machine import Machine
from wdbg.runtime.probes import Probes


class Reading:
    """See `wdbg.debugger.model.Debugger` for the methods."""

    machine: Machine
    view: View
    _event: StopEvent

    @property
    def probes(self) -> Probes:
        """The stop points."""
        return self.view.probes

    def stop_event(self) -> StopEvent:
        """See Debugger."""
        return self._event

    def threads(self) -> Sequence[Thread]:
        """See Debugger."""
        return self.view.threads.all(self.machine)

    def thread(self, tid: int) -> Thread | None:
        """See Debugger."""
        return next((thread for thread in self.threads() if thread.tid == tid), None)

    def modules(self) -> Sequence[ModuleInfo]:
        """See Debugger."""
        return self.view.modules()

    def frames(self, tid: int) -> Sequence[Frame]:
        """See Debugger."""
        return self.view.frames(tid)

    def local(self, tid: int, level: int, index: int) -> int | None:
        """See Debugger."""
        return self.view.value(tid, level, index, operand=False)

    def operand(self, tid: int, level: int, slot: int) -> int | None:
        """See Debugger."""
        return self.view.value(tid, level, slot, operand=True)

    def global_value(self, tid: int, module: int, index: int) -> int | None:
        """See Debugger."""
        return self.view.global_value(tid, module, index)

    def read_memory(self, address: int, length: int) -> bytes:
        """See Debugger."""
        return self.view.read_memory(address, length)

    def return_value(self, tid: int) -> int | None:
        """See Debugger."""
        at = self.machine.stopped_at
        return at[1].result if at is not None and at[0] is self.view.find(tid) else None
