"""What the engine accuses, and what it does not."""

import pytest

from tests.analysis.lockdep.script import KEYS, LOCKS, SLEEP, Script
from wdbg.analysis.lockdep.engine import Engine
from wdbg.analysis.lockdep.judge import judge
from wdbg.trace.events import Kind, LockFlag, LockKind, LockNote

CIRCLE = ["circular-dependency"]


def test_two_locks_in_both_orders() -> None:
    assert Script().nested(1, "AB").nested(2, "BA").kinds() == CIRCLE
    assert Script().nested(1, "AB").nested(2, "AB").kinds() == []


@pytest.mark.parametrize("length", [3, 4, 5, 8])
def test_circles_of_any_length(length: int) -> None:
    names = "ABCDEFGH"[:length]
    script = Script()
    for number, name in enumerate(names):
        script.nested(1 + number, name + names[(number + 1) % length])
    assert script.kinds() == CIRCLE


def test_all_circles_are_found() -> None:
    script = Script().nested(1, "AB").nested(2, "BA").nested(3, "CD").nested(4, "DC")
    assert script.kinds() == CIRCLE * 2


def test_a_gate_keeps_them_apart() -> None:
    assert Script().nested(1, "GAB").nested(2, "GBA").kinds() == []
    assert Script().nested(1, "GAB").nested(2, "BA").kinds() == CIRCLE
    # A gate of the same class, but another lock, does not.
    script = Script().take(1, "G").nested(1, "AB").drop(1, "G")
    script.take(2, "G", instance=1).nested(2, "BA").drop(2, "G", instance=1)
    assert script.kinds() == CIRCLE
    # Nor does one that both only read.
    script = Script().take(1, "G", 1).nested(1, "AB").drop(1, "G")
    assert script.take(2, "G", 1).nested(2, "BA").drop(2, "G").kinds() == CIRCLE


def test_one_task_does_not_wait_for_itself() -> None:
    script = Script().nested(1, "AB").nested(1, "BA")
    assert script.kinds() == []
    assert script.kinds(certain=False) == CIRCLE


def test_a_trylock_waits_for_nobody() -> None:
    script = Script().nested(1, "AB").take(2, "B").take(2, "A", trylock=True)
    assert script.drop(2, "A").drop(2, "B").kinds() == []
    # but others wait for who has it
    script = Script().nested(1, "AB").take(2, "B", trylock=True).take(2, "A")
    assert script.drop(2, "A").drop(2, "B").kinds() == CIRCLE


@pytest.mark.parametrize(
    ("first", "second", "bad"),
    [((0, 0), (0, 0), True), ((2, 2), (2, 2), False), ((2, 0), (0, 2), False),
     ((2, 0), (0, 0), True), ((0, 2), (2, 0), False), ((1, 1), (1, 1), True),
     ((2, 0), (2, 0), True), ((0, 2), (0, 2), True)],
)  # fmt: skip
def test_readers(first: tuple[int, int], second: tuple[int, int], bad: bool) -> None:
    """(A, B) by one task and (B, A) by the other: 0 exclusive, 1 shared, 2 recursive."""
    script = Script().take(1, "A", first[0]).take(1, "B", first[1]).drop(1, "B").drop(1, "A")
    script.take(2, "B", second[0]).take(2, "A", second[1]).drop(2, "A").drop(2, "B")
    assert script.kinds() == (CIRCLE if bad else [])


def test_recursion() -> None:
    assert Script().take(1, "A").take(1, "A", instance=1).kinds() == ["recursive-locking"]
    assert Script().take(1, "A", 2).take(1, "A", 2).drop(1, "A").drop(1, "A").kinds() == []
    assert Script().take(1, "A", 1).take(1, "A", 1).kinds() == ["recursive-locking"]
    assert Script().take(1, "A").take(1, "A", subclass=1, instance=1).kinds() == []


