"""Events as the kernel's own tracing names and lays them out, for the tools that know those.

Names, field names, field order and print formats are those of include/trace/events/*.h, so
that trace-cmd's and KernelShark's plug-ins understand the events; field sizes are those of a
32-bit kernel. Kinds that Linux has no event for are of the system "wdbg". A text of variable
length (`__data_loc`) has a place of fixed size here: NULs fill it up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wdbg.trace.batch import Batch, Rows
from wdbg.trace.calls import CallMatcher, Matched
from wdbg.trace.events import KINDS_OF, TABLE_OF, Kind, LockFlag, Table
from wdbg.trace.lockclass import LockClasses
from wdbg.trace.names import COMM_SIZE, NAME_SIZE, Names

TEXT_SIZE = 256
"""Bytes of console output and marks with a NUL; longer texts are cut."""

DTYPES = {
    "int": "<i4", "pid_t": "<i4", "long": "<i4", "unsigned int": "<u4", "unsigned long": "<u4",
    "void *": "<u4", "u32": "<u4", "u64": "<u8", "char[16]": f"S{COMM_SIZE}",
    "__data_loc char[]": f"S{NAME_SIZE}", "text": f"S{TEXT_SIZE}",
}  # fmt: skip
"""C type as in a format description to that of a column. "text" is a longer `__data_loc`."""

Values = Mapping[str, npt.NDArray[np.generic]]
Source = Callable[["View"], Values]
Select = Callable[[Table, Rows, Matched | None], npt.NDArray[np.bool_]]
"""Which rows of a table are wanted."""


@dataclass(frozen=True, slots=True)
class View:
    """The events of one kind that a source makes columns of."""

    rows: Rows
    names: Names
    matched: Matched | None
    """Of CALL events."""

    def comm(self, tasks: npt.NDArray[np.uint32]) -> tuple[npt.NDArray[np.generic], ...]:
        """comm and pid of tasks at the events' ticks."""
        life = self.names.life(tasks, self.rows["tick"])
        return self.names.comms[life], self.names.pids[life]


@dataclass(frozen=True, slots=True)
class Upstream:
    """An event of the kernel's: `fields` are (name, C type), `source` makes their columns."""

    name: str
    system: str
    fields: tuple[tuple[str, str], ...]
    print_format: str
    source: Source

    @property
    def dtype(self) -> np.dtype[np.void]:
        """Its fields as columns."""
        return np.dtype([(name, DTYPES[ctype]) for name, ctype in self.fields])


def _take(*names: str, **renamed: str) -> Source:
    """Columns that are fields of the event: of the same name, or of another one."""
    pairs = [(name, name) for name in names] + list(renamed.items())
    return lambda view: {to: view.rows[source] for to, source in pairs}


def _enter(view: View) -> Values:
    assert view.matched is not None
    rows = view.names.function_rows(view.rows["function"])
    return {"func": view.names.starts[rows], "depth": view.matched.depth}


def _exit(view: View) -> Values:
    assert view.matched is not None
    return {
        **_enter(view),
        "overrun": np.zeros(len(view.rows), np.uint32),
        "calltime": view.matched.started,
        "rettime": view.rows["time"],
    }


def _lock(view: View) -> Values:
    rows, flags = view.rows, view.rows["flags"]
    shared = np.where(flags & LockFlag.READ, 2, 0) | np.where(flags & LockFlag.TRY, 1, 0)
    return {
        "flags": shared.astype(np.uint32),
        "name": view.names.class_names[view.names.class_rows(rows["lock_class"])],
        "lockdep_addr": rows["lock"],
        "ip": rows["position"],
        "success": np.where(flags & LockFlag.SUCCESS, 1, 0).astype(np.int32),
    }


def _switch(view: View) -> Values:
    rows = view.rows
    prev_comm, prev_pid = view.comm(rows["prev"])
    next_comm, next_pid = view.comm(rows["next"])
    return {
        "prev_comm": prev_comm, "prev_pid": prev_pid, "prev_prio": rows["prev_prio"],
        "prev_state": rows["prev_state"], "next_comm": next_comm, "next_pid": next_pid,
        "next_prio": rows["next_prio"],
    }  # fmt: skip


def _wake(view: View) -> Values:
    comm, pid = view.comm(view.rows["target"])
    prio, cpu = view.rows["prio"], view.rows["target_cpu"]
    return {"comm": comm, "pid": pid, "prio": prio, "target_cpu": cpu}


