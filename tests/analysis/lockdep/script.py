"""Lock events by hand: a task's script is what it does, in words."""

from __future__ import annotations

from collections.abc import Iterable

from wdbg.analysis.lockdep.engine import Engine, Step
from wdbg.analysis.lockdep.judge import judge
from wdbg.trace.events import (
    LOCK_KIND_SHIFT,
    LOCK_SUBCLASS_SHIFT,
    Kind,
    LockFlag,
    LockKind,
    LockNote,
)

KNOWN = LockFlag.STATE_KNOWN
STATES = {
    "": KNOWN,
    "irq-off": KNOWN | LockFlag.IRQS_OFF,
    "bh-off": KNOWN | LockFlag.BH_OFF,
    "hardirq": KNOWN | LockFlag.IRQS_OFF | LockFlag.IN_HARDIRQ,
    "softirq": KNOWN | LockFlag.BH_OFF | LockFlag.IN_SOFTIRQ,
}
SPIN, CONFIG, SLEEP = 2, 3, 4
LOCKS = {name: 0x1000 + 0x40 * number for number, name in enumerate("ABCDEFGHXYZ")}
KEYS = {name: 0x9000 + 0x10 * number for number, name in enumerate("ABCDEFGHXYZ")}


class Script:
    """Annotated events, in the order in which they are told."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.tick = 100

    def _step(self, task: int, kind: int, lock: int, key: int, flags: int, nest: int = 0,
              wait: int = 0) -> None:  # fmt: skip
        self.tick += 1
        self.steps.append(
            (self.tick, task, int(kind), lock, key, int(flags), 0x100 + self.tick, nest, wait, 0, 0)
        )

    def take(
        self, task: int, name: str, read: int = 0, *, state: str = "", trylock: bool = False,
        nest: str = "", instance: int = 0, wait: int = SPIN, subclass: int = 0, outer: int = 0,
    ) -> Script:  # fmt: skip
        """`name`: of the class; `instance` tells its locks apart."""
        flags = STATES[state] | LockFlag.CHECKED | subclass << LOCK_SUBCLASS_SHIFT
        flags |= (0, LockFlag.READ, LockFlag.READ | LockFlag.RECURSIVE)[read]
        kind = Kind.LOCK_ACQUIRE
        if trylock:
            kind, flags = Kind.LOCK_TRY, flags | LockFlag.TRY | LockFlag.SUCCESS
        lock = LOCKS[name] + 4 * instance
        self._step(task, kind, lock, KEYS[name], flags, LOCKS[nest] if nest else 0,
                   wait << 8 | (outer or wait))  # fmt: skip
        return self

    def drop(self, task: int, name: str, *, state: str = "", instance: int = 0) -> Script:
        self._step(task, Kind.LOCK_RELEASE, LOCKS[name] + 4 * instance, KEYS[name], STATES[state])
        return self

    def nested(self, task: int, names: str, *, state: str = "") -> Script:
        """Takes them in order, and drops them in the opposite one."""
        for name in names:
            self.take(task, name, state=state)
        for name in reversed(names):
            self.drop(task, name, state=state)
        return self

    def note(
        self, task: int, what: LockNote, lock: int = 0, value: int = 0, state: str = ""
    ) -> Script:
        self._step(task, Kind.LOCK_NOTE, lock, value, what | STATES[state])
        return self

    def plain(self, task: int, kind: int, lock: int, primitive: LockKind, flags: int = 0) -> Script:
        """Of a lock without annotation."""
        self._step(task, kind, lock, 0, flags | KNOWN | primitive << LOCK_KIND_SHIFT)
        return self

    def other(self, task: int, kind: int, lock: int = 0, flags: int = 0) -> Script:
        self._step(task, kind, lock, 0, flags)
        return self

    def kinds(self, *, certain: bool = True, **engine: object) -> list[str]:
        """Kinds of what is found."""
        return verdicts(self.steps, certain=certain, **engine)


def verdicts(steps: Iterable[Step], *, certain: bool = True, **options: object) -> list[str]:
    engine = Engine(0x8000, **options)
    engine.feed(steps)
    engine.end()
    return [each.kind for each in judge(engine) if not (certain and each.doubtful)]