def test_nesting_under_a_lock_that_serialises() -> None:
    script = Script().take(1, "G").take(1, "A", nest="G").take(1, "B")
    assert script.take(1, "A", nest="G", instance=1).kinds() == []
    assert Script().take(1, "A", nest="G").kinds() == ["nest-lock-not-held"]


def test_counted_locks_are_dropped_one_by_one() -> None:
    script = Script().take(1, "G")
    for instance in range(3):
        script.take(1, "A", nest="G", instance=instance)
    for instance in range(3):
        script.drop(1, "A", instance=instance)
    assert script.drop(1, "G").kinds() == []
    assert script.drop(1, "A").kinds() == ["unbalanced-release"]


@pytest.mark.parametrize("state", ["hardirq", "softirq"])
def test_interrupts(state: str) -> None:
    off = {"hardirq": "irq-off", "softirq": "bh-off"}[state]
    inside = Script().take(1, "A", state=state).drop(1, "A", state=state)
    assert inside.take(2, "A", state=off).drop(2, "A", state=off).kinds() == []
    assert inside.take(2, "A").drop(2, "A").kinds() == ["inconsistent-irq-state"]


def test_interrupts_through_a_chain() -> None:
    script = Script().take(1, "A", state="hardirq").drop(1, "A", state="hardirq")
    script.nested(2, "AB", state="irq-off").nested(2, "BC", state="irq-off")
    assert script.kinds() == []
    assert script.nested(3, "C").kinds() == ["irq-inversion"]


def test_interrupts_enabled_while_a_lock_is_held() -> None:
    script = Script().take(1, "A", state="hardirq").drop(1, "A", state="hardirq")
    script.take(2, "A", state="irq-off").note(2, LockNote.HARDIRQS_ON, state="irq-off")
    assert script.kinds() == ["inconsistent-irq-state"]


def test_readers_in_interrupts() -> None:
    script = Script().take(1, "A", 2, state="hardirq").drop(1, "A", state="hardirq")
    assert script.take(2, "A", 2).drop(2, "A").kinds() == []
    assert script.take(2, "A").drop(2, "A").kinds() == ["inconsistent-irq-state"]


def test_what_an_interrupt_takes_does_not_depend_on_what_it_interrupts() -> None:
    script = Script().take(1, "A").take(1, "B", state="hardirq").drop(1, "B", state="hardirq")
    engine = Engine(0x8000)
    engine.feed(script.drop(1, "A").steps)
    assert len(engine.graph) == 0


def test_wait_contexts() -> None:
    assert Script().take(1, "A").take(1, "B", wait=SLEEP).kinds() == ["invalid-wait-context"]
    assert Script().take(1, "A", wait=SLEEP).take(1, "B").kinds() == []
    script = Script().take(1, "A", state="hardirq", wait=SLEEP)
    assert "invalid-wait-context" in script.kinds()


def test_balance() -> None:
    assert Script().drop(1, "A").kinds() == ["unbalanced-release"]
    assert Script().take(1, "A").drop(1, "A").drop(1, "A").kinds() == ["unbalanced-release"]
    # Any order will do: Linux allows it.
    assert Script().take(1, "A").take(1, "B").drop(1, "A").drop(1, "B").kinds() == []


def test_held_where_nothing_may_be() -> None:
    assert Script().take(1, "A").other(1, Kind.SCHED_EXIT).kinds() == ["lock-held-at-exit"]
    assert Script().take(1, "A").note(1, LockNote.NONE_HELD).kinds() == ["lock-held-at-return"]
    script = Script().take(1, "A").drop(1, "A").note(1, LockNote.NONE_HELD)
    assert script.kinds() == []


def test_memory_of_a_held_lock() -> None:
    script = Script().take(1, "A").note(1, LockNote.FREED, LOCKS["A"] - 8, 16)
    assert script.kinds() == ["held-lock-freed"]
    assert Script().take(1, "A").note(1, LockNote.FREED, LOCKS["A"] + 4, 16).kinds() == []


