"""What a session can tell of going backwards without running anything, and thread facts for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wdbg.debugger.model import Place, StopEvent, StopReason

if TYPE_CHECKING:
    from wdbg.debugger.session import Session


def in_interrupt(session: Session, tid: int) -> bool:
    """A thread is in an interrupt: its handler is on its stack."""
    port = session.machine.abi.port
    return any(
        frame.place.module == 0 and frame.function in (port.irq_entry, port.user_irq_entry)
        for frame in session.frames(tid)
    )


def virtual_before(session: Session, *, step: bool) -> StopEvent | None:
    """The stop before this one in the segment where the event's task stands, which is gone back to
    without running."""
    event = session.stop_event()
    task = session.view.find(event.tid)
    here = session.view.stands_at(task) if task is not None else None
    place = event.place
    if here is None or place is None or place.module != here[0]:
        return None
    real = session.probes.modules[here[0]].stops.places[here[1]]
    if place.offset <= real:
        return None
    found = Place(here[0], real) if step else session.conditions.breakpoints.before(place, here[1])
    if found is None:
        return None
    reason = StopReason.STEP if step else StopReason.BREAKPOINT
    return StopEvent(reason, event.tid, found, tick=session.machine.ticks)
