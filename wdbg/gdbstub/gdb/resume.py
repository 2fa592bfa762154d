"""`vCont`: what each thread is to do. The first action that names a thread counts; a thread that
none names stays where it is, which is how GDB locks the scheduler."""

from __future__ import annotations

from dataclasses import dataclass, field

from symbols.shadow.addresses import code_place
from wdbg.debugger.model import Action, Resume
from wdbg.gdbstub.gdb.text import BadPacket, number, numbers
from wdbg.gdbstub.gdb.threads import ALL, ANY, thread_id

SUPPORTED = b"vCont;c;C;s;S;r"
_STOPPED = Action(Resume.STOPPED)
_PLAIN = {b"c": Resume.CONTINUE, b"s": Resume.STEP}
_SIGNALLED = {b"C": Resume.CONTINUE, b"S": Resume.STEP}


@dataclass(frozen=True, slots=True)
class Plan:
    """Arguments of `Debugger.resume`."""

    actions: dict[int, Action] = field(default_factory=dict)
    default: Action = _STOPPED


def parse(text: bytes, current: int) -> Plan:
    """What follows `vCont;`; `current` is the thread that "any" means. BadPacket."""
    actions: dict[int, Action] = {}
    default: Action | None = None
    for part in text.split(b";"):
        verb, colon, who = part.partition(b":")
        action = _action(verb)
        tid = thread_id(who) if colon else ALL
        if default is not None:
            continue  # every thread has its action already
        if tid == ALL:
            default = action
        else:
            actions.setdefault(current if tid == ANY else tid, action)
    return Plan(actions, default or _STOPPED)


def _action(verb: bytes) -> Action:
    if verb in _PLAIN:
        return Action(_PLAIN[verb])
    if verb[:1] in _SIGNALLED:  # the guest has no signals of ours: they are dropped
        number(verb[1:])
        return Action(_SIGNALLED[verb[:1]])
    if verb[:1] == b"r":
        start, end = (code_place(address) for address in numbers(verb[1:], 2))
        if start is None or end is None or start[0] != end[0] or start[1] >= end[1]:
            return Action(Resume.STEP)
        return Action(Resume.RANGE, start[1], end[1])
    raise BadPacket(f"cannot {verb.decode('ascii', 'replace')}")