def test_classes_whose_keys_are_gone() -> None:
    script = Script().nested(1, "AB").note(1, LockNote.FREE_KEYS, KEYS["A"], 8).nested(2, "BA")
    assert script.kinds() == []


def test_a_change_of_class_and_a_downgrade() -> None:
    script = Script().take(1, "A").note(1, LockNote.SET_CLASS, LOCKS["A"], KEYS["B"]).take(1, "C")
    script.drop(1, "C").drop(1, "A").nested(2, "CB")
    assert script.kinds() == CIRCLE
    script = Script().take(1, "A").note(1, LockNote.DOWNGRADE, LOCKS["A"]).take(1, "B", 2)
    assert script.drop(1, "B").drop(1, "A").take(2, "B", 2).take(2, "A", 2).kinds() == []


def test_sleeping_with_a_spinning_lock() -> None:
    script = Script().take(1, "Z", wait=SLEEP).drop(1, "Z").take(1, "A")
    assert script.other(1, Kind.SCHED_SWITCH, 1, 1).kinds() == ["sleep-in-atomic"]
    assert Script().take(1, "A").other(1, Kind.SCHED_SWITCH, 1, 0).kinds() == []  # preempted
    script = Script().take(1, "Z", wait=SLEEP).other(1, Kind.SCHED_SWITCH, 1, 2)
    assert script.kinds() == []
    script = Script().take(1, "Z", wait=SLEEP).drop(1, "Z").take(1, "A", 2, wait=3, outer=1)
    assert script.other(1, Kind.SCHED_SWITCH, 1, 1).kinds() == ["sleep-in-rcu"]


# ---- without annotations


def mutex(script: Script, task: int, *locks: int) -> Script:
    for lock in locks:
        script.plain(task, Kind.LOCK_ACQUIRE, lock, LockKind.MUTEX)
        script.plain(task, Kind.LOCK_ACQUIRED, lock, LockKind.MUTEX)
    for lock in reversed(locks):
        script.plain(task, Kind.LOCK_RELEASE, lock, LockKind.MUTEX)
    return script


def test_static_locks_without_annotation() -> None:
    assert mutex(mutex(Script(), 1, 0x100, 0x200), 2, 0x200, 0x100).kinds() == CIRCLE


def test_other_memory_may_have_been_another_lock() -> None:
    script = mutex(mutex(Script(), 1, 0x10000, 0x20000), 2, 0x20000, 0x10000)
    assert script.kinds() == []
    assert script.kinds(certain=False) == CIRCLE


def test_initialised_locks_begin_anew() -> None:
    script = Script()
    for lock in (0x10000, 0x20000):
        script.plain(1, Kind.LOCK_INIT, lock, LockKind.MUTEX)
    mutex(script, 1, 0x10000, 0x20000)
    again = Script()
    again.steps = [*script.steps]
    assert mutex(script, 2, 0x20000, 0x10000).kinds() == CIRCLE
    again.plain(1, Kind.LOCK_INIT, 0x10000, LockKind.MUTEX)
    assert mutex(again, 2, 0x20000, 0x10000).kinds() == []


def test_a_deadlock_that_happens() -> None:
    """Both wait: neither has its second lock."""
    script = Script()
    for task, first, second in ((1, 0x100, 0x200), (2, 0x200, 0x100)):
        script.plain(task, Kind.LOCK_ACQUIRE, first, LockKind.MUTEX)
        script.plain(task, Kind.LOCK_ACQUIRED, first, LockKind.MUTEX)
        script.plain(task, Kind.LOCK_ACQUIRE, second, LockKind.MUTEX)
    assert script.kinds() == CIRCLE


