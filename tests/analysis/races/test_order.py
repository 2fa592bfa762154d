"""Each kind of edge: with it two accesses are ordered, without it they race."""

import pytest

from wdbg.analysis.races.atomics import Atomics, Fence, MemoryOrder
from wdbg.analysis.races.grace import GracePeriods
from wdbg.analysis.races.interrupts import Interrupts, context_of
from wdbg.analysis.races.locks import Locks
from wdbg.analysis.races.order import HARDIRQ, SOFTIRQ, Order
from wdbg.analysis.races.shadow import Shadow
from wdbg.analysis.races.tasks import Tasks
from wdbg.trace.events import LOCK_KIND_SHIFT, LockFlag, LockKind

ONE, TWO, THREE = 1, 2, 3
LOCK, FLAG, DATA = 0x1000, 0x2000, 0x3000
SPIN, MUTEX, RW, RCU = (
    kind << LOCK_KIND_SHIFT
    for kind in (LockKind.SPINLOCK, LockKind.MUTEX, LockKind.RWSEM, LockKind.RCU)
)
RELAXED, ACQUIRE, RELEASE, FULL = (MemoryOrder(n) for n in range(4))


class World:
    """All that makes order, and one word of data."""

    def __init__(self):
        self.order = Order(2)  # it must grow
        self.locks = Locks(self.order)
        self.atomics = Atomics(self.order)
        self.tasks = Tasks(self.order)
        self.grace = GracePeriods(self.order)
        self.interrupts = Interrupts(self.order)
        self.shadow = Shadow(self.order)

    def place(self, context):
        return self.order.place(context)

    def write(self, context, *, marked=False, mask=0xF, word=DATA):
        place = self.place(context)
        return len(self.shadow.access(word, mask, place, True, marked, context))

    def read(self, context, *, marked=False, mask=0xF, word=DATA):
        place = self.place(context)
        return len(self.shadow.access(word, mask, place, False, marked, context))


@pytest.fixture(name="world")
def fixture_world():
    return World()


def test_unordered_accesses_race(world):
    assert world.write(ONE) == 0
    assert world.write(ONE) == 0
    assert world.read(TWO) == 1
    assert world.write(THREE) == 2


def test_reads_and_marked_accesses_do_not_race_with_each_other(world):
    assert world.read(ONE) == world.read(TWO) == 0
    assert world.write(ONE, marked=True, word=1) == 0
    assert world.write(TWO, marked=True, word=1) == 0
    assert world.read(THREE, word=1) == 2


def test_only_common_bytes_race(world):
    assert world.write(ONE, mask=0x01) == 0
    assert world.write(TWO, mask=0x02) == 0
    assert world.write(THREE, mask=0x03) == 2


def test_a_marked_write_does_not_stand_for_a_plain_one(world):
    world.write(ONE)
    world.write(ONE, marked=True)
    assert world.read(TWO, marked=True) == 1


def test_what_is_ordered_is_replaced(world):
    for _ in range(3):
        for task in (ONE, TWO):
            world.locks.acquired(world.place(task), LOCK, SPIN)
            assert world.write(task) == 0
            world.locks.released(world.place(task), LOCK, SPIN)
    assert world.write(THREE) == 1, "only the last write is left"


@pytest.mark.parametrize("kind", [SPIN, MUTEX, RW])
def test_critical_sections_are_ordered(world, kind):
    world.locks.acquired(world.place(ONE), LOCK, kind)
    world.write(ONE)
    world.locks.released(world.place(ONE), LOCK, kind)
    world.write(ONE, word=1)
    world.locks.acquired(world.place(TWO), LOCK, kind)
    assert world.write(TWO) == 0
    assert world.write(TWO, word=1) == 1, "behind the section"


def test_readers_are_ordered_with_writers_only(world):
    for task in (ONE, TWO):
        world.locks.acquired(world.place(task), LOCK, RW | LockFlag.READ)
    world.write(ONE)
    assert world.write(TWO) == 1
    for task in (ONE, TWO):
        world.locks.released(world.place(task), LOCK, RW | LockFlag.READ)
    world.locks.acquired(world.place(THREE), LOCK, RW)
    assert world.write(THREE) == 0


def test_a_lock_is_handed_over(world):
    world.locks.acquired(world.place(ONE), LOCK, SPIN)
    world.tasks.switch(ONE, TWO)
    world.locks.released(world.place(TWO), LOCK, SPIN)
    assert world.locks.held[world.place(ONE)] == ()


@pytest.mark.parametrize(
    ("store", "load", "races"),
    [(RELEASE, ACQUIRE, 0), (RELEASE, RELAXED, 1), (RELAXED, ACQUIRE, 1), (RELAXED, RELAXED, 1)],
)
def test_message_passing(world, store, load, races):
    one, two = world.place(ONE), world.place(TWO)
    world.write(ONE)
    world.atomics.store(one, FLAG, store)
    world.atomics.load(two, FLAG, load)
    assert world.read(TWO) == races


