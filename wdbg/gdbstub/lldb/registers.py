"""Values of LLDB's registers: pc, and the variables of frames (see `symbols.lldb.numbers`)."""

from __future__ import annotations

from functools import lru_cache

from symbols.lldb.numbers import COUNT, FIRST_VARIABLE, MOST_PROGRAMS, PC, SIZE, name
from symbols.lldb.table import Variable
from wdbg.debugger.model import DebugError, Debugger, Frame
from wdbg.gdbstub.lldb.evaluate import Location, Surroundings, evaluate
from wdbg.gdbstub.lldb.modules import Modules


@lru_cache(maxsize=1)
def description() -> bytes:
    """target.xml: LLDB has to be told of all registers, one by one."""
    rows = [
        '<reg name="pc" bitsize="64" regnum="0" offset="0" type="int" generic="pc" '
        'group="general" dwarf_regnum="0" ehframe_regnum="0"/>'
    ]
    rows += [
        f'<reg name="{name(n)}" bitsize="{8 * SIZE}" regnum="{n}" offset="{n * SIZE}" type="int" '
        f'dwarf_regnum="{n}" ehframe_regnum="{n}" group="variables"/>'
        for n in range(1, COUNT)
    ]
    text = f'<feature name="wdbg">{"".join(rows)}</feature>'
    return f'<?xml version="1.0"?><target version="1.0">{text}</target>'.encode()


def read(debugger: Debugger, modules: Modules, tid: int, number: int) -> int:
    """Value of a register but pc; DebugError where it is not available."""
    if PC < number <= MOST_PROGRAMS:
        base = modules.data_base(debugger, tid, number)
        if base is None:
            raise DebugError(f"the thread does not run program {number}")
        return base
    frame, variable = _variable(debugger, modules, tid, number)
    location = _location(debugger, modules, tid, frame, variable)
    if location.in_memory:
        raw = debugger.read_memory(location.value & 0xFFFF_FFFF, SIZE)
        return int.from_bytes(raw, "little")
    return location.value


def write(debugger: Debugger, modules: Modules, tid: int, number: int, value: int) -> None:
    """Set a variable; DebugError if that cannot be."""
    if number < FIRST_VARIABLE:
        raise DebugError("a WebAssembly program's pc cannot be set")
    frame, variable = _variable(debugger, modules, tid, number)
    location = _location(debugger, modules, tid, frame, variable)
    if location.local is None:
        raise DebugError("the variable is not in one place at present: it cannot be set")
    code = modules.code(debugger, frame.place.module)
    width = code.local_width(frame.function_start, location.local)
    mask = (1 << 8 * width) - 1
    debugger.set_local(tid, frame.level, location.local, value & mask)


def _variable(
    debugger: Debugger, modules: Modules, tid: int, number: int
) -> tuple[Frame, Variable]:
    """The one frame whose function has the register's variable, and that variable."""
    if not FIRST_VARIABLE <= number < COUNT:
        raise DebugError(f"there is no register {number}")
    found = [
        (frame, variable)
        for frame in debugger.frames(tid)
        for variable in modules.table(debugger, frame.place.module).candidates(
            frame.function_start, number
        )
    ]
    if not found:
        raise DebugError("no frame of the thread has this variable")
    if len(found) > 1:
        raise DebugError("several frames have this variable, and LLDB does not say which it means")
    return found[0]


def _location(
    debugger: Debugger, modules: Modules, tid: int, frame: Frame, variable: Variable
) -> Location:
    original = modules.code(debugger, frame.place.module).original

    def wasm(kind: int, index: int) -> int:
        value = _wasm_value(debugger, modules, tid, frame, kind, index)
        if value is None:
            raise DebugError("its value is not kept at this place")
        return value

    def frame_base() -> int:
        if variable.frame_base is None:
            raise DebugError("its function has no frame base")
        there = Surroundings(wasm, _nothing, debugger.read_memory)
        return evaluate(original.expression(variable.frame_base), there).value

    def memory(address: int, length: int) -> bytes:
        raw = debugger.read_memory(address & 0xFFFF_FFFF, length)
        if len(raw) < length:
            raise DebugError(f"no memory at {address:#x}")
        return raw

    around = Surroundings(wasm, frame_base, memory)
    if not variable.listed:
        return evaluate(original.expression(variable.offset), around)
    # The call is what a caller's frame is at, and its pc is the instruction after.
    pc = frame.place.offset - (frame.level > 0)
    for start, end, expression in original.locations(variable.offset, variable.base):
        if start <= pc < end:
            return evaluate(expression, around)
    raise DebugError("it is optimised out at this place")


def _wasm_value(
    debugger: Debugger, modules: Modules, tid: int, frame: Frame, kind: int, index: int
) -> int | None:
    if kind == 0:
        return debugger.local(tid, frame.level, index)
    if kind == 2:
        return debugger.operand(tid, frame.level, index)
    return modules.global_value(debugger, tid, frame, index)


def _nothing() -> int:
    raise DebugError("a frame base that refers to itself")
