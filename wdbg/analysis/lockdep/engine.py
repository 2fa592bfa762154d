"""Follows what each task holds, and notes dependencies, uses in interrupts, and misuse.

The rules are those of kernel/locking/lockdep.c, without its table sizes and without its stopping
after the first finding: all is kept, and judged at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from wdbg.analysis.lockdep.classes import SPIN, Classes, sleeps
from wdbg.analysis.lockdep.graph import Graph
from wdbg.analysis.lockdep.model import (
    Acquisition,
    Held,
    LockClass,
    Problem,
    Usage,
    Witness,
    dependency,
)
from wdbg.trace.events import (
    LOCK_KIND_BITS,
    LOCK_KIND_SHIFT,
    LOCK_NOTE_MASK,
    LOCK_SUBCLASS_BITS,
    LOCK_SUBCLASS_SHIFT,
    Kind,
    LockFlag,
    LockKind,
    LockNote,
)

Step = tuple[int, int, int, int, int, int, int, int, int, int, int]
"""tick, task, kind, lock, class (of notes: value), flags, position, nest, wait, name, and the
number of the event in its batch."""

_READ, _RECURSIVE, _TRY, _SUCCESS = (
    int(LockFlag.READ), int(LockFlag.RECURSIVE), int(LockFlag.TRY), int(LockFlag.SUCCESS),
)  # fmt: skip
_KNOWN, _IRQS_OFF, _BH_OFF = (
    int(LockFlag.STATE_KNOWN), int(LockFlag.IRQS_OFF), int(LockFlag.BH_OFF),
)  # fmt: skip
_HARD, _SOFT, _THREADED = (
    int(LockFlag.IN_HARDIRQ), int(LockFlag.IN_SOFTIRQ), int(LockFlag.THREADED),
)  # fmt: skip
_CHECKED, _PREEMPT_OFF = int(LockFlag.CHECKED), int(LockFlag.PREEMPT_OFF)
_ATOMIC = _IRQS_OFF | _BH_OFF | _HARD | _SOFT | _PREEMPT_OFF
_KINDS = (1 << LOCK_KIND_BITS) - 1
_SUBCLASSES = (1 << LOCK_SUBCLASS_BITS) - 1
_ACQUIRE, _ACQUIRED, _RELEASE, _INIT, _NOTE = (
    int(Kind.LOCK_ACQUIRE), int(Kind.LOCK_ACQUIRED), int(Kind.LOCK_RELEASE), int(Kind.LOCK_INIT),
    int(Kind.LOCK_NOTE),
)  # fmt: skip
_TRIED, _SWITCH, _FORK, _EXIT, _LEAVE = (
    int(Kind.LOCK_TRY), int(Kind.SCHED_SWITCH), int(Kind.SCHED_FORK), int(Kind.SCHED_EXIT),
    int(Kind.SYSCALL_EXIT),
)  # fmt: skip
_SIGNALLED = frozenset({LockKind.COMPLETION, LockKind.WAIT_QUEUE, LockKind.FUTEX})
_OWNED = frozenset({LockKind.MUTEX, LockKind.RT_MUTEX, LockKind.WW_MUTEX})
"""Whoever releases one of these must be the one who took it."""


def _nothing(_step: Step) -> Sequence[Acquisition]:
    return ()


@dataclass(frozen=True, slots=True)
class Side:
    """Somebody waits for something, or signals it."""

    what: LockClass
    step: Step
    held: tuple[Acquisition, ...]
    earlier: tuple[Acquisition, ...]
    """Taken, and perhaps given back, on the way to a signal."""


class Task:
    """What is known of a task."""

    __slots__ = ("held", "pending", "sure")

    def __init__(self, *, sure: bool) -> None:
        self.held: list[Held] = []
        self.pending: dict[int, Step] = {}
        """Locks that it has begun to take (without annotations)."""
        self.sure = sure
        """Nothing that it holds is missing."""


class Engine:
    """Goes over the steps of a trace in order."""

    def __init__(
        self, static_end: int = 0, unchecked: int = 0, untracked: int = 0, *, whole: bool = True
    ) -> None:
        """`unchecked`, `untracked`: keys of locks that are not to be checked, not to be looked at
        at all; 0: none. `whole`: the trace begins where the guest does."""
        self.classes = Classes(static_end)
        self.graph = Graph()
        self.problems: dict[tuple[object, ...], Problem] = {}
        self.usage: dict[int, dict[int, Acquisition]] = {}
        """Class to `Usage` (+ 1 for readers) to who was the first."""
        self.unsure_usage: set[tuple[int, int]] = set()
        self.signals: dict[tuple[int, ...], Side] = {}
        self.waits: dict[tuple[int, ...], Side] = {}
        """By number of the class and the locks: what is signalled and waited for, and how."""
        self.earlier: Callable[[Step], Sequence[Acquisition]] = _nothing
        """What a task has taken in the piece of work in which it signals something, though it may
        have given it back."""
        self.selftest = False
        self.lost = not whole
        self._whole = whole
        self._unchecked, self._untracked = unchecked, untracked
        self._tasks: dict[int, Task] = {}
        self._owners: dict[int, int] = {}
        """Lock without annotation to the task that holds it exclusively."""

    # ---- steps ---------------------------------------------------------------------------------

    def feed(self, steps: Iterable[Step]) -> None:
        """The next steps."""
        for step in steps:
            kind, flags = step[2], step[5]
            if kind in (_ACQUIRE, _TRIED):
                if flags >> LOCK_KIND_SHIFT & _KINDS:
                    self._begin_plain(step)
                else:
                    self._acquire(step)
            elif kind == _RELEASE:
                if flags >> LOCK_KIND_SHIFT & _KINDS:
                    self._release_plain(step)
                else:
                    self._release(step)
            elif kind == _ACQUIRED:
                if flags >> LOCK_KIND_SHIFT & _KINDS:
                    self._acquired_plain(step)
            elif kind == _NOTE:
                self._note(step)
            elif kind == _SWITCH:
                self._blocked(step)
            elif kind == _INIT:
                if flags >> LOCK_KIND_SHIFT & _KINDS:
                    self._initialised_plain(step)
            elif kind == _FORK:
                self._tasks[step[3]] = Task(sure=True)
            elif kind in (_EXIT, _LEAVE):
                self._none_held(step, "exit" if kind == _EXIT else "return")

    def lose(self) -> None:
        """Events are missing here: what tasks hold is not known any more."""
        self.lost = True
        self._whole = False
        self._owners.clear()
        for task in self._tasks.values():
            task.held.clear()
            task.pending.clear()
            task.sure = False

    def end(self) -> None:
        """No more steps: those who still wait for a lock have asked for it, too."""
        for task in self._tasks.values():
            for step in task.pending.values():
                kind = _lock_kind(step[5])
                if kind not in _SIGNALLED:
                    self._take(step, self.classes.plain(step[3], kind), check=True)
            task.pending.clear()

    def task(self, number: int) -> Task:
        """The state of a task."""
        found = self._tasks.get(number)
        if found is None:
            found = self._tasks[number] = Task(sure=self._whole)
        return found

    def asked(self, number: int) -> list[int]:
        """Locks without annotation that a task has begun to take."""
        pending = self.task(number).pending
        return [lock for lock, step in pending.items() if _lock_kind(step[5]) not in _SIGNALLED]

    # ---- taking --------------------------------------------------------------------------------

    def _acquire(self, step: Step) -> None:
        lock, key, flags = step[3], step[4], step[5]
        if key == self._untracked != 0:
            return
        subclass = flags >> LOCK_SUBCLASS_SHIFT & _SUBCLASSES
        found = self.classes.annotated(lock, key, subclass, step[9], step[8])
        check = bool(flags & _CHECKED) and not key == self._unchecked != 0
        self._take(step, found, check=check)

    def _take(self, step: Step, found: LockClass, *, check: bool) -> None:
        tick, number, _, lock, _, flags, position, nest, _, _, _ = step
        task = self.task(number)
        held = task.held
        read = 2 if flags & _RECURSIVE else 1 if flags & _READ else 0
        at = Acquisition(found.number, lock, read, tick, number, position, flags)
        if nest and held and held[-1].at.number == found.number:
            # Locks of a class under a lock that serialises them are counted, not listed.
            top = held[-1]
            top.references = (top.references or 1) + 1
            return
        context = (flags >> 7) & 3 if flags & _KNOWN else 0
        trylock = bool(flags & _TRY)
        if not trylock:
            self._check_wait(task, at, found, context)
        if check:
            self._use(task, at, trylock)
            if not trylock:
                if nest and not any(each.at.lock == nest for each in held) and task.sure:
                    self.problem("nest-lock-not-held", at)
                if held:
                    self._depend(task, at, context, nest)
        held.append(Held(at, context, trylock, check, nest, found.inner))

    def _depend(self, task: Task, at: Acquisition, context: int, nest: int) -> None:
        """Dependencies of a lock on those that are held."""
        serialised = False
        for each in task.held:
            serialised = serialised or (nest != 0 and each.at.lock == nest)
            if each.at.number != at.number or (at.read == 2 and each.at.read):
                continue
            if serialised:
                return
            self.problem("recursive-locking", at, (each.at,))
            break
        every = frozenset((each.at.lock, each.at.read != 0) for each in task.held)
        for each in task.held:
            if each.context == context and each.check and each.at.number != at.number:
                gates = every - {(each.at.lock, each.at.read != 0)}
                kind = dependency(each.at.read, at.read)
                self.graph.add(Witness(each.at, at, gates, kind, task.sure))

    def _use(self, task: Task, at: Acquisition, trylock: bool) -> None:
        """Note in which contexts the class is used."""
        flags = at.flags
        if not flags & _KNOWN:
            return
        reader = int(at.read != 0)
        if not trylock:
            if flags & _HARD:
                self._mark(at, Usage.IN_HARDIRQ + reader)
            if flags & _SOFT:
                self._mark(at, Usage.IN_SOFTIRQ + reader)
        if not flags & _IRQS_OFF:
            self._mark(at, Usage.HARDIRQS_ON + reader)
            if not flags & (_BH_OFF | _SOFT):
                self._mark(at, Usage.SOFTIRQS_ON + reader)

    def _mark(self, at: Acquisition, usage: int) -> None:
        marks = self.usage.get(at.number)
        if marks is None:
            marks = self.usage[at.number] = {}
        if usage not in marks:
            marks[usage] = at

    def _check_wait(self, task: Task, at: Acquisition, found: LockClass, context: int) -> None:
        """A lock that may sleep, where that is not possible."""
        outer = found.outer or found.inner
        if not found.inner or not outer:
            return
        flags = at.flags
        if context & 1:
            limit = "config" if flags & _THREADED else SPIN
        else:
            limit = "config" if context else 99
        blame: Held | None = None
        least = 99 if limit == "config" else int(limit)
        for each in task.held:
            if each.context == context and each.inner:
                if self.classes.all[each.at.number].lock_type == 2:
                    least, blame = each.inner, None
                elif each.inner < least:
                    least, blame = each.inner, each
        if outer > least:
            self.problem("invalid-wait-context", at, () if blame is None else (blame.at,),
                         detail="" if blame else "interrupt")  # fmt: skip
        elif limit == "config" and outer > SPIN:
            # Whether spinlock_t is as good as raw_spinlock_t there is known at the end.
            self.problem("invalid-wait-context", at, detail=f"config {outer}")

    # ---- giving back ---------------------------------------------------------------------------

    def _release(self, step: Step) -> None:
        lock, key = step[3], step[4]
        if key == self._untracked != 0:
            return
        task = self.task(step[1])
        held = task.held
        top = held[-1].context if held else 0
        for at in range(len(held) - 1, -1, -1):
            each = held[at]
            if each.context != top:
                break
            if each.at.lock == lock or (each.references and self._same_key(each, lock, key)):
                if each.pinned:
                    self.problem("pinned-lock-released", self._here(step, each.at.number))
                if each.references > 1:
                    each.references -= 1
                else:
                    del held[at]
                return
        if task.sure:
            found = self.classes.annotated(lock, key, 0, step[9], step[8])
            self.problem("unbalanced-release", self._here(step, found.number))

    def _same_key(self, each: Held, lock: int, key: int) -> bool:
        found = self.classes.all[each.at.number]
        return found.key == (key or lock)

    def _here(self, step: Step, number: int) -> Acquisition:
        return Acquisition(number, step[3], 0, step[0], step[1], step[6], step[5])

    # ---- what else is told ---------------------------------------------------------------------

    def _note(self, step: Step) -> None:
        what, number, lock, value = step[5] & LOCK_NOTE_MASK, step[1], step[3], step[4]
        task = self.task(number)
        if what == LockNote.HARDIRQS_ON:
            if task.held and step[5] & _KNOWN:
                self._enabled(task, step, hard=True, soft=not step[5] & _BH_OFF)
        elif what == LockNote.SOFTIRQS_ON:
            if task.held and step[5] & _KNOWN and not step[5] & _IRQS_OFF:
                self._enabled(task, step, hard=False, soft=True)
        elif what == LockNote.FREED:
            for each in task.held:
                if lock <= each.at.lock < lock + value:
                    self.problem("held-lock-freed", self._here_of(step, each), (each.at,))
        elif what == LockNote.NONE_HELD:
            self._none_held(step, "return")
        elif what == LockNote.SET_CLASS:
            self._set_class(task, step)
        elif what == LockNote.DOWNGRADE:
            self._downgrade(task, lock)
        elif what == LockNote.FREE_KEYS:
            self.classes.forget_keys(lock, value)
        elif what == LockNote.SELFTEST:
            self.selftest = value != 0
        elif what == LockNote.MISUSE:
            self.problem("lock-misuse", Acquisition(-1, 0, 0, step[0], number, step[6], step[5]))
        elif what == LockNote.RCU:
            at = Acquisition(-1, step[9], 0, step[0], number, step[6], step[5])
            self.problem("suspicious-rcu", at, detail=str(value))
        elif what == LockNote.SLEEPS:
            if not self.selftest:  # whose cases do so where nobody would wait
                at = Acquisition(-1, 0, 0, step[0], number, step[6], step[5])
                self.problem("sleep-in-atomic", at, tuple(each.at for each in task.held[-1:]))
        elif what in (LockNote.PIN, LockNote.UNPIN):
            for each in task.held:
                if each.at.lock == lock:
                    each.pinned = max(0, each.pinned + (1 if what == LockNote.PIN else -1))

    def _here_of(self, step: Step, each: Held) -> Acquisition:
        return Acquisition(each.at.number, each.at.lock, 0, step[0], step[1], step[6], step[5])

    def _enabled(self, task: Task, step: Step, *, hard: bool, soft: bool) -> None:
        """Interrupts are enabled while locks are held: they might come now."""
        for each in task.held:
            if each.check:
                reader = int(each.at.read != 0)
                now = Acquisition(
                    each.at.number, each.at.lock, each.at.read, step[0], step[1], step[6], step[5]
                )
                if hard:
                    self._mark(now, Usage.HARDIRQS_ON + reader)
                if soft:
                    self._mark(now, Usage.SOFTIRQS_ON + reader)

    def _set_class(self, task: Task, step: Step) -> None:
        tick, number, _, lock, key, flags, position, _, wait, name, _ = step
        subclass = flags >> LOCK_SUBCLASS_SHIFT & _SUBCLASSES
        found = self.classes.annotated(lock, key, subclass, name, wait)
        for index, each in enumerate(task.held):
            if each.at.lock == lock:
                # As if it and all that was taken after it were taken now.
                after = task.held[index:]
                del task.held[index:]
                for again in after:
                    old = again.at
                    new = found.number if old.lock == lock else old.number
                    at = Acquisition(new, old.lock, old.read, tick, number, position, flags)
                    again.at = at
                    if again.check and not again.trylock and task.held:
                        self._depend(task, at, again.context, again.nest)
                    task.held.append(again)
                return
        if task.sure:
            self.problem("unbalanced-release", self._here(step, found.number))

    @staticmethod
    def _downgrade(task: Task, lock: int) -> None:
        for each in task.held:
            if each.at.lock == lock:
                at = each.at
                each.at = Acquisition(
                    at.number, at.lock, 1, at.tick, at.task, at.position, at.flags
                )

    def _none_held(self, step: Step, where: str) -> None:
        task = self.task(step[1])
        for each in task.held:
            kind = self.classes.all[each.at.number].kind
            if kind is not LockKind.SEMAPHORE:
                self.problem("lock-held-at-" + where, self._here_of(step, each), (each.at,))
        task.held.clear()
        task.sure = True

    def _blocked(self, step: Step) -> None:
        """The task sleeps (`flags`: its state)."""
        if not step[5]:
            return
        held = self.task(step[3]).held
        if not held:
            return
        # Without annotations the run queue's lock, the last one taken, is handed over.
        last = held[-1]
        handed = self.classes.all[last.at.number].kind is not LockKind.UNKNOWN
        for each in held[:-1] if handed and last.inner == SPIN else held:
            found = self.classes.all[each.at.number]
            if found.inner and found.lock_type == 0 and each.context == 0:
                at = Acquisition(each.at.number, each.at.lock, 0, step[0], step[3], 0, step[5])
                kind = "sleep-in-rcu" if found.outer == 1 else "sleep-in-atomic"
                self.problem(kind, at, (each.at,), detail=f"inner {found.inner}")

    # ---- locks without annotation --------------------------------------------------------------

    def _begin_plain(self, step: Step) -> None:
        flags, lock = step[5], step[3]
        kind = _lock_kind(flags)
        if step[2] == _TRIED:
            if flags & _SUCCESS:
                self._hold_plain(step, kind)
            return
        if sleeps(kind) and flags & _KNOWN and flags & _ATOMIC:
            at = Acquisition(-1, lock, 0, step[0], step[1], step[6], flags)
            held = self.task(step[1]).held
            self.problem("sleep-in-atomic", at, tuple(each.at for each in held[-1:]))
        if kind in _SIGNALLED:
            self._side(self.waits, step, kind, ())
        self.task(step[1]).pending[lock] = step

    def _acquired_plain(self, step: Step) -> None:
        kind = _lock_kind(step[5])
        begun = self.task(step[1]).pending.pop(step[3], None)
        if kind in _SIGNALLED:
            return
        if begun is not None:
            step = (begun[0], *step[1:6], begun[6], *step[7:])
        self._hold_plain(step, kind)

    def _hold_plain(self, step: Step, kind: LockKind) -> None:
        found = self.classes.plain(step[3], kind)
        shared = step[5] & _READ
        if kind is LockKind.SEMAPHORE and self._owners.get(step[3], step[1]) != step[1]:
            found.shared_count = True
        self._take(step, found, check=kind is not LockKind.RCU)
        if not shared:
            self._owners[step[3]] = step[1]

    def _release_plain(self, step: Step) -> None:
        flags, lock = step[5], step[3]
        kind = _lock_kind(flags)
        task = self.task(step[1])
        if kind in _SIGNALLED:
            self._side(self.signals, step, kind, self.earlier(step))
            task.pending.pop(lock, None)
            return
        if task.pending.pop(lock, None) is not None and not self._find(task, lock, kind):
            return  # gave up waiting
        if self._drop(task, lock, kind):
            self._owners.pop(lock, None)
            return
        owner = self._owners.pop(lock, None)
        if owner is not None and owner != step[1]:
            other = self._tasks.get(owner)
            if other is not None and self._drop(other, lock, kind):
                if kind in _OWNED and task.sure:
                    found = self.classes.plain(lock, kind)
                    self.problem("released-by-another", self._here(step, found.number))
                return
        if task.sure and kind in _OWNED and not self.lost:
            found = self.classes.plain(lock, kind)
            self.problem("unbalanced-release", self._here(step, found.number))

    def _find(self, task: Task, lock: int, kind: LockKind) -> Held | None:
        for each in reversed(task.held):
            if each.at.lock == lock and self.classes.all[each.at.number].kind is kind:
                return each
        return None

    def _drop(self, task: Task, lock: int, kind: LockKind) -> bool:
        found = self._find(task, lock, kind)
        if found is None:
            return False
        # Equal entries are rare, but the last one is meant.
        at = max(i for i, each in enumerate(task.held) if each is found)
        del task.held[at]
        return True

    def _initialised_plain(self, step: Step) -> None:
        lock, kind = step[3], _lock_kind(step[5])
        for each in self.task(step[1]).held:
            if each.at.lock == lock and self.classes.all[each.at.number].kind is kind:
                self.problem("held-lock-freed", self._here_of(step, each), (each.at,))
        self.classes.initialised(lock, kind, step[6])
        self._owners.pop(lock, None)

    def _side(
        self, sides: dict[tuple[int, ...], Side], step: Step, kind: LockKind,
        earlier: Sequence[Acquisition],
    ) -> None:  # fmt: skip
        """Note a wait or a signal, once for each set of locks."""
        found = self.classes.plain(step[3], kind)
        held = tuple(each.at for each in self.task(step[1]).held)
        key = (found.number, *sorted(at.lock for at in (*held, *earlier)))
        if key not in sides:
            sides[key] = Side(found, step, held, tuple(earlier))

    # ---- findings ------------------------------------------------------------------------------

    def problem(
        self, kind: str, at: Acquisition, parts: tuple[Acquisition, ...] = (), detail: str = ""
    ) -> None:
        """Something that is wrong for certain, if nothing is missing."""
        classes = tuple(dict.fromkeys([at.number, *(part.number for part in parts)]))
        key = (kind, classes, detail, at.position, *(part.position for part in parts))
        known = self.problems.get(key)
        if known is not None:
            known.count += 1
            return
        self.problems[key] = Problem(kind, classes, at, parts, detail)


def _lock_kind(flags: int) -> LockKind:
    try:
        return LockKind(flags >> LOCK_KIND_SHIFT & _KINDS)
    except ValueError:
        return LockKind.UNKNOWN
