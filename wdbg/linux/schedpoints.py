"""Functions of the scheduler, the interrupt code and the system call entry, as trace points."""

from __future__ import annotations

from dataclasses import dataclass, replace

from wdbg.instrument.points import (
    ARG,
    HIGH1,
    HIGH2,
    HIGH3,
    HIGH4,
    LOW1,
    LOW2,
    Point,
    Record,
    State,
)
from wdbg.trace.events import Kind

PRCTL = 167
"""__NR_prctl (include/uapi/asm-generic/unistd.h)."""
SWITCHES = ("wasm_serialize_tasks", "wasm_create_and_run_task")
"""The host calls through which every switch of tasks goes: (previous, next ...)."""
MARK_OPTION = 0x77646267
"""The option of prctl() that writes a mark: "wdbg" as a number. The kernel answers EINVAL."""


@dataclass(frozen=True, slots=True)
class TaskFields:
    """Byte offsets in struct task_struct; -1 where the kernel's debug information has none."""

    pid: int = -1
    tgid: int = -1
    comm: int = -1
    state: int = -1
    on_rq: int = -1
    delayed: int = -1
    """A byte: the task sleeps, but its dequeuing has been put off (since Linux 6.12)."""
    prio: int = -1
    cpu: int = -1
    preempt_count: int = -1
    irqs_off: int = -1
    softirq: int = -1
    """Counts for lockdep whether a softirq is served; so the next two, for interrupts that would be
    threads under PREEMPT_RT."""
    hardirq_threaded: int = -1
    irq_config: int = -1

    def source(self, pointer: str, field: str) -> str:
        """A record's source for a field of the task that ``pointer`` gives; "" if not known."""
        offset: int = getattr(self, field)
        return f"{pointer}+{offset}" if offset >= 0 else ""

    def interrupts(self) -> State | None:
        """Where to read what interrupts do."""
        if self.preempt_count < 0 or self.irqs_off < 0:
            return None
        threaded = (self.hardirq_threaded, self.irq_config)
        known = tuple(offset for offset in threaded if offset >= 0)
        return State(self.preempt_count, self.irqs_off, self.softirq, known)


def _fields(*pairs: tuple[int, str]) -> tuple[tuple[int, str], ...]:
    return tuple((slot, source) for slot, source in pairs if source)


def sched_points(task: TaskFields) -> tuple[Point, ...]:
    """Switches, wake-ups, forks, exits, migrations, priorities."""

    def woken(kind: Kind, who: str, *sites: tuple[int, str], when: str = "") -> Record:
        fields = _fields(
            (HIGH1, who),
            (ARG, task.source(who, "cpu")),
            (LOW2, task.source(who, "prio")),
            *sites,
        )
        return Record(kind, 0, fields, when)

    state, cpu = task.source("param0", "state"), task.source("param0", "cpu")
    new = woken(Kind.SCHED_WAKEUP_NEW, "param0")
    fork = Record(Kind.SCHED_FORK, 0, ((HIGH1, "param0"),))
    migrate = Record(
        Kind.SCHED_MIGRATE,
        0,
        _fields((HIGH1, "param0"), (LOW2, cpu), (HIGH2, "param1")),
        f"param1 != {cpu}" if cpu else "",
    )
    before, after = task.source("was0", "prio"), task.source("param0", "prio")
    priority = Record(
        Kind.SCHED_PRIO,
        0,
        _fields((HIGH1, "param0"), (LOW2, before), (HIGH2, after)),
        f"{before} != {after}" if after else "",
    )
    return (
        *_switch_points(task),
        Point(
            "try_to_wake_up",
            entry=(
                woken(
                    Kind.SCHED_WAKING,
                    "param0",
                    (LOW1, "site"),
                    when=f"{state} & param1" if state else "",
                ),
            ),
        ),
        Point("ttwu_do_activate", entry=(woken(Kind.SCHED_WAKEUP, "param1"),)),
        Point("wake_up_new_task", entry=(fork,), exit=(new,)),
        Point(
            "do_exit",
            entry=(Record(Kind.SCHED_EXIT, 0, ((HIGH1, "current"), (HIGH2, "param0"))),),
        ),
        Point("set_task_cpu", entry=(migrate,)),
        Point("set_user_nice", exit=(priority,)),
        Point("__sched_setscheduler", exit=(priority,)),
        Point("rt_mutex_setprio", exit=(priority,)),
    )


def switch_points() -> tuple[Point, ...]:
    """For traces without the scheduler's events: only that another task goes on, in rings."""
    other = Record(Kind.SWITCHED, 0, ((HIGH1, "param1"),))
    return tuple(Point(name, entry=(other,)) for name in SWITCHES)


def _switch_points(task: TaskFields) -> tuple[Point, ...]:
    """The host calls that switch tasks: (previous, next ...). A task that is still queued to run
    has been preempted or has yielded, whatever state it had set: it is recorded as running."""
    who = ((HIGH1, "param0"), (HIGH2, "param1"))
    priorities = _fields(
        (LOW1, task.source("param0", "prio")), (LOW2, task.source("param1", "prio"))
    )
    queued, state = task.source("param0", "on_rq"), task.source("param0", "state")
    records: tuple[Record, ...] = (Record(Kind.SCHED_SWITCH, 0, who + priorities),)
    if queued and state:
        delayed = task.source("param0", "delayed")
        slept = replace(records[0], fields=(*records[0].fields, (ARG, state)))
        runs = f"{queued} != 0" + (f",{delayed} !& 255" if delayed else "")
        records = (replace(slept, when=f"{queued} == 0"), replace(records[0], when=runs))
        if delayed:
            records += (replace(slept, when=f"{queued} != 0,{delayed} & 255"),)
    return tuple(Point(name, entry=records) for name in SWITCHES)


