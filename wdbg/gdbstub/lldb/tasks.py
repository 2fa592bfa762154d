"""What one LLDB is shown of the tasks: who stopped and why, where each is, its stack.

LLDB is told what it can cope with: breakpoints are where it asked for them, and a step does not
end in a function that it did not mean to enter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wdbg.debugger.model import (
    Action,
    DebugError,
    Debugger,
    Frame,
    Place,
    Resume,
    StopEvent,
    StopReason,
    Thread,
)
from wdbg.gdbstub.lldb.address import little_endian
from wdbg.gdbstub.lldb.breakpoints import Breakpoints
from wdbg.gdbstub.lldb.entered import Entered, Start, entered, shown_frames, start_of
from wdbg.gdbstub.lldb.modules import HOST_PC, Modules
from wdbg.gdbstub.lldb.stops import NOTHING, TRAP, Cause, cause_of, stop_reply, threads_json


class Tasks:
    """The tasks at the last stop."""

    def __init__(self, debugger: Debugger, modules: Modules, breakpoints: Breakpoints) -> None:
        self._debugger = debugger
        self._modules = modules
        self._breakpoints = breakpoints
        self._start: Start | None = None
        self._hidden: Entered | None = None
        self.event = debugger.stop_event()
        self.listed = 0
        """How many modules were in the list that LLDB has read, 0 before."""

    # ---- moving

    def moved(self, event: StopEvent, *, by_us: bool) -> None:
        """The guest has stopped again; `by_us`: after what this client asked for."""
        start = self._start if by_us else None
        self.event = event
        self._start = None
        self._hidden = entered(self._debugger, self._modules, start, event)

    def reveal(self, actions: Mapping[int, Action]) -> bool:
        """Whether all that these actions do is to show LLDB a bit more of where it is."""
        hidden = self._hidden
        if hidden is None:
            return False
        if hidden.tid in _steppers(actions):
            if hidden.shown == hidden.call:
                self._hidden = None
            hidden.shown = hidden.call
            return True
        if hidden.shown != hidden.call and self._breakpoints.at(hidden.call) is not None:
            hidden.shown = hidden.call
            return True
        return False

    def step_begins(self, actions: Mapping[int, Action]) -> Start | None:
        """Where the task that is to step is, if there is one such task."""
        steppers = _steppers(actions)
        if len(steppers) != 1 or not self._shown(steppers[0]):
            return None
        return start_of(self._debugger, self._modules, steppers[0], self._place(steppers[0]))

    def running(self, start: Start | None) -> None:
        """The guest runs; `start` is what `step_begins` has said."""
        self._start, self._hidden = start, None

    # ---- standing

    def hides(self, tid: int) -> bool:
        """Whether the task has a frame that LLDB does not know of."""
        return self._hidden is not None and self._hidden.tid == tid

    def known(self, tid: int) -> Thread:
        """A thread by its number; DebugError if there is none."""
        thread = self._debugger.thread(tid)
        if thread is None:
            raise DebugError(f"no thread {tid:#x}")
        return thread

    def tids(self) -> list[int]:
        """All threads, the one that stopped first: LLDB selects the first that has a reason."""
        tids = [thread.tid for thread in self._debugger.threads()]
        return sorted(tids, key=lambda tid: tid != self.event.tid)

    def stop(self) -> str:
        """The stop reply for all of them."""
        event = self.event
        if event.reason is StopReason.EXITED:
            return f"W{event.exit_status & 0xFF:02x}"
        thread, cause = self._debugger.thread(event.tid), self._cause(event.tid)
        reply = stop_reply(thread, event.tid, cause, self.pc(event.tid), self.tids())
        # A program may also have been loaded while another client was in control.
        grown = self.listed not in (0, len(self._debugger.modules()))
        if grown or event.reason is StopReason.MODULES:
            reply += "library:1;"
        if event.reason is StopReason.HISTORY:
            reply += "replaylog:end;" if event.end else "replaylog:begin;"
        return reply

    def news(self) -> str | None:
        """What LLDB has to hear before it lets the guest go on: that a program was loaded while
        another client was in control. Without a reason it goes on by itself after that."""
        count = len(self._debugger.modules())
        if self.listed in (0, count):
            return None
        self.listed = count
        event = self.event
        thread = self._debugger.thread(event.tid)
        return (
            stop_reply(thread, event.tid, NOTHING, self.pc(event.tid), self.tids()) + "library:1;"
        )

    def stop_of(self, tid: int) -> str:
        """The stop reply about one thread."""
        thread = self.known(tid)
        return stop_reply(thread, tid, self._cause(tid), self.pc(tid))

    def json(self) -> bytes:
        """The same for all threads at once."""
        rows = []
        for tid in self.tids():
            thread = self._debugger.thread(tid)
            if thread is not None:
                # A pc that is sent here is one that LLDB does not ask for, and each question
                # tells which thread it looks at (see `values`).
                pc = self.pc(tid) if tid == self.event.tid else None
                rows.append((thread, self._cause(tid), pc))
        return threads_json(rows)

    def pc(self, tid: int) -> int:
        """Where a thread is."""
        if not self._shown(tid):
            return HOST_PC
        return self._modules.address(self._debugger, self._place(tid))

    def call_stack(self, tid: int) -> str:
        """Addresses of a thread's frames, innermost first."""
        frames = self._shown(tid)
        if not frames:  # LLDB cannot have a thread without a frame
            return little_endian(HOST_PC)
        places = [self._place(tid), *(frame.place for frame in frames[1:])]
        stack = [self._modules.address(self._debugger, place) for place in places]
        below = sum(self._modules.inlined(self._debugger, frame) for frame in frames)
        return "".join(map(little_endian, stack + [HOST_PC] * below))

    def _cause(self, tid: int) -> Cause:
        if tid != self.event.tid:
            return NOTHING
        hidden = self._hidden
        place = self.event.place if hidden is None else hidden.shown
        here = place is not None and self._breakpoints.at(place) is not None
        if hidden is not None and here:
            return Cause(TRAP, "breakpoint")
        return cause_of(self.event, here=here)

    def _shown(self, tid: int) -> Sequence[Frame]:
        return shown_frames(self._debugger.frames(tid), self._hidden, tid)

    def _place(self, tid: int) -> Place:
        """Where LLDB is told that a thread with a stack is."""
        if self._hidden is not None and self._hidden.tid == tid:
            return self._hidden.shown
        place = self._shown(tid)[0].place
        return self._breakpoints.at(place) or place


def _steppers(actions: Mapping[int, Action]) -> list[int]:
    return [tid for tid, action in actions.items() if action.how is Resume.STEP]
