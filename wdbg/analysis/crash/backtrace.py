"""Frames of a task as a person reads them: the source's calls with their arguments and locals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from wdbg.analysis.crash.symbols import Names
from wdbg.dump.state import FrameState, TaskState
from wdbg.dump.values import Printer, Value, frame_values

MOST_FRAMES = 200
MOST_VALUES = 40
"""Variables of a call that are shown."""

REPORTERS = frozenset(
    {
        "wasm_panic_blink", "wasm_panic", "wasm_panic_notify", "panic", "vpanic", "nmi_panic",
        "die", "wasm_bug", "raise_exception", "kernel_trap", "user_trap", "make_task_dead",
        "dump_stack", "dump_stack_lvl", "show_stack", "__warn", "check_panic_on_warn",
        "atomic_notifier_call_chain", "oops_exit", "wasm_dump_stacktrace",
        "panic_other_cpus_shutdown", "add_taint", "report_bug", "notify_die", "__dump_stack",
        "schedule_debug", "__schedule_bug",
    }
)  # fmt: skip
"""Functions that tell of a crash: who called them is what crashed."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call of the source: a frame, or an inlined call in one."""

    level: int
    """Of the frame."""
    function: str
    file: str
    line: int
    inlined: bool
    module: int
    offset: int
    values: tuple[Value, ...] = field(default=(), compare=False)


def calls(
    names: Names, task: TaskState, frames: Sequence[FrameState], *, values: bool = True
) -> list[Call]:
    """The calls of some frames of a task, innermost first."""
    found: list[Call] = []
    for level, frame in enumerate(frames[:MOST_FRAMES]):
        found += _frame_calls(names, task, frame, level, values=values)
    return found


def _frame_calls(
    names: Names, task: TaskState, frame: FrameState, level: int, *, values: bool
) -> Iterator[Call]:
    outer = level > 0
    address = frame.offset - 1 if outer else frame.offset
    sources = names.source_frames(frame.module, address)
    if not sources:
        yield Call(level, frame.function, "", 0, False, frame.module, frame.offset)
        return
    index = names.index(frame.module)
    known: list[Value] = []
    if values and index is not None:
        known = frame_values(names.snapshot, index, task, frame, outer=outer)
    for number, source in enumerate(sources):
        inlined = len(sources) - 1 - number
        mine = tuple(value for value in known if value.inlined == inlined)
        yield Call(
            level,
            source.name,
            names.short(source.file),
            source.line,
            source.inlined,
            frame.module,
            frame.offset,
            mine,
        )


def faulting(found: Sequence[Call]) -> list[Call]:
    """The calls without those that only tell of the crash."""
    last = -1
    for number, call in enumerate(found):
        if call.function in REPORTERS:
            last = number
        elif number - last > 4:
            break
    return list(found[last + 1 :]) or list(found)


def printer(names: Names) -> Printer:
    """Of values of the snapshot."""
    return Printer(names.snapshot.memory.read, names.code_name, names.data_name)


def call_line(call: Call, show: Printer) -> str:
    """A call with its arguments, as GDB prints it."""
    arguments = ", ".join(
        f"{value.name}={_shown(value, show)}" for value in call.values if value.parameter
    )
    where = f" at {call.file}:{call.line}" if call.file else ""
    how = " (inlined)" if call.inlined else ""
    return f"#{call.level:<2} {call.function}({arguments}){where}{how}"


def local_lines(call: Call, show: Printer) -> list[str]:
    """Its local variables, as far as they are known."""
    lines = [
        f"{value.name} = {_shown(value, show)}"
        for value in call.values
        if not value.parameter and value.data is not None
    ]
    return lines[:MOST_VALUES]


def _shown(value: Value, show: Printer) -> str:
    return "<optimized out>" if value.data is None else show.text(value.type, value.data)