SOFTIRQS = (
    ("tasklet_hi_action",), ("run_timer_softirq",), ("net_tx_action",), ("net_rx_action",),
    ("blk_done_softirq",), ("irq_poll_softirq",), ("tasklet_action",),
    ("sched_balance_softirq", "run_rebalance_domains"), ("hrtimer_run_softirq",),
    ("rcu_core_si",),
)  # fmt: skip
"""Handlers of the softirqs in the order of their numbers (include/linux/interrupt.h)."""

CALLERS = (
    (Kind.TIMER_ENTER, Kind.TIMER_EXIT, "i32 ->",
     "call_timer_fn expire_timers __run_timers __run_timer_base run_timer_base"),
    (Kind.HRTIMER_ENTER, Kind.HRTIMER_EXIT, "i32 -> i32", "__run_hrtimer __hrtimer_run_queues"),
    (Kind.WORK_ENTER, Kind.WORK_EXIT, "i32 ->",
     "process_one_work process_scheduled_works worker_thread"),
)  # fmt: skip
"""Functions that call timers and work items through pointers; inlining decides in which of them
the call ends up."""

HANDLERS = "__handle_irq_event_percpu handle_irq_event_percpu handle_percpu_devid_irq"
"""Functions that call an interrupt's handler (number, device)."""


def preempt_points(task: TaskFields) -> tuple[Point, ...]:
    """Preemption off and on, in kernels that count it in functions (CONFIG_DEBUG_PREEMPT) without
    tracing it: when preempt_latency_start() and _stop() of kernel/sched/core.c would."""
    count = task.source("current", "preempt_count")
    if not count:
        return ()
    site = ((LOW1, "site"),)
    off = Record(Kind.PREEMPT_OFF, 0, site, f"{count} == 0")
    on = Record(Kind.PREEMPT_ON, 0, site, f"{count} == param0")
    return (Point("preempt_count_add", entry=(off,)), Point("preempt_count_sub", entry=(on,)))


def irq_points() -> tuple[Point, ...]:
    """Interrupts, softirqs, timers, work items; interrupts off and on where a kernel tells."""
    points = []
    for number, handlers in enumerate(SOFTIRQS):
        begin = Record(Kind.SOFTIRQ_ENTER, number)
        end = Record(Kind.SOFTIRQ_EXIT, number)
        points += [Point(name, entry=(begin,), exit=(end,)) for name in handlers]
    for enter, leave, signature, names in CALLERS:
        fields = ((HIGH1, "operand0"), (LOW1, "target"))
        before, after = Record(enter, 0, fields), Record(leave, 0, fields)
        points += [
            Point(name, before=(before,), after=(after,), signature=signature)
            for name in names.split()
        ]
    taken = Record(Kind.IRQ_ENTER, 0, ((ARG, "operand0"),))
    done = Record(Kind.IRQ_EXIT, 0, ((ARG, "operand0"), (HIGH1, "result")))
    points += [
        Point(name, before=(taken,), after=(done,), signature="i32 i32 -> i32")
        for name in HANDLERS.split()
    ]
    raised = Record(Kind.SOFTIRQ_RAISE, 0, ((ARG, "param0"),))
    points += [
        Point(name, entry=(raised,))
        for name in ("raise_softirq", "raise_softirq_irqoff", "__raise_softirq_irqoff")
    ]
    points += [
        Point(name, entry=(Record(kind, 0, ((LOW1, "site"),)),))
        for name, kind in (
            ("trace_hardirqs_off", Kind.IRQS_OFF),
            ("trace_hardirqs_on", Kind.IRQS_ON),
            ("trace_preempt_off", Kind.PREEMPT_OFF),
            ("trace_preempt_on", Kind.PREEMPT_ON),
        )
    ]
    return tuple(points)


def syscall_points() -> tuple[Point, ...]:
    """The functions that programs import: (stack pointer, TLS base, number, arguments ...)."""
    arguments = ((HIGH1, "param3"), (HIGH2, "param4"), (HIGH3, "param5"), (HIGH4, "param6"))
    points = []
    for count in range(7):
        enter = Record(Kind.SYSCALL_ENTER, 0, ((ARG, "param2"), *arguments[:count]))
        leave = Record(Kind.SYSCALL_EXIT, 0, ((ARG, "param2"), (HIGH1, "result")))
        points.append(Point(f"wasm_syscall_{count}", entry=(enter,), exit=(leave,)))
    return tuple(points)


def mark_points() -> tuple[Point, ...]:
    """Marks: kernel code calls ``wdbg_mark(u32)``, programs ``prctl(0x77646267, value)``."""
    kernel = Record(Kind.MARK, 0, ((HIGH2, "param0"),))
    user = f"param2 == {PRCTL},param3 == {MARK_OPTION}"
    program = Record(Kind.MARK, 0, ((HIGH2, "param4"),), user)
    return (
        Point("wdbg_mark", entry=(kernel,)),
        *(Point(f"wasm_syscall_{count}", entry=(program,)) for count in range(2, 7)),
    )