def _fork(view: View) -> Values:
    parent_comm, parent_pid = view.comm(view.rows["task"])
    child_comm, child_pid = view.comm(view.rows["target"])
    return {
        "parent_comm": parent_comm, "parent_pid": parent_pid, "child_comm": child_comm,
        "child_pid": child_pid,
    }  # fmt: skip


def _string(view: View, numbers: npt.NDArray[np.uint32], size: int) -> npt.NDArray[np.bytes_]:
    different, places = np.unique(numbers, return_inverse=True)
    texts = [text.rstrip("\n").encode() for text in view.names.texts(different.tolist())]
    return np.array([text[: size - 1] for text in texts], f"S{size}")[places]


def _exec(view: View) -> Values:
    _, pid = view.comm(view.rows["target"])
    return {"filename": _string(view, view.rows["value"], NAME_SIZE), "pid": pid, "old_pid": pid}


def _leave(view: View) -> Values:
    comm, pid = view.comm(view.rows["target"])
    return {"comm": comm, "pid": pid, "prio": np.zeros(len(pid), np.int32)}


def _rename(view: View) -> Values:
    comm, pid = view.comm(view.rows["target"])
    return {"pid": pid, "oldcomm": comm, "newcomm": _string(view, view.rows["value"], COMM_SIZE)}


def _migrate(view: View) -> Values:
    comm, pid = view.comm(view.rows["target"])
    zero = np.zeros(len(pid), np.int32)
    cpus = {"orig_cpu": view.rows["from_cpu"], "dest_cpu": view.rows["to_cpu"]}
    return {"comm": comm, "pid": pid, "prio": zero, **cpus}


def _prio(view: View) -> Values:
    comm, pid = view.comm(view.rows["target"])
    return {"comm": comm, "pid": pid, "oldprio": view.rows["old"], "newprio": view.rows["new"]}


def _idle(view: View) -> Values:
    entered = view.rows["kind"] == Kind.IDLE_ENTER
    state = np.where(entered, view.rows["state"], 0xFFFFFFFF).astype(np.uint32)
    return {"state": state, "cpu_id": view.rows["cpu"]}


def _handler(view: View) -> Values:
    name = np.full(len(view.rows), b"", f"S{NAME_SIZE}")
    return {"irq": view.rows["number"], "name": name, "ret": view.rows["result"]}


def _work(view: View) -> Values:
    found = view.names.starts[view.names.pointer_rows(view.rows["function"])]
    thing = view.rows["object"]
    now, zero = view.rows["time"], np.zeros(len(thing), np.uint32)
    return {
        "timer": thing, "hrtimer": thing, "work": thing, "function": found, "now": now,
        "baseclk": zero,
    }  # fmt: skip


def _state(view: View) -> Values:
    return {"caller_offs": view.rows["position"], "parent_offs": np.zeros(len(view.rows), np.int32)}


def _text(view: View) -> Values:
    return {"msg": _string(view, view.rows["text"], TEXT_SIZE), "value": view.rows["value"]}


_LOC = "__data_loc char[]"
_LOCK_ADDRESS = ("lockdep_addr", "void *")
_LOCK_PRINT = '"%p %s", REC->lockdep_addr, __get_str(name)'
_TASK = (("comm", "char[16]"), ("pid", "pid_t"))
_WAKE_FIELDS = (*_TASK, ("prio", "int"), ("target_cpu", "int"))
_WAKE_PRINT = (
    '"comm=%s pid=%d prio=%d target_cpu=%03d", REC->comm, REC->pid, REC->prio, REC->target_cpu'
)
_SOFTIRQS = (
    "HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "IRQ_POLL", "TASKLET", "SCHED", "HRTIMER", "RCU",
)  # fmt: skip
_SYMBOLS = ", ".join(f'{{ {number}, "{name}" }}' for number, name in enumerate(_SOFTIRQS))
_SOFTIRQ_PRINT = f'"vec=%u [action=%s]", REC->vec, __print_symbolic(REC->vec, {_SYMBOLS})'
_STATES = ", ".join(f'{{ 0x{1 << bit:04x}, "{letter}" }}' for bit, letter in enumerate("SDTtXZPI"))
_SWITCH_PRINT = (
    '"prev_comm=%s prev_pid=%d prev_prio=%d prev_state=%s%s ==> next_comm=%s next_pid=%d '
    'next_prio=%d", REC->prev_comm, REC->prev_pid, REC->prev_prio, (REC->prev_state & 0xff) ? '
    f'__print_flags(REC->prev_state & 0xff, "|", {_STATES}) : "R", '
    'REC->prev_state & 0x100 ? "+" : "", REC->next_comm, REC->next_pid, REC->next_prio'
)
_STATE_FIELDS = (("caller_offs", "u32"), ("parent_offs", "int"))
_STATE_PRINT = '"caller=%ps", (void *)(unsigned long)REC->caller_offs'


