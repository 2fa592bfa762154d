"""What a schedule came to, and which ends count as a finding."""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass, field

from wdbg.analysis.findings import identity_of, printable
from wdbg.runtime.backtrace import original_frames
from wdbg.runtime.engine import unwatch_parks
from wdbg.runtime.machine import Machine
from wdbg.runtime.stop import Stop, StopKind

KINDS = ("deadlock", "panic", "hang", "assert", "exit", "text")
"""What `--until` takes. A deadlock is a hang whose tasks wait for each other."""

ASSERTION = (
    r"WARNING: CPU: |BUG: |\bnot ok \d|BUG\((?!\))|INFO: task .* blocked for more than|"
    r"rcu: INFO: .*detected stall|-+\[ cut here \]-+"
)
"""Console lines by which a kernel says that something is wrong with itself."""

_NUMBERS = re.compile(r"0x[0-9a-f]+|\b[0-9a-f]{8,}\b|\d+")
_STAMP = re.compile(r"^\[[ \d.]+\]\s*")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a schedule ended."""

    kind: str
    """One of `KINDS`; "" if there is nothing to say of it."""
    identity: str
    """The same for the same bug in another schedule."""
    title: str
    """One line."""
    ticks: int
    """Where the run ended."""
    quanta: int
    skipped: int
    schedule: str
    """Digest of the order in which tasks took turns."""
    digest: str
    """Run hash without memory."""
    rows: array[int] = field(compare=False, repr=False)
    """The schedule's decisions (`history.Log`), of a finding."""
    console: str = field(default="", repr=False)
    """The last lines that the guest wrote."""


def normal(text: str) -> str:
    """A line of the guest's without what differs from run to run."""
    return _NUMBERS.sub("N", printable(_STAMP.sub("", text.strip())))


def judge(machine: Machine, stop: Stop, matched: tuple[str, str] | None) -> tuple[str, str, str]:
    """(kind, identity, title); `matched` is a console line that ended the run, after its kind."""
    if machine.traps:
        trap = machine.traps[0]
        where = [frame.function for frame in trap.frames[:3]]
        return "panic", identity_of("panic", where), f"trap: {printable(trap.message)}"
    if stop.kind in (StopKind.PANIC, StopKind.TRAP):
        title = printable(stop.message.splitlines()[0] if stop.message else stop.kind.value)
        where = [frame.function for frame in stop.frames[:6]]
        return "panic", identity_of("panic", [normal(title), *where]), f"{stop.kind.value}: {title}"
    if matched is not None:
        kind, line = matched
        return kind, identity_of(kind, [normal(line)]), printable(_STAMP.sub("", line.strip()))
    if stop.kind in (StopKind.HANG, StopKind.LIMIT, StopKind.TIMEOUT):
        stuck = _stuck(machine)
        title = f"{stop.message}; waiting: {', '.join(stuck[:6]) or 'nobody'}"
        return "hang", identity_of("hang", stuck), title
    if stop.exit_code:
        code = str(stop.exit_code)
        return "exit", identity_of("exit", [code]), f"the command ended with status {code}"
    return "", "", ""


_WAITING = re.compile(
    r"_?_?schedule(_timeout\w*|_preempt_disabled|_hrtimeout\w*)?$|__switch_to|context_switch|"
    r"wasm_serialize_tasks|io_schedule\w*|preempt_schedule\w*|wasm_\w*irq\w*|__wdbg_\w+|"
    r"cpu_relax|wasm_cpu_\w+|do_idle|default_idle\w*|arch_cpu_idle|"
    r"_*(mutex|rt_mutex|ww_mutex)_\w+|_*down(_\w+)?$|rwsem_\w+|_*wait_for_comm?on\w*|"
    r"_*wait_for_completion\w*|_raw_\w+|queued_\w+|do_raw_\w+|percpu_\w+|_*wait_on_bit\w*"
)
"""Functions that tell nothing of what a task waits for."""
_AT_REST = re.compile(
    r"worker_thread|rescuer_thread|kthreadd|smpboot_thread_fn|rcu_\w+_kthread|\w*kthread_worker_fn|"
    r"kswapd|kcompactd|oom_reaper|watchdog|cpu_startup_entry|rest_init|cpu_stopper_thread|"
    r"kauditd_thread|devtmpfsd|khungtaskd|kthread$|ksoftirqd|hwrng_fillfn|psi_\w+|ret_from_fork|"
    r"do_sys_poll|ksys_read|do_wait|do_nanosleep|sys_\w+|devtmpfs_work_loop|khvcd|"
    r"__bug_run_threads|rcu_gp_\w+|wait_rcu_exp\w*|kcompactd|kernel_init\w*"
)
"""Where a task waits for work that is yet to come."""


def _stuck(machine: Machine) -> list[str]:
    """What tasks wait for that are in the midst of something, as "task: function < caller". Reads
    all stacks where they are: the machine is good for nothing after that."""
    unwatch_parks()
    machine.mailbox.trap.value = 1
    found = set()
    for task in list(machine.tasks.values()):
        if not task.fiber.suspended or task.fresh or not task.fiber.poll():
            continue
        trap = task.fiber.trap
        frames = original_frames(trap.frames, machine.abi.codes) if trap is not None else ()
        names = [f.function for f in frames if not _WAITING.match(f.function)]
        if names and not _AT_REST.match(names[0]) and not frames[0].module:
            found.add(" < ".join(names[:3]))
    return sorted(found)