def test_a_mutex_released_by_another_task() -> None:
    script = Script().plain(1, Kind.LOCK_ACQUIRED, 0x100, LockKind.MUTEX)
    script.plain(2, Kind.LOCK_RELEASE, 0x100, LockKind.MUTEX)
    assert script.kinds() == ["released-by-another"]
    script = Script().plain(1, Kind.LOCK_ACQUIRED, 0x100, LockKind.SPINLOCK)
    assert script.plain(2, Kind.LOCK_RELEASE, 0x100, LockKind.SPINLOCK).kinds() == []


def test_a_wait_that_was_given_up() -> None:
    script = Script().plain(1, Kind.LOCK_ACQUIRE, 0x100, LockKind.MUTEX)
    assert script.plain(1, Kind.LOCK_RELEASE, 0x100, LockKind.MUTEX).kinds() == []


def test_a_mutex_where_preemption_is_off() -> None:
    script = Script().plain(1, Kind.LOCK_ACQUIRE, 0x100, LockKind.MUTEX, LockFlag.PREEMPT_OFF)
    assert script.kinds() == ["sleep-in-atomic"]


def completion(wait_holds: int, signal_holds: int, address: int = 0x300) -> Script:
    script = Script().plain(2, Kind.LOCK_ACQUIRED, signal_holds, LockKind.MUTEX)
    script.plain(2, Kind.LOCK_RELEASE, address, LockKind.COMPLETION)
    script.plain(2, Kind.LOCK_RELEASE, signal_holds, LockKind.MUTEX)
    script.plain(1, Kind.LOCK_ACQUIRED, wait_holds, LockKind.MUTEX)
    script.plain(1, Kind.LOCK_ACQUIRE, address, LockKind.COMPLETION)
    script.plain(1, Kind.LOCK_ACQUIRED, address, LockKind.COMPLETION)
    return script.plain(1, Kind.LOCK_RELEASE, wait_holds, LockKind.MUTEX)


def test_completions_close_circles() -> None:
    assert completion(0x100, 0x100).kinds() == CIRCLE
    assert completion(0x100, 0x200).kinds() == []
    assert completion(0x100, 0x100, 0x30000).kinds() == []
    assert completion(0x100, 0x100, 0x30000).kinds(certain=False) == CIRCLE


def test_a_semaphore_of_several_is_no_lock() -> None:
    script = Script()
    for task in (1, 2):
        script.plain(task, Kind.LOCK_ACQUIRED, 0x100, LockKind.SEMAPHORE)
    for task in (1, 2):
        script.plain(task, Kind.LOCK_RELEASE, 0x100, LockKind.SEMAPHORE)
    mutex(script.plain(1, Kind.LOCK_ACQUIRED, 0x100, LockKind.SEMAPHORE), 1, 0x200)
    script.plain(1, Kind.LOCK_RELEASE, 0x100, LockKind.SEMAPHORE)
    script.plain(2, Kind.LOCK_ACQUIRED, 0x200, LockKind.MUTEX)
    script.plain(2, Kind.LOCK_ACQUIRED, 0x100, LockKind.SEMAPHORE)
    assert script.kinds() == []


# ---- parts of traces


def test_a_late_start_accuses_nobody() -> None:
    script = Script().drop(1, "A").take(1, "B").drop(1, "B")
    assert script.kinds(whole=False) == []


def test_what_depends_on_what_is_missing_is_doubtful() -> None:
    engine = Engine(0x8000, whole=False)
    engine.feed(Script().nested(1, "AB").nested(2, "BA").steps)
    (found,) = judge(engine)
    assert "not whole" in found.doubtful


def test_a_new_task_holds_nothing() -> None:
    script = Script().other(1, Kind.SCHED_FORK, 5).drop(5, "A")
    assert script.kinds(whole=False) == ["unbalanced-release"]


def test_losses_in_the_middle() -> None:
    engine = Engine(0x8000)
    engine.feed(Script().take(1, "A").steps)
    engine.lose()
    engine.feed(Script().drop(1, "A").drop(1, "B").nested(1, "CD").nested(2, "DC").steps)
    assert [each.kind for each in judge(engine) if not each.doubtful] == []