def _lock_event(name: str) -> Upstream:
    fields: tuple[tuple[str, str], ...] = (("name", _LOC), _LOCK_ADDRESS)
    return Upstream(name, "lock", fields, _LOCK_PRINT, _lock)


def _work_event(name: str, system: str, what: str, more: str = "") -> Upstream:
    fields: list[tuple[str, str]] = [(what, "void *")]
    text, values = f"{what}=%p", f"REC->{what}"
    if more == "timer":
        fields += [("now", "u64"), ("function", "void *"), ("baseclk", "unsigned long")]
    elif more == "hrtimer":
        fields += [("now", "u64"), ("function", "void *")]
    elif more == "work":
        fields += [("function", "void *")]
    if more:
        text, values = f"{text} function=%ps", f"{values}, REC->function"
    return Upstream(name, system, tuple(fields), f'"{text}", {values}', _work)


EVENTS: dict[Kind, Upstream] = {
    Kind.LOST: Upstream("lost_events", "wdbg", (("count", "unsigned int"),),
                        '"%u events lost", REC->count', _take("count")),
    Kind.CALL_ENTER: Upstream("funcgraph_entry", "ftrace",
                              (("func", "unsigned long"), ("depth", "int")),
                              '"--> %ps (%d)", (void *)REC->func, REC->depth', _enter),
    Kind.CALL_EXIT: Upstream(
        "funcgraph_exit", "ftrace",
        (("func", "unsigned long"), ("depth", "int"), ("overrun", "unsigned int"),
         ("calltime", "u64"), ("rettime", "u64")),
        '"<-- %ps (%d) (start: %llx  end: %llx) over: %d", (void *)REC->func, REC->depth, '
        "REC->calltime, REC->rettime, REC->depth", _exit),
    Kind.LOCK_ACQUIRE: Upstream(
        "lock_acquire", "lock", (("flags", "unsigned int"), ("name", _LOC), _LOCK_ADDRESS),
        '"%p %s%s%s", REC->lockdep_addr, (REC->flags & 1) ? "try " : "", '
        '(REC->flags & 2) ? "read " : "", __get_str(name)', _lock),
    Kind.LOCK_CONTENDED: _lock_event("lock_contended"),
    Kind.LOCK_ACQUIRED: _lock_event("lock_acquired"),
    Kind.LOCK_RELEASE: _lock_event("lock_release"),
    Kind.LOCK_TRY: Upstream(
        "lock_try", "wdbg",
        (("flags", "unsigned int"), ("name", _LOC), _LOCK_ADDRESS, ("success", "int")),
        '"%p %s success=%d", REC->lockdep_addr, __get_str(name), REC->success', _lock),
    Kind.LOCK_INIT: Upstream("lock_init", "wdbg", (("name", _LOC), _LOCK_ADDRESS), _LOCK_PRINT,
                             _lock),
    Kind.LOCK_NOTE: Upstream(
        "lock_note", "wdbg",
        (("flags", "u32"), ("addr", "void *"), ("value", "u32"), ("ip", "void *")),
        '"%x %p value=%x ip=%ps", REC->flags, REC->addr, REC->value, REC->ip',
        _take("flags", "value", addr="lock", ip="position")),
    Kind.SCHED_SWITCH: Upstream(
        "sched_switch", "sched",
        (("prev_comm", "char[16]"), ("prev_pid", "pid_t"), ("prev_prio", "int"),
         ("prev_state", "long"), ("next_comm", "char[16]"), ("next_pid", "pid_t"),
         ("next_prio", "int")), _SWITCH_PRINT, _switch),
    Kind.SCHED_WAKING: Upstream("sched_waking", "sched", _WAKE_FIELDS, _WAKE_PRINT, _wake),
    Kind.SCHED_WAKEUP: Upstream("sched_wakeup", "sched", _WAKE_FIELDS, _WAKE_PRINT, _wake),
    Kind.SCHED_WAKEUP_NEW: Upstream("sched_wakeup_new", "sched", _WAKE_FIELDS, _WAKE_PRINT, _wake),
    Kind.SCHED_FORK: Upstream(
        "sched_process_fork", "sched",
        (("parent_comm", "char[16]"), ("parent_pid", "pid_t"), ("child_comm", "char[16]"),
         ("child_pid", "pid_t")),
        '"comm=%s pid=%d child_comm=%s child_pid=%d", REC->parent_comm, REC->parent_pid, '
        "REC->child_comm, REC->child_pid", _fork),
    Kind.SCHED_EXEC: Upstream(
        "sched_process_exec", "sched",
        (("filename", _LOC), ("pid", "pid_t"), ("old_pid", "pid_t")),
        '"filename=%s pid=%d old_pid=%d", __get_str(filename), REC->pid, REC->old_pid', _exec),
    Kind.SCHED_EXIT: Upstream(
        "sched_process_exit", "sched", (*_TASK, ("prio", "int")),
        '"comm=%s pid=%d prio=%d", REC->comm, REC->pid, REC->prio', _leave),
    Kind.SCHED_MIGRATE: Upstream(
        "sched_migrate_task", "sched",
        (*_TASK, ("prio", "int"), ("orig_cpu", "int"), ("dest_cpu", "int")),
        '"comm=%s pid=%d prio=%d orig_cpu=%d dest_cpu=%d", REC->comm, REC->pid, REC->prio, '
        "REC->orig_cpu, REC->dest_cpu", _migrate),
    Kind.SCHED_PRIO: Upstream(
        "sched_pi_setprio", "sched", (*_TASK, ("oldprio", "int"), ("newprio", "int")),
        '"comm=%s pid=%d oldprio=%d newprio=%d", REC->comm, REC->pid, REC->oldprio, REC->newprio',
        _prio),
    Kind.IDLE_ENTER: Upstream("cpu_idle", "power", (("state", "u32"), ("cpu_id", "u32")),
                              '"state=%u cpu_id=%u", REC->state, REC->cpu_id', _idle),
    Kind.IDLE_EXIT: Upstream("cpu_idle", "power", (("state", "u32"), ("cpu_id", "u32")),
                             '"state=%u cpu_id=%u", REC->state, REC->cpu_id', _idle),
    Kind.SCHED_RENAME: Upstream(
        "task_rename", "task",
        (("pid", "pid_t"), ("oldcomm", "char[16]"), ("newcomm", "char[16]")),
        '"pid=%d oldcomm=%s newcomm=%s", REC->pid, REC->oldcomm, REC->newcomm', _rename),
    Kind.IRQ_ENTER: Upstream(
        "irq_handler_entry", "irq", (("irq", "int"), ("name", _LOC)),
        '"irq=%d name=%s", REC->irq, __get_str(name)', _handler),
    Kind.IRQ_EXIT: Upstream(
        "irq_handler_exit", "irq", (("irq", "int"), ("ret", "int")),
        '"irq=%d ret=%s", REC->irq, REC->ret ? "handled" : "unhandled"', _handler),
    Kind.SOFTIRQ_ENTER: Upstream("softirq_entry", "irq", (("vec", "unsigned int"),),
                                 _SOFTIRQ_PRINT, _take(vec="number")),
    Kind.SOFTIRQ_EXIT: Upstream("softirq_exit", "irq", (("vec", "unsigned int"),),
                                _SOFTIRQ_PRINT, _take(vec="number")),
    Kind.SOFTIRQ_RAISE: Upstream("softirq_raise", "irq", (("vec", "unsigned int"),),
                                 _SOFTIRQ_PRINT, _take(vec="number")),
    Kind.TIMER_ENTER: _work_event("timer_expire_entry", "timer", "timer", "timer"),
    Kind.TIMER_EXIT: _work_event("timer_expire_exit", "timer", "timer"),
    Kind.HRTIMER_ENTER: _work_event("hrtimer_expire_entry", "timer", "hrtimer", "hrtimer"),
    Kind.HRTIMER_EXIT: _work_event("hrtimer_expire_exit", "timer", "hrtimer"),
    Kind.WORK_ENTER: _work_event("workqueue_execute_start", "workqueue", "work", "work"),
    Kind.WORK_EXIT: _work_event("workqueue_execute_end", "workqueue", "work", "work"),
    Kind.IRQS_OFF: Upstream("irq_disable", "preemptirq", _STATE_FIELDS, _STATE_PRINT, _state),
    Kind.IRQS_ON: Upstream("irq_enable", "preemptirq", _STATE_FIELDS, _STATE_PRINT, _state),
    Kind.PREEMPT_OFF: Upstream("preempt_disable", "preemptirq", _STATE_FIELDS, _STATE_PRINT,
                               _state),
    Kind.PREEMPT_ON: Upstream("preempt_enable", "preemptirq", _STATE_FIELDS, _STATE_PRINT, _state),
    Kind.MEM: Upstream(
        "mem_access", "wdbg",
        (("addr", "void *"), ("size", "unsigned int"), ("flags", "u32"), ("ip", "void *"),
         ("value", "u32")),
        '"%p size=%u flags=%x ip=%ps value=%x", REC->addr, REC->size, REC->flags, REC->ip, '
        "REC->value", _take("size", "flags", "value", addr="address", ip="position")),
    Kind.MEM_BULK: Upstream(
        "mem_bulk", "wdbg",
        (("addr", "void *"), ("size", "unsigned int"), ("flags", "u32"), ("ip", "void *")),
        '"%p size=%u flags=%x ip=%ps", REC->addr, REC->size, REC->flags, REC->ip',
        _take("size", "flags", addr="address", ip="position")),
    Kind.CONSOLE: Upstream("console", "printk", (("msg", "text"),), '"%s", __get_str(msg)', _text),
    Kind.PANIC: Upstream("panic", "wdbg", (("msg", "text"),), '"%s", __get_str(msg)', _text),
    Kind.SYSCALL_ENTER: Upstream(
        "sys_enter", "raw_syscalls",
        (("id", "long"), ("arg0", "unsigned long"), ("arg1", "unsigned long"),
         ("arg2", "unsigned long"), ("arg3", "unsigned long")),
        '"NR %d (%x, %x, %x, %x)", REC->id, REC->arg0, REC->arg1, REC->arg2, REC->arg3',
        _take("arg0", "arg1", "arg2", "arg3", id="number")),
    Kind.SYSCALL_EXIT: Upstream("sys_exit", "raw_syscalls", (("id", "long"), ("ret", "long")),
                                '"NR %d = %d", REC->id, REC->ret',
                                _take(id="number", ret="result")),
    Kind.MARK: Upstream("mark", "wdbg", (("value", "int"), ("msg", "text")),
                        '"%s (%d)", __get_str(msg), REC->value', _text),
}  # fmt: skip
"""Each kind's event. The two idle kinds are one event with two states."""


