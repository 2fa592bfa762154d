"""A recorded run, done again: its inputs, what debuggers did to it, and a look at each switch."""

from __future__ import annotations

from functools import partial

from wdbg.debugger.bounds import Bound
from wdbg.debugger.rewind import apply, go_to
from wdbg.runtime.journal import Position, ReplayError
from wdbg.runtime.machine import Machine
from wdbg.runtime.recording import Recording, SwitchPoint
from wdbg.runtime.runhash import Followed
from wdbg.runtime.stop import Stop, StopKind

_OUTSIDE = frozenset({StopKind.INTERRUPTED.value, StopKind.TIMEOUT.value, StopKind.HANG.value})
"""Ends that do not come from the guest (of a hang: from a watchdog), and so do not come again by
themselves."""


def follow(machine: Machine, recording: Recording) -> None:
    """Have a machine that has not run yet do what was recorded. It ends with StopKind.DIVERGED at
    the first context switch that is another one."""
    machine.hash = Followed(recording.checks, partial(_diverged, machine, recording))
    machine.source = recording.journal
    machine.replay(recording.journal, recorded_end(recording))


def recorded_end(recording: Recording) -> Stop:
    """What a run comes to where its recording ends, unless it ends by itself there."""
    end = recording.end
    if end is None:
        return Stop(StopKind.RECORDED, "the recorded run was killed here")
    kind = StopKind(end.kind)
    message = end.message
    if kind is StopKind.INTERRUPTED:
        kind, message = StopKind.RECORDED, f"the recorded run was ended here: {message}"
    return Stop(kind, message, exit_code=end.status)


def recorded_place(recording: Recording) -> Bound:
    """Where the recording ends."""
    return Bound(recording.reached, ends_by_itself(recording))


def ends_by_itself(recording: Recording) -> bool:
    """The guest's own doing ended it: a replay only has to go on."""
    return recording.end is not None and recording.end.kind not in _OUTSIDE


def _point(point: SwitchPoint) -> str:
    return f"switch {point.switch} at tick {point.ticks}, CPU {point.cpu} to task {point.task:#x}"


def _diverged(machine: Machine, recording: Recording, number: int, tick: int, word: int) -> None:
    before = [p for p in recording.points if p.switch < number]
    after = next((p for p in recording.points if p.switch >= number), None)
    recorded = f"of {len(recording.checks)} recorded switches"
    if before:
        recorded += f", after {_point(before[-1])}"
    if after is not None:
        recorded += f", before or at {_point(after)}"
    here = f"tick {tick}, CPU {word >> 32 & 0x7F} to task {word & 0xFFFF_FFFF:#x}"
    machine.end(
        Stop(
            StopKind.DIVERGED,
            f"the replay differs from its recording at context switch {number}: here {here}; "
            f"recorded is another one, {recorded}",
        )
    )


class Drive:
    """Runs a machine that follows a recording, as far as the recording goes."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._interventions = list(recording.journal.interventions)

    def __call__(self, machine: Machine) -> Stop:
        """To the end, with all that debuggers did on the way. ReplayError if the run does not
        come to a place that was recorded."""
        recording = self._recording
        reached: Position | None = None
        while self._interventions and machine.stop is None:
            entry = self._interventions.pop(0)
            if entry.position != reached:
                reached = entry.position
                go_to(machine, reached, _silent)
            apply(machine, entry)
        stop = None
        limit = recording.reached
        if not ends_by_itself(recording):
            stop = run_to(machine, limit.ticks, limit.quanta, limit.skipped)
            if stop is None:
                machine.end(recorded_end(recording))
        while machine.stop is None:
            stop = machine.run(until=limit.ticks + 1)
            if stop is None and machine.ticks > limit.ticks:
                raise ReplayError(
                    f"the replay differs from its recording: the recorded run ended at tick "
                    f"{limit.ticks} ({recorded_end(recording).kind.value}), this one goes on"
                )
        assert machine.stop is not None
        self._compare(machine.stop, machine)
        return machine.stop

    def _compare(self, stop: Stop, machine: Machine) -> None:
        end = self._recording.end
        if end is None or stop.kind is StopKind.DIVERGED:
            return
        if ends_by_itself(self._recording) and stop.kind.value != end.kind:
            raise ReplayError(
                f"the replay differs from its recording: it ends with {stop.kind.value} at tick "
                f"{machine.ticks}, the recorded run with {end.kind} at tick {end.moment.ticks}"
            )
        if machine.digest() != end.digest:
            raise ReplayError(
                f"the replay differs from its recording after the last context switch: its run "
                f"hash is {machine.digest()}, the recorded one {end.digest} (without memory)"
            )


def run_to(machine: Machine, ticks: int, quanta: int, skipped: int) -> Stop | None:
    """Run to a moment, or to the end if that comes before."""
    while machine.stop is None and machine.ticks < ticks:
        machine.run(until=ticks)
    while machine.stop is None and (machine.quanta, machine.skipped) < (quanta, skipped):
        machine.run_to(quanta, skipped)
    return machine.stop


def _silent(_ticks: int) -> None:
    """Nobody wants to know how far it is."""
