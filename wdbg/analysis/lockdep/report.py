"""Problems as findings: what kernel developers read, in the shape they know from lockdep."""

from __future__ import annotations

from wdbg.analysis.findings import Finding, identity_of
from wdbg.analysis.lockdep.engine import Engine
from wdbg.analysis.lockdep.judge import KINDS
from wdbg.analysis.lockdep.model import Acquisition, Problem, Witness
from wdbg.analysis.lockdep.naming import Naming
from wdbg.analysis.stackrequests import StackRequests

_WIDTH = 25


class Reporter:
    """Makes findings of one engine's problems."""

    def __init__(self, engine: Engine, naming: Naming) -> None:
        self._engine = engine
        self._naming = naming

    def finding(self, problem: Problem) -> Finding:
        """The finding of a problem."""
        stacks = StackRequests()
        names = self._names(problem)
        title = self._title(problem, names)
        if problem.kind == "circular-dependency" and problem.detail:
            lines = self._signal(problem, names, stacks)
        elif problem.kind == "circular-dependency":
            lines = self._circular(problem, stacks)
        elif problem.kind in ("irq-inversion", "inconsistent-irq-state"):
            lines = self._interrupts(problem, names, stacks)
        else:
            lines = self._plain(problem, stacks)
        where = []
        if (problem.classes and problem.classes[0] < 0) or len(names) < 1:
            where = [self._naming.function(problem.at.position)]
        identity = identity_of(problem.kind, [*_rotated(names), problem.detail, *where])
        ticks = [problem.at.tick, *(part.tick for part in problem.parts)]
        data = {
            "classes": names,
            "functions": sorted({name for name in self._functions(problem) if name}),
            "ticks": sorted(set(ticks)),
            "times_seen": problem.count,
            "stacks": stacks.as_data(),
        }
        return Finding(
            problem.kind, identity, title, problem.at.tick, "\n".join(lines), data,
            problem.doubtful,
        )  # fmt: skip

    # ---- names ---------------------------------------------------------------------------------

    def _name(self, number: int, at: Acquisition | None = None) -> str:
        return self._naming.lock_class(self._engine.classes.all[number], at)

    def _names(self, problem: Problem) -> list[str]:
        every = [problem.at, *problem.parts]
        for witness in problem.witnesses:
            every += [witness.holder, witness.waiter]
        by_class = {at.number: at for at in reversed(every)}
        return [
            self._name(number, by_class.get(number)) for number in problem.classes if number >= 0
        ]

    def _functions(self, problem: Problem) -> list[str]:
        every = [problem.at, *problem.parts]
        for witness in problem.witnesses:
            every += [witness.holder, witness.waiter]
        return [self._naming.function(at.position) for at in every]

    def _title(self, problem: Problem, names: list[str]) -> str:
        if problem.kind == "circular-dependency":
            return " --> ".join([*_rotated(names), _rotated(names)[0]])
        if problem.kind == "irq-inversion":
            return f"{problem.detail}-safe {names[0]} --> {problem.detail}-unsafe {names[-1]}"
        what = ", ".join(names)
        where = self._naming.function(problem.at.position)
        if problem.kind == "suspicious-rcu":
            what = self._naming.text(problem.at.lock)
        if problem.kind == "inconsistent-irq-state":
            return f"{what} ({problem.detail})"
        if what and where:
            return f"{what} in {where}"
        return what or where or KINDS[problem.kind]

    # ---- texts ---------------------------------------------------------------------------------

    def _event(self, text: str, at: Acquisition, stacks: StackRequests) -> list[str]:
        naming = self._naming
        who = naming.task(at.task, at.tick)
        marker = stacks.add(
            at.tick, naming.address(at.task), at.position, naming.place(at.position)
        )
        return [f"{text}, by {who} at tick {at.tick}:", marker]

    def _circular(self, problem: Problem, stacks: StackRequests) -> list[str]:
        chain = [self._name(w.holder.number, w.holder) for w in problem.witnesses]
        lines = ["Possible circular locking dependency:", f"  {' --> '.join([*chain, chain[0]])}"]
        for step, witness in enumerate(problem.witnesses):
            lines += ["", f"#{step}: {self._edge(witness)}"]
            lines += self._edge_events(witness, stacks)
        lines += ["", *self._scenario(problem.witnesses)]
        return lines

    def _edge(self, witness: Witness) -> str:
        waiter = self._name(witness.waiter.number, witness.waiter)
        holder = self._name(witness.holder.number, witness.holder)
        return (
            f"{waiter} is taken{_how(witness.waiter)} while {holder} is held{_how(witness.holder)}"
        )

    def _edge_events(self, witness: Witness, stacks: StackRequests) -> list[str]:
        holder = self._name(witness.holder.number, witness.holder)
        waiter = self._name(witness.waiter.number, witness.waiter)
        return [
            *self._event(f"  {holder} was taken", witness.holder, stacks),
            *self._event(f"  {waiter} was taken", witness.waiter, stacks),
        ]

    def _scenario(self, witnesses: tuple[Witness, ...]) -> list[str]:
        """The table that lockdep prints, with a CPU for each dependency."""
        cpus = len(witnesses)
        head = "".join(f"CPU{cpu}".ljust(_WIDTH) for cpu in range(cpus)).rstrip()
        rule = "".join("----".ljust(_WIDTH) for _ in range(cpus)).rstrip()
        lines = [" Possible unsafe locking scenario:", "", f"       {head}", f"       {rule}"]
        for acquisitions in ([w.holder for w in witnesses], [w.waiter for w in witnesses]):
            for cpu, at in enumerate(acquisitions):
                indent = " " * (7 + cpu * _WIDTH)
                lines.append(f"{indent}{_call(at)}({self._name(at.number, at)});")
        return [*lines, "", "  *** DEADLOCK ***"]

    def _interrupts(self, problem: Problem, names: list[str], stacks: StackRequests) -> list[str]:
        inside, enabled = problem.parts
        state = problem.detail
        lines = [f"Lock order and {state}s: {KINDS[problem.kind]}."]
        if problem.witnesses:
            lines.append(f"  {' --> '.join(names)}")
        lines += ["", *self._event(f"  {names[0]} is taken in a {state}", inside, stacks)]
        for witness in problem.witnesses:
            lines += ["", f"  {self._edge(witness)}", *self._edge_events(witness, stacks)]
        text = f"  {names[-1]} is held with {state}s enabled"
        lines += ["", *self._event(text, enabled, stacks)]
        lines += ["", " Possible interrupt unsafe locking scenario:", ""]
        if problem.witnesses:
            lines += [
                f"       {'CPU0'.ljust(_WIDTH)}CPU1", f"       {'----'.ljust(_WIDTH)}----",
                f"       lock({names[-1]});",
                f"{' ' * (7 + _WIDTH)}local_irq_disable();",
                f"{' ' * (7 + _WIDTH)}lock({names[0]});",
                f"{' ' * (7 + _WIDTH)}lock({names[-1]});",
                "       <Interrupt>", f"         lock({names[0]});",
            ]  # fmt: skip
        else:
            lines += [
                "       CPU0", "       ----", f"       lock({names[0]});", "       <Interrupt>",
                f"         lock({names[0]});",
            ]  # fmt: skip
        return [*lines, "", "  *** DEADLOCK ***"]

    def _signal(self, problem: Problem, names: list[str], stacks: StackRequests) -> list[str]:
        lock, what = names[0], names[1]
        mine, wait, theirs, signal = problem.parts
        verbs = ("wait_for_completion", "complete")
        if problem.detail != "completion":
            verbs = ("wait_event", "wake_up")
        lines = [
            f"The {problem.detail} {what} closes a circle with {lock}: who waits for it holds",
            "what its signaller needs.", "",
        ]  # fmt: skip
        lines += self._event(f"  {lock} was taken", mine, stacks)
        lines += self._event(f"  {what} was waited for with it", wait, stacks)
        lines += ["", *self._event(f"  {lock} was taken", theirs, stacks)]
        lines += self._event(f"  {what} was signalled with it", signal, stacks)
        indent = " " * (7 + _WIDTH)
        return [
            *lines, "", " Possible unsafe locking scenario:", "",
            f"       {'CPU0'.ljust(_WIDTH)}CPU1", f"       {'----'.ljust(_WIDTH)}----",
            f"       lock({lock});", f"{indent}lock({lock});",
            f"       {verbs[0]}({what});", f"{indent}{verbs[1]}({what});", "",
            "  *** DEADLOCK ***",
        ]  # fmt: skip

    def _plain(self, problem: Problem, stacks: StackRequests) -> list[str]:
        lines = [f"{KINDS[problem.kind][0].upper()}{KINDS[problem.kind][1:]}.", ""]
        if problem.kind == "suspicious-rcu":
            lines.append(f"  {self._naming.text(problem.at.lock)}")
        lines += self._event("  It happens here", problem.at, stacks)
        for part in problem.parts:
            name = self._name(part.number, part)
            lines += ["", *self._event(f"  {name} was taken{_how(part)}", part, stacks)]
        if problem.kind == "recursive-locking":
            name = self._name(problem.at.number, problem.at)
            lines += ["", " Possible unsafe locking scenario:", "", "       CPU0", "       ----",
                      f"       lock({name});", f"       lock({name});", "", "  *** DEADLOCK ***",
                      "", " May be due to missing lock nesting notation"]  # fmt: skip
        return lines


def _how(at: Acquisition) -> str:
    return " for reading" if at.read else ""


def _call(at: Acquisition) -> str:
    return "rlock" if at.read else "lock"


def _rotated(names: list[str]) -> list[str]:
    """A circle of names from the one that comes first in the alphabet."""
    if not names:
        return names
    at = names.index(min(names))
    return [*names[at:], *names[:at]]