class Converter:
    """Goes over the batches of a trace in order and makes upstream events of them."""

    def __init__(self, names: Names, ns_per_tick: int) -> None:
        self.names = names
        self._ns_per_tick = ns_per_tick
        self._matcher = CallMatcher()
        self._classes = LockClasses()

    def convert(
        self, batch: Batch, select: Select | None = None
    ) -> Iterator[tuple[Kind, Rows, Rows]]:
        """For each kind in the batch its rows, and its fields as the kernel has them; of the
        rows that `select` wants."""
        if Table.LOST in batch.tables:
            self._matcher.forget()
        for table in batch.tables:
            rows = batch.rows(table, self._ns_per_tick)
            matched = self._matcher.feed(rows) if table is Table.CALL else None
            if table is Table.LOCK:
                self._classes.fill(rows)
            wanted = None if select is None else select(table, rows, matched)
            kinds = np.ascontiguousarray(rows["kind"])
            for kind in KINDS_OF[table]:
                mask = kinds == kind
                if wanted is not None:
                    mask &= wanted
                mine = np.flatnonzero(mask)
                if not len(mine):
                    continue
                view = View(rows, self.names, matched)
                if len(mine) < len(rows):
                    part = matched and Matched(
                        matched.depth.take(mine),
                        matched.started.take(mine),
                        matched.ended.take(mine),
                        matched.entered.take(mine),
                    )
                    view = View(rows.take(mine), self.names, part)
                yield kind, view.rows, fields_of(EVENTS[kind], view)


def fields_of(event: Upstream, view: View) -> Rows:
    """The event's fields for all rows of a view."""
    values = event.source(view)
    fields = np.empty(len(view.rows), event.dtype)
    for name, _ in event.fields:
        fields[name] = values[name]
    return fields


assert set(EVENTS) == set(TABLE_OF), "each kind has its event"