@pytest.mark.parametrize(
    ("before", "after", "races"),
    [
        (Fence.WRITES, Fence.READS, 0),
        (Fence.FULL, Fence.FULL, 0),
        (Fence.READS, Fence.READS, 1),
        (Fence.WRITES, Fence.WRITES, 1),
        (Fence.WRITES, None, 1),
        (None, Fence.READS, 1),
    ],
)
def test_message_passing_with_fences(world, before, after, races):
    one, two = world.place(ONE), world.place(TWO)
    world.write(ONE)
    if before:
        world.atomics.fence(one, before)
    world.atomics.store(one, FLAG, RELAXED)
    world.atomics.load(two, FLAG, RELAXED)
    if after:
        world.atomics.fence(two, after)
    assert world.read(TWO) == races


@pytest.mark.parametrize(("update", "races"), [(FULL, 0), (RELEASE, 0), (ACQUIRE, 1), (RELAXED, 1)])
def test_updates_publish(world, update, races):
    world.write(ONE)
    world.atomics.update(world.place(ONE), FLAG, update)
    world.atomics.load(world.place(TWO), FLAG, ACQUIRE)
    assert world.read(TWO) == races


def test_an_update_continues_what_it_has_read(world):
    world.write(ONE)
    world.atomics.store(world.place(ONE), FLAG, RELEASE)
    world.atomics.update(world.place(TWO), FLAG, RELAXED)
    world.atomics.load(world.place(THREE), FLAG, ACQUIRE)
    assert world.read(THREE) == 0


def test_another_store_hides_a_release(world):
    world.write(ONE)
    world.atomics.store(world.place(ONE), FLAG, RELEASE)
    world.atomics.store(world.place(TWO), FLAG, RELAXED)
    world.atomics.load(world.place(THREE), FLAG, ACQUIRE)
    assert world.read(THREE) == 1


def test_switches_forks_and_cpus_that_start(world):
    world.write(ONE)
    world.tasks.switch(ONE, TWO)
    assert world.write(TWO) == 0
    world.tasks.fork(TWO, THREE)
    assert world.write(THREE) == 0
    world.tasks.cpu_started(4)
    assert world.write(4) == 0


def test_rcu_orders_readers_before_callbacks(world):
    one, two = world.place(ONE), world.place(SOFTIRQ | 1)
    world.locks.acquired(one, 0, RCU)
    world.read(ONE)
    world.grace.read_ended(one)
    world.grace.callbacks(two)
    assert world.write(SOFTIRQ | 1) == 0
    assert world.read(THREE) == 1, "a reader that has not ended"


def test_contexts():
    assert context_of(7, 1, 0x2) == 7
    assert context_of(7, 1, 0x200) == 7
    assert context_of(7, 1, 0x102) == SOFTIRQ | 1
    assert context_of(7, 1, 0x10102) == HARDIRQ | 1


def test_an_interrupt_races_with_what_comes_after_it(world):
    world.interrupts.irqs(ONE, 0, 0)
    world.write(ONE, word=1)
    world.interrupts.count(ONE, 0, 0x10000)
    assert world.write(HARDIRQ, word=1) == 0, "it comes after what it interrupts"
    world.write(HARDIRQ, word=2)
    world.interrupts.count(ONE, 0, 0)
    assert world.write(ONE, word=2) == 1


def test_interrupts_off_excludes_them(world):
    world.interrupts.irqs(ONE, 0, 0)
    world.interrupts.count(ONE, 0, 0x10000)
    world.write(HARDIRQ)
    world.interrupts.count(ONE, 0, 0)
    world.interrupts.irqs(ONE, 0, 1)
    assert world.write(ONE) == 0
    assert world.write(TWO) == 1, "a task on another CPU"


def test_softirqs_off_excludes_them(world):
    world.interrupts.count(ONE, 0, 0x100)
    world.write(SOFTIRQ)
    world.interrupts.count(ONE, 0, 0)
    world.interrupts.count(ONE, 0, 0x200)
    assert world.write(ONE) == 0


def test_locks_of_the_scheduler_exclude_but_order_nothing_else(world):
    locks = Locks(world.order, lambda lock: lock == LOCK)
    for task, races in ((ONE, 0), (TWO, 1)):
        assert world.write(task, word=1) == races, "what was done before"
        locks.acquired(world.place(task), LOCK, SPIN)
        held = locks.held[world.place(task)]
        locks.released(world.place(task), LOCK, SPIN)
    assert locks.exclude(held, held)
    assert not locks.exclude(held, ())
    assert not world.locks.exclude(held, held), "no lock of the scheduler"


def test_a_woken_task_comes_after_its_waker(world):
    world.write(ONE)
    world.tasks.wake(ONE, TWO)
    assert world.read(TWO) == 1, "before it runs again"
    world.tasks.switch(THREE, TWO)
    assert world.read(TWO) == 0
