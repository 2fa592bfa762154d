"""LLDB's packets that let the guest run, as actions of the debugger.

LLDB steps one thread at a time and names only that one (`vCont;s:2c`). Literally that would hold
every other task, and the guest for ever as soon as the one task waits for another. So tasks that
are not named go on while one steps; a `vCont` that only continues some holds the others, as it
says.
"""

from __future__ import annotations

from collections.abc import Mapping

from wdbg.debugger.model import Action, DebugError, Resume

CONTINUE = Action(Resume.CONTINUE)
STEP = Action(Resume.STEP)
STOPPED = Action(Resume.STOPPED)

Plan = tuple[Mapping[int, Action], Action]
"""Actions of named tasks, and of all others."""

_LETTERS = {"c": CONTINUE, "C": CONTINUE, "s": STEP, "S": STEP, "t": STOPPED}
_MOST_ACTIONS = 100_000


def plan_of(packet: str, current: int) -> Plan | None:
    """What `packet` asks for, None if it is no such packet. `current` is the thread meant where
    none is named. DebugError if it is malformed."""
    if packet.startswith("vCont;"):
        return _vcont(packet[6:], current)
    if packet[:1] in ("c", "C"):
        return {}, CONTINUE
    if packet[:1] in ("s", "S"):
        return {current: STEP}, CONTINUE
    if packet == "bc":
        return {}, Action(Resume.CONTINUE, reverse=True)
    if packet == "bs":
        backwards = Action(Resume.STEP, reverse=True)
        return {current: backwards}, Action(Resume.CONTINUE, reverse=True)
    return None


def _vcont(text: str, current: int) -> Plan:
    actions: dict[int, Action] = {}
    default: Action | None = None
    parts = text.split(";")
    if len(parts) > _MOST_ACTIONS:
        raise DebugError(f"vCont with {len(parts)} actions")
    for part in parts:
        what, _, thread = part.partition(":")
        action = _LETTERS.get(what[:1])
        if action is None:
            raise DebugError(f"vCont action {what!r} is not known")
        if thread in ("", "-1"):
            # A step of "all" is a step of the thread that the person looks at.
            if action is STEP:
                actions.setdefault(current, STEP)
            elif default is None:
                default = action
        else:
            actions.setdefault(_tid(thread), action)
    if default is None:
        steps = any(action is STEP for action in actions.values())
        default = CONTINUE if steps or not actions else STOPPED
    return actions, default


def _tid(text: str) -> int:
    try:
        return int(text, 16)
    except ValueError:
        raise DebugError(f"{text!r} is no thread") from None
